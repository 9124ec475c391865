"""Measures tangle: speed, memory, and correctness over long runs.

Each name is a benchmark, with flags of its own. Tables are printed as they are
measured; the last line on standard output is one JSON object with all figures.
`metrics.jsonl`, with a record for each row, and plots are written to --out_dir.

  python scripts/benchmark.py backprop --model=attention
  python scripts/benchmark.py soak_memory --what=pipeline
"""

from tangle.experiments import subcommands

NAMES = {
  "ablations": "tangle.benchmarks.frameworks.ablations.compare_changes",
  "backprop": "tangle.benchmarks.backprop.compare_strategies",
  "calculator": "tangle.benchmarks.tangled.compare_trainings",
  "cluster": "tangle.benchmarks.cluster.compare_schedules",
  "control_flow": "tangle.experiments.control_flow.compare",
  "frameworks": "tangle.benchmarks.frameworks.report.compare_frameworks",
  "graphs": "tangle.benchmarks.graphs.compare_joint_and_split",
  "growth": "tangle.benchmarks.growth.compare_sizes",
  "mux": "tangle.benchmarks.mux.compare_multiplexers",
  "overlap": "tangle.benchmarks.overlap.compare_run_orders",
  "residuals": "tangle.benchmarks.residuals.compare_policies",
  "soak_loops": "tangle.benchmarks.loops.compare_strategies",
  "soak_memory": "tangle.benchmarks.soak.measure_growth",
  "soak_threads": "tangle.benchmarks.threads.check_gradients",
  "startup": "tangle.benchmarks.startup.compare_bucket_counts",
  "weights": "tangle.benchmarks.weights.compare_variables",
}


def measure(name, compare, settings, out_dir):
  del name
  from tangle.experiments import reports  # after the flags are checked

  with reports.Report(out_dir) as report:
    return compare(report=report, **settings)


if __name__ == "__main__":
  subcommands.run(__doc__, NAMES, measure, out_dir="out/benchmark")

"""Measures tangle: speed, memory, and correctness over long runs.

Each name is a benchmark, with flags of its own. Tables are printed as they are
measured; the last line on standard output is one JSON object with all figures.
`metrics.jsonl`, with a record for each row, and plots are written to --out_dir.

  python scripts/benchmark.py backprop --model=attention
  python scripts/benchmark.py soak_memory --what=pipeline
"""

from tangle.experiments import subcommands

NAMES = {
  "ablations": "tangle.benchmarks.frameworks.ablations.compare",
  "backprop": "tangle.benchmarks.backprop.compare",
  "calculator": "tangle.benchmarks.tangled.compare",
  "cluster": "tangle.benchmarks.cluster.compare",
  "control_flow": "tangle.experiments.control_flow.compare",
  "frameworks": "tangle.benchmarks.frameworks.report.compare",
  "graphs": "tangle.benchmarks.graphs.compare",
  "growth": "tangle.benchmarks.growth.compare",
  "mux": "tangle.benchmarks.mux.compare",
  "overlap": "tangle.benchmarks.overlap.compare",
  "residuals": "tangle.benchmarks.residuals.compare",
  "soak_loops": "tangle.benchmarks.loops.compare",
  "soak_memory": "tangle.benchmarks.soak.compare",
  "soak_threads": "tangle.benchmarks.threads.compare",
  "startup": "tangle.benchmarks.startup.compare",
  "weights": "tangle.benchmarks.weights.compare",
}


def measure(name, compare, settings, out_dir):
  del name
  from tangle.experiments import reports  # after the flags are checked

  with reports.Report(out_dir) as report:
    return compare(report=report, **settings)


if __name__ == "__main__":
  subcommands.run(__doc__, NAMES, measure, out_dir="out/benchmark")

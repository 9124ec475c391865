"""Compares split and joint training with PyTorch, JAX and TensorFlow 2.

  python scripts/benchmark_peers.py --python1=/path/to/python3.7
  python scripts/benchmark_peers.py --size=small --tasks=lstm,mlp
  python scripts/benchmark_peers.py --tasks=g2p_demo,multi30k

Each contender runs in its own process, from the same weights on the same batch;
they step in turn, so that ratios are paired. If a contender's interpreter or
package is missing, its row says so. `metrics.jsonl`, with a record per task and
contender, plots, and `peers.html`, a self-contained page of all results, are
written to `--out_dir`. The last line on standard output is one JSON object:
task -> contender -> figures, and machine -> the properties that they depend on.
g2p_demo and multi30k are whole jobs: an epoch, the step alone, and decoding.
"""

import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks.peers import harness, kinds, report, roster, tasks
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_list("tasks", list(kinds.NAMES), "What to train.")
flags.DEFINE_enum("size", "design", list(tasks.SIZES), "How large it is.")
flags.DEFINE_list("contenders", list(roster.NAMES), "What to compare.")
flags.DEFINE_string("python2", sys.executable, "Has TensorFlow 2.")
flags.DEFINE_string("python1", "", "Has TensorFlow 1.15; empty for none.")
flags.DEFINE_string("torch_python", sys.executable, "Has PyTorch and JAX.")
flags.DEFINE_list("multi30k", [], "Source and target to read for multi30k.")
flags.DEFINE_enum("optimizer", "sgd", ["sgd", "adam"], "What trains.")
flags.DEFINE_float("learning_rate", 0.01, "Of the optimizer.")
flags.DEFINE_float("clip_norm", 1.0, "Global norm of the gradients.")
flags.DEFINE_integer("threads", 2, "Threads, and processors, of a contender.")
flags.DEFINE_integer("op_threads", None, "Inside an op of tangle's networks.")
flags.DEFINE_enum(
  "omp_wait_policy", "", ["", "active", "passive"], "How OpenMP's threads wait."
)
flags.DEFINE_integer("rounds", 20, "Most turns of each contender.")
flags.DEFINE_float("budget_s", 60, "Of a repeat; no turn begins later.")
flags.DEFINE_integer("repeats", 1, "How often, each time in new processes.")
flags.DEFINE_string("out_dir", "out/benchmark_peers", "Gets figures, page.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  wait = FLAGS.omp_wait_policy
  settings = roster.Settings(
    {k: FLAGS[k].value for k in ("python2", "python1", "torch_python")},
    None,  # a size for each task
    tasks.Optimizer(FLAGS.optimizer, FLAGS.learning_rate, FLAGS.clip_norm),
    FLAGS.threads,
    options={"ours": {"op_threads": FLAGS.op_threads}},
    environment={"OMP_WAIT_POLICY": wait} if wait else {},
    files={"multi30k": FLAGS.multi30k},
  )
  timing = harness.Settings(
    rounds=FLAGS.rounds, budget_s=FLAGS.budget_s, repeats=FLAGS.repeats
  )
  try:
    results = report.compare(
      FLAGS.tasks,
      FLAGS.size,
      FLAGS.contenders,
      settings,
      timing,
      FLAGS.out_dir,
      omp_wait_policy=wait or "as it is",
      op_threads=FLAGS.op_threads or FLAGS.threads,
    )
  except errors.TangleError as error:
    sys.exit(f"benchmark_peers: {error}")
  print(records.to_json(results))


if __name__ == "__main__":
  app.run(main)

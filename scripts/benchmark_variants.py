"""Ablations: measures the effect of each part of tangle and each setting.

  python scripts/benchmark_variants.py --tasks=lstm,mlp
  python scripts/benchmark_variants.py --size=small --mode=joint

Each variant is the same training with one change, in its own process; all step
in turn. `metrics.jsonl`, with a record per task and variant, and plots are
written to `--out_dir`. The last line on standard output is one JSON object:
task -> variant -> figures.
"""

import os
import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import tables
from tangle.benchmarks.peers import harness, ours, roster, tasks, variants
from tangle.experiments import machine
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_list("tasks", list(tasks.NAMES), "What to train.")
flags.DEFINE_enum("size", "design", list(tasks.SIZES), "How large it is.")
flags.DEFINE_list("variants", list(variants.NAMES), "What to compare.")
flags.DEFINE_enum("mode", "split", list(ours.MODES), "In parts, or in one.")
flags.DEFINE_string("python", sys.executable, "Has the TensorFlow to measure.")
flags.DEFINE_integer("threads", 2, "Threads, and processors, of a process.")
flags.DEFINE_integer("rounds", 20, "Most turns of each variant.")
flags.DEFINE_float("budget_s", 60, "Of a repeat; no turn begins later.")
flags.DEFINE_integer("repeats", 1, "How often, each time in new processes.")
flags.DEFINE_string("out_dir", "out/benchmark_variants", "Gets the figures.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  settings = roster.Settings(
    {"python2": FLAGS.python},
    tasks.SIZES[FLAGS.size],
    tasks.Optimizer("sgd", 0.01, 1.0),
    FLAGS.threads,
  )
  timing = harness.Settings(
    rounds=FLAGS.rounds, budget_s=FLAGS.budget_s, repeats=FLAGS.repeats
  )
  journal = records.Records(FLAGS.out_dir)
  journal.write(size=FLAGS.size, mode=FLAGS.mode, **machine.describe())
  results = {}
  try:
    for task in FLAGS.tasks:
      rows = variants.compare(
        task, FLAGS.variants, settings, FLAGS.mode, timing
      )
      for name, row in rows.items():
        journal.write(task=task, variant=name, **row)
      print(task)
      print(tables.format_table(rows, variants.COLUMNS), flush=True)
      drawn = {k: row for k, row in rows.items() if "to_default" in row}
      if drawn:
        path = os.path.join(FLAGS.out_dir, f"{task}_to_default.png")
        tables.plot_ratios(drawn, "to_default", f"{task}: to default", path)
      results[task] = rows
  except errors.TangleError as error:
    sys.exit(f"benchmark_variants: {error}")
  print(records.to_json(results))


if __name__ == "__main__":
  app.run(main)

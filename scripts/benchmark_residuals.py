"""Compares policies for the residuals kept between forward and backward.

  python scripts/benchmark_residuals.py --model=lstm
  python scripts/benchmark_residuals.py --model=transformer --batch_size=8
  python scripts/benchmark_residuals.py --model=attention --large_ops=100000

Contenders step in turn in one process, so that ratios are paired. With
`--large_ops` it also times the minimum cut of a graph of that many ops.
`metrics.jsonl`, with a record per contender, and a plot of the steps are
written to `--out_dir`. The last line on standard output is one JSON object:
contender -> figures.
"""

import os
import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import models, residuals, tables
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_enum("model", "lstm", models.NAMES, "The network.")
flags.DEFINE_list("contenders", list(residuals.NAMES), "What to compare.")
flags.DEFINE_integer("batch_size", 64, "Examples a step.")
flags.DEFINE_integer("units", 256, "Depth of the layers.")
flags.DEFINE_integer("steps", 40, "Length of the source.")
flags.DEFINE_integer("target_steps", 20, "Length of the target.")
flags.DEFINE_integer("rounds", 30, "Timed steps of each contender.")
flags.DEFINE_integer("threads", 0, "Threads; 0 leaves it to TensorFlow.")
flags.DEFINE_integer("large_ops", 0, "Ops of a graph to cut; 0 for none.")
flags.DEFINE_string("out_dir", "out/benchmark_residuals", "Gets figures, plot.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  sizes = models.Sizes(
    FLAGS.batch_size, FLAGS.units, FLAGS.steps, FLAGS.target_steps
  )
  try:
    rows = residuals.compare(
      FLAGS.model, FLAGS.contenders, sizes, FLAGS.rounds, FLAGS.threads
    )
    print(tables.format_table(rows, residuals.COLUMNS), flush=True)
    journal = records.Records(FLAGS.out_dir)
    for name, row in rows.items():
      journal.write(model=FLAGS.model, contender=name, **row)
    path = os.path.join(FLAGS.out_dir, f"residuals_{FLAGS.model}.png")
    title = f"{FLAGS.model}: step to frontier"
    tables.plot_ratios(rows, "to_frontier", title, path)
    if FLAGS.large_ops:
      rows["large"] = residuals.time_cut(FLAGS.large_ops)
  except errors.TangleError as error:
    sys.exit(f"benchmark_residuals: {error}")
  print(records.to_json(rows))


if __name__ == "__main__":
  app.run(main)

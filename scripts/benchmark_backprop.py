"""Compares strategies for gradients of a network trained in two parts.

  python scripts/benchmark_backprop.py --model=attention
  python scripts/benchmark_backprop.py --model=mlp --strategies=joint,device
  python scripts/benchmark_backprop.py --model=reference_rnn \
    --strategies=auto,unchanged,pipeline,pipeline_unchanged

Strategies step in turn in one process, so that ratios are paired. The last line
on standard output is one JSON object: strategy -> figures.
"""

import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import backprop, models, strategies, tables
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_enum("model", "attention", models.NAMES, "The network.")
flags.DEFINE_list("strategies", list(strategies.DEFAULTS), "What to compare.")
flags.DEFINE_integer("batch_size", 64, "Examples a step.")
flags.DEFINE_integer("units", 256, "Depth of the layers.")
flags.DEFINE_integer("steps", 40, "Length of the source.")
flags.DEFINE_integer("target_steps", 20, "Length of the target.")
flags.DEFINE_integer("rounds", 30, "Timed steps of each strategy.")
flags.DEFINE_integer("threads", 0, "Threads; 0 leaves it to TensorFlow.")
flags.DEFINE_string("out_dir", "out/benchmark_backprop", "Gets the plot.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  sizes = models.Sizes(
    FLAGS.batch_size, FLAGS.units, FLAGS.steps, FLAGS.target_steps
  )
  try:
    rows = backprop.compare(
      FLAGS.model,
      FLAGS.strategies,
      sizes,
      FLAGS.rounds,
      FLAGS.threads,
      FLAGS.out_dir,
    )
  except errors.TangleError as error:
    sys.exit(f"benchmark_backprop: {error}")
  print(tables.format_table(rows, backprop.COLUMNS))
  print(records.to_json(rows))


if __name__ == "__main__":
  app.run(main)

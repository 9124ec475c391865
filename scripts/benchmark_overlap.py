"""Measures the speed-up from running independent runs of a step in parallel.

  python scripts/benchmark_overlap.py --encoders=2 --units=64

The network has several recurrent encoders and a classifier of their states. It
is trained in one graph, as sub-models that run one after another, and with
`overlap=True`. All three step in turn in one process. A plot is written to
`--out_dir`. The last line on standard output is one JSON object: contender ->
figures.
"""

import os
import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import overlap, tables
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_integer("encoders", 2, "How many.")
flags.DEFINE_integer("batch_size", 32, "Examples a step.")
flags.DEFINE_integer("units", 64, "Depth of inputs and states.")
flags.DEFINE_integer("steps", 40, "Length of the sequences.")
flags.DEFINE_integer("rounds", 60, "Timed steps of each contender.")
flags.DEFINE_integer("threads", 0, "Threads; 0 leaves it to TensorFlow.")
flags.DEFINE_string("out_dir", "out/benchmark_overlap", "Gets the plot.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  try:
    rows = overlap.compare(
      FLAGS.encoders,
      FLAGS.batch_size,
      FLAGS.units,
      FLAGS.steps,
      FLAGS.rounds,
      FLAGS.threads,
    )
    os.makedirs(FLAGS.out_dir, exist_ok=True)
    path = os.path.join(FLAGS.out_dir, "overlap_to_joint.png")
    title = f"{FLAGS.encoders} encoders: step to joint"
    tables.plot_ratios(rows, "to_joint", title, path)
  except errors.TangleError as error:
    sys.exit(f"benchmark_overlap: {error}")
  print(tables.format_table(rows, overlap.COLUMNS))
  print(records.to_json(rows))


if __name__ == "__main__":
  app.run(main)

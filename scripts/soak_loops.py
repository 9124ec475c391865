"""Trains a TensorFlow 1 style loop for many steps, and measures memory.

  python scripts/soak_loops.py
  python scripts/soak_loops.py --size=small --strategies=joint,auto

Each strategy trains a small `dynamic_rnn` on reference variables in its own
process. TensorFlow's `partial_run`, which such loops need, leaks on 2.x; the
strategy `partial_run` is a program without tangle that shows how much.
`metrics.jsonl` is written to `--out_dir`. The last line on standard output is
one JSON object: strategy -> figures.
"""

import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import loops, tables
from tangle.training import progress, records

FLAGS = flags.FLAGS

STEPS = {"full": (10000, 2000), "small": (40, 10)}

flags.DEFINE_enum("size", "full", list(STEPS), "How many steps to run.")
flags.DEFINE_list("strategies", list(loops.NAMES), "What to compare.")
flags.DEFINE_integer("steps", None, "How many steps, in place of those.")
flags.DEFINE_integer("warm_up", None, "Steps before memory is watched.")
flags.DEFINE_string("out_dir", "out/soak_loops", "Gets metrics.jsonl.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  steps, warm_up = STEPS[FLAGS.size]
  steps = steps if FLAGS.steps is None else FLAGS.steps
  warm_up = warm_up if FLAGS.warm_up is None else FLAGS.warm_up
  try:
    with progress.Bar(unit="strategy") as bar:
      rows = loops.compare(FLAGS.strategies, steps, warm_up, progress=bar.count)
  except errors.TangleError as error:
    sys.exit(f"soak_loops: {error}")
  journal = records.Records(FLAGS.out_dir)
  for name, row in rows.items():
    journal.write(strategy=name, **row)
  print(tables.format_table(rows, loops.COLUMNS))
  print(records.to_json(rows))


if __name__ == "__main__":
  app.run(main)

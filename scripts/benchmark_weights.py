"""Compares the residuals of a sub-model by kind of variable.

  python scripts/benchmark_weights.py
  python scripts/benchmark_weights.py --size=small --kinds=reference

For a Transformer of the size of BERT-base, with plain `tf.get_variable`, it
measures the residual bytes and the resident memory that open calls add. Each
kind of variable, resource or reference, has its own process.
`reference_unchanged` promises that no variable changes between a forward run
and its backward run. `metrics.jsonl` is written to `--out_dir`. The last line
on standard output is one JSON object: kind -> figures.
"""

import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import tables, weights
from tangle.training import progress, records

FLAGS = flags.FLAGS

SIZES = {"base": weights.Sizes(), "small": weights.SMALL}

flags.DEFINE_enum("size", "base", list(SIZES), "Of the Transformer.")
flags.DEFINE_list("kinds", list(weights.NAMES), "Kinds of variables.")
flags.DEFINE_integer("calls", 4, "How many calls are open at once.")
flags.DEFINE_string("out_dir", "out/benchmark_weights", "Gets metrics.jsonl.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  try:
    with progress.Bar(unit="kind") as bar:
      rows = weights.compare(
        FLAGS.kinds, SIZES[FLAGS.size], FLAGS.calls, bar.count
      )
  except errors.TangleError as error:
    sys.exit(f"benchmark_weights: {error}")
  journal = records.Records(FLAGS.out_dir)
  for kind, row in rows.items():
    journal.write(kind=kind, **row)
  print(tables.format_table(rows, weights.COLUMNS))
  print(records.to_json(rows))


if __name__ == "__main__":
  app.run(main)

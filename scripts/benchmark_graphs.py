"""Compares one graph per pair of buckets with one graph per bucket.

  python scripts/benchmark_graphs.py
  python scripts/benchmark_graphs.py --cell=lstm --layers=2 --rounds=1

Each contender runs in its own process; both must have the same losses. The last
line on standard output is one JSON object: `joint`, `split`, and `ratios`
(joint over split), each a dict figure -> value.
"""

import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import graphs, tables
from tangle.training import records

FLAGS = flags.FLAGS

DEFAULTS = graphs.Setting()

flags.DEFINE_list("source_buckets", list(DEFAULTS.source_buckets), "Lengths.")
flags.DEFINE_list("target_buckets", list(DEFAULTS.target_buckets), "Lengths.")
flags.DEFINE_enum("cell", DEFAULTS.cell, list(graphs.CELLS), "Kind of cell.")
flags.DEFINE_integer("layers", DEFAULTS.layers, "Cells one above the other.")
flags.DEFINE_integer("heads", DEFAULTS.heads, "Attention heads.")
flags.DEFINE_integer("units", DEFAULTS.units, "Depth of cells and embeddings.")
flags.DEFINE_integer("symbols", DEFAULTS.symbols, "Size of each vocabulary.")
flags.DEFINE_integer("batch_size", DEFAULTS.batch_size, "Examples a step.")
flags.DEFINE_integer("rounds", DEFAULTS.rounds, "Timed steps of each pair.")
flags.DEFINE_string("out_dir", "out/benchmark_graphs", "Gets metrics.jsonl.")


def lengths(name):
  """Returns the flag `name` as a tuple of ints."""
  try:
    return tuple(int(text) for text in FLAGS[name].value)
  except ValueError as error:
    raise app.UsageError(f"--{name} must be integers: {error}") from error


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  setting = graphs.Setting(
    lengths("source_buckets"),
    lengths("target_buckets"),
    FLAGS.cell,
    FLAGS.layers,
    FLAGS.heads,
    FLAGS.units,
    FLAGS.symbols,
    FLAGS.batch_size,
    FLAGS.rounds,
  )
  try:
    found = graphs.compare(setting)
  except errors.TangleError as error:
    sys.exit(f"benchmark_graphs: {error}")
  records.Records(FLAGS.out_dir).write(**found)
  rows = {name: found[name] for name in (*graphs.NAMES, "ratios")}
  print(tables.format_table(rows, graphs.FIGURES))
  print(records.to_json(found))


if __name__ == "__main__":
  app.run(main)

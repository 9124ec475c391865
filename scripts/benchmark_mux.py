"""Compares the multiplexers, and separate networks, on K equal branches.

  python scripts/benchmark_mux.py
  python scripts/benchmark_mux.py --branches=8 --units=512 --contenders=route

Contenders step in turn in one process, so that ratios are paired; memory is
measured in a separate process per contender. `metrics.jsonl`, with a record per
K, size and contender, and `mux.png` are written to `--out_dir`. The last line
on standard output is one JSON object: units -> K -> contender -> figures.
"""

import os
import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import mux, tables
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_list("branches", ["2", "4", "8", "16", "32"], "Each K to try.")
flags.DEFINE_list("units", ["16", "512"], "Depths of the hidden layers.")
flags.DEFINE_list("contenders", list(mux.NAMES), "What to compare.")
flags.DEFINE_integer("batch_size", 2048, "Examples a step.")
flags.DEFINE_integer("depth", 64, "Depth of inputs and outputs.")
flags.DEFINE_integer("rounds", 10, "Timed steps of each contender.")
flags.DEFINE_integer("threads", 0, "Threads; 0 leaves it to TensorFlow.")
flags.DEFINE_bool("memory", True, "Whether to measure memory, too.")
flags.DEFINE_string("out_dir", "out/benchmark_mux", "Gets table and plot.")


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  results = {}
  journal = records.Records(FLAGS.out_dir)
  try:
    for units in map(int, FLAGS.units):
      sizes = mux.Sizes(FLAGS.batch_size, FLAGS.depth, units)
      for branches in map(int, FLAGS.branches):
        rows = mux.compare(
          branches,
          sizes,
          FLAGS.contenders,
          FLAGS.rounds,
          FLAGS.threads,
          FLAGS.memory,
        )
        results.setdefault(str(units), {})[str(branches)] = rows
        for name, row in rows.items():
          journal.write(units=units, branches=branches, contender=name, **row)
        print(f"{units} units, {branches} branches", flush=True)
        print(tables.format_table(rows, mux.COLUMNS), flush=True)
    mux.plot(results, os.path.join(FLAGS.out_dir, "mux.png"))
  except errors.TangleError as error:
    sys.exit(f"benchmark_mux: {error}")
  print(records.to_json(results))


if __name__ == "__main__":
  app.run(main)

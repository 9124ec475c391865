"""Compares the calculator's trainings: one graph, six graphs, joint graphs.

  python scripts/benchmark_calculator.py
  python scripts/benchmark_calculator.py --batch_size=10 --units=32 --hidden=64

Contenders step in turn in one process, so that ratios are paired; memory is
measured in a separate process per contender. The last line on standard output
is one JSON object: contender -> figures.
"""

from absl import flags

from tangle.benchmarks import tables, tangled
from tangle.experiments import command_line
from tangle.training import records

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/benchmark_calculator", "For metrics.jsonl.")
command_line.define(tangled.compare)


def main():
  rows = tangled.compare(**command_line.take(tangled.compare, FLAGS))
  print(tables.format_table(rows, tangled.COLUMNS))
  records.Records(FLAGS.out_dir).write(**rows)
  return rows


if __name__ == "__main__":
  command_line.run(main)

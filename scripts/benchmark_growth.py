"""Measures how time, memory and ops of split and joint training grow.

  python scripts/benchmark_growth.py
  python scripts/benchmark_growth.py --buckets= --sub_models= --residuals=

There are six axes: the length of a sequence, buckets on each side, sub-models
of a pipeline; residuals, layers and outputs of a sub-model. Each point is
measured in its own process. Prints a table of exponents, "overall / tail"; 1 is
linear. `metrics.jsonl`, with a record per point, and a plot per axis are
written to `--out_dir`. The last line on standard output is one JSON object:
`exponents`, axis -> contender -> figure -> [overall, tail]; `steepest`, figure
-> [largest tail of split, axis]; and `points`.
"""

import os
import sys

from absl import app, flags

from tangle import errors
from tangle.benchmarks import axes, growth, tables
from tangle.training import progress, records

FLAGS = flags.FLAGS

SIZES = axes.Sizes()

for name, axis in axes.AXES.items():
  flags.DEFINE_list(name, list(axis.points), f"{axis.label}; none to leave out")
flags.DEFINE_integer("units", SIZES.units, "Depth of layers and inputs.")
flags.DEFINE_integer("batch_size", SIZES.batch_size, "Examples a step.")
flags.DEFINE_integer("bucket_steps", SIZES.bucket_steps, "Of a middle bucket.")
flags.DEFINE_integer("steps", 15, "Timed steps of each point.")
flags.DEFINE_string("out_dir", "out/benchmark_growth", "Gets figures, plots.")


def points_of(name):
  """Returns the flag `name` as a list of ints."""
  try:
    return [int(text) for text in FLAGS[name].value if text != ""]
  except ValueError as error:
    raise app.UsageError(f"--{name} must be integers: {error}") from error


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  sizes = axes.Sizes(FLAGS.units, FLAGS.batch_size, FLAGS.bucket_steps)
  points = {name: points_of(name) for name in axes.NAMES}
  points = {name: chosen for name, chosen in points.items() if chosen}
  try:
    with progress.Bar(unit="point") as bar:
      found = growth.compare(points, sizes, FLAGS.steps, bar.count)
    journal = records.Records(FLAGS.out_dir)
    for axis_name, contenders in found.items():
      for contender, rows in contenders.items():
        for row in rows:
          journal.write(axis=axis_name, contender=contender, **row)
      path = os.path.join(FLAGS.out_dir, f"growth_{axis_name}.png")
      growth.plot(found, axis_name, path)
  except errors.TangleError as error:
    sys.exit(f"benchmark_growth: {error}")
  fitted = growth.exponents(found)
  print(tables.format_table(growth.table_rows(fitted), growth.FIGURES))
  figures = {"exponents": fitted, "steepest": growth.steepest(fitted)}
  print(records.to_json(dict(figures, points=found)))


if __name__ == "__main__":
  app.run(main)

"""Combines gradients of losses that conflict.

  python scripts/combine_gradients.py --experiment=toy
  python scripts/combine_gradients.py --experiment=calculator
  python scripts/combine_gradients.py --experiment=cost

`toy`: paths of all methods on two losses whose Pareto front is known.
`calculator`: two decoders of the calculator, one loss scaled by 1000. `cost`:
the time of a step with four heads on a deep trunk, relative to a weighted sum;
all step in turn in one process. `metrics.jsonl` and a plot are written to
`--out_dir`. The last line on standard output is one JSON object: `reached` and
`distances` from the front; `final` and `mean` accuracies; or contender ->
figures.
"""

import os

from absl import flags

from tangle.benchmarks import conflicts
from tangle.experiments import command_line, multi_task, pareto, plots, tables
from tangle.training import progress, records

FLAGS = flags.FLAGS

flags.DEFINE_enum(
  "experiment", "toy", ["toy", "calculator", "cost"], "What to do."
)
flags.DEFINE_string("out_dir", "out/gradients", "Gets metrics.jsonl, plots.")
command_line.define(
  pareto.follow,
  multi_task.compare,
  conflicts.compare,
  methods=list(pareto.METHODS),
  calculator_methods=list(multi_task.METHODS),
  contenders=list(conflicts.NAMES),
)


def toy(path, bar):
  settings = command_line.take(pareto.follow, FLAGS)
  figures = pareto.follow(progress=bar.count, **settings)
  pareto.plot(figures, path)
  return figures, {k: v for k, v in figures.items() if k != "paths"}


def calculator(path, bar):
  settings = command_line.take(multi_task.compare, FLAGS)
  figures = multi_task.compare(progress=bar.count, **settings)
  multi_task.plot(figures, path)
  return figures, {k: v for k, v in figures.items() if k != "curves"}


def cost(path, bar):
  del bar
  rows = conflicts.compare(**command_line.take(conflicts.compare, FLAGS))
  print(tables.format_table(rows, conflicts.COLUMNS), flush=True)
  title = "time of a step over that of a weighted sum"
  plots.draw_ratios(rows, "to_weighted", title, path)
  return rows, rows


def main():
  writer = records.Records(FLAGS.out_dir)
  experiments = {"toy": toy, "calculator": calculator, "cost": cost}
  path = os.path.join(FLAGS.out_dir, f"{FLAGS.experiment}.png")
  with progress.Bar(unit="training") as bar:
    figures, short = experiments[FLAGS.experiment](path, bar)
  writer.write(**figures)
  return short


if __name__ == "__main__":
  command_line.run(main)

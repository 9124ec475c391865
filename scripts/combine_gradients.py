"""Combines gradients of losses that conflict.

  python scripts/combine_gradients.py --experiment=toy
  python scripts/combine_gradients.py --experiment=calculator
  python scripts/combine_gradients.py --experiment=cost

`toy`: paths of all methods on two losses whose Pareto front is known.
`calculator`: two decoders of the calculator, one loss scaled by 1000. `cost`:
the time of a step with four heads on a deep trunk, relative to a weighted sum;
all step in turn in one process. `metrics.jsonl` and a plot are written to
`--out_dir`. The last line on standard output is one JSON object: `reached` and
`distances` from the front; `final` and `mean` accuracies; or candidate ->
figures.
"""

import os

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

SOURCES = {
  "toy": "tangle.experiments.pareto.follow",
  "calculator": "tangle.experiments.multi_task.compare",
  "cost": "tangle.benchmarks.conflicts.compare_methods",
}
flags.DEFINE_enum("experiment", "toy", list(SOURCES), "What to do.")
flags.DEFINE_string(
  "out_dir", None, "Gets metrics.jsonl, plot; out/gradients_EXPERIMENT."
)
command_line.define(*SOURCES.values())


def check():
  return command_line.find_unused(FLAGS, "experiment", SOURCES)


def main():
  from tangle.benchmarks import conflicts
  from tangle.experiments import multi_task, pareto, plots, tables
  from tangle.training import progress, runs

  name = FLAGS.experiment
  out_dir = FLAGS.out_dir or f"out/gradients_{name}"
  path = os.path.join(out_dir, f"{name}.png")
  settings = command_line.take(SOURCES[name], FLAGS)
  run = runs.repeatable(out_dir, {f"gradients_{name}": settings})
  with run as writer, progress.Bar(unit="training") as bar:
    if name == "toy":
      figures = pareto.follow(progress=bar.count, **settings)
      pareto.plot(figures, path)
    elif name == "calculator":
      figures = multi_task.compare(progress=bar.count, **settings)
      multi_task.plot(figures, path)
    else:
      figures = conflicts.compare_methods(**settings)
      print(tables.format_table(figures, conflicts.COLUMNS), flush=True)
      title = "time of a step over that of a weighted sum"
      plots.draw_ratios(figures, "to_weighted", title, path)
    writer.write(**figures)
  return {k: v for k, v in figures.items() if k not in ("paths", "curves")}


if __name__ == "__main__":
  command_line.run(main, check)

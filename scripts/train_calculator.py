"""Trains a calculator of six networks on all its eight paths.

  python scripts/train_calculator.py --seeds=10
  python scripts/train_calculator.py --training=six_graphs --seeds=10
  python scripts/train_calculator.py --experiment=held_out

The last of these trains with some paths held out, and tests them afterwards;
eight separate networks are trained for comparison. Results above 9 wrap modulo
10. The last line on standard output is one JSON object with `accuracy`: path ->
accuracy.
"""

import os

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_enum("experiment", "train", ["train", "held_out"], "What to do.")
flags.DEFINE_string(
  "out_dir", None, "Gets metrics.jsonl, plots; out/calculator_EXPERIMENT."
)
TRAIN = "tangle.experiments.shared_or_separate.train"
HELD_OUT = "tangle.experiments.held_out_paths.measure"
command_line.define(TRAIN, HELD_OUT, seeds=1, units=32, learning_rate=0.005)


def check():
  sources = {"train": TRAIN, "held_out": HELD_OUT}
  return command_line.find_unused(FLAGS, "experiment", sources)


def main():
  from tangle.experiments import held_out_paths, shared_or_separate
  from tangle.training import progress, runs

  out_dir = FLAGS.out_dir or f"out/calculator_{FLAGS.experiment}"
  trains = FLAGS.experiment == "train"
  settings = command_line.take(TRAIN if trains else HELD_OUT, FLAGS)
  for name, value in (("seeds", 10), ("units", 8)):
    if not trains and not FLAGS[name].present:
      settings[name] = value
  kept = {k: v for k, v in settings.items() if k != "export_dir"}
  run = runs.repeatable(out_dir, {f"calculator_{FLAGS.experiment}": kept})
  with run as writer, progress.Bar(unit="training") as bar:
    function = shared_or_separate.train if trains else held_out_paths.measure
    figures = function(progress=bar.count, **settings)
    writer.write(**figures)
    if not trains:
      held_out_paths.plot(figures, os.path.join(out_dir, "held_out.png"))
  return figures


if __name__ == "__main__":
  command_line.run(main, check)

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

from tangle.experiments import command_line, held_out_paths, shared_or_separate
from tangle.training import progress, records

FLAGS = flags.FLAGS

flags.DEFINE_enum("experiment", "train", ["train", "held_out"], "What to do.")
flags.DEFINE_string("out_dir", "out/calculator", "Gets metrics.jsonl, plots.")
command_line.define(
  shared_or_separate.train,
  held_out_paths.measure,
  seeds=1,
  units=32,
  learning_rate=0.005,
)


def main():
  writer = records.Records(FLAGS.out_dir)
  with progress.Bar(unit="training") as bar:
    if FLAGS.experiment == "train":
      figures = shared_or_separate.train(
        progress=bar.count, **command_line.take(shared_or_separate.train, FLAGS)
      )
    else:
      settings = command_line.take(held_out_paths.measure, FLAGS)
      for name, value in (("seeds", 10), ("units", 8)):
        if not FLAGS[name].present:
          settings[name] = value
      figures = held_out_paths.measure(progress=bar.count, **settings)
      held_out_paths.plot(figures, os.path.join(FLAGS.out_dir, "held_out.png"))
  writer.write(**figures)
  return figures


if __name__ == "__main__":
  command_line.run(main)

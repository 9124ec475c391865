"""Combines networks of handwritten digits that were trained one by one.

  python scripts/combine_networks.py
  python scripts/combine_networks.py --per_class=1,10 --seeds=2

There are three patterns. Side by side: one network per half of an image. In a
row: one network predicts the right half, another classifies the digit. Shared
trunk: a network is cut at its code and gets two new heads. There are three
modes. Frozen: only the new upper part is trained. Fine-tuned: all is trained,
the lower part later and more slowly. From scratch: all is trained, without
pre-training. `metrics.jsonl` and `combine.png` are written to `--out_dir`. The
last line on standard output is one JSON object: pattern -> mode -> images per
class -> accuracies on held-out images, one per seed, and their means.
"""

import os

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/combine", "Gets metrics.jsonl and plot.")
MEASURE = "tangle.experiments.combining.measure"
command_line.define(MEASURE)


def main():
  from tangle.experiments import combining
  from tangle.training import progress, runs

  settings = command_line.take(MEASURE, FLAGS)
  run = runs.repeatable(FLAGS.out_dir, {"combine": settings})
  with run as writer, progress.Bar(unit="training") as bar:
    figures = combining.measure(
      progress=bar.count, write_metrics=writer.write, **settings
    )
    writer.write(**figures)
    combining.plot(figures, os.path.join(FLAGS.out_dir, "combine.png"))
  return figures


if __name__ == "__main__":
  command_line.run(main)

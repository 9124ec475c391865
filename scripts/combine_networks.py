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

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/combine", "Gets metrics.jsonl and plot.")
EXPERIMENT = "tangle.experiments.combining"
command_line.define(f"{EXPERIMENT}.measure")


def main():
  return command_line.measure(EXPERIMENT, FLAGS, "combine")


if __name__ == "__main__":
  command_line.run(main)

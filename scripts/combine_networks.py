"""Combines networks of handwritten digits that were trained one by one.

  python scripts/combine_networks.py
  python scripts/combine_networks.py --per_class=1,10 --seeds=2

Side by side: a network for each half of an image. In a row: one that guesses
the right half, and one that tells the digit. On a shared trunk: a network cut
at its code, with two new heads. Frozen: only what is above is trained;
fine-tuned: all, the lower part later and more slowly; from nothing: all, and
nothing was trained before. `--out_dir` gets `metrics.jsonl` and `combine.png`.
The last line on standard output is one JSON object: pattern -> way -> images a
class -> shares right on images held out, one for each seed, and their means.
"""

import os

from absl import flags

from tangle.experiments import combining, command_line
from tangle.training import progress, records

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/combine", "Gets metrics.jsonl and plot.")
command_line.define(
  combining.measure, per_class=list(map(str, combining.PER_CLASS))
)


def main():
  writer = records.Records(FLAGS.out_dir)
  with progress.Bar(unit="training") as bar:
    figures = combining.measure(
      progress=bar.count,
      journal=writer.write,
      **command_line.take(combining.measure, FLAGS),
    )
  combining.plot(figures, os.path.join(FLAGS.out_dir, "combine.png"))
  writer.write(**figures)
  return figures


if __name__ == "__main__":
  command_line.run(main)

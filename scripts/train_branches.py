"""Trains a model whose input is sometimes an image and sometimes a token.

  python scripts/train_branches.py
  python scripts/train_branches.py --schedule=by_loss --vocabulary=200

Handwritten digits are given as 64 floats, or as a token: the index of the
nearest image of a codebook. The model must learn the digit of each token. Each
type has its own branch, and both share a head. The model is trained in three
modes: with alternating batches, with mixed batches, and as sub-models of a
pipeline. For comparison, each branch is also trained alone. A stream of
numbered records is read, too, to check that none is lost. `metrics.jsonl` and
`branches.png` are written to `--out_dir`. The last line on standard output is
one JSON object: `accuracy`, run -> type -> accuracy on held-out images, and
`same_order`: how much the weights of the three modes differ after the same
batches, and how many numbers of inactive branches have changed.
"""

import os

from absl import flags

from tangle.experiments import branching, command_line
from tangle.training import progress, records

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/branches", "Gets metrics.jsonl and plot.")
command_line.define(branching.measure)


def main():
  writer = records.Records(FLAGS.out_dir)
  with progress.Bar(unit="training") as bar:
    figures = branching.measure(
      progress=bar.count,
      write_metrics=writer.write,
      **command_line.take(branching.measure, FLAGS),
    )
  branching.plot(figures, os.path.join(FLAGS.out_dir, "branches.png"))
  writer.write(**figures)
  del figures["accuracies"]
  return figures


if __name__ == "__main__":
  command_line.run(main)

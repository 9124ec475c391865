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

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/branches", "Gets metrics.jsonl and plot.")
EXPERIMENT = "tangle.experiments.branching"
flags.DEFINE_enum(
  "schedule",
  "round_robin",
  ["round_robin", "proportional", "by_loss"],
  "Which type comes next, when batches alternate.",
)
command_line.define(f"{EXPERIMENT}.measure", schedule=None)


def main():
  figures = command_line.measure(EXPERIMENT, FLAGS, "branches")
  del figures["accuracies"]
  return figures


if __name__ == "__main__":
  command_line.run(main)

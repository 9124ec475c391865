"""Joins an encoder of handwritten digits to a trained calculator.

  python scripts/transfer_digits.py
  python scripts/transfer_digits.py --per_class=1,10 --seeds=3

The encoder gets few labelled images. Frozen: only the encoder is trained.
Fine-tuned: all weights are trained. From scratch: all weights are trained, with
an untrained calculator. Either all four paths of an image have labels, or only
one has and the other three are tested. `metrics.jsonl` and `transfer.png` are
written to `--out_dir`. The last line on standard output is one JSON object:
`all_paths` and `one_path`, mode -> images per class -> accuracies on held-out
images, one per seed, with their means and quartiles.
"""

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/transfer", "Gets metrics.jsonl and plot.")
EXPERIMENT = "tangle.experiments.transfer"
command_line.define(f"{EXPERIMENT}.measure")


def main():
  return command_line.measure(EXPERIMENT, FLAGS, "transfer")


if __name__ == "__main__":
  command_line.run(main)

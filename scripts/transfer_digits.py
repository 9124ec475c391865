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

import os

from absl import flags

from tangle.experiments import command_line, transfer
from tangle.training import progress, records

FLAGS = flags.FLAGS

flags.DEFINE_string("out_dir", "out/transfer", "Gets metrics.jsonl and plot.")
command_line.define(
  transfer.measure, per_class=list(map(str, transfer.PER_CLASS))
)


def main():
  writer = records.Records(FLAGS.out_dir)
  with progress.Bar(unit="training") as bar:
    figures = transfer.measure(
      progress=bar.count,
      write_metrics=writer.write,
      **command_line.take(transfer.measure, FLAGS),
    )
  transfer.plot(figures, os.path.join(FLAGS.out_dir, "transfer.png"))
  writer.write(**figures)
  return figures


if __name__ == "__main__":
  command_line.run(main)

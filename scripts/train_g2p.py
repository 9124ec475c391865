"""Trains a grapheme-to-phoneme converter on CMUdict, through a pipeline.

  python scripts/train_g2p.py --preset=demo     # about three minutes
  python scripts/train_g2p.py --preset=full     # the real training

It is `train_seq2seq.py --data=cmudict` with presets of sizes. The last line on
standard output is one JSON object with the figures.
"""

import os

# Set before TensorFlow is imported: its faster kernels, on every CPU tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

_NAMES = (
  "units",
  "layers",
  "embedding_dim",
  "epochs",
  "dropout_rate",
  "learning_rate",
)
PRESETS = {
  "demo": dict(zip(_NAMES, (128, 1, 64, 3.5, 0.2, 3e-3))),
  "full": dict(zip(_NAMES, (256, 1, 128, 16.0, 0.3, 2e-3))),
}
# Ops of this size are faster in one thread each, and bit-reproducible.
PRESETS["demo"]["deterministic"] = True

flags.DEFINE_enum("preset", "demo", sorted(PRESETS), "Size and length.")
flags.DEFINE_integer("limit", None, "Use only so many entries of CMUdict.")
flags.DEFINE_string("out_dir", None, "Folder of the run; out/g2p_PRESET.")
CMUDICT = "tangle.experiments.tasks.cmudict"
NETWORK = "tangle.experiments.translator.Translator"
TRAIN = "tangle.experiments.seq2seq.train"
command_line.define(
  CMUDICT,
  NETWORK,
  TRAIN,
  evaluations=4,
  sample_lines=["tensor", "gradient", "tangle", "backpropagation", "o'clock"],
)


def main():
  from tangle.experiments import cmudict_data, seq2seq, tasks
  from tangle.training import progress

  for name, value in PRESETS[FLAGS.preset].items():
    if not FLAGS[name].present:
      FLAGS[name].value = value
  with progress.Bar() as bar:
    data = cmudict_data.load(limit=FLAGS.limit)
    figures = seq2seq.train(
      tasks.cmudict(data, **command_line.take(CMUDICT, FLAGS)),
      FLAGS.out_dir or f"out/g2p_{FLAGS.preset}",
      network=command_line.take(NETWORK, FLAGS),
      progress=bar,
      report=bar.write,
      **command_line.take(TRAIN, FLAGS),
    )
  for word, phonemes in figures.get("samples", {}).items():
    print(f"{word}: {phonemes}")
  return figures


if __name__ == "__main__":
  command_line.run(main)

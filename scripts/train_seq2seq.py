"""Trains an encoder-decoder on parallel files, or on CMUdict.

  python scripts/train_seq2seq.py --train=train.en,train.de \\
    --validation=val.en,val.de --test=test.en,test.de --out_dir=out/en_de
  python scripts/train_seq2seq.py --flagfile=scripts/presets/g2p.flags

Presets: g2p (2 x 64 LSTM on CMUdict), wmt (the set-up of the translate
tutorial; give it --train), self_test (the tutorial's self-test). Flags after a
flagfile override it. A run that was stopped resumes when it is started again.
The last line on standard output is one JSON object with the figures.
"""

import os

# Set before TensorFlow is imported: its faster kernels, on every CPU tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import (
  cmudict_data,
  command_line,
  seq2seq,
  tasks,
  translator,
)
from tangle.training import progress

FLAGS = flags.FLAGS

flags.DEFINE_enum(
  "data", "files", ["files", "cmudict", "self_test"], "What to train on."
)
flags.DEFINE_string("out_dir", "out/seq2seq", "Folder of the run.")
command_line.define(tasks.parallel)
command_line.define(translator.Translator)
command_line.define(seq2seq.train)


def make_task():
  """Returns the task that the flags name."""
  if FLAGS.data == "self_test":
    return tasks.self_test()
  if FLAGS.data == "cmudict":
    data = cmudict_data.load(limit=FLAGS.limit)
    return tasks.cmudict(data, **command_line.take(tasks.cmudict, FLAGS))
  return tasks.parallel(**command_line.take(tasks.parallel, FLAGS))


def main():
  with progress.Bar() as bar:
    figures = seq2seq.train(
      make_task(),
      FLAGS.out_dir,
      network=command_line.take(translator.Translator, FLAGS),
      progress=bar,
      report=bar.write,
      **command_line.take(seq2seq.train, FLAGS),
    )
  for line, text in figures.get("samples", {}).items():
    print(f"{line}: {text}")
  return figures


if __name__ == "__main__":
  command_line.run(main)

"""Trains a translator on aligned files, or on CMUdict.

  python scripts/train_seq2seq.py --train=train.en,train.de \\
    --validation=val.en,val.de --test=test.en,test.de --out_dir=out/en_de
  python scripts/train_seq2seq.py --flagfile=scripts/presets/g2p.flags

Several sources, read at once, and several directions, trained in turn:

  python scripts/train_seq2seq.py --sources=de+fr --targets=en \\
    --train=train.{} --validation=val.{} --test=test.{}
  python scripts/train_seq2seq.py --sources=en,de,fr --targets=en,de,fr \\
    --train=train.{} --test=test.{} --held_out=en-de

Presets: g2p (2 x 64 LSTM on CMUdict), wmt (the set-up of the translate
tutorial; give it --train), self_test (the tutorial's self-test), two_sources
and many_to_many (give them --train). Flags after a flagfile override it. A run
that was stopped resumes when it is started again. The last line on standard
output is one JSON object with the figures.
"""

import os

# Set before TensorFlow is imported: its faster kernels, on every CPU tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_enum(
  "data", "files", ["files", "cmudict", "self_test"], "What to train on."
)
flags.DEFINE_string("out_dir", "out/seq2seq", "Folder of the run.")
CMUDICT = "tangle.experiments.tasks.cmudict"
PARALLEL = "tangle.experiments.tasks.parallel"
NETWORK = "tangle.experiments.translator.Translator"
TRAIN = "tangle.experiments.seq2seq.train"
command_line.define(PARALLEL, NETWORK, TRAIN)


def make_task():
  """Returns the task that the flags name."""
  from tangle.experiments import cmudict_data, tasks

  if FLAGS.data == "self_test":
    return tasks.self_test()
  if FLAGS.data == "cmudict":
    data = cmudict_data.load(limit=FLAGS.limit)
    return tasks.cmudict(data, **command_line.take(CMUDICT, FLAGS))
  return tasks.parallel(**command_line.take(PARALLEL, FLAGS))


def check():
  if FLAGS.data == "files" and not FLAGS.train:
    return [
      "--train: needed with --data=files; give a file for each side, such as "
      "--train=a.en,a.de, or a name with {} in the place of the side"
    ]
  return []


def main():
  from tangle.experiments import seq2seq
  from tangle.training import progress

  with progress.Bar() as bar:
    figures = seq2seq.train(
      make_task(),
      FLAGS.out_dir,
      network=command_line.take(NETWORK, FLAGS),
      progress=bar,
      report=bar.write,
      **command_line.take(TRAIN, FLAGS),
    )
  for line, text in figures.get("samples", {}).items():
    print(f"{line}: {text}")
  return figures


if __name__ == "__main__":
  command_line.run(main, check)

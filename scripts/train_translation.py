"""Trains translation in all directions among several languages.

  python scripts/train_translation.py --languages=en,de,fr \\
    --train=train.{}.gz --validation=val.{}.gz --test=test.{}.gz

Each language has an encoder and a decoder. One pipeline trains them, one
direction per step. --held_out=en-de does not train this direction, but measures
it; --directions=en-de trains one direction alone, for comparison. The last line
on standard output is one JSON object with the figures, including `bleu` by
direction.
"""

import os

# Set before TensorFlow is imported: its faster kernels, on every CPU tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import command_line

FLAGS = flags.FLAGS

flags.DEFINE_list("languages", ["en", "de", "fr"], "Names of the languages.")
flags.DEFINE_string("train", None, "Files to train on, {} for the language.")
flags.DEFINE_string("out_dir", "out/translation", "Folder of the run.")
LOAD = "tangle.experiments.languages.load"
TRAIN = "tangle.experiments.translation.train"
command_line.define(LOAD, TRAIN)


def main():
  from tangle.experiments import languages, translation
  from tangle.training import progress

  corpus = languages.load(
    FLAGS.languages,
    FLAGS.train,
    **command_line.take(LOAD, FLAGS),
  )
  with progress.Bar() as bar:
    return translation.train(
      corpus,
      FLAGS.out_dir,
      progress=bar,
      report=bar.write,
      **command_line.take(TRAIN, FLAGS),
    )


if __name__ == "__main__":
  command_line.run(main)

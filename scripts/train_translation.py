"""Trains translation in all directions among several languages.

  python scripts/train_translation.py --languages=en,de,fr \\
    --train=train.{}.gz --validation=val.{}.gz --test=test.{}.gz

An encoder and a decoder for each language, trained a direction a step through
one pipeline. --held_out=en-de leaves a direction out and measures it;
--directions=en-de trains one alone, to compare with. The last line on standard
output is one JSON object with the figures, `bleu` by direction among them.
"""

import os

# Before TensorFlow is imported: its faster kernels, on every processor tried.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from absl import flags

from tangle.experiments import command_line, languages, translation
from tangle.training import progress

FLAGS = flags.FLAGS

flags.DEFINE_list("languages", ["en", "de", "fr"], "Names of the languages.")
flags.DEFINE_string("train", None, "Files to train on, {} for the language.")
flags.DEFINE_string("out_dir", "out/translation", "Folder of the run.")
command_line.define(languages.load)
command_line.define(translation.train)


def main():
  corpus = languages.load(
    FLAGS.languages,
    FLAGS.train,
    **command_line.take(languages.load, FLAGS),
  )
  with progress.Bar() as bar:
    return translation.train(
      corpus,
      FLAGS.out_dir,
      progress=bar,
      report=bar.write,
      **command_line.take(translation.train, FLAGS),
    )


if __name__ == "__main__":
  command_line.run(main)

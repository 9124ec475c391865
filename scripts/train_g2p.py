"""Trains a grapheme-to-phoneme converter on CMUdict, through a pipeline.

  python scripts/train_g2p.py --preset=demo     # about three minutes
  python scripts/train_g2p.py --preset=full     # the real training

The last line on standard output is one JSON object with the figures.
"""

import sys

import tqdm
from absl import app, flags

from tangle import errors
from tangle.experiments import cmudict_data, g2p
from tangle.training import records

FLAGS = flags.FLAGS

PRESETS = {
  "demo": {"units": 128, "layers": 1, "depth": 64, "epochs": 3.5},
  "full": {"units": 256, "layers": 2, "depth": 128, "epochs": 40.0},
}

flags.DEFINE_enum("preset", "demo", sorted(PRESETS), "Size and length.")
flags.DEFINE_integer("units", None, "Depth of the recurrent layers.")
flags.DEFINE_integer("layers", None, "Layers of encoder and decoder each.")
flags.DEFINE_integer("depth", None, "Depth of the embeddings.")
flags.DEFINE_float("epochs", None, "Passes over the training data.")
flags.DEFINE_integer("buckets", 5, "Buckets of each side.")
flags.DEFINE_integer("batch_size", 128, "Words a step.")
flags.DEFINE_float("learning_rate", 3e-3, "Of Adam, at the first step.")
flags.DEFINE_float("dropout_rate", 0.2, "Of embeddings and layers' outputs.")
flags.DEFINE_integer("evaluations", 4, "How often to measure on validation.")
flags.DEFINE_integer("limit", None, "Use only so many entries of CMUdict.")
flags.DEFINE_integer("seed", 0, "Of batches, initial values and dropout.")
flags.DEFINE_string("out_dir", "out/g2p", "Gets metrics.jsonl and model.")
flags.DEFINE_list(
  "words",
  ["tensor", "gradient", "tangle", "backpropagation", "o'clock"],
  "Words to convert at the end.",
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f"Unknown arguments: {argv[1:]}")
  size = dict(PRESETS[FLAGS.preset])
  size.update({k: FLAGS[k].value for k in size if FLAGS[k].value is not None})
  bar = tqdm.tqdm(disable=not sys.stderr.isatty(), unit="step")

  def progress(step, steps, loss, words_per_s):
    bar.total = steps
    bar.set_postfix_str(f"loss {loss:.3f}, {words_per_s:,.0f} words/s", False)
    bar.update()

  try:
    figures = g2p.train(
      cmudict_data.load(limit=FLAGS.limit),
      FLAGS.out_dir,
      bucket_count=FLAGS.buckets,
      batch_size=FLAGS.batch_size,
      learning_rate=FLAGS.learning_rate,
      dropout_rate=FLAGS.dropout_rate,
      evaluations=FLAGS.evaluations,
      seed=FLAGS.seed,
      words=FLAGS.words,
      progress=progress,
      report=bar.write,
      **size,
    )
  except errors.TangleError as error:
    sys.exit(f"train_g2p: {error}")
  finally:
    bar.close()
  for word, phonemes in figures["samples"].items():
    print(f"{word}: {phonemes}")
  print(records.to_json(figures))


if __name__ == "__main__":
  app.run(main)

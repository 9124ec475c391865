"""What pre-trained networks gain for a combined model with few labels.

Networks of `combined_digits` are trained on half of the training images; a
model of them gets few labelled images of the other half. It is compared with
the same model without pre-training.
"""

import os
import tempfile

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import (
  combined_digits,
  handwriting,
  plots,
  tallies,
  weights,
)

PER_CLASS = (1, 2, 5, 10, 20)


@errors.named("combining.measure")
def measure(
  per_class=PER_CLASS,
  seeds=5,
  hidden=64,
  units=32,
  pretrain_steps=200,
  steps=100,
  learning_rate=0.005,
  *,
  data=None,
  progress=None,
  write_metrics=None,
):
  """Trains networks, combines them, and tunes the models in all modes.

  Each seed draws weights, trains the networks that a pattern needs, and draws
  labelled images. All modes then get the same images, the same new weights, the
  same number of steps and the same optimizer.

  Args:
    per_class: numbers of labelled images per class, to try in turn.
    seeds: how many trainings of each kind.
    hidden: number of units in hidden layers.
    units: length of codes.
    pretrain_steps: steps of each pre-training, 600 images per step.
    steps: steps of each training of a model, all labelled images per step.
    learning_rate: of Adam, except where a mode lowers it.
    data: what `handwriting.load` returns; it is called for `None`.
    progress: called as `progress(trainings done, trainings)`.
    write_metrics: called after each training, as `write_metrics(pattern=,
      mode=, images=, seed=, accuracy=)`; `images` is per class and `accuracy`
      that of the test.

  Returns:
    A dict. `parallel`, `sequential` and `shared`: mode → images per class →
    list of accuracies on held-out images, one per seed; `means` of these;
    `alone`: `left`, `right` and `whole`, the mean accuracy of the trained
    networks that classify the digit, before they are combined; `untuned`, that
    of the sequence without a label of a left half; `loaded_changed`, how many
    loaded numbers differ in any bit from the saved ones; `frozen_changed`, how
    many frozen numbers differ in any bit after training.

  Raises:
    ArgumentError: if `per_class` is empty or has no ints, or one of them,
      `seeds`, `pretrain_steps` or `steps` is less than 1.
    MissingPackageError: if `data` is `None` and scikit-learn not installed.
  """
  counts = tallies.check_counts(
    per_class,
    seeds=seeds,
    pretrain_steps=pretrain_steps,
    steps=steps,
  )
  pool, held_out = handwriting.load() if data is None else data
  half = len(pool.digits) // 2
  before = handwriting.Images(pool.pixels[:half], pool.digits[:half])
  after = handwriting.Images(pool.pixels[half:], pool.digits[half:])
  patterns = combined_digits.PATTERNS
  trainings = len(patterns) * seeds * len(counts) * len(combined_digits.MODES)
  tally = _Tally(trainings, progress, write_metrics)
  with tempfile.TemporaryDirectory() as folder:
    for seed in range(seeds):
      pieces = pretrain(
        before,
        held_out,
        (hidden, units),
        seed,
        pretrain_steps,
        learning_rate,
        folder,
      )
      tally.test_alone(pieces, held_out)
      for pattern in patterns:
        with tf1.Graph().as_default():
          model = combined_digits.Combination(
            pattern, pieces, hidden, units, learning_rate, steps
          )
          _tune(model, pattern, pieces, seed, counts, after, held_out, tally)
  return tally.figures()


def _tune(model, pattern, pieces, seed, counts, images, held_out, tally):
  """Trains a model in all modes, with all numbers of images."""
  with tf1.Session() as sess:
    starts = make_starts(model, sess, pieces, seed)
    tally.check_loaded(pieces, model, starts["frozen"])
    if pattern == "sequential":
      model.weights.load(sess, starts["frozen"])
      tally.untuned.append(model.test(sess, held_out))
    for count in counts:
      rng = np.random.RandomState([seed, count])
      drawn = handwriting.draw(images, count, rng)
      for mode in combined_digits.MODES:
        model.weights.load(sess, starts[mode])
        model.train(sess, mode, drawn)
        if mode == "frozen":
          tally.frozen_changed += weights.count_changed(
            starts[mode], model.weights.read(sess), model.lower
          )
        tally.add(pattern, mode, count, seed, model.test(sess, held_out))


def pretrain(images, held_out, sizes, seed, steps, learning_rate, folder):
  """Trains all networks that the patterns need, each in its own graph.

  Args:
    images, held_out: labelled `handwriting.Images` to train and to test on.
    sizes: units of hidden layers, and length of codes.
    seed, steps, learning_rate: of each training.
    folder: where to make a folder per checkpoint.

  Returns:
    A dict from name to `combined_digits.Trained`: `left`, `right` and `whole`
    classify the digit from that part of an image, `guesser` predicts the right
    half.
  """
  left, right = combined_digits.make_halves(images.pixels)
  test_left, test_right = combined_digits.make_halves(held_out.pixels)
  both, test_both = np.hstack([left, right]), np.hstack([test_left, test_right])
  digits, half = images.digits, combined_digits.HALF
  classify = combined_digits.build_classifier
  guess = combined_digits.build_guesser
  trainings = {
    "left": (classify, (half, *sizes), (left, digits, test_left)),
    "right": (classify, (half, *sizes), (right, digits, test_right)),
    "whole": (classify, (2 * half, *sizes), (both, digits, test_both)),
    "guesser": (guess, sizes[:1], (left, right, test_left)),
  }
  found = {}
  for k, (name, training) in enumerate(trainings.items()):
    place = os.path.join(folder, f"{name}_{seed}")
    os.mkdir(place)
    found[name] = combined_digits.train(
      *training, [seed, k], steps, learning_rate, place
    )
  return found


def make_starts(model, sess, pieces, seed):
  """Returns mode → name → array: initial weights, from `pretrain` or drawn."""
  drawn = model.weights.draw(np.random.RandomState([seed, 100]))
  known = model.load(sess, pieces, drawn)
  return {"frozen": known, "fine_tuned": known, "from_scratch": drawn}


class _Tally(tallies.Tally):
  """Collects the figures of `measure`.

  Attributes:
    untuned: accuracies of the sequence before it is tuned.
    frozen_changed: how many frozen numbers have changed in any bit.
  """

  def __init__(self, trainings, progress, write_metrics):
    names = "pattern", "mode", "images"
    both = combined_digits.PATTERNS, combined_digits.MODES
    super().__init__(names, *both, trainings, progress, write_metrics)
    self._alone = {name: [] for name in ("left", "right", "whole")}
    self.untuned, self.frozen_changed, self._loaded_changed = [], 0, 0

  def test_alone(self, pieces, images):
    """Tests the trained networks that classify the digit."""
    for name, accuracies in self._alone.items():
      answers = np.argmax(pieces[name].outputs, 1)
      accuracies.append(np.mean(answers == images.digits))

  def check_loaded(self, pieces, model, start):
    """Compares loaded weights with the checkpoint, read in another way."""
    for name, (piece, saved) in model.sources.items():
      reader = tf1.train.load_checkpoint(pieces[piece].prefix)
      before = {name: reader.get_tensor(saved)}
      self._loaded_changed += weights.count_changed(before, start)

  def figures(self):
    return dict(
      self.accuracies,
      means=self.reduce(np.mean),
      alone={
        name: np.mean(accuracies) for name, accuracies in self._alone.items()
      },
      untuned=np.mean(self.untuned),
      loaded_changed=self._loaded_changed,
      frozen_changed=self.frozen_changed,
    )


def plot(found, path):
  """Draws what `measure` found, with a panel for each pattern.

  Args:
    found: what `measure` returns.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  sides = {
    "parallel": "accuracy, a network for each half",
    "sequential": "accuracy on left halves, in a row",
    "shared": "accuracy, two new heads on a trunk",
  }
  title = "Networks trained one by one, then combined"
  plots.draw_by_labels(found, sides, path, title)

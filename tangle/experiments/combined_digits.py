"""Networks for handwritten digits, trained one by one, and combinations.

Each network is trained in a graph of its own, and saved. Three patterns:

- `parallel`: a network for the left half of an image and one for the right,
  each trained to classify the digit. Their codes are concatenated, and a new
  head reads them.
- `sequential`: a network that predicts the right half from the left, trained
  without labels, and one that classifies the digit of a whole image. In a row
  they classify the digit of a left half.
- `shared`: a network that classifies the digit, cut at its code. Two new heads
  classify whether the digit is odd, and whether it is above four.
"""

import os
from typing import NamedTuple

import numpy as np

from tangle import combine
from tangle.compat import tf1
from tangle.experiments import weights
from tangle.nets import feedforward

PATTERNS = ("parallel", "sequential", "shared")

MODES = ("frozen", "fine_tuned", "from_scratch")
"""All below the last network is frozen; it is unfrozen after a quarter of the
steps, with a learning rate 2.6 times lower; all weights are newly
initialized."""

HALF = 32
"""Pixels of half an image."""


def make_halves(pixels):
  """Splits images `[B, 64]`, row by row, into left and right `[B, 32]`."""
  whole = pixels.reshape([-1, 8, 8])
  return [
    np.ascontiguousarray(half).reshape([-1, HALF])
    for half in (whole[:, :, :4], whole[:, :, 4:])
  ]


def make_encoder(hidden, units, name="encoder"):
  """Returns a network from pixels to a code of `units`, with a hidden layer."""
  return combine.sequential(
    feedforward.Dense(hidden, tf1.nn.relu, name="hidden"),
    feedforward.Dense(units, tf1.nn.relu, name="code"),
    name=name,
  )


def make_guesser(hidden, name="guesser"):
  """Returns a network from left halves `[B, 32]` to right ones, from 0 to 1."""
  return combine.sequential(
    feedforward.Dense(hidden, tf1.nn.relu, name="hidden"),
    feedforward.Dense(HALF, tf1.sigmoid, name="pixels"),
    name=name,
  )


def cross_entropy(logits, labels):
  """Returns the mean cross entropy of logits `[B, V]` and int labels `[B]`."""
  return tf1.reduce_mean(
    tf1.nn.sparse_softmax_cross_entropy_with_logits(
      labels=labels, logits=logits
    )
  )


class Trained(NamedTuple):
  """A pre-trained network.

  Attributes:
    prefix: prefix of its checkpoint, which has a `.meta` file.
    outputs: its outputs for images that it was not trained on.
  """

  prefix: str
  outputs: np.ndarray


def train(build, arguments, examples, seed, steps, learning_rate, folder):
  """Trains a network in a graph of its own, and saves it.

  Args:
    build: a function that adds the network to the default graph and returns its
      input, its placeholder of targets, its output and the loss.
    arguments: those of `build`.
    examples: three arrays: inputs, targets, and inputs to test it on.
    seed: of the weights.
    steps: number of steps, each on all examples.
    learning_rate: of Adam.
    folder: where to save the checkpoint.

  Returns:
    A `Trained`.
  """
  inputs, targets, test_inputs = examples
  with tf1.Graph().as_default():
    inputs_ph, targets_ph, outputs, loss = build(*arguments)
    saver = tf1.train.Saver(tf1.trainable_variables())
    prefix = os.path.join(folder, "model")
    saver.export_meta_graph(prefix + ".meta")  # without training ops
    train_op = tf1.train.AdamOptimizer(learning_rate).minimize(loss)
    values = weights.Weights(tf1.trainable_variables())
    with tf1.Session() as sess:
      values.load(sess, values.draw(np.random.RandomState(seed)))
      for _ in range(steps):
        sess.run(train_op, {inputs_ph: inputs, targets_ph: targets})
      saver.save(sess, prefix, write_meta_graph=False)
      return Trained(prefix, sess.run(outputs, {inputs_ph: test_inputs}))


def build_classifier(depth, hidden, units):
  """Builds a classifier of the digit for `train`: `encoder` and `digit`."""
  pixels_ph = tf1.placeholder(tf1.float32, [None, depth], "pixels_ph")
  labels_ph = tf1.placeholder(tf1.int32, [None])
  code = make_encoder(hidden, units)(pixels_ph)
  logits = feedforward.Dense(10, name="digit")(code)
  return pixels_ph, labels_ph, logits, cross_entropy(logits, labels_ph)


def build_guesser(hidden):
  """Builds a `guesser` of the right half from the left, for `train`."""
  left_ph = tf1.placeholder(tf1.float32, [None, HALF])
  right_ph = tf1.placeholder(tf1.float32, [None, HALF])
  guess = make_guesser(hidden)(left_ph)
  return left_ph, right_ph, guess, tf1.reduce_mean((guess - right_ph) ** 2)


class Combination:
  """A model of trained networks in the default graph, and its training ops.

  Attributes:
    weights: the `weights.Weights` of the model.
    lower: names of the weights that the mode `frozen` does not train.
    sources: after `load`, name of a weight → pair of the trained network's name
      and the name in its checkpoint.
  """

  def __init__(self, pattern, pieces, hidden, units, learning_rate, steps):
    """Builds the model, and the ops of each mode.

    Args:
      pattern: one of `PATTERNS`.
      pieces: name of a pre-trained network → `Trained`.
      hidden, units, learning_rate, steps: as for `combining.measure`.
    """
    self._steps = steps
    builder = getattr(self, f"_build_{pattern}")
    self._labels_ph = tf1.placeholder(tf1.int32, [None])
    lower, upper, loss, self._right = builder(pieces, hidden, units)
    step = tf1.train.get_or_create_global_step()
    low, high = combine.gradual([lower, upper], learning_rate, steps // 4)
    self._train_ops = {
      mode: combine.minimize(loss, groups, frozen, global_step=step).train_op
      for mode, groups, frozen in (
        ("frozen", [high], lower),
        ("fine_tuned", [low, high], []),
        ("from_scratch", [combine.Group(lower + upper, learning_rate)], []),
      )
    }
    low, high = (
      [v for part in parts for v in part.trainable_variables]
      for parts in (lower, upper)
    )
    self.weights = weights.Weights(low + high)
    self.lower = [v.op.name for v in low]
    self.sources = {}

  def _build_parallel(self, pieces, hidden, units):
    del pieces
    model = combine.sequential(
      (
        "halves",
        combine.parallel(
          ("left", make_encoder(hidden, units)),
          ("right", make_encoder(hidden, units)),
          inputs="each",
        ),
      ),
      ("head", feedforward.Dense(10)),
    )
    self._phs = [tf1.placeholder(tf1.float32, [None, HALF]) for _ in range(2)]
    self._feeds = make_halves
    logits = model(self._phs)
    self._loads = [
      ("left", model.part("halves/left"), "encoder"),
      ("right", model.part("halves/right"), "encoder"),
    ]
    return (
      [model.part("halves")],
      [model.part("head")],
      cross_entropy(logits, self._labels_ph),
      [_right(logits, self._labels_ph)],
    )

  def _build_sequential(self, pieces, hidden, units):
    del pieces
    classifier = combine.sequential(
      ("encoder", make_encoder(hidden, units)),
      ("digit", feedforward.Dense(10)),
      name="classifier",
    )
    whole = combine.parallel(
      ("seen", tf1.identity), ("guesser", make_guesser(hidden)), name="whole"
    )
    model = combine.sequential(whole, classifier)
    self._phs = [tf1.placeholder(tf1.float32, [None, HALF])]
    self._feeds = lambda pixels: make_halves(pixels)[:1]
    logits = model(self._phs[0])
    self._loads = [
      ("guesser", model.part("whole/guesser"), "guesser"),
      ("whole", model.part("classifier/encoder"), "encoder"),
      ("whole", model.part("classifier/digit"), "digit"),
    ]
    return (
      [model.part("whole")],
      [model.part("classifier")],
      cross_entropy(logits, self._labels_ph),
      [_right(logits, self._labels_ph)],
    )

  def _build_shared(self, pieces, hidden, units):
    del hidden, units
    tf1.train.import_meta_graph(
      pieces["whole"].prefix + ".meta", import_scope="old"
    )
    trunk = combine.cut("old/encoder/code", name="trunk")
    model = combine.shared(
      trunk,
      {
        "odd": feedforward.Dense(2),
        "above_four": feedforward.Dense(2),
      },
    )
    self._phs, self._feeds = (
      trunk.inputs,
      lambda pixels: [np.hstack(make_halves(pixels))],
    )
    logits = model(trunk.inputs)
    labels = {
      "odd": self._labels_ph % 2,
      "above_four": tf1.cast(self._labels_ph > 4, tf1.int32),
    }
    losses = {
      name: cross_entropy(logits[name], labels[name]) for name in labels
    }
    self._loads = [("whole", model.trunk, "encoder")]
    return (
      [model.trunk],
      [model.part(name) for name in model.heads],
      combine.weighted_loss(losses, {"odd": 1.0, "above_four": 1.0}),
      [_right(logits[name], labels[name]) for name in labels],
    )

  def load(self, sess, pieces, drawn):
    """Sets the weights: pre-trained ones where there are any, else drawn ones.

    Args:
      sess: a session.
      pieces: as for the constructor, maybe with other checkpoints.
      drawn: name → array, all weights.

    Returns:
      A dict from name to array: all weights after loading.
    """
    self.weights.load(sess, drawn)
    for name, part, scope in self._loads:
      found = combine.pretrained(pieces[name].prefix, part, scope)
      for variable, saved in found.load(sess).loaded.items():
        self.sources[variable] = (name, saved)
    return self.weights.read(sess)

  def train(self, sess, mode, images):
    """Trains in one of `MODES`, on all `handwriting.Images` at once."""
    feed_dict = self._feed(images)
    for _ in range(self._steps):
      sess.run(self._train_ops[mode], feed_dict)

  def test(self, sess, images):
    """Returns the heads' mean accuracy, 0 to 1, on `handwriting.Images`."""
    return float(np.mean(sess.run(self._right, self._feed(images))))

  def _feed(self, images):
    feed_dict = dict(zip(self._phs, self._feeds(images.pixels)))
    feed_dict[self._labels_ph] = images.digits
    return feed_dict


def _right(logits, labels):
  found = tf1.argmax(logits, 1, output_type=tf1.int32)
  return tf1.reduce_mean(tf1.cast(tf1.equal(found, labels), tf1.float32))

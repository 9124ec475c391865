"""Checks that hold for `where` and `route` alike, and networks that count."""

import collections

import numpy as np

from tangle import errors
from tangle.compat import tf1


class Probe:
  """K networks that note in Python how many rows they were run on.

  Attributes:
    networks: they add their index to the inputs.
    rows: index -> list of row counts, one a run.
  """

  def __init__(self, count):
    self.rows = collections.defaultdict(list)
    self.networks = [self._make(k) for k in range(count)]

  def _make(self, k):
    def note(x):
      self.rows[k].append(len(x))
      return x + np.float32(k)

    def network(inputs):
      outputs = tf1.py_func(note, [inputs], tf1.float32)
      outputs.set_shape(inputs.shape)
      return outputs

    return network


def check_unknown_dimensions(test, choose):
  """A branch that did not run must not spoil dimensions that vary."""
  x_ph = tf1.placeholder(tf1.float64, [None, None, 2])
  selector_ph = tf1.placeholder(tf1.int32, [None])

  def make(k):
    def network(x):
      values = (x + k, tf1.reduce_sum(x, 2))
      if k == 1:  # knows more than the others
        values[0].set_shape([None, 5, 2])
        values[1].set_shape([None, 5])
      return values

    return network

  networks = [make(k) for k in range(3)]
  outputs = choose(selector_ph, x_ph, networks)
  gradient = tf1.gradients([outputs[0], outputs[1] ** 2], x_ph)[0]
  sess = test.session()
  for selector in ([2, 0, 2], [1, 1, 1]):
    x = test.normal(3, 5, 2)
    feed = {x_ph: x, selector_ph: selector}
    values, slope = sess.run([outputs, gradient], feed)
    shift = np.array(selector)[:, None, None]
    test.assert_close(values[0], x + shift)
    test.assert_close(values[1], x.sum(2))
    test.assert_close(slope, 1 + 2 * np.repeat(x.sum(2)[..., None], 2, 2))
  feed = {x_ph: np.zeros([0, 5, 2]), selector_ph: []}
  values, slope = sess.run([outputs, gradient], feed)
  test.assertEqual((len(values[0]), slope.shape), (0, (0, 5, 2)))


def check_scope(test, choose):
  """Every op lands in the scope `name`."""
  selector_ph = tf1.placeholder(tf1.int32, [None])
  x_ph = tf1.placeholder(tf1.float32, [None, 2])
  before = test.count_ops()
  choose(selector_ph, x_ph, [tf1.sin, tf1.cos], name="pick")
  names = [op.name for op in test.graph.get_operations()[before:]]
  test.assertNotEmpty(names)
  for name in names:
    test.assertEqual(name.split("/")[0], "pick")


def check_errors(test, choose, caller):
  """Wrong networks and values raise, and the message names them."""
  x = tf1.zeros([2, 3])
  selector = [0, 1]
  other = tf1.Graph()
  with other.as_default():
    foreign = tf1.zeros([2, 3])
  cases = [
    (errors.ArgumentError, (selector, x, []), "at least one branch, got none"),
    (errors.ArgumentError, (selector, x, 3), "a list, or a mapping"),
    (errors.ArgumentError, (selector, x, [tf1.sin, x]), "network 1 must be"),
    (errors.ArgumentError, ([0, 2], x, [tf1.sin] * 2), "[0, 2), got 2"),
    (errors.ArgumentError, ([-1, 0], x, [tf1.sin] * 2), "got -1"),
    (errors.ArgumentError, (["a"] * 2, x, [tf1.sin]), "mapping from name"),
    (errors.ArgumentError, (selector, None, [tf1.sin] * 2), "inputs"),
    (
      errors.ArgumentError,
      (selector, x, [tf1.sin, lambda v: [v]]),
      "branches 0 and 1 must give the same structure",
    ),
    (
      errors.ArgumentError,
      (selector, x, [tf1.sin, lambda v: None]),
      "what branch 1 gives",
    ),
    (
      errors.DtypeError,
      (selector, x, [tf1.sin, lambda v: tf1.cast(v, tf1.int32)]),
      "branches 0 and 1 must give the same types",
    ),
    (errors.DtypeError, ([0.0, 1.0], x, [tf1.sin] * 2), "int32 or int64"),
    (errors.GraphError, (selector, foreign, [tf1.sin] * 2), "another graph"),
    (
      errors.ShapeError,
      (selector, x, {"a": tf1.sin, "b": lambda v: v[:, :2]}),
      "branches 'a' and 'b' must give the same shapes",
    ),
    (errors.ShapeError, (0, x, [tf1.sin]), "selector must have rank 1"),
  ]
  for error, arguments, message in cases:
    with test.assertRaises(error) as caught:
      choose(*arguments)
    test.assert_message(caught.exception, caller + ":", message)


def check_rowless(test, choose, caller):
  """A value without rows raises, and so do inputs without rows."""
  x = tf1.zeros([2, 3])
  for inputs, network in (
    (x, tf1.reduce_sum),
    (tf1.zeros([]), tf1.sin),
    (tf1.placeholder(tf1.float32), tf1.sin),
  ):
    with test.assertRaises(errors.ShapeError) as caught:
      choose([0, 0], inputs, [network])
    test.assert_message(caught.exception, caller + ":")

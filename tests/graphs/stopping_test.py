"""Tests of stopping: what it says, and that TensorFlow does so."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import stopping
from tests import case


def squash(h):
  """Gives `tanh h * h`."""
  return tf1.tanh(h) * h


def call(x, as_defun=True):
  """Calls `squash` as a function of the graph."""
  make = compat.defun(x.dtype) if as_defun else tf.function
  y = make(squash)(x)
  y.set_shape(x.shape)
  return y


class StoppingTest(case.GraphTestCase):
  def passes(self, stop, source):
    """Whether TensorFlow counts what flows from `stop` on to `source`."""
    y = tf1.reduce_sum(tf1.identity(stop) * source)
    gradient = tf1.gradients(y, source, stop_gradients=[stop])[0]
    feed_dict = {self.x: np.ones(2)}
    sess = self.session()
    found, right = sess.run([gradient, stop], feed_dict)
    return np.max(np.abs(found - right)) > 1e-3

  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2])

  @parameterized.parameters(False, True)
  def test_a_call_is_passed_where_a_source_lies_below(self, as_defun):
    w = self.variable("w", np.array([0.4, 0.7]))
    for source, handle in ((self.x, self.x), (w, w.handle)):
      for below in (tf1.convert_to_tensor(source), tf1.sin(source)):
        called = call(below, as_defun)
        self.assertTrue(self.passes(called, source))
        found = stopping.first_passed([self.x, called], [handle])
        self.assertIs(found, called)

  def test_other_ops_are_not(self):
    for stop in (
      tf1.sin(self.x),
      tf1.identity(call(self.x)),
      tf1.cond(self.x[0] > 0, lambda: tf1.sin(self.x), lambda: self.x),
      tf1.custom_gradient(lambda h: (tf1.sin(h), lambda g: 3.0 * g))(self.x),
    ):
      self.assertFalse(self.passes(stop, self.x))
      self.assertIsNone(stopping.first_passed([stop, self.x], [self.x]))

  def test_a_call_is_not_where_no_gradient_comes_to_a_source(self):
    z = tf1.placeholder(tf1.float64, [2])
    inner = tf1.sin(self.x)
    for called, stops in (
      (call(z), []),
      (call(tf1.stop_gradient(self.x)), []),
      (call(tf1.cos(inner)), [inner]),
    ):
      found = stopping.first_passed([called] + stops, [self.x])
      self.assertIsNone(found)

  def test_one_call_below_another_is_passed(self):
    inner = call(self.x)
    outer = call(tf1.sin(inner))
    self.assertIs(stopping.first_passed([outer], [self.x]), outer)
    self.assertIs(stopping.first_passed([outer, inner], [inner]), outer)


if __name__ == "__main__":
  absltest.main()

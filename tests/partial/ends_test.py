"""Tests of ends."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.compat import tf1
from tests import case


def squash(h):
  """Gives `tanh h * h`."""
  return tf1.tanh(h) * h


class EndsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 2], name="x")
    self.w = self.variable("w", np.array([0.4, 0.7]))

  def call(self, x):
    y = compat.defun(tf1.float64)(squash)(x)
    y.set_shape(x.shape)
    return y

  def test_an_input_beside_an_output_that_a_gradient_flows_through(self):
    a, b = tf1.split(self.x, 2, 1)
    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([self.x, a], [tf1.sin(b) * a])
    self.assert_message(caught.exception, a.name, "another", "tf.identity")

  @parameterized.parameters("device", "host", "session", "recompute")
  def test_an_input_that_a_function_gives_of_another(self, store):
    called = self.call(self.x)
    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([self.x, called], [self.x * called], store=store)
    self.assert_message(caught.exception, called.name, "function", "identity")

  def test_an_input_that_a_function_gives_of_a_variable(self):
    called = self.call(tf1.sin(self.w))
    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([called], [self.w * called])
    self.assert_message(caught.exception, called.name, "variable")

  @parameterized.parameters("device", "host", "session", "recompute")
  def test_the_remedy_gives_the_gradient(self, store):
    called = tf1.identity(self.call(self.x * self.w))
    y = self.x * self.w * called
    sub_model = tangle.SubModel([self.x, called], [y], store=store)
    sess = self.session()
    call = sub_model.forward(sess, {self.x: np.ones([1, 2])})
    found = call.backward([np.ones([1, 2])])
    w = np.array([0.4, 0.7])
    given = np.tanh(w) * w
    self.assert_close(found.inputs[0], [w * given])
    self.assert_close(found.inputs[1], [w])
    self.assert_close(found.variables[0], given)

  def test_an_input_that_a_function_gives_of_nothing_else(self):
    called = self.call(self.x * self.w)
    sub_model = tangle.SubModel([called], [tf1.square(called)])
    self.assertEmpty(sub_model.variables)
    sess = self.session()
    found = sub_model.forward(sess, {called: [[1.0, 2.0]]}).backward(
      [np.ones([1, 2])]
    )
    self.assert_close(found.inputs[0], np.array([[2.0, 4.0]]))


if __name__ == "__main__":
  absltest.main()

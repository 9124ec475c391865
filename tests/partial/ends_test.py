"""Tests of ends."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat
from tangle.compat import tf1
from tangle.partial import ends, split
from tests import case
from tests.partial import checks


def squash(h):
  """Gives `tanh h * h`."""
  return tf1.tanh(h) * h


class EndsTestCase(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 2], name="x")
    self.w = self.variable("w", np.array([0.4, 0.7]))

  def call(self, x):
    y = compat.defun(tf1.float64)(squash)(x)
    y.set_shape(x.shape)
    return y


class PassedTest(EndsTestCase):
  def is_passed(self, inputs, output):
    piece = split.Split(inputs, [output])
    return ends.is_passed(
      piece.inputs, piece.float_sources(), piece.differentiable_ops()
    )

  def test_an_input_beside_an_output_that_a_gradient_flows_through(self):
    a, b = tf1.split(self.x, 2, 1)
    self.assertTrue(self.is_passed([self.x, a], tf1.sin(b) * a))
    self.assertFalse(self.is_passed([self.x], tf1.sin(b) * a))
    self.assertFalse(self.is_passed([a, b], tf1.sin(b) * a))

  def test_what_a_function_gives_of_another_input_or_a_variable(self):
    called = self.call(self.x)
    self.assertTrue(self.is_passed([self.x, called], self.x * called))
    called = self.call(tf1.sin(self.w))
    self.assertTrue(self.is_passed([called], self.w * called))

  def test_what_a_function_gives_of_nothing_else(self):
    called = self.call(self.x * self.w)
    self.assertFalse(self.is_passed([called], tf1.square(called)))

  def test_the_identity_of_what_a_function_gives(self):
    called = tf1.identity(self.call(self.x))
    self.assertFalse(self.is_passed([self.x, called], self.x * called))


class GradientsTest(EndsTestCase):
  def gradients(self, inputs, output, feed_dict, **options):
    """Returns the gradients of the sum of `output`."""
    sub_model = tangle.SubModel(inputs, [output], **options)
    call = sub_model.forward(self.session(), feed_dict)
    return call.outputs[0], call.backward([np.ones_like(call.outputs[0])])

  @parameterized.parameters(*checks.STORES)
  def test_one_output_of_a_split_and_what_is_split(self, store):
    a, b = tf1.split(self.x, 2, 1)
    x, given = self.normal(3, 2), self.normal(3, 1)
    y, found = self.gradients(
      [self.x, a], tf1.sin(b) * a, {self.x: x, a: given}, store=store
    )
    self.assert_close(y, np.sin(x[:, 1:]) * given)
    below = given * np.cos(x[:, 1:])
    self.assert_close(found.inputs[0], np.hstack([np.zeros([3, 1]), below]))
    self.assert_close(found.inputs[1], np.sin(x[:, 1:]))

  @parameterized.parameters(*checks.STORES)
  def test_one_part_of_a_variable_and_the_variable(self, store):
    w = self.variable("parts", self.normal(2, 3))
    a, b = tf1.unstack(w)
    given = self.normal(3)
    _, found = self.gradients([a], tf1.sin(b) * a, {a: given}, store=store)
    value = self.session().run(w)[1]
    self.assert_close(found.inputs[0], np.sin(value))
    self.assert_close(
      found.variables[0], np.stack([np.zeros(3), given * np.cos(value)])
    )

  @parameterized.parameters(*checks.STORES)
  def test_an_input_that_a_function_gives_of_another(self, store):
    called = self.call(self.x * self.w)
    x, given = self.normal(3, 2), self.normal(3, 2)
    feed_dict = {self.x: x, called: given}
    y, found = self.gradients(
      [self.x, called], self.x * self.w * called, feed_dict, store=store
    )
    w = np.array([0.4, 0.7])
    self.assert_close(y, x * w * given)
    self.assert_close(found.inputs[0], w * given)
    self.assert_close(found.inputs[1], x * w)
    self.assert_close(found.variables[0], np.sum(x * given, 0))

  @parameterized.parameters(*checks.STORES)
  def test_an_input_that_a_function_gives_of_a_variable(self, store):
    called = self.call(tf1.sin(self.w))
    given = self.normal(2)
    _, found = self.gradients(
      [called], self.w * called, {called: given}, store=store
    )
    self.assert_close(found.inputs[0], np.array([0.4, 0.7]))
    self.assert_close(found.variables[0], given)

  @parameterized.parameters(*checks.STORES)
  def test_an_input_that_is_not_fed_is_computed(self, store):
    called = self.call(self.x * self.w)
    x = self.normal(3, 2)
    _, found = self.gradients(
      [self.x, called], self.x * called, {self.x: x}, store=store
    )
    z = x * np.array([0.4, 0.7])
    self.assert_close(found.inputs[0], np.tanh(z) * z)
    self.assert_close(found.inputs[1], x)

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

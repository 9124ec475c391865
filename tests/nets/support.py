"""What the tests of networks share: values, gradient check, scope check."""

import numpy as np

from tangle.compat import tf1
from tests import case


class NetTestCase(case.GraphTestCase):
  """A `GraphTestCase` that sets variables and checks gradients."""

  def fill(self, sess, variables):
    """Sets `variables` to numbers from N(0, 0.25); returns the arrays."""
    arrays = []
    for variable in variables:
      shape = variable.shape.as_list()
      value = 0.5 * self.normal(*shape)
      arrays.append(value.astype(variable.dtype.as_numpy_dtype))
      set_variable(sess, variable, arrays[-1])
    return arrays

  def weigh(self, *tensors):
    """Returns a scalar that depends on every entry: sum of random products."""
    terms = []
    for tensor in tf1.nest.flatten(tensors):
      shape = tensor.shape.as_list()
      factor = self.normal(*shape).astype(tensor.dtype.as_numpy_dtype)
      terms.append(tf1.reduce_sum(tensor * factor))
    return tf1.add_n(terms)

  def assert_gradients(self, sess, loss, feed, variables=(), rtol=1e-7):
    """Fails unless TensorFlow's gradients equal central differences.

    Args:
      sess: session with initialized variables.
      loss: float64 scalar.
      feed: float64 placeholder -> array; the gradient to each is checked.
      variables: resource variables; the gradient to each is checked.
      rtol: allowed error relative to the gradient's largest entry.
    """
    points = list(feed)
    gradients = tf1.gradients(loss, points + list(variables))
    for point, gradient in zip(points + list(variables), gradients):
      self.assertIsNotNone(gradient, point.name)
    self.assert_derivative(sess, loss, gradients, feed, variables, rtol)

  def assert_derivative(self, sess, loss, gradients, feed, variables, rtol):
    """Fails unless `gradients` equal central differences of `loss`."""
    found = sess.run(gradients, feed)
    feed = {key: np.array(value) for key, value in feed.items()}

    def run(_):
      return sess.run(loss, feed)

    def run_with(variable):
      def run(value):
        set_variable(sess, variable, value)
        return sess.run(loss, feed)

      return run

    cases = [(value, run) for value in feed.values()]
    cases += [(sess.run(v), run_with(v)) for v in variables]
    for (value, function), gradient in zip(cases, found):
      numeric = central_difference(function, value)
      self.assertGreater(np.max(np.abs(numeric)), 0)
      self.assert_close(gradient, numeric, rtol)

  def assert_ops_under(self, scope, before):
    """Fails unless all ops but the first `before` are under `scope`."""
    names = [op.name for op in self.graph.get_operations()[before:]]
    self.assertNotEmpty(names)
    for name in names:
      self.assertStartsWith(name, scope + "/")

  def assertStartsWith(self, text, prefix):
    self.assertTrue(text.startswith(prefix), f"{text!r} is not in {prefix!r}")


def set_variable(sess, variable, value):
  """Gives `variable` the array `value`, through its initializer."""
  sess.run(variable.initializer, {variable.initializer.inputs[1]: value})


def central_difference(function, value, step=1e-6):
  """Returns d function / d value; changes `value` in place and back."""
  gradient = np.zeros_like(value)
  for index in np.ndindex(*value.shape):
    kept = value[index]
    value[index] = kept + step
    above = function(value)
    value[index] = kept - step
    below = function(value)
    value[index] = kept
    gradient[index] = (above - below) / (2 * step)
  function(value)
  return gradient

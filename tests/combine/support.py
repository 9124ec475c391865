"""Networks written as plain functions, and their numpy twins."""

import tempfile

import numpy as np

from tangle.compat import tf1
from tests.nets import support


def affine(units, name="affine", dtype=tf1.float64, activation=None):
  """Returns a plain function that makes its variables by `get_variable`."""

  def network(x):
    depth = x.shape.as_list()[-1]
    kernel = tf1.get_variable(
      "kernel",
      [depth, units],
      dtype,
      tf1.random_normal_initializer(seed=3),
      use_resource=True,
    )
    outputs = tf1.matmul(x, kernel)
    return activation(outputs) if activation else outputs

  network.__name__ = name
  return network


class CombineTestCase(support.NetTestCase):
  """A `NetTestCase` that compares with networks written by hand."""

  def folder(self):
    """Returns a folder that is removed when the test ends."""
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    return folder.name

  def assert_same(self, found, wanted, feed, variables):
    """Fails unless values, and gradients to all variables, are the same.

    Args:
      found: float64 tensor.
      wanted: float64 tensor made by hand of the same variables.
      feed: placeholder → array; gradients to placeholders are checked, too.
      variables: the variables; they get random values.
    """
    points = list(variables) + [p for p in feed if p.dtype == tf1.float64]
    weight = self.normal(*found.shape.as_list()[1:])
    gradients = [
      tf1.gradients(tf1.reduce_sum(value**2 * weight), points)
      for value in (found, wanted)
    ]
    sess = self.session()
    self.fill(sess, variables)
    values = sess.run([found, wanted], feed)
    self.assertGreater(np.max(np.abs(values[1])), 0)
    self.assert_close(*values)
    for point, one, other in zip(points, *gradients):
      self.assertIsNotNone(other, point.name)
      one, other = sess.run([one, other], feed)
      self.assert_close(one, other)

"""Weights as arrays, so that one graph serves many trainings."""

import numpy as np

from tangle.compat import tf1


class Weights:
  """Values of all weights: drawn, read and set."""

  def __init__(self, variables):
    """Adds the ops.

    Args:
      variables: the variables, in the default graph.
    """
    self._variables = {v.op.name: v for v in variables}
    self._reset_op = tf1.global_variables_initializer()
    self._values, self._loads = {}, []
    for name, variable in self._variables.items():
      shape = variable.shape.as_list()
      self._values[name] = tf1.placeholder(variable.dtype.base_dtype, shape)
      self._loads.append(variable.assign(self._values[name], read_value=False))

  def draw(self, rng):
    """Draws name → array: kernels as Glorot & Bengio 2010, biases zero."""
    found = {}
    for name, value_ph in self._values.items():
      shape = value_ph.shape.as_list()
      limit = np.sqrt(6.0 / sum(shape)) if len(shape) > 1 else 0.0
      found[name] = rng.uniform(-limit, limit, shape).astype(np.float32)
    return found

  def read(self, sess):
    """Returns a dict from name to array."""
    return sess.run(self._variables)

  def load(self, sess, values):
    """Initializes all variables older than this object, then sets the weights.

    Args:
      sess: a session.
      values: name → array, all weights.
    """
    sess.run(self._reset_op)
    feed_dict = {self._values[name]: value for name, value in values.items()}
    sess.run(self._loads, feed_dict)


def count_changed(before, after, names=None):
  """Counts the numbers that differ in any bit.

  Args:
    before: name → float32 array.
    after: the same names, with later values.
    names: the names to compare; all by default.

  Returns:
    An int.
  """
  return sum(
    int(np.sum(before[name].view(np.int32) != after[name].view(np.int32)))
    for name in (before if names is None else names)
  )

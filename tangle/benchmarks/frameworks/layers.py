"""The layers of the networks, and an outline of what they compute."""

from typing import NamedTuple, Tuple

import numpy as np


class Layers:
  """What a framework implements: float32, batch-major.

  In addition it has `relu(x)`, `tanh(x)`, and `concat(x, y)` along the last
  axis.
  """

  def dense(self, name, x, units):
    """Returns `x kernel + bias` of layer `name`; kernel `[D, units]`."""
    raise NotImplementedError

  def normalize(self, name, x):
    """Returns `gain (x - mean) / sqrt(variance + 1e-5) + offset`.

    Args:
      name: name of the layer.
      x: a tensor; mean and variance are over its last axis.
    """
    raise NotImplementedError

  def lstm(self, name, x, units, state=None):
    """Runs an LSTM over a sequence.

        [i, g, f, o] = [x_t, h] kernel + bias, kernel [D + U, 4 U]
        c' = sigmoid(f) c + sigmoid(i) tanh(g);  h' = sigmoid(o) tanh(c')

    Args:
      name: name of the layer.
      x: the framework's tensor, `[B, T, D]`.
      units: U.
      state: a list of c and h, `[B, U]`, before the first step; zeros for None.

    Returns:
      Outputs `[B, T, U]`, the h of all steps, and a list of the last c and h.
    """
    raise NotImplementedError

  def gru(self, name, x, units, state=None):
    """Runs a GRU over a sequence.

        [r, z, n] = x_t kernel + bias, kernel [D, 3 U]
        [p, q, m] = h kernel_h, kernel_h [U, 3 U] of `<name>_cell`
        h' = (1 - s) tanh(n + sigmoid(r + p) m) + s h,  s = sigmoid(z + q)

    Args:
      name: name of the layer.
      x: `[B, T, D]`.
      units: U.
      state: a list of h before the first step; zeros by default.

    Returns:
      Outputs `[B, T, U]`, and a list of the last h.
    """
    raise NotImplementedError

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    """Returns `softmax(scale q k^T) v` of each head, `[B, S, D]`.

    Args:
      queries: `[B, S, D]`.
      keys: `[B, T, D]`.
      values: `[B, T, D]`.
      heads: number of heads, equal parts of the last axis.
      scale: factor of the scores.
      causal: whether query t sees only keys up to t.
    """
    raise NotImplementedError

  def cross_entropy(self, logits, targets):
    """Returns the mean of `logits` on `targets`, a scalar."""
    raise NotImplementedError


class Shape(NamedTuple):
  """Shape of a tensor, and whether it depends on weights."""

  shape: Tuple[int, ...]
  trained: bool

  def __add__(self, other):
    return Shape(self.shape, self.trained or other.trained)


class Outline(Layers):
  """The layers on `Shape`s: computes nothing, notes weights and operations.

  Element-wise work is not counted: it is small where arithmetic dominates, and
  no roofline with it would be reliable. The first step of a recurrent layer,
  from zeros, and the masked half of causal scores are counted like the others.

  Attributes:
    weights: name → shape.
    flops: operations of the matrix products so far, forward and backward; a
      multiplication and an addition are two.
  """

  relu = tanh = staticmethod(lambda x: x)

  def __init__(self):
    """Begins without layers."""
    self.weights = {}
    self.flops = 0

  def _add(self, name, **weights):
    self.weights.update({f"{name}/{k}": shape for k, shape in weights.items()})

  def _multiply(self, rows, inner, columns, gradients):
    """Counts a product, and one more for each operand with a gradient."""
    rows = int(np.prod(rows))
    self.flops += 2 * rows * inner * columns * (1 + gradients)

  def concat(self, x, y):
    """Returns the shape of `x` beside `y`."""
    joined = x.shape[:-1] + (x.shape[-1] + y.shape[-1],)
    return Shape(joined, x.trained or y.trained)

  def dense(self, name, x, units):
    self._add(name, kernel=(x.shape[-1], units), bias=(units,))
    self._multiply(x.shape[:-1], x.shape[-1], units, 1 + x.trained)
    return Shape(x.shape[:-1] + (units,), True)

  def normalize(self, name, x):
    self._add(name, gain=x.shape[-1:], offset=x.shape[-1:])
    return Shape(x.shape, True)

  def lstm(self, name, x, units, state=None):
    gates = 4 * units
    self._add(name, kernel=(x.shape[-1] + units, gates), bias=(gates,))
    outputs, h = self._run(x, units, gates)
    return outputs, [h, h]

  def gru(self, name, x, units, state=None):
    gates = 3 * units
    self._add(name, kernel=(x.shape[-1], gates), bias=(gates,))
    self._add(f"{name}_cell", kernel=(units, gates))
    outputs, h = self._run(x, units, gates)
    return outputs, [h]

  def _run(self, x, units, gates):
    batch, steps, width = x.shape
    self._multiply((batch, steps), width, gates, 1 + x.trained)
    self._multiply((batch, steps), units, gates, 2)
    return Shape((batch, steps, units), True), Shape((batch, units), True)

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    rows, width = queries.shape[:2], queries.shape[-1]
    both = queries.trained + keys.trained
    self._multiply(rows, width, keys.shape[1], both)
    self._multiply(rows, keys.shape[1], width, (both > 0) + values.trained)
    return Shape(queries.shape, True)

  def cross_entropy(self, logits, targets):
    return Shape((), True)

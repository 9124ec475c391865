"""A network's layers, the shapes of its weights, and the operations of a step.

`Outline` implements the layers of `networks` without computing anything: it
records the shapes of a network's weights and the floating-point operations of
its matrix products. Element-wise work is not counted: it is small where
arithmetic dominates, and no limit including it would be reliable.
"""

from typing import NamedTuple, Tuple


class Layer(NamedTuple):
  """A layer with weights.

  Attributes:
    kind: dense, normalize, lstm or gru.
    depth: D, depth of its inputs.
    units: depth of its outputs.
  """

  kind: str
  depth: int
  units: int


class Shape(NamedTuple):
  """Shape of a tensor.

  Attributes:
    shape: its dimensions.
    trained: whether it depends on weights, so that it has a gradient.
  """

  shape: Tuple[int, ...]
  trained: bool


class Outline:
  """The layers of `networks`, on `Shape`s.

  The first step of a recurrent layer, from zeros, is counted like the others.

  Attributes:
    layers: name → `Layer`, in order of their first use.
    weights: name → shape.
    flops: operations of the products of a step so far, forward and backward; a
      multiplication and an addition are two.
  """

  def __init__(self):
    """Begins without layers."""
    self.layers = {}
    self.weights = {}
    self.flops = 0

  def _add(self, name, kind, x, units, **weights):
    self.layers[name] = Layer(kind, x.shape[-1], units)
    for weight, shape in weights.items():
      self.weights[f"{name}/{weight}"] = tuple(shape)

  def _multiply(self, rows, inner, columns, gradients):
    """Counts a product, and one more for each operand with a gradient."""
    self.flops += 2 * rows * inner * columns * (1 + gradients)

  def dense(self, name, x, units):
    """Returns the shape after a dense layer of `name`, from `x` to `units`."""
    depth = x.shape[-1]
    self._add(name, "dense", x, units, kernel=[depth, units], bias=[units])
    self._multiply(_size(x.shape[:-1]), depth, units, 1 + x.trained)
    return Shape(x.shape[:-1] + (units,), True)

  def normalize(self, name, x):
    """Returns the shape of `x`, and records the layer `name`."""
    depth = x.shape[-1]
    self._add(name, "normalize", x, depth, gain=[depth], offset=[depth])
    return Shape(x.shape, True)

  def relu(self, x):
    """Returns `x`."""
    return x

  def tanh(self, x):
    """Returns `x`."""
    return x

  def add(self, x, y):
    """Returns the shape of the sum of `x` and `y`."""
    return Shape(x.shape, x.trained or y.trained)

  def concat(self, x, y):
    """Returns the shape of the concatenation of `x` and `y`."""
    joined = x.shape[:-1] + (x.shape[-1] + y.shape[-1],)
    return Shape(joined, x.trained or y.trained)

  def lstm(self, name, x, units, state=None):
    """Returns the shapes of an LSTM `name` on `x`; see `networks`."""
    depth = x.shape[-1]
    kernel = [depth + units, 4 * units]
    self._add(name, "lstm", x, units, kernel=kernel, bias=kernel[1:])
    outputs, h = self._run(x, units, 4)
    return outputs, [h, h]

  def gru(self, name, x, units, state=None):
    """Returns the shapes of a GRU `name` on `x`; see `networks`."""
    depth, gates = x.shape[-1], 3 * units
    self._add(name, "gru", x, units, kernel=[depth, gates], bias=[gates])
    self.weights[f"{name}_cell/kernel"] = (units, gates)
    outputs, h = self._run(x, units, 3)
    return outputs, [h]

  def _run(self, x, units, gates):
    batch, steps, depth = x.shape
    self._multiply(batch * steps, depth, gates * units, 1 + x.trained)
    self._multiply(batch * steps, units, gates * units, 2)
    return Shape((batch, steps, units), True), Shape((batch, units), True)

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    """Returns the shape of the attention result; see `networks`.

    Args:
      queries: `[B, S, D]`.
      keys: `[B, T, D]`.
      values: `[B, T, D]`.
      heads: number of heads, which does not affect the count.
      scale: factor of the scores.
      causal: whether the upper half of the scores is masked; it is counted
        nevertheless.

    Returns:
      A `Shape`.
    """
    batch, steps, depth = queries.shape
    rows = batch * steps
    both = queries.trained + keys.trained
    self._multiply(rows, depth, keys.shape[1], both)
    weights = queries.trained or keys.trained
    self._multiply(rows, keys.shape[1], depth, weights + values.trained)
    return Shape(queries.shape, True)

  def cross_entropy(self, logits, targets):
    """Returns the shape of the loss of `logits` on `targets`."""
    return Shape((), True)


def _size(shape):
  product = 1
  for dimension in shape:
    product *= dimension
  return product

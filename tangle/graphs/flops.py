"""Counts the floating-point operations of ops by their shapes, without a run.

The counts are those of TensorFlow's profiler, and those of products that the
profiler of TensorFlow 1.15 does not count. An unknown dimension, such as the
batch size, counts as 1; sizes derived from it, such as `batch * time`, count
accordingly. The ops of a loop count once. The ops of called functions are not
counted.
"""

import numpy as np

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import dims as dims_lib
from tangle.graphs import symbols

_PRODUCTS = frozenset(["BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"])


class Shapes:
  """Shapes of tensors in which each unknown dimension counts as 1."""

  def __init__(self, ops, inputs=()):
    """Infers the shapes that are not static.

    Args:
      ops: ops of one graph, producers before consumers.
      inputs: tensors of any shapes that they read from elsewhere.
    """
    self._dims = dims_lib.Dims()
    self._known = {}
    for tensor in inputs:
      self._settle(tensor)
    for op in ops:
      if not all(tensor.shape.is_fully_defined() for tensor in op.outputs):
        self._dims.note(op)
        for tensor in op.outputs:
          self._settle(tensor)

  def _settle(self, tensor):
    """Sets unknown dimensions of a shape to 1 if they are not derived."""
    for size in self._dims.of(tensor) or ():
      if not isinstance(size, int) and size[0] == symbols.SIZE:
        self._dims.unify([size], [1])

  def of(self, tensor):
    """Returns the `tf.TensorShape`, that of a scalar for an unknown rank.

    Args:
      tensor: a tensor of any shape.

    Returns:
      A `tf.TensorShape` that is fully defined.
    """
    if tensor.shape.is_fully_defined():
      return tensor.shape
    if tensor.name not in self._known:
      found = self._dims.of(tensor) or ()
      self._known[tensor.name] = tf1.TensorShape(
        [_number(size) for size in found]
      )
    return self._known[tensor.name]

  def bytes(self, tensor):
    """Returns the bytes of a tensor, with 1 for each unknown dimension.

    Args:
      tensor: a tensor of any shape, of numbers or bools.

    Returns:
      An int.
    """
    return self.of(tensor).num_elements() * tensor.dtype.base_dtype.size


def _number(size):
  """Returns a dimension as an int; unknown sizes are 1."""
  if isinstance(size, int):
    return size
  if size[0] == symbols.SIZE:
    return 1
  above, below = (np.prod([_number(s) for s in part]) for part in size[1:])
  return max(int(above // max(below, 1)), 1)


class Counter:
  """Counts the floating-point operations of ops."""

  def __init__(self, shapes):
    """Stores the shapes.

    Args:
      shapes: the `Shapes` of the ops to count.
    """
    self._shapes = shapes
    self._uncounted = set()

  def count(self, op):
    """Returns the number of floating-point operations of a run of `op`.

    Args:
      op: a `tf.Operation`.

    Returns:
      An int; 0 if TensorFlow does not count ops of this type, or the shapes do
      not fit it.
    """
    if op.type in self._uncounted:
      return 0
    if op.type in _PRODUCTS:
      return self._count_product(op)
    if op.type == "Einsum":
      return self._count_sum(op)
    found = compat.flops_of(_Shaped(op.graph, self._shapes.of), op.node_def)
    if found is None:
      self._uncounted.add(op.type)
    return int(found or 0)

  def _count_product(self, op):
    left = self._shapes.of(op.inputs[0]).as_list()
    inner = left[-2 if op.get_attr("adj_x") else -1] if len(left) > 1 else 1
    return 2 * inner * self._shapes.of(op.outputs[0]).num_elements()

  def _count_sum(self, op):
    equation = op.get_attr("equation").decode()
    sizes = {}
    for labels, tensor in zip(equation.split("->")[0].split(","), op.inputs):
      shape = self._shapes.of(tensor).as_list()
      if "." in labels or len(labels) != len(shape):
        return 2 * self._shapes.of(op.outputs[0]).num_elements()
      sizes.update(zip(labels, shape))
    return 2 * int(np.prod(list(sizes.values()), dtype=np.int64))


class _Shaped:
  """A stub of a graph whose tensors have the shapes that a function returns."""

  def __init__(self, graph, shape_of):
    self._graph = graph
    self._shape_of = shape_of

  def get_tensor_by_name(self, name):
    """Returns a stub with the shape of the tensor called `name`."""
    return _Shape(self._shape_of(self._graph.get_tensor_by_name(name)))


class _Shape:
  """A stub of a tensor, of which only the shape is read."""

  def __init__(self, shape):
    self.shape = shape

  def get_shape(self):
    """Returns the shape."""
    return self.shape

"""Gives slices in gradients of concatenations constant offsets.

The gradient of a concatenation is cut into slices, one for each concatenated
tensor. If their shapes are not all static, TensorFlow computes the offsets in
the run:

    offsets = concat_offset(axis, shape_n(x_1, x_2, ...))
    slice(g, offsets[k], shape of x_k)

But the sizes along the axis, nearly always that of features, usually are
static, and along the others a slice takes everything. With constants for both,
no shape has to be kept.
"""

from tangle import compat
from tangle.compat import tf1


def fix_slices(new_ops):
  """Gives slices of gradients constant begins and sizes, if these are static.

  The values are the same.

  Args:
    new_ops: ops of gradients, added after the last run of the graph. Slices
      among them are changed; constants are added to their graph.

  Returns:
    A list of the ops that were added, empty if no slice was changed.
  """
  constants = {}
  for op in new_ops:
    place = None if compat.in_v1_control_flow(op) else _find_place(op)
    if place is not None:
      for index, values in enumerate(place, 1):
        if values not in constants:
          constants[values] = _constant(op.graph, values)
        compat.update_input(op, index, constants[values])
  return [constant.op for constant in constants.values()]


def _find_place(op):
  """Returns begin and size of a slice, `None` if they are not static."""
  if op.type != "Slice":
    return None
  begin, size = op.inputs[1], op.inputs[2]
  if begin.op.type != "ConcatOffset" or size.op.type != "ShapeN":
    return None
  shapes = list(begin.op.inputs)[1:]
  if shapes[begin.value_index].name != size.name:
    return None
  axis = _static_axis(begin.op.inputs[0])
  if axis is None or {shape.op for shape in shapes} != {size.op}:
    return None
  sizes = [
    _size_along(shape, axis) for shape in shapes[: begin.value_index + 1]
  ]
  if None in sizes:
    return None
  rank = size.op.inputs[size.value_index].shape.rank
  begins, taken = [0] * rank, [-1] * rank
  begins[axis], taken[axis] = sum(sizes[:-1]), sizes[-1]
  return tuple(begins), tuple(taken)


def _size_along(shape, axis):
  """Returns the size of an axis by the shape tensor `shape`, or `None`."""
  argument = shape.op.inputs[shape.value_index]
  return None if argument.shape.rank is None else argument.shape.as_list()[axis]


def _static_axis(tensor):
  """Returns the axis of a concatenation, an int, or `None`."""
  if tensor.op.type != "FloorMod":
    found = tf1.get_static_value(tensor)
    return None if found is None else int(found)
  axis, rank = (tf1.get_static_value(part) for part in tensor.op.inputs)
  return None if axis is None or rank is None else int(axis % rank)


def _constant(graph, values):
  with graph.as_default(), tf1.control_dependencies(None), tf1.device(None):
    return tf1.constant(values, tf1.int32, name="place")

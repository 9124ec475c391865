"""Takes sums out of gradients that broadcasting did not need.

The gradient of an element-wise op of two tensors is summed over what was
broadcast, and shaped as its operand. Where sizes are unknown, TensorFlow leaves
it to the run to see that nothing was broadcast:

    axes = broadcast_gradient_args(shape(x), shape(y))
    reshape(reduce_sum(g, axes), shape(x))

In a joint graph its optimizer sees that x and y have the same shape, and takes
all this out. It cannot in a backward pass of its own, which reads tensors of
unknown shape. Here it is taken out before, where `dims` knows that g has the
shape of x, so that no shape need be kept for it, either.
"""

import itertools

from tangle import compat
from tangle.graphs import dims as dims_lib
from tangle.graphs import symbols


def bypass(ops, new_ops, targets, given=frozenset(), alike=()):
  """Lets gradients pass by sums over nothing.

  The same numbers come out: a sum over no axis, or over axes of size 1.

  Args:
    ops: the ops that `new_ops` read, producers before consumers.
    new_ops: ops of gradients, which have not run yet, in the order in which
      they were made. Those that read a sum over nothing are changed.
    targets: gradients, tensors of any shapes.
    given: names of the tensors that may be fed, whose shapes are those of what
      is fed.
    alike: pairs of tensors that have the same shape, such as an output and its
      upstream gradient.

  Returns:
    For each target the tensor to use in its place.
  """
  if not any(op.type == "BroadcastGradientArgs" for op in new_ops):
    return targets
  dims, passed = dims_lib.Dims(), {}
  new = set(new_ops)
  for left, right in alike:
    dims.unify(dims.of(left), dims.of(right))
  for op in itertools.chain(ops, new_ops):
    inside = compat.in_v1_control_flow(op)
    if op in new and not inside:
      for index, tensor in enumerate(op.inputs):
        if tensor.name in passed:
          compat.update_input(op, index, passed[tensor.name])
    dims.note(op, given)
    if op in new and not inside and _sums_nothing(op, dims):
      passed[op.outputs[0].name] = op.inputs[0].op.inputs[0]
  return [passed.get(tensor.name, tensor) for tensor in targets]


def _sums_nothing(op, dims):
  """Whether `op` shapes a sum as what was summed already is."""
  if op.type != "Reshape" or op.inputs[0].op.type != "Sum":
    return False
  value, axes = op.inputs[0].op.inputs
  if axes.op.type != "BroadcastGradientArgs":
    return False
  shapes = [dims.value(tensor) for tensor in axes.op.inputs]
  if None in shapes:
    return False
  own = shapes[axes.value_index]
  return (
    symbols.broadcast(*shapes) == own
    and dims.of(value) == own
    and dims.value(op.inputs[1]) == own
  )

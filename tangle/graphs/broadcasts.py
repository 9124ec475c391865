"""Removes no-op reductions from the gradients of broadcasting ops.

The gradient of an element-wise op of two tensors is summed over the broadcast
axes, and reshaped to its operand. If sizes are statically unknown, only the run
finds out that no axis was broadcast:

    axes = broadcast_gradient_args(shape(x), shape(y))
    reshape(reduce_sum(g, axes), shape(x))

In a joint graph TensorFlow's optimizer sees that x and y have the same shape,
and removes these ops. In a separate backward pass it cannot, as the restored
tensors have unknown shapes. Here the ops are bypassed before, if `dims` proves
that g has the shape of x. Then no shape has to be kept for them, either.
"""

import itertools

from tangle import compat
from tangle.graphs import dims as dims_lib
from tangle.graphs import symbols


def bypass(ops, new_ops, targets, given=frozenset(), alike=()):
  """Makes gradient ops bypass no-op reductions.

  The values are the same: such a sum is over no axis, or over axes of size 1.
  Adds no op; the bypassed ops stay in the graph.

  Args:
    ops: the ops that `new_ops` read, producers before consumers.
    new_ops: ops of gradients, added after the last run of the graph, in the
      order in which they were made. Those that read a no-op reduction are
      changed.
    targets: gradients, tensors of any shapes.
    given: names of the tensors that may be fed; their shapes are not inferred
      from their ops.
    alike: pairs of tensors that have the same shape, such as an output and its
      upstream gradient.

  Returns:
    A list with, for each target, the tensor to use in its place: itself unless
    it is a no-op reduction.
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
  """Whether `op` reshapes a no-op sum to the shape of the summed tensor."""
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

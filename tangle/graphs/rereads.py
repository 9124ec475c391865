"""Moves reads of resource variables by gradient functions to the forward run.

A gradient function of a `tf.custom_gradient` may read a variable again, with a
control dependency on the upstream gradient, so that it does not recompute too
early: TensorFlow 1.15's `recompute_grad` does. In a joint graph it reads the
same value as the forward ops. Here the read must happen in the forward run,
which has no upstream gradient; so the control dependency is removed.
"""

from tangle import compat
from tangle.graphs import cut


def release(made, upstream):
  """Makes reads of variables wait only for forward ops.

  Args:
    made: the new ops that compute gradients; no session has run them. The
      control inputs of those that read a resource variable are changed.
    upstream: the upstream gradients, tensors.
  """
  late = set(made).union(tensor.op for tensor in upstream)
  for op in made:
    if op.type not in cut.VARIABLE_READS or compat.in_v1_control_flow(op):
      continue
    if late.isdisjoint(op.control_inputs):
      continue
    if any(tensor.op in late for tensor in op.inputs):
      continue  # such as rows selected by indices from the upstream gradient
    early = [other for other in op.control_inputs if other not in late]
    # No public API changes control inputs; 1.15 and 2.x both have these.
    op._remove_all_control_inputs()
    op._add_control_inputs(early)

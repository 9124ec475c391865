"""Reads of resource variables that gradient functions make anew.

The gradient function of a `tf.custom_gradient` may read a variable again, and
wait with that for the upstream gradient, so that what it computes again is not
computed early: TensorFlow 1.15's `recompute_grad` does. In a joint graph the
value is the one that the forward ops have read. Here it must be that of the
forward run, in which there is no upstream gradient to wait for.
"""

from tangle import compat
from tangle.graphs import cut


def release(made, upstream):
  """Has reads of variables wait for forward ops only.

  Args:
    made: the ops that have just been made to compute gradients; no session has
      run them.
    upstream: the upstream gradients, tensors.
  """
  late = set(made).union(tensor.op for tensor in upstream)
  for op in made:
    if op.type not in cut.VARIABLE_READS or compat.in_v1_control_flow(op):
      continue
    if late.isdisjoint(op.control_inputs):
      continue
    if any(tensor.op in late for tensor in op.inputs):
      continue  # such as rows whose numbers come with the upstream gradient
    early = [other for other in op.control_inputs if other not in late]
    # No public API changes control inputs; these are there on 1.15 and 2.x.
    op._remove_all_control_inputs()
    op._add_control_inputs(early)

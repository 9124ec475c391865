"""Finds inputs of a piece at which `tf.gradients` would not stop correctly."""

from tangle.graphs import stopping


def is_passed(inputs, sources, ops):
  """Whether `stop_gradients=inputs` would give wrong gradients.

  The gradients of a piece must stop at its inputs, and only there. With
  `tf.gradients(..., stop_gradients=inputs)` they do not in two cases:

  - One output of an op is an input, and a gradient of the piece flows through
    another output of that op. `stop_gradients` stops the gradients of all
    outputs of the op, so that this gradient would be lost.
  - An input is an output of a function call, and one of `sources` is below that
    call. `stop_gradients` has no effect there: the gradient would flow through
    the call, and would be added to the gradient of that source.

  Args:
    inputs: the tensors where the piece begins, of any shapes and dtypes.
    sources: the tensors of the piece that get gradients: inputs of floating
      types, and the handles of its variables.
    ops: the ops of the piece through which a gradient flows.

  Returns:
    True in these two cases, else false. If true, the piece must be
    differentiated in a copy of its ops in which placeholders take the place of
    the inputs.
  """
  names = {op.name for op in ops}
  if any(tensor.op.name in names for tensor in inputs):
    return True
  return stopping.first_passed(inputs, sources) is not None

"""Finds inputs at which `tf.gradients` would not stop correctly."""

from tangle.graphs import stopping


def is_passed(inputs, sources, ops):
  """Whether `tf.gradients` would pass the inputs, or stop elsewhere too.

  `stop_gradients` applies to all outputs of an op. If one output is an input
  of the piece, a gradient through another output of the op would be lost. For
  outputs of function calls `stop_gradients` has no effect: a gradient would
  flow on, and be added to that of another input or of a variable.

  Args:
    inputs: the tensors where a piece begins, of any shapes.
    sources: the tensors that get gradients: the floating inputs, and the
      handles of the variables.
    ops: the ops of the piece that a gradient flows through.

  Returns:
    A bool.
  """
  names = {op.name for op in ops}
  if any(tensor.op.name in names for tensor in inputs):
    return True
  return stopping.first_passed(inputs, sources) is not None

"""Tells inputs at which TensorFlow's gradients would not end as they must."""

from tangle.graphs import stopping


def is_passed(inputs, sources, ops):
  """Whether a gradient would not stop at the inputs, or stop elsewhere too.

  `stop_gradients` holds for all outputs of an op, so that a gradient which
  flows through another one of them would be lost. For calls of functions it
  does not hold, so that a gradient which flows on to another input or a
  variable would be counted there.

  Args:
    inputs: the tensors where a piece begins, of any shapes.
    sources: tensors of which gradients are wanted: the floating inputs, and the
      handles of the variables.
    ops: the ops of the piece that a gradient flows through.

  Returns:
    A bool.
  """
  names = {op.name for op in ops}
  if any(tensor.op.name in names for tensor in inputs):
    return True
  return stopping.first_passed(inputs, sources) is not None

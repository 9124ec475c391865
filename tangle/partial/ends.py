"""Refuses inputs at which TensorFlow's gradients would not end as they must."""

from tangle import errors
from tangle.graphs import stopping


def check(caller, inputs, sources, ops):
  """Checks that gradients stop at the inputs, and nowhere else.

  `stop_gradients` holds for all outputs of an op, so that a gradient which
  flows through another one of them would be lost. For calls of functions it
  does not hold, so that a gradient which flows on to another input or a
  variable would be counted there.

  Args:
    caller: what messages name as the place of an error.
    inputs: the tensors where a piece begins, of any shapes.
    sources: tensors of which gradients are wanted: the floating inputs, and the
      handles of the variables.
    ops: the ops of the piece that a gradient flows through.

  Raises:
    CutError: if they would not.
  """
  names = {op.name for op in ops}
  for tensor in inputs:
    if tensor.op.name in names:
      raise errors.CutError(
        f"{caller}: the input {tensor.name!r} is one output of an op "
        f"({tensor.op.type}) that another gradient flows through, which "
        f"TensorFlow would stop there, too. Put a tf.identity on it, for all "
        f"that reads it, and begin there."
      )
  passed = stopping.first_passed(inputs, sources)
  if passed is not None:
    raise errors.CutError(
      f"{caller}: the input {passed.name!r} is what a function gives "
      f"({passed.op.type}), where TensorFlow does not stop a gradient: it "
      f"would flow on to another input or a variable that the function is "
      f"called with. Put a tf.identity on it, for all that reads it, and begin "
      f"there."
    )

"""Finds where `tf.gradients` does not stop, though it is told to.

`stop_gradients` has no effect on calls of functions: from the output of one
the gradient goes on to what the function is called with (measured on 1.15 and
2.21). That shows where something of which a gradient is wanted lies below.
"""

from tangle import compat
from tangle.graphs import walk


def first_passed(stops, sources):
  """Finds a tensor at which a gradient does not stop, though it should.

  Args:
    stops: the tensors of any shapes at which gradients are to stop.
    sources: tensors of any shapes of which gradients are wanted: handles of
      variables, and any of `stops`.

  Returns:
    The first of `stops` that a function gives which is called with what
    depends on one of `sources`, or `None`.
  """
  if not any(compat.is_call(tensor.op) for tensor in stops):
    return None
  ends = [tensor for tensor in stops if not compat.is_call(tensor.op)]
  for tensor in stops:
    if not compat.is_call(tensor.op):
      continue
    given = list(tensor.op.inputs)
    reached = walk.dependents(
      sources,
      walk.ancestors(given, stop=ends),
      follow=lambda t: (
        t.op.type != "StopGradient" and compat.is_differentiable(t.dtype)
      ),
    )
    if any(read.name in reached for read in given):
      return tensor
  return None

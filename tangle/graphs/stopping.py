"""Finds tensors at which `tf.gradients` ignores `stop_gradients`.

`stop_gradients` has no effect on the outputs of function calls: the gradient
flows on to the inputs of the call (measured on 1.15 and 2.21). This changes
results if a variable or tensor that gets a gradient lies below.
"""

from tangle import compat
from tangle.graphs import walk


def first_passed(stops, sources):
  """Finds a tensor at which a gradient does not stop, though it should.

  Args:
    stops: the tensors of any shapes at which gradients must stop.
    sources: tensors of any shapes that get gradients: handles of variables, and
      any of `stops`.

  Returns:
    The first of `stops` that is the output of a function call whose inputs
    depend on one of `sources` through dtypes that carry gradients, or `None`.
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

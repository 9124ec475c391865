"""Which forward tensors are kept for the backward pass."""

from tangle import errors
from tangle.compat import tf1

FRONTIER = "frontier"
ALL = "all"
NONE = "none"


def predicate(caller, residuals):
  """Returns the predicate of a tensor that a residual policy stands for.

  Args:
    caller: what the messages name as the place of the error.
    residuals: `"frontier"` keeps just what the backward pass reads; `"all"`
      keeps that and whatever else can be had between inputs and outputs;
      `"none"` keeps nothing that can be computed again; a callable of a
      `tf.Tensor` keeps that for which it is true.

  Returns:
    A callable of a tensor that returns a bool.

  Raises:
    ArgumentError: if `residuals` is none of these.
  """
  if callable(residuals):
    return residuals
  if residuals in (FRONTIER, ALL):
    return lambda tensor: True
  if residuals == NONE:
    return lambda tensor: False
  raise errors.ArgumentError(
    f"{caller}: residuals must be 'frontier', 'all', 'none' or a predicate of "
    f"a tensor, got {residuals!r}."
  )


def everything(ops, graph):
  """Lists the tensors of `ops` that can be kept.

  Args:
    ops: forward ops of `graph`.
    graph: a `tf.Graph`.

  Returns:
    A list of the tensors that may be fetched and fed, which handles of
    resources and the insides of TensorFlow 1 style loops may not.
  """
  skipped = (tf1.resource, tf1.variant)
  return [
    tensor
    for op in ops
    for tensor in op.outputs
    if tensor.dtype == tensor.dtype.base_dtype
    and tensor.dtype not in skipped
    and graph.is_feedable(tensor)
    and graph.is_fetchable(tensor)
  ]

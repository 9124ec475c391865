"""Policies that select the forward tensors to keep for the backward pass."""

from typing import NamedTuple, Optional, Union

from tangle import errors, hints
from tangle.compat import tf1

FRONTIER = "frontier"
ALL = "all"
NONE = "none"
MIN_CUT = "min_cut"


class Budget(NamedTuple):
  """A memory limit for the residuals of a sub-model, for its `residuals=`.

  The sub-model keeps what `"frontier"` keeps if that is within the limit, and
  otherwise recomputes few ops to stay within it. A `Budget` checks nothing:
  `SubModel` raises a `CutError` if the limit is below the bytes that
  `"min_cut"` keeps, and an `ArgumentError` unless exactly one of the two
  attributes is given and in its range.

  Attributes:
    bytes: the limit in bytes, 0 or more, without values of variables; `None` if
      `fraction` is given.
    fraction: the limit as a fraction, 0 to 1, of the bytes that `"frontier"`
      keeps; `None` if `bytes` is given.
  """

  bytes: Optional[int] = None
  fraction: Optional[float] = None


Residuals = Union[str, Budget, hints.Predicate]
"""What the argument `residuals=` of a sub-model takes."""


def is_planned(residuals):
  """Whether `residuals` is a policy that predicts bytes.

  These are `"min_cut"` and budgets.

  Args:
    residuals: the argument `residuals=`.

  Returns:
    A bool.
  """
  return isinstance(residuals, Budget) or (
    isinstance(residuals, str) and residuals == MIN_CUT
  )


def check_budget(budget):
  """Refuses a budget without exactly one valid limit.

  Args:
    budget: a `Budget`.

  Raises:
    ArgumentError: if not exactly one of `bytes` and `fraction` is given, or it
      is no number or negative, or `fraction` is above 1.
  """
  given = [value for value in budget if value is not None]
  is_number = all(
    isinstance(value, (int, float)) and not isinstance(value, bool)
    for value in given
  )
  fits = len(given) == 1 and is_number and given[0] >= 0
  if not fits or (budget.fraction is not None and budget.fraction > 1):
    raise errors.ArgumentError(
      f"a Budget must have either bytes, 0 or more, or a fraction "
      f"from 0 to 1, got {budget}."
    )


def predicate(residuals):
  """Returns a predicate: whether to keep a tensor, by a residual policy.

  Args:
    residuals: `"frontier"` keeps exactly the tensors that the backward pass
      reads; `"all"` also keeps every other tensor between inputs and outputs
      that can be kept; `"none"` keeps no tensor that can be recomputed; a
      callable of a `tf.Tensor` keeps the tensors for which it is true.

  Returns:
    A callable of a tensor that returns a bool.

  Raises:
    ArgumentError: if `residuals` is none of these.
  """
  if callable(residuals):
    return residuals
  if isinstance(residuals, str):  # an array would compare its elements
    if residuals in (FRONTIER, ALL):
      return lambda tensor: True
    if residuals == NONE:
      return lambda tensor: False
  raise errors.ArgumentError(
    f"residuals must be 'frontier', 'all', 'none', 'min_cut', a "
    f"tangle.Budget or a predicate of a tensor, got {errors.show(residuals)}."
    f"{errors.suggest(residuals, (FRONTIER, ALL, NONE, 'min_cut'))}"
  )


def everything(ops, graph):
  """Lists the tensors of `ops` that can be kept.

  Args:
    ops: forward ops of `graph`.
    graph: a `tf.Graph`.

  Returns:
    A list of the tensors that may be fetched and fed, in the order of `ops`:
    no handles of resources, no variants, no outputs of reference variables'
    ops, and nothing inside TensorFlow 1 style loops.
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

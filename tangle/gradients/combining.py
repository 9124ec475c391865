"""Combines the gradients of several losses into one."""

from __future__ import annotations

import numbers
from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1
from tangle.gradients import dropping, gramians, methods, totals
from tangle.gradients import options as options_lib


class CombinedGradients(NamedTuple):
  """The result of `explain` and `of_losses`.

  Attributes:
    gradients: V gradients, in the order of the variables; `None` for a variable
      without a gradient.
    weights: `[K]` float64; `None` for GradDrop, which has none.
    gramian: `[K, K]` float64, inner products of the losses' gradients; `None`
      from `of_losses` with `sum`, `mean` or `weighted`, where one backward pass
      gives the sum, without the gradient of each loss.
  """

  gradients: List[hints.Gradient]
  weights: Optional[tf1.Tensor]
  gramian: Optional[tf1.Tensor]


@errors.named("gradients.combine")
def combine(
  gradients: Sequence[Sequence[hints.Gradient]],
  method: str,
  name: str = "combine",
  **options: Any,
) -> List[hints.Gradient]:
  """Combines the gradients of K losses: `d[v] = sum_k weights[k] g_k[v]`.

  | method | options | weights |
  |---|---|---|
  | `sum`, `mean` | | 1, 1 / K |
  | `weighted` | `weights` | given |
  | `pcgrad` | `seed` | conflicts are removed pairwise, in random order |
  | `mgda` | | the shortest convex combination |
  | `cagrad` | `c` | the worst loss is helped most, near the mean |
  | `imtl_g` | | all gradients have the same projection on d |
  | `nash_mtl` | `max_norm` | the Nash bargaining solution |
  | `aligned_mtl` | `preference` | gradients made orthogonal and equally long |
  | `upgrad` | `preference`, `regularization` | conflicts projected away |
  | `graddrop` | `leak`, `seed` | one random sign per entry |

  `tangle.gradients.methods` and `dropping` describe each, with sources. The
  lengths of the lists are static; the shapes may be unknown. All computation is
  in the graph. All methods but `graddrop` need only the K × K inner products.

  Args:
    gradients: K lists of V gradients: tensors, `IndexedSlices` or `None`, which
      counts as zero.
    method: the name of a method.
    name: name scope of the new ops.
    **options: the options of the method, by the names in the table. `weighted`
      requires `weights`; all other options have defaults.

  Returns:
    A list of V gradients, in the order given: `None` where all are; sparse
    where all are sparse or `None`, with each row once (except for `sum`, `mean`
    and `weighted`).

  Gradients:
    No gradient flows through the weights of conflict-aware methods.

  Raises:
    ArgumentError: if there is no such method or option; there is no list, or
      lists differ in length; `weights`, `preference` or `leak` are not K finite
      numbers of at least 0, or `leak` is above 1; `c` or `regularization` is
      negative; or `max_norm` is not positive.
    DtypeError: if a gradient, or a tensor of weights, is not of a floating
      type.
    GraphError: if a tensor of weights belongs to another graph.
    ShapeError: if a tensor of weights is not `[K]`.
  """
  return _combine(gradients, method, name, options, False)[0]


@errors.named("gradients.explain")
def explain(
  gradients: Sequence[Sequence[hints.Gradient]],
  method: str,
  name: str = "combine",
  **options: Any,
) -> CombinedGradients:
  """Combines as `combine` does, and also returns the weights and the Gramian.

  Args:
    gradients: K lists of V gradients, as for `combine`.
    method: the name of a method.
    name: name scope of the new ops.
    **options: the options of the method, as for `combine`.

  Returns:
    A `CombinedGradients` for `report` and `summarize`, always with a Gramian.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as `combine`.
  """
  return _combine(gradients, method, name, options, True)


def _combine(gradients, method, name, options, tells):
  rows = gramians.check(gradients)
  count = len(rows)
  options_lib.check_method(method, options, count)
  if method == options_lib.DROP:
    _check_leak(options.get("leak"), count)
  with tf1.name_scope(name):
    columns = list(zip(*rows))
    is_linear = method in options_lib.LINEAR
    parts = gram = weights = None
    if tells or not is_linear:
      parts = [gramians.align(column) for column in columns]
    if tells or method in methods.WEIGHTINGS:
      gram = gramians.of_parts(parts, count)
    if is_linear:
      weights = options_lib.linear_weights(method, count, **options)
      found = [_add(column, method, weights) for column in columns]
    elif method == options_lib.DROP:
      found = [
        dropping.drop(part, options.get("leak"), _vary(options.get("seed"), v))
        for v, part in enumerate(parts)
      ]
    else:
      precision = gramians.precision(parts)
      weights = methods.weights_of(gram, method, precision, **options)
      found = [gramians.weigh(part, weights) for part in parts]
    return CombinedGradients(found, weights, gram)


def _add(column, method, weights):
  """Adds gradients with known weights; keeps sparse gradients sparse."""
  if method != "sum":
    column = [
      None if g is None else scale(g, weights[k]) for k, g in enumerate(column)
    ]
  return totals.total(column)


def scale(gradient, factor):
  """Multiplies a gradient.

  Args:
    gradient: a tensor or an `IndexedSlices`, not `None`.
    factor: a scalar, which is cast to the dtype of `gradient`.

  Returns:
    A gradient of the same kind and dtype.
  """
  factor = tf1.cast(factor, gradient.dtype)
  if isinstance(gradient, tf1.IndexedSlices):
    return tf1.IndexedSlices(
      gradient.values * factor, gradient.indices, gradient.dense_shape
    )
  return gradient * factor


def _check_leak(leak, count):
  if leak is None:
    return
  options_lib.check_weights("leak", leak, count)
  if not hasattr(leak, "op") and np.max(leak) > 1:
    raise errors.ArgumentError(
      f"leak must be at most 1, got {leak!r}. It is the share of a "
      "loss that is never dropped."
    )


def _vary(seed, v):
  """Derives a different seed for each variable."""
  if seed is None:
    return None
  if isinstance(seed, numbers.Integral):
    return seed + v
  return tf1.convert_to_tensor(seed) + [0, 7919 * v]

"""Inner products of the gradients of several losses, and weighted sums.

A gradient is a tensor, an `IndexedSlices`, or `None`, which counts as zero. The
gradients of K losses to V variables are K lists of V.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Sequence

from tangle import compat, errors, hints
from tangle.compat import tf1
from tangle.gradients import totals
from tangle.nets import half


class Parts(NamedTuple):
  """The gradients of K losses to one variable, in one layout.

  Attributes:
    values: K tensors of one shape, `None` for a loss without a gradient.
    indices: `[U]`, the rows in `values`, each once, if all gradients are
      sparse; else `None`, and `values` have the shape of the variable.
    dense_shape: the variable's shape, if the gradients are sparse.
  """

  values: Sequence[Any]
  indices: Optional[Any]
  dense_shape: Optional[Any]


def check(gradients):
  """Returns gradients as lists, all of one length.

  Args:
    gradients: K lists of V gradients, of floating types.

  Returns:
    A list of K lists of V tensors, `IndexedSlices` or `None`; arrays become
    tensors.

  Raises:
    ArgumentError: if there is no list, the lists differ in length, or an entry
      is not a gradient.
    DtypeError: if a gradient does not have a floating type.
  """
  if hasattr(gradients, "shape") or not hasattr(gradients, "__iter__"):
    raise errors.ArgumentError(
      f"gradients must be a list of lists, one for each loss, got "
      f"{gradients!r}."
    )
  rows = []
  for k, row in enumerate(gradients):
    if hasattr(row, "shape") or not hasattr(row, "__iter__"):
      raise errors.ArgumentError(
        f"gradients[{k}] must be a list, one gradient per variable, "
        f"got {row!r}. Put it into a list."
      )
    rows.append([_check_one(k, gradient) for gradient in row])
  if not rows or len({len(row) for row in rows}) > 1:
    raise errors.ArgumentError(
      f"gradients must have a list for each loss, all of one length, "
      f"got lengths {[len(row) for row in rows]}. None is a missing gradient."
    )
  return rows


def _check_one(k, gradient):
  if gradient is None:
    return None
  if not compat.is_indexed_slices(gradient):
    if not hasattr(gradient, "dtype"):
      raise errors.ArgumentError(
        f"gradients[{k}] must hold tensors, IndexedSlices or None, "
        f"got {gradient!r}."
      )
    gradient = tf1.convert_to_tensor(gradient)
  if not gradient.dtype.is_floating:
    raise errors.DtypeError(
      f"gradients[{k}] has {gradient.name!r} of "
      f"{gradient.dtype.name}. Give gradients of floating types."
    )
  return gradient


def align(gradients):
  """Brings the gradients of K losses to one variable into one layout.

  Repeated rows of a sparse gradient are summed, as inner products require. If
  one of the gradients is dense, sparse ones become dense.

  Args:
    gradients: K gradients of the variable's shape, or `None`.

  Returns:
    A `Parts`.
  """
  present = [g for g in gradients if g is not None]
  sparse = [compat.is_indexed_slices(g) for g in present]
  if not present or not all(sparse):
    dense = [None if g is None else half.densify(g) for g in gradients]
    return Parts(dense, None, None)
  indices = [tf1.cast(g.indices, tf1.int64) for g in present]
  rows, places = tf1.unique(tf1.concat(indices, 0))
  count = tf1.shape(rows)[0]
  pieces = iter(tf1.split(places, [tf1.size(ids) for ids in indices]))
  values = [
    None if g is None else _sum_slices(g.values, next(pieces), count)
    for g in gradients
  ]
  return Parts(values, rows, present[0].dense_shape)


def _sum_slices(values, places, count):
  return half.in_float32(
    lambda x: tf1.math.unsorted_segment_sum(x, places, count), values
  )


@errors.named("gradients.gramian")
def gramian(
  gradients: Sequence[Sequence[hints.Gradient]], name: str = "gramian"
) -> tf1.Tensor:
  """Computes the inner product of each pair of losses' gradients.

  Entry `[i, j]` is `sum_v g_i[v]^T g_j[v]`. Gradients are cast to float64, so
  that squares of large float32 values do not overflow, and those of small ones
  do not underflow. The norms of float64 gradients must be between 1e-150 and
  1e150.

  Args:
    gradients: K lists, one per loss, of V gradients, one per variable: tensors,
      `IndexedSlices` or `None`, which counts as zero.
    name: name scope of the new ops.

  Returns:
    `[K, K]` float64.

  Raises:
    ArgumentError: if the lists differ in length, there is none, or an entry is
      not a gradient.
    DtypeError: if a gradient does not have a floating type.
  """
  rows = check(gradients)
  with tf1.name_scope(name):
    return of_parts([align(column) for column in zip(*rows)], len(rows))


def of_parts(parts, count):
  """Returns the Gramian of gradients in one layout.

  Args:
    parts: V `Parts`, of which there may be none.
    count: K.

  Returns:
    `[K, K]` float64; zeros for a loss without a gradient.
  """
  sums = [tf1.zeros([count, count], tf1.float64)]
  for part in parts:
    present = [k for k, value in enumerate(part.values) if value is not None]
    if not present:
      continue
    flat = tf1.stack([tf1.reshape(part.values[k], [-1]) for k in present])
    flat = tf1.cast(flat, tf1.float64)
    products = tf1.matmul(flat, flat, transpose_b=True)
    if len(present) < count:
      place = tf1.one_hot(present, count, dtype=tf1.float64)
      products = tf1.matmul(place, tf1.matmul(products, place), True)
    sums.append(products)
  return tf1.add_n(sums)


def precision(parts):
  """Returns the relative error that a Gramian of `parts` may have.

  Args:
    parts: V `Parts`.

  Returns:
    A float: K times the machine epsilon of float32, or of float64 if all
    gradients are float64. Gradients in half precision count as float32.
  """
  found = [v for part in parts for v in part.values if v is not None]
  sizes = [max(4, v.dtype.size) for v in found]
  count = max([len(part.values) for part in parts] or [1])
  return count * (1.2e-7 if 4 in sizes else 2.3e-16)


def weigh(part, weights):
  """Returns the weighted sum of the gradients to one variable.

  Args:
    part: a `Parts`.
    weights: `[K]`.

  Returns:
    A tensor; an `IndexedSlices` with each row once, if the gradients are
    sparse; or `None`, if no loss has a gradient.
  """
  found = [
    _scale(half.widen(value), weights[k])
    for k, value in enumerate(part.values)
    if value is not None
  ]
  if not found:
    return None
  dtype = next(value.dtype for value in part.values if value is not None)
  total = tf1.cast(totals.total(found), dtype)
  if part.indices is None:
    return total
  return tf1.IndexedSlices(total, part.indices, part.dense_shape)


def _scale(value, weight):
  """Multiplies by a float64 weight that may be out of range for `value.dtype`.

  The weight of a gradient of norm 1e-30 may be 1e60. It is applied as two
  factors, one of them a power of two near its square root.
  """
  if value.dtype == tf1.float64:
    return value * weight
  size = tf1.abs(weight)
  size = tf1.where_v2(size > 0, size, tf1.ones_like(size))
  first = tf1.pow(
    tf1.constant(2.0, tf1.float64),
    tf1.round(0.5 * tf1.math.log(size) / math.log(2.0)),
  )
  second = weight / first
  return value * tf1.cast(first, value.dtype) * tf1.cast(second, value.dtype)

"""Sums gradients that belong to the same variable.

A gradient is a tensor, an `IndexedSlices`, or `None`.
"""

from __future__ import annotations

from typing import Sequence

from tangle import compat, hints
from tangle.compat import tf1
from tangle.nets import half


def total(
  gradients: Sequence[hints.Gradient], name: str = "total"
) -> hints.Gradient:
  """Sums gradients of one variable: `sum_k gradients[k]`.

  Sparse gradients stay sparse. If one gradient is dense, sparse ones become
  dense, as in the joint graph, so that optimizers and global norms treat both
  graphs alike.

  Source: `tf.gradients`, for a variable that is used several times.

  Args:
    gradients: K gradients of the shape and dtype of the variable, or `None`.
    name: name scope of the new ops.

  Returns:
    A gradient of that shape; `None` if all are `None` or there is none; the
    gradient itself if only one is not `None`.
  """
  present = [gradient for gradient in gradients if gradient is not None]
  if len(present) < 2:
    return present[0] if present else None
  with tf1.name_scope(name):
    if not all(compat.is_indexed_slices(g) for g in present):
      return tf1.add_n([half.densify(g) for g in present])
    dtypes = {gradient.indices.dtype for gradient in present}
    indices = [
      g.indices if len(dtypes) == 1 else tf1.cast(g.indices, tf1.int64)
      for g in present
    ]
    return tf1.IndexedSlices(
      tf1.concat([gradient.values for gradient in present], 0),
      tf1.concat(indices, 0),
      present[0].dense_shape,
    )

"""Tensor functions shared by several networks; no variables here."""

from __future__ import annotations

from typing import Optional

from tangle.compat import tf1
from tangle.nets import half


def dimension(tensor, axis, dtype=tf1.int32):
  """Returns a dimension of `tensor`, as an int if it is known statically.

  Args:
    tensor: a tensor of known rank.
    axis: which dimension.
    dtype: int type of the tensor, if one is returned.

  Returns:
    An int, or a scalar tensor of `dtype`.
  """
  size = tf1.dimension_value(tensor.shape[axis])
  return tf1.shape(tensor, out_type=dtype)[axis] if size is None else size


def multiply(features, kernel, bias=None, transpose_kernel=False):
  """Multiplies the last dimension by a matrix: `features @ kernel + bias`.

  Args:
    features: `[..., D]`, of known rank.
    kernel: `[D, U]`, or `[U, D]` with `transpose_kernel`.
    bias: `[U]`, or None.
    transpose_kernel: whether to multiply by `kernel^T`.

  Returns:
    `[..., U]`.
  """
  rank = features.shape.ndims
  depth = tf1.dimension_value(features.shape[-1])
  flat = features if rank == 2 else tf1.reshape(features, [-1, depth])
  product = tf1.matmul(flat, kernel, transpose_b=transpose_kernel)
  if bias is not None:
    product = half.add_bias(product, bias)
  if rank == 2:
    return product
  units = tf1.dimension_value(product.shape[-1])
  static = features.shape.as_list()[:-1]
  if static.count(None) <= 1:
    outer = [-1 if size is None else size for size in static]
    return tf1.reshape(product, outer + [units])
  outer = tf1.shape(features)[:-1]
  product = tf1.reshape(product, tf1.concat([outer, [units]], axis=0))
  product.set_shape(static + [units])
  return product


def mask_padding(sequence, lengths):
  """Sets `sequence` to zero beyond each example's length.

  Uses a select, not a product: padding has no effect and no gradient, even if
  it is NaN.

  Args:
    sequence: `[B, T, D]`.
    lengths: `[B]` int, or None for a sequence without padding.

  Returns:
    `[B, T, D]`; `sequence` itself if `lengths` is None.
  """
  if lengths is None:
    return sequence
  mask = tf1.sequence_mask(lengths, dimension(sequence, 1, lengths.dtype))
  zero = tf1.zeros([], sequence.dtype)
  return tf1.where_v2(mask[:, :, None], sequence, zero)


def reverse_sequence(sequence, lengths):
  """Reverses each example's real steps; padding stays at the end.

  Args:
    sequence: `[B, T, D]`.
    lengths: `[B]` int, or None for a sequence without padding.

  Returns:
    `[B, T, D]`; applying the function again restores the order.
  """
  if lengths is None:
    return tf1.reverse(sequence, [1])
  return tf1.reverse_sequence(sequence, lengths, seq_axis=1, batch_axis=0)


def last_state(sequences, lengths, initial):
  """Picks the state after each example's last real step.

  Args:
    sequences: state with parts `[B, T, U]`.
    lengths: `[B]` int.
    initial: state with parts `[B, U]`, for examples of length 0.

  Returns:
    A state with parts `[B, U]`.
  """
  rows = tf1.range(tf1.shape(lengths, out_type=lengths.dtype)[0])
  places = tf1.stack([rows, tf1.maximum(lengths - 1, 0)], axis=1)
  begun = (lengths > 0)[:, None]
  return tf1.nest.map_structure(
    lambda part, start: tf1.where_v2(begun, tf1.gather_nd(part, places), start),
    sequences,
    initial,
  )


def masked_softmax(
  scores: tf1.Tensor, mask: Optional[tf1.Tensor], name: str = "masked_softmax"
) -> tf1.Tensor:
  """Softmax over the steps where a mask is true.

  Args:
    scores: `[B, S, T]` floats, finite.
    mask: `[B, T]` bool, true where a step counts; None if all do.
    name: name scope of the new ops.

  Returns:
    `[B, S, T]`: exactly zero where the mask is false; rows sum to one, except
    that a row without any true step is all zero.

  Gradients:
    Zero for masked scores, and for all scores of a row without any true step.
  """
  with tf1.name_scope(name):
    if mask is None:
      return half.in_float32(tf1.nn.softmax, scores)
    mask = mask[:, None, :]
    # The lowest finite number, not -inf: rows without any step give no NaN.
    lowest = tf1.constant(scores.dtype.min, scores.dtype)
    scores = tf1.where_v2(mask, scores, lowest)
    weights = half.in_float32(tf1.nn.softmax, scores)
    return tf1.where_v2(mask, weights, tf1.zeros([], scores.dtype))

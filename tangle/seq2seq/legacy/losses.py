"""Losses over time-major sequences, as in `tf.contrib.legacy_seq2seq`."""

from __future__ import annotations

from typing import Callable, Optional, Sequence, Tuple

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks, half
from tangle.seq2seq.legacy import scopes

LossFunction = Callable[..., tf1.Tensor]
"""A function of the keyword arguments `labels` and `logits`, to losses."""


@errors.named("sequence_loss_by_example")
def sequence_loss_by_example(
  logits: Sequence[tf1.Tensor],
  targets: Sequence[tf1.Tensor],
  weights: Sequence[tf1.Tensor],
  average_across_timesteps: bool = True,
  softmax_loss_function: Optional[LossFunction] = None,
  name: Optional[str] = None,
) -> tf1.Tensor:
  """Weighted cross entropy of each example.

  Returns `sum_t w_t l_t / (sum_t w_t + 1e-12)` with
  `l_t = -log softmax(logits_t)[targets_t]`, or without the division. An example
  whose weights are all zero has the loss zero.

  Source: `tf.contrib.legacy_seq2seq.sequence_loss_by_example` 1.15.

  Args:
    logits: T tensors `[B, V]`, or whatever `softmax_loss_function` reads.
    targets: T int tensors `[B]`.
    weights: T float tensors `[B]`; see `weighted_sums` for other shapes.
    average_across_timesteps: whether to divide by the sum of the weights.
    softmax_loss_function: function with the keyword arguments `labels` `[B]`
      and `logits`, which returns `[B]`; used instead of the cross entropy.
    name: name scope of the new ops; `sequence_loss_by_example` for None.

  Returns:
    `[B]`, of the type of the losses.

  Raises:
    ArgumentError: if the lists are empty or differ in length, or an element is
      None.
    DtypeError: if targets are not integers, or weights have another type than
      the losses.
    GraphError: if targets or weights are from another graph.
    ShapeError: if a target is not of rank 1.
  """
  with tf1.name_scope(name or "sequence_loss_by_example"):
    total, size, dtype = weighted_sums(
      logits, targets, weights, softmax_loss_function
    )
    if average_across_timesteps:
      total /= size + 1e-12
    return tf1.cast(total, dtype)


def sequence_loss(
  logits: Sequence[tf1.Tensor],
  targets: Sequence[tf1.Tensor],
  weights: Sequence[tf1.Tensor],
  average_across_timesteps: bool = True,
  average_across_batch: bool = True,
  softmax_loss_function: Optional[LossFunction] = None,
  name: Optional[str] = None,
) -> tf1.Tensor:
  """Weighted cross entropy of a batch: the sum or mean over examples.

  The mean is over examples, not over symbols: a short example counts as much
  as a long one.

  Source: `tf.contrib.legacy_seq2seq.sequence_loss` 1.15.

  Args:
    logits: T tensors `[B, V]`, or whatever `softmax_loss_function` reads.
    targets: T int tensors `[B]`.
    weights: T float tensors `[B]`; see `weighted_sums` for other shapes.
    average_across_timesteps: whether to divide each example's loss by the sum
      of its weights.
    average_across_batch: whether to divide by B.
    softmax_loss_function: function with the keyword arguments `labels` `[B]`
      and `logits`, which returns `[B]`; used instead of the cross entropy.
    name: name scope of the new ops; `sequence_loss` for None.

  Returns:
    A scalar of the type of the losses.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as
      `sequence_loss_by_example`.
  """
  with tf1.name_scope(name or "sequence_loss"):
    found = sequence_loss_by_example(
      logits,
      targets,
      weights,
      average_across_timesteps=average_across_timesteps,
      softmax_loss_function=softmax_loss_function,
    )
    reduce = tf1.reduce_mean if average_across_batch else tf1.reduce_sum
    return half.in_float32(reduce, found)


def weighted_sums(
  logits: Sequence[tf1.Tensor],
  targets: Sequence[tf1.Tensor],
  weights: Sequence[tf1.Tensor],
  softmax_loss_function: Optional[LossFunction] = None,
) -> Tuple[tf1.Tensor, tf1.Tensor, tf1.DType]:
  """Sums each example's weighted losses, and its weights, over the steps.

  Args:
    logits: T tensors `[B, V]`, or whatever `softmax_loss_function` reads.
    targets: T int tensors `[B]`.
    weights: T float tensors `[B]`. Their shape is not checked: they are
      multiplied by the losses with broadcasting, so that weights `[N, B]` give
      sums `[N, B]`, and weights `[B, 1]` give `[B, B]`.
    softmax_loss_function: as for `sequence_loss`.

  Returns:
    The sums of the losses and the sums of the weights, two tensors `[B]`,
    float32 if the losses are in half precision; and the type of the losses.

  Raises:
    ArgumentError: if the lists are empty or differ in length, or an element is
      None.
    DtypeError: if targets are not integers, or weights have another type than
      the losses.
    GraphError: if targets or weights are from another graph.
    ShapeError: if a target is not of rank 1.
  """
  for argument, values in (("targets", targets), ("weights", weights)):
    if len(values) != len(logits):
      remedy = "Leave out those after the last step"
      if len(values) < len(logits):
        remedy = (
          "Give one for each step; a step without a target has any id as "
          "target, and zeros as weights"
        )
      raise errors.ArgumentError(
        f"{argument} must be one for each of {len(logits)} logits, "
        f"got {len(values)}. {remedy}."
      )
  terms, factors = [], []
  rows = zip(
    scopes.check_list("logits", logits),
    scopes.check_ids("targets", targets),
    weights,
  )
  for k, (logit, target, weight) in enumerate(rows):
    if softmax_loss_function is None:
      loss = tf1.nn.sparse_softmax_cross_entropy_with_logits(
        labels=target, logits=logit
      )
    else:
      loss = softmax_loss_function(labels=target, logits=logit)
    weight = checks.convert_floats(
      f"weights[{k}]", weight, loss.dtype.base_dtype
    )
    terms.append(loss * weight)
    factors.append(weight)
  # In half precision 1e-12 would be 0, and counts would not be exact.
  sums = [tf1.add_n(list(map(half.widen, each))) for each in (terms, factors)]
  return sums[0], sums[1], terms[0].dtype

"""One graph per pair of lengths, with shared variables, as in contrib."""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Tuple

from tangle import errors, hints
from tangle.compat import tf1
from tangle.seq2seq.legacy import losses, scopes


@errors.named("model_with_buckets")
def model_with_buckets(
  encoder_inputs: Sequence[tf1.Tensor],
  decoder_inputs: Sequence[tf1.Tensor],
  targets: Sequence[tf1.Tensor],
  weights: Sequence[tf1.Tensor],
  buckets: Sequence[Tuple[int, int]],
  seq2seq: Callable[
    [List[tf1.Tensor], List[tf1.Tensor]], Tuple[List[tf1.Tensor], hints.Nest]
  ],
  softmax_loss_function: Optional[losses.LossFunction] = None,
  per_example_loss: bool = False,
  name: Optional[str] = None,
) -> Tuple[List[List[tf1.Tensor]], List[tf1.Tensor]]:
  """Makes an encoder-decoder for each bucket; all share their variables.

  Source: `tf.contrib.legacy_seq2seq.model_with_buckets` 1.15. Departure: every
  bucket must fit the inputs, not only the last.

  Args:
    encoder_inputs: tensors that feed the encoder, at least as many as the
      largest bucket has steps.
    decoder_inputs: tensors that feed the decoder; as many at least, as also
      `targets` and `weights`. A bucket reads the first ones of each list.
    targets: int tensors `[B]`.
    weights: float tensors `[B]`.
    buckets: pairs (source length T, target length S), in any order.
    seq2seq: function of T encoder inputs and S decoder inputs, which returns S
      outputs and a state, such as
      `lambda x, y: models.embedding_attention_seq2seq(x, y, cell, ...)`.
    softmax_loss_function: function with the keyword arguments `labels` and
      `logits`, which returns `[B]`; used instead of the cross entropy.
    per_example_loss: whether losses are `[B]`, by
      `losses.sequence_loss_by_example`, not scalars, by `losses.sequence_loss`.
    name: name scope of the new ops; `model_with_buckets` for None.

  Returns:
    A list with the outputs of each bucket, which are lists, and a list with the
    loss of each bucket, both in the order of `buckets`.

  Raises:
    ArgumentError: if there is no bucket, one is not a pair of positive ints, or
      one is larger than the inputs.
    ArgumentError, DtypeError, GraphError, ShapeError: also as the losses; and
      what `seq2seq` raises.
  """
  _check_buckets(buckets)
  lists = {
    "encoder_inputs": (encoder_inputs, 0),
    "decoder_inputs": (decoder_inputs, 1),
    "targets": (targets, 1),
    "weights": (weights, 1),
  }
  for argument, (values, side) in lists.items():
    needed = max(bucket[side] for bucket in buckets)
    if len(scopes.check_list(argument, values)) < needed:
      raise errors.ArgumentError(
        f"{argument} must be at least {needed} tensors, for the "
        f"largest of the buckets {buckets}, got {len(values)}. Make more "
        "placeholders, or leave that bucket out."
      )
  loss_function = losses.sequence_loss
  if per_example_loss:
    loss_function = losses.sequence_loss_by_example
  all_outputs, all_losses = [], []
  with tf1.name_scope(name or "model_with_buckets"):
    for k, (source, target) in enumerate(buckets):
      with tf1.variable_scope(
        tf1.get_variable_scope(),
        reuse=True if k > 0 else None,
        auxiliary_name_scope=False,
      ):
        outputs, _ = seq2seq(
          list(encoder_inputs[:source]), list(decoder_inputs[:target])
        )
      all_outputs.append(outputs)
      loss = loss_function(
        outputs,
        targets[:target],
        weights[:target],
        softmax_loss_function=softmax_loss_function,
      )
      all_losses.append(loss)
  return all_outputs, all_losses


def _check_buckets(buckets):
  if not isinstance(buckets, (list, tuple)) or not buckets:
    raise errors.ArgumentError(
      f"buckets must be a list of at least one pair of lengths such "
      f"as [(5, 10), (10, 15)], got {buckets!r}."
    )
  for bucket in buckets:
    if (
      not isinstance(bucket, (list, tuple))
      or len(bucket) != 2
      or not all(isinstance(size, int) and size > 0 for size in bucket)
    ):
      raise errors.ArgumentError(
        f"each bucket must be a pair of positive lengths (source, "
        f"target), got {bucket!r}."
      )

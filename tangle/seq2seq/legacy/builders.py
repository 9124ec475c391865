"""Builders of the legacy model's parts for `tangle.Pipeline.add`.

The encoder's outputs are `attention_states` and `state`, and the decoders read
them under these names:

    model = parts.AttentionModel(cells.GRUCell(256), 40, 50, 256)
    pipeline.add("encoder", builders.encoder_builder(model), buckets=[5, 10])
    pipeline.add("decoder", builders.decoder_builder(model), buckets=[10, 15],
                 reads=builders.reads("encoder"))
"""

from __future__ import annotations

from typing import Dict

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import pieces
from tangle.seq2seq import attention_pieces
from tangle.seq2seq.legacy import losses, parts

greedy_builder = attention_pieces.greedy_builder
beam_builder = attention_pieces.beam_builder

FEEDS = (("source", "ids"),)
"""The feeds of the encoder, from the fields of a `rows.Batch`, for
`decoding.pipeline_converter`; in the tutorial's layout, unless the encoder
itself reverses the source."""


def reads(encoder: str) -> Dict[str, str]:
  """Returns the `reads` of a decoder, for `Pipeline.add`.

  Args:
    encoder: name of the encoder in the pipeline.

  Returns:
    A dict from `attention_states` and `state`, the names of the reads, to
    `"<encoder>.attention_states"` and `"<encoder>.state"`.
  """
  return {field: f"{encoder}.{field}" for field in parts.Encoded._fields}


def encoder_builder(
  model: parts.AttentionModel, reverse_source: bool = False
) -> pieces.Builder:
  """Returns the builder of the encoder.

  It feeds `source` `[B, bucket]` int32. Its outputs are `attention_states`
  `[B, bucket, D]` and `state` `[B, Q]`.

  Args:
    model: a `parts.AttentionModel`.
    reverse_source: False if `source` is laid out as the encoder reads it: in
      the tutorial the reversed source, with PAD in front. True if it is in its
      own order with PAD at the end, as `Pipeline.add` pads it; the graph then
      reverses it.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    del reads
    source_ph = tf1.placeholder(tf1.int32, [None, bucket], "source_ph")
    source = tf1.reverse(source_ph, [1]) if reverse_source else source_ph
    encoded = model.encode(source)
    return pieces.Piece(
      feeds={"source": source_ph}, outputs=dict(encoded._asdict())
    )

  return build


def decoder_builder(model: parts.AttentionModel) -> pieces.Builder:
  """Returns the builder of the decoder that is trained.

  Its feeds are `inputs` and `targets`, int32, and `weights`, of the model's
  dtype, all `[B, bucket]`, GO first in `inputs`. It has no outputs. Its loss is
  that of `losses.sequence_loss`: the mean over the
  examples of the weighted mean over their symbols. Its metrics are
  `total_loss`, the weighted sum over all symbols, and `symbols`, the sum of the
  weights.

  If the model has an `OutputProjection` with `num_samples`, loss and
  `total_loss` are those of the sampled softmax, also in `Pipeline.forward`. To
  get those of the full softmax, add a second decoder, for a model of the same
  sizes whose `OutputProjection` has `num_samples=None`. It has the same
  variables.

  Args:
    model: a `parts.AttentionModel`.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  @errors.named("decoder_builder")
  def build(bucket, reads):
    inputs_ph = tf1.placeholder(tf1.int32, [None, bucket], "inputs_ph")
    targets_ph = tf1.placeholder(tf1.int32, [None, bucket], "targets_ph")
    weights_ph = tf1.placeholder(model.dtype, [None, bucket], "weights_ph")
    decoded = model.decode(model.take(reads), inputs_ph)
    with tf1.name_scope("loss"):
      totals, sizes, _ = losses.weighted_sums(
        decoded.outputs,
        tf1.unstack(targets_ph, axis=1),
        tf1.unstack(weights_ph, axis=1),
        model.softmax_loss_function,
      )
      cost = tf1.reduce_sum(totals / (sizes + 1e-12))
      loss = cost / tf1.cast(tf1.shape(targets_ph)[0], cost.dtype)
    return pieces.Piece(
      feeds={
        "inputs": inputs_ph,
        "targets": targets_ph,
        "weights": weights_ph,
      },
      loss=loss,
      metrics={
        "total_loss": tf1.reduce_sum(totals),
        "symbols": tf1.reduce_sum(sizes),
      },
    )

  return build

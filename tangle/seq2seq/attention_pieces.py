"""Builders of the sub-models of an attention model, for a pipeline.

There is one encoder per source, and a decoder that is trained or that searches.
With several sources, the names of a decoder's reads end with the source's
number.
"""

from tangle.compat import tf1
from tangle.nets import half, losses
from tangle.pipeline import pieces
from tangle.seq2seq import encoders


def reads_of(*sub_models):
  """Returns the `reads` of a decoder, for `Pipeline.add`.

  Args:
    sub_models: the name of the encoder's sub-model; with several sources, one
      per source, in order. In the place of a name may be a list of names: each
      step reads from the one that takes part.

  Returns:
    A dict from the name of a read to `"sub_model.output"`, or a list of these.
    The names are `memory`, `lengths` and `summary`; with several sources
    `memory_0`, `lengths_0`, `summary_0`, `memory_1` and so on.
  """
  found = {}
  for k, names in enumerate(sub_models):
    for field in encoders.Encoded._fields:
      each = [names] if isinstance(names, str) else names
      paths = [f"{name}.{field}" for name in each]
      read = read_name(field, k, len(sub_models))
      found[read] = paths if len(paths) > 1 else paths[0]
  return found


def read_name(field, k, sources):
  """Returns the name under which a decoder reads a field of `Encoded`.

  Args:
    field: the field's name.
    k: the index of the source, from 0.
    sources: the number of sources.

  Returns:
    A string: `field` for a single source, otherwise `field` with `_k` after it.
  """
  return field if sources == 1 else f"{field}_{k}"


def encoder_builder(model, k=0, divided=False):
  """Returns the builder of an encoder for `Pipeline.add`.

  Its feeds are `source` `[B, T]` and `lengths` `[B]`, both int32;
  `dropout_rate`, a scalar that is 0 by default; and `seed` `[2]` of the dropout
  masks, random by default. Its outputs are the fields of `encoders.Encoded`:
  `memory`, `lengths` and `summary`.

  Args:
    model: an `attention_model.AttentionModel`; or an `encoders.Encoder`, whose
      output decoders of several models may read.
    k: the index of its source in the model, from 0; not read for an `Encoder`.
    divided: whether batches are divided into micro-batches. Then `seed` is
      `[B, 2]`, of which only the first row of a micro-batch is used.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    del reads
    source_ph = tf1.placeholder(tf1.int32, [None, bucket], "source_ph")
    lengths_ph = tf1.placeholder(tf1.int32, [None], "lengths_ph")
    feeds, noise = _noise(model, divided)
    if isinstance(model, encoders.Encoder):
      encoded = model(source_ph, lengths_ph, **noise)
    else:
      encoded = model.encode(source_ph, lengths_ph, k=k, **noise)
    return pieces.Piece(
      feeds=dict(feeds, source=source_ph, lengths=lengths_ph),
      outputs=dict(encoded._asdict()),
    )

  return build


def decoder_builder(model, divided=False):
  """Returns the builder of the decoder that is trained.

  Its reads are those of `reads_of`; with others it raises `ArgumentError`.
  Its feeds are `inputs` and `targets`, int32, and `weights`, of the model's
  dtype, all `[B, S]`, and, as in the encoder, `dropout_rate` and `seed`.
  Its loss is the mean cross entropy over the real symbols, in nats; its
  metrics are `total_loss`, the sum, and `symbols`, their number. Its output
  `attention` `[B, S, T]` has the attention weights; with several sources there
  are `attention_0`, `attention_1` and so on.

  Args:
    model: an `attention_model.AttentionModel`.
    divided: whether batches are divided into micro-batches. Since a micro-batch
      does not know the number of symbols in the batch, `symbols_per_row` is
      fed then, the scalar `sum(weights) / B` of the batch. The loss is the mean
      over rows of `total_loss / symbols_per_row`, and the metrics are `[B]`.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    inputs_ph = tf1.placeholder(tf1.int32, [None, bucket], "inputs_ph")
    targets_ph = tf1.placeholder(tf1.int32, [None, bucket], "targets_ph")
    weights_ph = tf1.placeholder(model.dtype, [None, bucket], "weights_ph")
    feeds, noise = _noise(model, divided)
    decoded = model.attend(model.take(reads), inputs_ph, **noise)
    each = losses.masked_cross_entropy(decoded.logits, targets_ph, weights_ph)
    # In half precision, a sum over many words would not be exact.
    each, weights = half.widen(each), half.widen(weights_ph)
    if divided:
      total, symbols = each, tf1.reduce_sum(weights, 1)
      per_row_ph = tf1.placeholder(each.dtype, [], "symbols_per_row_ph")
      feeds["symbols_per_row"] = per_row_ph
      loss = tf1.reduce_mean(total) / per_row_ph
    else:
      total, symbols = tf1.reduce_sum(each), tf1.reduce_sum(weights)
      loss = total / symbols
    return pieces.Piece(
      feeds=dict(
        feeds, inputs=inputs_ph, targets=targets_ph, weights=weights_ph
      ),
      outputs={
        read_name("attention", k, model.sources): weights
        for k, weights in enumerate(decoded.attention)
      },
      loss=loss,
      metrics={"total_loss": total, "symbols": symbols},
    )

  return build


def greedy_builder(model):
  """Returns the builder of the decoder that predicts by greedy search.

  Its reads are those of `reads_of`, or of `builders.reads` for a legacy model;
  with others it raises `ArgumentError`. It has no feeds. Its outputs are
  `symbols` `[B, bucket]` int32, `scores` `[B]` and `lengths` `[B]` int32, as
  `decoding.pipeline_converter` takes them. The bucket is the largest number of
  symbols.

  Args:
    model: an `attention_model.AttentionModel`, or that of `legacy.parts`.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    found = model.greedy(model.take(reads), bucket)
    return pieces.Piece(feeds={}, outputs=dict(found._asdict()))

  return build


def beam_builder(model, beam_size, length_penalty=0.0, n_best=1):
  """Returns the builder of the decoder that predicts by beam search.

  It is as that of `greedy_builder`, but its outputs are `symbols`
  `[B, N, bucket]` int32, `scores` `[B, N]` and `lengths` `[B, N]` int32, the
  best first. For settings that `search.beam` refuses it raises `ArgumentError`.

  Args:
    model: an `attention_model.AttentionModel`, or that of `legacy.parts`.
    beam_size: K, see `search.beam`.
    length_penalty: alpha, see there.
    n_best: N, see there.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    settings = beam_size, length_penalty, n_best
    found = model.beam(model.take(reads), bucket, *settings)
    return pieces.Piece(feeds={}, outputs=dict(found._asdict()))

  return build


def _noise(model, divided):
  """Makes the placeholders for dropout, and the model's arguments from them.

  Args:
    model: an `attention_model.AttentionModel`.
    divided: as for the builders.

  Returns:
    Two dicts with the keys `dropout_rate` and `seed`.
  """
  zero = tf1.constant(0.0, model.dtype)
  drawn = tf1.random.uniform([2], maxval=2**31 - 1, dtype=tf1.int32)
  rate_ph = tf1.placeholder_with_default(zero, [], "dropout_rate_ph")
  shape = [2]
  if divided:
    drawn, shape = drawn[tf1.newaxis], [None, 2]
  seed_ph = tf1.placeholder_with_default(drawn, shape, "seed_ph")
  feeds = {"dropout_rate": rate_ph, "seed": seed_ph}
  return feeds, dict(feeds, seed=seed_ph[0] if divided else seed_ph)

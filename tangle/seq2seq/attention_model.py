"""An attention encoder-decoder, in pieces that a pipeline can join.

The encoder is a bidirectional recurrent layer with more layers above it; the
decoder reads the gold symbols (teacher forcing) or its own (greedy), and
attends to the encoder's outputs once it has its own.
"""

import itertools
from typing import Any, NamedTuple

from tangle.compat import tf1
from tangle.nets import (
  attention,
  cells,
  composites,
  feedforward,
  losses,
  recurrent,
)
from tangle.pipeline import pieces
from tangle.seq2seq import search


class Encoded(NamedTuple):
  """What a decoder reads of an encoder.

  Attributes:
    memory: `[B, T, D]`, zero beyond the lengths.
    lengths: `[B]` int32.
    summary: `[B, S]`, the last states of both directions.
  """

  memory: Any
  lengths: Any
  summary: Any


class Start(NamedTuple):
  """What `search.greedy` and `search.beam` take of a model, in their order."""

  step: Any
  state: Any


class AttentionModel:
  """Networks of an encoder-decoder, made once and shared by all buckets.

  Source: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
  Neural Machine Translation": general score (eq. 8) and attentional vector
  (eq. 5), without input feeding; a bidirectional encoder as in Bahdanau, Cho &
  Bengio 2015.
  """

  def __init__(
    self,
    source_size,
    target_size,
    units=128,
    layers=1,
    depth=64,
    implementation="block",
    dtype=tf1.float32,
  ):
    """Sets the networks up; makes neither ops nor variables.

    Args:
      source_size: number of source symbols.
      target_size: V, number of target symbols.
      units: U, depth of each recurrent layer.
      layers: recurrent layers of encoder and decoder each.
      depth: depth of the embeddings.
      implementation: `"block"` or `"unrolled"`, see `recurrent.LSTM`.
      dtype: float type; `"block"` needs float32.
    """

    def lstm(name, reverse=False):
      return recurrent.LSTM(
        units,
        implementation=implementation,
        reverse=reverse,
        dtype=dtype,
        name=name,
      )

    self.dtype = dtype
    self.target_size = target_size
    self._source_table = feedforward.Embedding(
      source_size, depth, dtype=dtype, name="source_embedding"
    )
    self._target_table = feedforward.Embedding(
      target_size, depth, dtype=dtype, name="target_embedding"
    )
    self._both = composites.Bidirectional(
      lstm("lstm"), lstm("lstm", reverse=True), name="encoder_bidirectional"
    )
    self._upper = [lstm(f"encoder_lstm_{k}") for k in range(1, layers)]
    self._decoder = [lstm(f"decoder_lstm_{k}") for k in range(layers)]
    self._bridges = [
      feedforward.Dense(
        2 * units, tf1.tanh, dtype=dtype, name=f"decoder_bridge_{k}"
      )
      for k in range(layers)
    ]
    self._attention = attention.LuongAttention(dtype=dtype, name="attention")
    self._joined = feedforward.Dense(
      units, tf1.tanh, use_bias=False, dtype=dtype, name="attentional"
    )
    self._logits = feedforward.Dense(target_size, dtype=dtype, name="logits")

  def encode(self, source, lengths, dropout_rate=0, seed=None, name="encode"):
    """Encodes a batch.

    Args:
      source: `[B, T]` int32 ids.
      lengths: `[B]` int32, how many of them are real.
      dropout_rate: of the embeddings and the layers' outputs, a number or a
        scalar.
      seed: `[2]` int32, of stateless masks, which are others than those that
        `decode` draws from it; None for stateful ones.
      name: name scope of the new ops.

    Returns:
      An `Encoded`.
    """
    with tf1.name_scope(name):
      drop = _dropper(dropout_rate, seed, 0)
      embedded = drop(self._source_table(source))
      found = self._both(embedded, lengths)
      outputs = found.outputs
      summary = tf1.concat([found.state.forward.h, found.state.backward.h], 1)
      for layer in self._upper:
        outputs = layer(drop(outputs), lengths).outputs
      return Encoded(outputs, lengths, summary)

  def _initial(self, summary):
    states = []
    for bridge in self._bridges:
      c, h = tf1.split(bridge(summary), 2, axis=1)
      states.append(cells.LSTMState(c, h))
    return states

  def _read_out(self, outputs, memory, drop=lambda x: x):
    """Returns the logits of decoder outputs `[B, ..., U]`."""
    context = memory(outputs).context
    joined = self._joined(tf1.concat([context, outputs], -1))
    return self._logits(drop(joined))

  def decode(self, encoded, inputs, dropout_rate=0, seed=None, name="decode"):
    """Predicts each symbol from the gold ones before it.

    Args:
      encoded: an `Encoded`.
      inputs: `[B, S]` int32 ids, GO first.
      dropout_rate: of embeddings and layers' outputs, a number or a scalar.
      seed: as for `encode`.
      name: name scope of the new ops.

    Returns:
      Logits `[B, S, V]`.
    """
    with tf1.name_scope(name):
      drop = _dropper(dropout_rate, seed, _DECODER_MASKS)
      outputs = drop(self._target_table(inputs))
      states = self._initial(encoded.summary)
      for k, (layer, state) in enumerate(zip(self._decoder, states)):
        outputs = drop(outputs) if k else outputs
        outputs = layer(outputs, initial_state=state).outputs
      memory = self._attention.memory(encoded.memory, encoded.lengths)
      return self._read_out(outputs, memory, drop)

  def start(self, encoded, name="start"):
    """Prepares a search of what an encoder has read.

    Args:
      encoded: an `Encoded`.
      name: name scope of the new ops.

    Returns:
      A `Start(step, state)`. `step(symbols, state)` takes the last symbols
      `[R]` int32 and the decoder's state, and returns the logits `[R, V]` of
      the next symbols and the next state. R is B times any number of beams,
      those of an example together. `state` is the first one, a tuple of an
      `LSTMState` `[B, U]` for each layer.
    """
    with tf1.name_scope(name):
      memory = self._attention.memory(encoded.memory, encoded.lengths)
      state = tuple(self._initial(encoded.summary))
      batch_size = tf1.shape(encoded.lengths)[0]

    def step(symbols, state):
      with tf1.name_scope("step"):
        output, following = self._target_table(symbols), []
        for layer, before in zip(self._decoder, state):
          output, after = layer.cell(output, before)
          following.append(after)
        # Beams are further queries to the one memory of their example.
        beams = tf1.shape(symbols)[0] // tf1.maximum(batch_size, 1)
        depth = tf1.dimension_value(output.shape[1])
        queries = tf1.reshape(output, [batch_size, beams, depth])
        logits = self._read_out(queries, memory)
        return tf1.reshape(logits, [-1, self.target_size]), tuple(following)

    return Start(step, state)

  def greedy(self, encoded, steps, name="greedy"):
    """Predicts symbols from the predicted ones before them.

    Args:
      encoded: an `Encoded`.
      steps: S, how many symbols to predict at most, an int.
      name: name scope of the new ops.

    Returns:
      `search.Hypotheses`: symbols `[B, S]`, scores `[B]`, lengths `[B]`.
    """
    with tf1.name_scope(name):
      step, state = self.start(encoded)
      batch_size = tf1.shape(encoded.lengths)[0]
      return search.greedy(
        step, state, batch_size, steps, dtype=self.dtype, name="search"
      )

  def beam(
    self,
    encoded,
    steps,
    beam_size,
    length_penalty=0.0,
    n_best=1,
    name="beam",
  ):
    """Searches for the sequences with the highest scores.

    Args:
      encoded: an `Encoded`.
      steps: S, how many symbols to predict at most, an int.
      beam_size: K, see `search.beam`.
      length_penalty: alpha, see there.
      n_best: N, see there.
      name: name scope of the new ops.

    Returns:
      `search.Hypotheses`: symbols `[B, N, S]`, scores `[B, N]`, lengths
      `[B, N]`.
    """
    with tf1.name_scope(name):
      step, state = self.start(encoded)
      return search.beam(
        step,
        state,
        tf1.shape(encoded.lengths)[0],
        beam_size,
        steps,
        length_penalty,
        n_best,
        dtype=self.dtype,
        name="search",
      )


def encoder_builder(model):
  """Returns the builder of the encoder for `Pipeline.add`.

  It feeds `source` `[B, T]` and `lengths` `[B]`; `dropout_rate`, a scalar that
  is 0 by default; and `seed` `[2]` of the masks, drawn anew by default.

  Args:
    model: an `AttentionModel`.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    del reads
    source_ph = tf1.placeholder(tf1.int32, [None, bucket], "source_ph")
    lengths_ph = tf1.placeholder(tf1.int32, [None], "lengths_ph")
    noise = _noise_feeds(model)
    encoded = model.encode(source_ph, lengths_ph, **noise)
    return pieces.Piece(
      feeds=dict(noise, source=source_ph, lengths=lengths_ph),
      outputs=dict(encoded._asdict()),
    )

  return build


def decoder_builder(model):
  """Returns the builder of the decoder that is trained.

  It feeds `inputs`, `targets` and `weights`, all `[B, S]`, and `dropout_rate`
  and `seed` as the encoder does.
  Its loss is the mean cross entropy over the real symbols, in nats; its
  metrics are `total_loss`, the sum, and `symbols`, their number.

  Args:
    model: an `AttentionModel`.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    inputs_ph = tf1.placeholder(tf1.int32, [None, bucket], "inputs_ph")
    targets_ph = tf1.placeholder(tf1.int32, [None, bucket], "targets_ph")
    weights_ph = tf1.placeholder(model.dtype, [None, bucket], "weights_ph")
    noise = _noise_feeds(model)
    logits = model.decode(Encoded(**reads), inputs_ph, **noise)
    total = tf1.reduce_sum(
      losses.masked_cross_entropy(logits, targets_ph, weights_ph)
    )
    symbols = tf1.reduce_sum(weights_ph)
    return pieces.Piece(
      feeds=dict(
        noise, inputs=inputs_ph, targets=targets_ph, weights=weights_ph
      ),
      loss=total / symbols,
      metrics={"total_loss": total, "symbols": symbols},
    )

  return build


def greedy_builder(model):
  """Returns the builder of the decoder that predicts.

  Its outputs are `symbols` `[B, bucket]` int32, `scores` `[B]` and `lengths`
  `[B]` int32.

  Args:
    model: an `AttentionModel`.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    found = model.greedy(Encoded(**reads), bucket)
    return pieces.Piece(feeds={}, outputs=dict(found._asdict()))

  return build


def beam_builder(model, beam_size, length_penalty=0.0, n_best=1):
  """Returns the builder of the decoder that predicts by beam search.

  Its outputs are `symbols` `[B, N, bucket]` int32, `scores` `[B, N]` and
  `lengths` `[B, N]` int32, the best first.

  Args:
    model: an `AttentionModel`.
    beam_size: K, see `search.beam`.
    length_penalty: alpha, see there.
    n_best: N, see there.

  Returns:
    A function of bucket and reads that returns a `Piece`.
  """

  def build(bucket, reads):
    settings = beam_size, length_penalty, n_best
    found = model.beam(Encoded(**reads), bucket, *settings)
    return pieces.Piece(feeds={}, outputs=dict(found._asdict()))

  return build


def _noise_feeds(model):
  """Makes the placeholders of dropout, which the builders feed as well."""
  zero = tf1.constant(0.0, model.dtype)
  drawn = tf1.random.uniform([2], maxval=2**31 - 1, dtype=tf1.int32)
  return {
    "dropout_rate": tf1.placeholder_with_default(zero, [], "dropout_rate_ph"),
    "seed": tf1.placeholder_with_default(drawn, [2], "seed_ph"),
  }


_DECODER_MASKS = 1000  # apart from the encoder's, which count from 0


def _dropper(rate, seed, first):
  """Returns dropout at one rate, which draws another mask at each call."""
  numbers = itertools.count(first)

  def drop(x):
    own = feedforward.shift_seed(seed, next(numbers))
    return feedforward.dropout(x, rate, own)

  return drop

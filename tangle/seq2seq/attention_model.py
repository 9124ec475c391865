"""An attention encoder-decoder, in parts that a pipeline can join.

There is one encoder per source; a model may have several sources. The decoder
reads the gold symbols (teacher forcing) or its own predictions (greedy), and
attends to the outputs of each encoder.
"""

from __future__ import annotations

import functools
import numbers
from typing import List, Mapping, NamedTuple, Optional, Sequence, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import attention, cells, feedforward, recurrent
from tangle.seq2seq import attention_pieces, encoders, searching

# Kept as a name of this module, where users of the model look for it.
Encoded = encoders.Encoded
Start = searching.Start
reads_of = attention_pieces.reads_of
encoder_builder = attention_pieces.encoder_builder
decoder_builder = attention_pieces.decoder_builder
greedy_builder = attention_pieces.greedy_builder
beam_builder = attention_pieces.beam_builder

_DECODER_MASKS = 1000  # see `encoders.first_mask` for those of encoders


class Decoded(NamedTuple):
  """What the decoder computes from gold symbols.

  Attributes:
    logits: `[B, S, V]`.
    attention: a list with the weights `[B, S, T]` over the positions of each
      source; they sum to 1 over T, and are 0 at PAD.
  """

  logits: tf1.Tensor
  attention: Sequence[tf1.Tensor]


class AttentionModel(searching.Searchable):
  """Networks of an encoder-decoder, created once and shared by all buckets.

  Source: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
  Neural Machine Translation": general score (eq. 8) and attentional vector
  (eq. 5), without input feeding; a bidirectional encoder as in Bahdanau, Cho &
  Bengio 2015.

  Source, for several sources: Zoph & Knight 2016, "Multi-Source Neural
  Translation": one context per encoder, concatenated in the attentional vector,
  `tanh(W [c_1; ...; c_K; h])`. It differs from the paper in three ways: the
  attention is global, not local, and has a kernel per source; there is no input
  feeding; and the initial c and h of each decoder layer are each
  `tanh(W [s_1; ...; s_K] + b)` of the encoders' summaries, where the paper
  combines layer with layer and adds up the c.

  Attributes:
    dtype: float type.
    target_size: V, number of target symbols.
    sources: K, the number of sources, and of encoders.
  """

  @errors.named("AttentionModel")
  def __init__(
    self,
    source_size: Union[int, Sequence[int]],
    target_size: int,
    units: int = 128,
    layers: int = 1,
    embedding_dim: int = 64,
    dtype: tf1.DType = tf1.float32,
  ) -> None:
    """Sets the networks up; makes neither ops nor variables.

    Args:
      source_size: number of source symbols; for several sources a list with one
        number per source. With a list, even of one, names of the encoders'
        variables begin with `source_0/`, `source_1/` and so on.
      target_size: V, number of target symbols.
      units: U, number of units in each recurrent layer.
      layers: number of recurrent layers, at least 1, in the encoder and in the
        decoder.
      embedding_dim: length of an embedding vector.
      dtype: float type.

    Raises:
      ArgumentError: if `source_size` is an empty list, or a size, `units` or
        `embedding_dim` is not a positive integer.
      DtypeError: if `dtype` is not a float type.
    """
    one = isinstance(source_size, numbers.Integral)
    sizes = [source_size] if one else list(source_size)
    if not sizes:
      raise errors.ArgumentError(
        f"source_size must be a size, or a list of at least one, got "
        f"{source_size!r}."
      )
    # With one source, names are as in the earlier model without this option.
    prefixes = [""] if one else [f"source_{k}/" for k in range(len(sizes))]
    self.sources = len(sizes)
    self.dtype = dtype
    self.target_size = target_size
    self._encoders = [
      encoders.Encoder(
        *(size, units, layers, embedding_dim, dtype),
        prefix=prefix,
        masks=encoders.first_mask(k),
      )
      for k, (size, prefix) in enumerate(zip(sizes, prefixes))
    ]
    self._attentions = [
      attention.LuongAttention(
        dtype=dtype, name=f"{prefix}attention", query_depth=units
      )
      for prefix in prefixes
    ]
    self._make_decoder(target_size, units, layers, embedding_dim)

  def _make_decoder(self, target_size, units, layers, embedding_dim):
    """Sets up the networks shared by all sources."""
    dtype = self.dtype
    self._target_table = feedforward.Embedding(
      target_size, embedding_dim, dtype=dtype, name="target_embedding"
    )
    self._decoder = [
      recurrent.LSTM(units, dtype=dtype, name=f"decoder_lstm_{k}")
      for k in range(layers)
    ]
    self._bridges = [
      feedforward.Dense(
        2 * units, tf1.tanh, dtype=dtype, name=f"decoder_bridge_{k}"
      )
      for k in range(layers)
    ]
    memory_depth = 2 * units if layers == 1 else units
    self._joined = attention.AttentionalVector(
      units,
      [memory_depth] * self.sources,
      units,
      dtype=dtype,
      name="attentional",
    )
    self._logits = feedforward.Dense(target_size, dtype=dtype, name="logits")

  @property
  def output_bias(self) -> hints.Variable:
    """The bias of the logits, a variable `[V]`.

    It exists once a decoder was built; before, this raises a `GraphError`.
    """
    return self._logits.bias

  def encode(
    self,
    source: hints.Value,
    lengths: hints.Value,
    dropout_rate: hints.Scalar = 0,
    seed: Optional[hints.Seed] = None,
    k: int = 0,
    name: str = "encode",
  ) -> encoders.Encoded:
    """Encodes a batch of one source.

    Args:
      source: `[B, T]` int32 ids.
      lengths: `[B]` int32, the number of real ids in each row.
      dropout_rate: rate for the embeddings and the layers' outputs, a number or
        a scalar.
      seed: `[2]` int32, of stateless masks, which differ from those that
        `decode`, or another source, draws from it; None for stateful ones.
      k: which source, from 0.
      name: name scope of the new ops.

    Returns:
      An `Encoded`.

    Raises:
      ArgumentError, DtypeError, GraphError, ShapeError: as `encoders.Encoder`.
      IndexError: if there is no source k.
    """
    return self._encoders[k](source, lengths, dropout_rate, seed, name)

  @errors.named("AttentionModel")
  def _list(self, encoded):
    """Returns `encoded` as a list with an `Encoded` for each source."""
    several = [encoded] if isinstance(encoded, Encoded) else list(encoded)
    if len(several) != self.sources:
      raise errors.ArgumentError(
        f"encoded must have an Encoded for each of the "
        f"{self.sources} sources, got {len(several)}."
      )
    return several

  def _initial(self, encoded):
    """Returns the first state of each layer."""
    summary = _side_by_side([one.summary for one in encoded])
    states = []
    for bridge in self._bridges:
      c, h = tf1.split(bridge(summary), 2, axis=1)
      states.append(cells.LSTMState(c, h))
    return states

  def _memories(self, encoded):
    """Returns a prepared memory for each source."""
    return [
      attend.memory(
        one.memory, one.lengths, functools.partial(self._joined.project, k=k)
      )
      for k, (attend, one) in enumerate(zip(self._attentions, encoded))
    ]

  def _read_out(self, outputs, memories, drop=lambda x: x):
    """Returns the `Decoded` of decoder outputs `[B, ..., U]`."""
    found = [memory(outputs) for memory in memories]
    joined = self._joined(outputs, [each.context for each in found])
    return Decoded(self._logits(drop(joined)), [each.weights for each in found])

  def decode(
    self,
    encoded: Union[encoders.Encoded, Sequence[encoders.Encoded]],
    inputs: hints.Value,
    dropout_rate: hints.Scalar = 0,
    seed: Optional[hints.Seed] = None,
    name: str = "decode",
  ) -> tf1.Tensor:
    """Predicts each symbol from the gold ones before it.

    Args:
      encoded: an `Encoded`; for several sources a list of them.
      inputs: `[B, S]` int32 ids, GO first.
      dropout_rate: rate for embeddings and layers' outputs, a number or scalar.
      seed: as for `encode`.
      name: name scope of the new ops.

    Returns:
      Logits `[B, S, V]`.

    Raises:
      ArgumentError: if the number of `Encoded` is not that of the sources, or
        the number `dropout_rate` is not in `[0, 1)`.
      DtypeError, GraphError, ShapeError: as the networks raise them.
    """
    return self.attend(encoded, inputs, dropout_rate, seed, name).logits

  def attend(
    self,
    encoded: Union[encoders.Encoded, Sequence[encoders.Encoded]],
    inputs: hints.Value,
    dropout_rate: hints.Scalar = 0,
    seed: Optional[hints.Seed] = None,
    name: str = "decode",
  ) -> Decoded:
    """Predicts as `decode` does, and returns the attention weights, too.

    Args:
      encoded: as for `decode`.
      inputs: as for `decode`.
      dropout_rate: as for `decode`.
      seed: as for `decode`.
      name: name scope of the new ops.

    Returns:
      A `Decoded`.

    Raises:
      ArgumentError, DtypeError, GraphError, ShapeError: as `decode`.
    """
    encoded = self._list(encoded)
    with tf1.name_scope(name):
      drop = encoders.make_dropout(dropout_rate, seed, _DECODER_MASKS)
      outputs = drop(self._target_table(inputs))
      states = self._initial(encoded)
      for k, (layer, state) in enumerate(zip(self._decoder, states)):
        outputs = drop(outputs) if k else outputs
        outputs = layer(outputs, initial_state=state).outputs
      memories = self._memories(encoded)
      return self._read_out(outputs, memories, drop)

  def start(
    self,
    encoded: Union[encoders.Encoded, Sequence[encoders.Encoded]],
    name: str = "start",
  ) -> Start:
    """Prepares a search over the outputs of an encoder.

    Args:
      encoded: an `Encoded`; for several sources a list of them.
      name: name scope of the new ops.

    Returns:
      A `Start(step, state)`. `step(symbols, state)` takes the last symbols
      `[R]` int32 and the decoder's state, and returns the logits `[R, V]` of
      the next symbols and the next state. R is B times any number of beams; the
      beams of an example are adjacent rows. `state` is the initial state, a
      tuple of an `LSTMState` `[B, U]` for each layer.

    Raises:
      ArgumentError: if the number of `Encoded` is not that of the sources.
    """
    encoded = self._list(encoded)
    with tf1.name_scope(name):
      memories = self._memories(encoded)
      state = tuple(self._initial(encoded))
      batch_size = tf1.shape(encoded[0].lengths)[0]

    def step(symbols, state):
      with tf1.name_scope("step"):
        output, following = self._target_table(symbols), []
        for layer, before in zip(self._decoder, state):
          output, after = layer.cell(output, before)
          following.append(after)
        # Beams are treated as further queries to the memory of their example.
        beams = tf1.shape(symbols)[0] // tf1.maximum(batch_size, 1)
        depth = tf1.dimension_value(output.shape[1])
        queries = tf1.reshape(output, [batch_size, beams, depth])
        logits = self._read_out(queries, memories).logits
        return tf1.reshape(logits, [-1, self.target_size]), tuple(following)

    return Start(step, state)

  @errors.named("AttentionModel")
  def take(self, reads: Mapping[str, tf1.Tensor]) -> List[encoders.Encoded]:
    """Returns an `Encoded` for each source from what a decoder reads.

    Args:
      reads: the outputs of the encoders by their names in `reads_of`.

    Returns:
      A list of `Encoded`, in the order of the sources.

    Raises:
      ArgumentError: if the reads are not those of as many sources.
    """
    fields = encoders.Encoded._fields
    names = [
      [attention_pieces.read_name(field, k, self.sources) for field in fields]
      for k in range(self.sources)
    ]
    if sorted(sum(names, [])) != sorted(reads):
      raise errors.ArgumentError(
        f"a decoder of {self.sources} sources reads "
        f"{sum(names, [])}, got {list(reads)}. Pass reads=reads_of(...) with "
        "the name of each source's encoder."
      )
    return [encoders.Encoded(*map(reads.get, source)) for source in names]

  def _batch_size(self, encoded):
    return tf1.shape(self._list(encoded)[0].lengths)[0]


def _side_by_side(tensors):
  return tensors[0] if len(tensors) == 1 else tf1.concat(tensors, 1)

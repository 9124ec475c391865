"""The legacy attention model in two parts, encoder and decoder.

Together the parts compute the same as `models.embedding_attention_seq2seq`,
with the same variables. Two tensors pass between them. The decoder need not
know their lengths, so each part can have its own graphs.
"""

from __future__ import annotations

from typing import List, Mapping, NamedTuple, Optional, Sequence, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks
from tangle.seq2seq import searching
from tangle.seq2seq.legacy import (
  base,
  decoders,
  encoders,
  feeding,
  losses,
  scopes,
  tutorial,
  wrappers,
)


class Encoded(NamedTuple):
  """The outputs of an encoder that a decoder reads.

  Attributes:
    attention_states: `[B, T, D]`, the outputs at all steps, including padding.
    state: `[B, Q]`, the parts of the final state, concatenated: layer by layer,
      for an LSTM c before h.
  """

  attention_states: tf1.Tensor
  state: tf1.Tensor


class Decoded(NamedTuple):
  """The outputs of a decoder.

  Attributes:
    outputs: list of S outputs `[B, V]`, or `[B, O]` with an output projection.
    state: the final state, in the structure of the cell's.
  """

  outputs: List[tf1.Tensor]
  state: hints.Nest


class AttentionModel(searching.Searchable):
  """Settings of a legacy attention model, and its two parts.

  It holds no variables: they are created, or reused, below `scope` in the
  variable scope of each call. So a model can be called in several graphs, and
  it shares its variables with `models.embedding_attention_seq2seq` in the same
  scope.

  Greedy search finds the symbols of `decode` with `feed_previous`, up to EOS.

  Attributes:
    cell: the cell.
    dtype: the `tf.DType` of variables and outputs.
    output_projection: the `tutorial.OutputProjection`, or None.
  """

  @errors.named("AttentionModel")
  def __init__(
    self,
    cell: base.Cell,
    num_encoder_symbols: int,
    num_decoder_symbols: int,
    embedding_size: int,
    num_heads: int = 1,
    output_projection: Optional[tutorial.OutputProjection] = None,
    initial_state_attention: bool = False,
    share_cell: bool = False,
    dtype: hints.Dtype = tf1.float32,
    scope: str = "embedding_attention_seq2seq",
  ) -> None:
    """Sets the model up; makes neither ops nor variables.

    Args:
      cell: a legacy cell; encoder and decoder each have their own variables,
        unless `share_cell`.
      num_encoder_symbols: number of source symbols.
      num_decoder_symbols: V, number of target symbols.
      embedding_size: depth of both tables.
      num_heads: number of attention heads.
      output_projection: a `tutorial.OutputProjection`; None for a decoder that
        returns logits.
      initial_state_attention: whether the first contexts come from the
        encoder's final state; zeros if not.
      share_cell: whether the decoder has the encoder's variables, see `models`.
      dtype: float type.
      scope: variable scope of the model.

    Raises:
      ArgumentError: if `cell` is not a legacy cell, a number is not a positive
        integer, or `output_projection` is of another class, such as a pair.
      DtypeError: if `dtype` is not a float type.
      ShapeError: if `output_projection` is for other sizes.
    """
    base.check_cell(cell)
    check = checks.check_positive
    self.cell = cell
    self.dtype = checks.to_float("dtype", dtype)
    self._sources = check("num_encoder_symbols", num_encoder_symbols)
    self._targets = check("num_decoder_symbols", num_decoder_symbols)
    self._embedding_size = check("embedding_size", embedding_size)
    self._num_heads = check("num_heads", num_heads)
    self._initial_state_attention = initial_state_attention
    self._share_cell = share_cell
    self._scope = scope
    self.output_projection = output_projection
    if output_projection is not None:
      self._check_projection(output_projection)

  def _check_projection(self, projection):
    if not isinstance(projection, tutorial.OutputProjection):
      raise errors.ArgumentError(
        f"output_projection must be a tutorial.OutputProjection, got "
        f"{projection!r}. A pair of tensors is for the functions in models."
      )
    found = [projection.size, projection.num_symbols]
    expected = [self.cell.output_size, self._targets]
    if found != expected:
      raise errors.ShapeError(
        f"output_projection must map depth {expected[0]} of the cell "
        f"to {expected[1]} symbols, got one from {found[0]} to {found[1]}. "
        "Make it with those sizes."
      )

  @errors.named("encode")
  def encode(self, source: hints.Value, name: str = "encode") -> Encoded:
    """Encodes a batch.

    Args:
      source: `[B, T]` int ids; T must be known. Padding is read like any
        symbol; in the tutorial it comes before the reversed source.
      name: name scope of the new ops.

    Returns:
      An `Encoded`.

    Raises:
      ArgumentError: if `source` is None, or a variable has another shape.
      DtypeError: if `source` does not contain integers.
      GraphError: if `source` is from another graph, or eager execution is on.
      ShapeError: if `source` is not of rank 2, or T is unknown or 0.
    """
    opened = scopes.reusing(self._scope, self.dtype)
    with tf1.name_scope(name), opened:
      outputs, state, _ = encoders.embedding_encoder(
        unstack("source", source),
        self.cell,
        self._sources,
        self._embedding_size,
        self.dtype,
      )
      parts = tf1.nest.flatten(state)
      joined = parts[0] if len(parts) == 1 else tf1.concat(parts, 1)
      return Encoded(tf1.stack(outputs, 1), joined)

  @errors.named("decode")
  def decode(
    self,
    encoded: Encoded,
    inputs: hints.Value,
    feed_previous: Union[bool, tf1.Tensor] = False,
    name: str = "decode",
  ) -> Decoded:
    """Decodes a batch.

    Args:
      encoded: an `Encoded`; the number of its steps may be unknown.
      inputs: `[B, S]` int ids, GO first; S must be known.
      feed_previous: whether each symbol but the first is the argmax of the
        previous output: a bool or a scalar bool tensor.
      name: name scope of the new ops.

    Returns:
      A `Decoded`.

    Raises:
      ArgumentError, GraphError: as `encode`.
      DtypeError: if `inputs` are not ints, `feed_previous` is not a bool, or
        `encoded` is not of the model's dtype.
      ShapeError: if `inputs` is not of rank 2, S is unknown or 0, `encoded` has
        another depth than the cell, or `feed_previous` is not a scalar.
    """
    scopes.check_graph_mode()
    with tf1.name_scope(name):
      inputs = unstack("inputs", inputs)
      pair = None if feed_previous is False else self._pair()
      with scopes.reusing(self._scope, self.dtype):
        found = decoders.embedding_attention_decoder(
          inputs,
          output_projection=pair,
          feed_previous=feed_previous,
          update_embedding_for_previous=feeding.updates(feed_previous),
          **self._decoder_settings(encoded),
        )
      return Decoded(*found)

  def _pair(self):
    """Returns the projection or None; not to be called in a model's scope."""
    return self.output_projection and self.output_projection.pair()

  def _decoder_settings(self, encoded):
    """Returns the decoders' arguments; to be called in the model's scope."""
    cell, output_size = self.cell, None
    if self._share_cell:
      with scopes.inner("rnn"):
        cell = wrappers.Placed(cell, encoders.cell_place())
    if self.output_projection is None:
      output_size = self._targets
      cell = wrappers.OutputProjectionWrapper(cell, output_size)
    return {
      "initial_state": self._split(encoded.state),
      "attention_states": encoded.attention_states,
      "cell": cell,
      "num_symbols": self._targets,
      "embedding_size": self._embedding_size,
      "num_heads": self._num_heads,
      "output_size": output_size,
      "initial_state_attention": self._initial_state_attention,
    }

  def _split(self, state):
    """Returns a state `[B, Q]` in the structure of the cell's."""
    sizes = tf1.nest.flatten(self.cell.state_size)
    state = checks.convert_floats("state", state, self.dtype)
    if not state.shape.is_compatible_with([None, sum(sizes)]):
      raise errors.ShapeError(
        f"state must be [B, {sum(sizes)}], got "
        f"{checks.describe(state)}. Encode and decode with one model."
      )
    parts = [state] if len(sizes) == 1 else tf1.split(state, sizes, 1)
    return tf1.nest.pack_sequence_as(self.cell.state_size, parts)

  @errors.named("start")
  def start(self, encoded: Encoded, name: str = "start") -> searching.Start:
    """Prepares a search over the outputs of an encoder.

    Args:
      encoded: an `Encoded`; the number of its steps may be unknown.
      name: name scope of the new ops.

    Returns:
      An `searching.Start(step, state)`. `step(symbols, state)` takes the
      last symbols `[R]` int32 and the decoder's state, and returns the logits
      `[R, V]` of the next symbols and the next state. R is B times any number
      of beams; the beams of an example are adjacent rows. `state` is the
      initial state: a list with one context `[B, D]` per head, and the cell's
      state.

    Raises:
      ArgumentError, GraphError: as `encode`.
      DtypeError: if `encoded` is not of the model's dtype.
      ShapeError: if `encoded` does not have the cell's depth.
    """
    scopes.check_graph_mode()
    with tf1.name_scope(name):
      pair = self._pair()
      with scopes.reusing(self._scope, self.dtype):
        advance, state = decoders.embedding_attention_start(
          **self._decoder_settings(encoded)
        )

    def step(symbols, state):
      with tf1.name_scope("step"):
        output, state = advance(symbols, state)
        return _project(output, pair), state

    return searching.Start(step, state)

  @errors.named("AttentionModel")
  def take(self, reads: Mapping[str, tf1.Tensor]) -> Encoded:
    """Returns an `Encoded` from what a decoder reads.

    Args:
      reads: the outputs of the encoder by the names of `builders.reads`.

    Returns:
      An `Encoded`.

    Raises:
      ArgumentError: if the reads have other names.
    """
    if sorted(reads) != sorted(Encoded._fields):
      raise errors.ArgumentError(
        f"a decoder reads {list(Encoded._fields)}, got "
        f"{list(reads)}. Pass reads=builders.reads(encoder)."
      )
    return Encoded(**reads)

  def _batch_size(self, encoded):
    return tf1.shape(encoded.state)[0]

  def logits(self, outputs: Sequence[tf1.Tensor]) -> List[tf1.Tensor]:
    """Maps outputs of the decoder to logits.

    Without `output_projection` they are logits already, and no op is added.

    Args:
      outputs: list of S outputs, as in `Decoded`.

    Returns:
      A list of S logits `[B, V]`.
    """
    pair = self._pair()
    return [_project(output, pair) for output in outputs]

  @property
  def softmax_loss_function(self) -> Optional[losses.LossFunction]:
    """`output_projection.loss` for `losses.sequence_loss`; None without one."""
    return self.output_projection and self.output_projection.loss


def _project(output, pair):
  return output if pair is None else tf1.nn.xw_plus_b(output, *pair)


def unstack(argument: str, batch: hints.Value) -> List[tf1.Tensor]:
  """Splits batch-major ids into steps.

  Args:
    argument: the argument's name, for messages.
    batch: `[B, T]` int; T must be known.

  Returns:
    A list of T int tensors `[B]`.

  Raises:
    ArgumentError: if it is None.
    DtypeError: if it does not contain integers.
    GraphError: if it is from another graph.
    ShapeError: if it is not of rank 2, or T is unknown or 0.
  """
  batch = checks.convert_ints(argument, batch)
  checks.check_rank(argument, batch, (2,))
  if not tf1.dimension_value(batch.shape[1]):
    raise errors.ShapeError(
      f"{argument} must be [B, T] with T known and positive, got "
      f"{checks.describe(batch)}. The graph has its own copy of the cell for "
      "each step: make a placeholder for each bucket."
    )
  return tf1.unstack(batch, axis=1)

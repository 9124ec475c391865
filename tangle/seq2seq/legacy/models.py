"""Encoder-decoders of `tf.contrib.legacy_seq2seq`, with contrib's arguments.

Inputs are time-major: lists of `[B]` or `[B, D]` tensors. The encoder runs over
every input, including padding: there are no lengths. (The translate tutorial
reverses the source and puts padding in front, so that it is read first.)

A second call in one graph creates new variables. Under the same names this
raises `ArgumentError`, unless the enclosing variable scope has reuse on.

All functions with a separate encoder and decoder take `share_cell`, which
contrib does not have. On 1.15 contrib copies the cell for the encoder, which
fails after the cell's first call, that is, in the second bucket. The usual
workaround was a `__deepcopy__` of the cell's class that returns the cell
itself; encoder and decoder then share its variables, under the encoder's names.
`share_cell=True` loads the checkpoints of such code.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks
from tangle.seq2seq.legacy import (
  base,
  decoders,
  encoders,
  feeding,
  scopes,
  wrappers,
)


@errors.named("basic_rnn_seq2seq")
def basic_rnn_seq2seq(
  encoder_inputs: Sequence[tf1.Tensor],
  decoder_inputs: Sequence[tf1.Tensor],
  cell: base.Cell,
  dtype: tf1.DType = tf1.float32,
  scope: Union[str, tf1.VariableScope, None] = None,
  share_cell: bool = False,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Encodes a sequence as a cell's final state, and decodes from there.

  Source: `tf.contrib.legacy_seq2seq.basic_rnn_seq2seq` 1.15.

  Args:
    encoder_inputs: T tensors `[B, D]`.
    decoder_inputs: S tensors `[B, E]`.
    cell: a legacy cell; encoder and decoder each have their own variables,
      unless `share_cell`. O is its `output_size`.
    dtype: float type, that of the inputs.
    scope: variable and name scope; `basic_rnn_seq2seq` for None.
    share_cell: whether the decoder uses the encoder's variables.

  Returns:
    A list of S outputs `[B, O]`, and the decoder's final state.

  Raises:
    ArgumentError: if there are no inputs, `cell` is not a legacy cell, or a
      variable exists and the scope does not reuse it.
    DtypeError: if inputs are not floats.
    GraphError: if a tensor is from another graph, or eager execution is on.
    ShapeError: if an input is not of rank 2, or its depth is unknown or differs
      from the others'.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "basic_rnn_seq2seq"):
    scopes.check_list("decoder_inputs", decoder_inputs)
    with tf1.variable_scope("rnn") as place:
      state = encoders.encoder(encoder_inputs, cell, dtype)
    if share_cell:
      cell = wrappers.Placed(cell, place)
    return decoders.rnn_decoder(decoder_inputs, state, cell)


@errors.named("tied_rnn_seq2seq")
def tied_rnn_seq2seq(
  encoder_inputs: Sequence[tf1.Tensor],
  decoder_inputs: Sequence[tf1.Tensor],
  cell: base.Cell,
  loop_function: Optional[decoders.LoopFunction] = None,
  dtype: tf1.DType = tf1.float32,
  scope: Union[str, tf1.VariableScope, None] = None,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Encodes a sequence as a cell's final state, and decodes with that cell.

  Source: `tf.contrib.legacy_seq2seq.tied_rnn_seq2seq` 1.15.

  Args:
    encoder_inputs: T tensors `[B, D]`.
    decoder_inputs: S tensors `[B, D]`.
    cell: a cell, whose variables encoder and decoder share.
    loop_function: function of an output `[B, O]` and the step, from 1, which
      returns the decoder's next input `[B, D]`; then only the first of
      `decoder_inputs` is read, and S is their number. None to read all of them.
    dtype: float type, that of the inputs.
    scope: variable and name scope below `combined_tied_rnn_seq2seq`;
      `tied_rnn_seq2seq` for None.

  Returns:
    A list of S outputs `[B, O]`, and the final state.

  Raises:
    ArgumentError, DtypeError, GraphError: as `basic_rnn_seq2seq`.
    ShapeError: if an input is not of rank 2, or its depth is unknown or differs
      from that of any other, of the encoder or the decoder.
  """
  base.check_cell(cell)
  with scopes.opened(None, "combined_tied_rnn_seq2seq"):
    with tf1.variable_scope(scope or "tied_rnn_seq2seq"):
      inputs, depth = scopes.check_vectors("decoder_inputs", decoder_inputs)
      encoder_inputs, encoder_depth = scopes.check_vectors(
        "encoder_inputs", encoder_inputs
      )
      if depth != encoder_depth:
        raise errors.ShapeError(
          f"decoder_inputs must be of the depth of encoder_inputs, "
          f"{encoder_depth}, as one cell reads both, got depth {depth}. Use "
          "basic_rnn_seq2seq for inputs of two kinds."
        )
      step = cell.bind(depth, tf1.as_dtype(dtype))
      state = encoders.zero_state(cell, encoder_inputs, dtype)
      feed = feeding.given(encoder_inputs)
      _, state = decoders.unroll(step, feed, len(encoder_inputs), state)
      feed = feeding.looped(inputs, loop_function)
      return decoders.unroll(step, feed, len(inputs), state)


@errors.named("embedding_rnn_seq2seq")
def embedding_rnn_seq2seq(
  encoder_inputs: Sequence[tf1.Tensor],
  decoder_inputs: Sequence[tf1.Tensor],
  cell: base.Cell,
  num_encoder_symbols: int,
  num_decoder_symbols: int,
  embedding_size: int,
  output_projection: Optional[decoders.Projection] = None,
  feed_previous: Union[bool, tf1.Tensor] = False,
  dtype: Optional[tf1.DType] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
  share_cell: bool = False,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Encodes symbols as a cell's final state, and decodes symbols from there.

  Source: `tf.contrib.legacy_seq2seq.embedding_rnn_seq2seq` 1.15.

  Args:
    encoder_inputs: T int tensors `[B]`.
    decoder_inputs: S int tensors `[B]`.
    cell: a legacy cell; encoder and decoder each have their own variables,
      unless `share_cell`. O is its `output_size`.
    num_encoder_symbols: number of source symbols.
    num_decoder_symbols: V, number of target symbols.
    embedding_size: depth of both tables.
    output_projection: a pair of weights `[O, V]` and biases `[V]`: outputs are
      the cell's, and `feed_previous` projects them. None for logits `[B, V]`.
    feed_previous: whether each symbol but the first is the argmax of the
      previous output: a bool or a scalar bool tensor. With a tensor, no
      gradient flows to the table from symbols that were fed back.
    dtype: float type; that of the enclosing variable scope for None.
    scope: variable and name scope; `embedding_rnn_seq2seq` for None.
    share_cell: whether the decoder uses the encoder's variables.

  Returns:
    A list of S outputs, `[B, V]` or `[B, O]`, and the decoder's final state.

  Raises:
    ArgumentError: if there are no inputs, `cell` is not a legacy cell, a size
      is not a positive integer, `output_projection` is not a pair, or a
      variable exists and the scope does not reuse it.
    DtypeError: if inputs are not ints, `feed_previous` is not a bool, or
      `output_projection` has another dtype than the variables.
    GraphError: if a tensor is from another graph, or eager execution is on.
    ShapeError: if an input is not of rank 1, `feed_previous` is not a scalar,
      or `output_projection` has another shape.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "embedding_rnn_seq2seq", dtype) as found:
    _, settings = _encode_symbols(
      (encoder_inputs, decoder_inputs),
      cell,
      (num_encoder_symbols, num_decoder_symbols, embedding_size),
      output_projection,
      feed_previous,
      share_cell,
      found.dtype,
    )
    return decoders.embedding_rnn_decoder(**settings)


def _encode_symbols(
  inputs,
  cell,
  sizes,
  output_projection,
  feed_previous,
  share_cell,
  dtype,
):
  """Checks arguments, and encodes symbols.

  Returns:
    The encoder's outputs, and a dict of arguments for the decoder.
  """
  encoder_inputs, decoder_inputs = inputs
  num_encoder_symbols, num_decoder_symbols, embedding_size = sizes
  feeding.check_decoder(decoder_inputs, num_decoder_symbols, embedding_size)
  feed_previous = feeding.check_feed_previous(feed_previous)
  output_projection = feeding.check_projection(
    output_projection, cell.output_size, num_decoder_symbols, dtype
  )
  outputs, state, place = encoders.embedding_encoder(
    encoder_inputs, cell, num_encoder_symbols, embedding_size, dtype
  )
  if share_cell:
    cell = wrappers.Placed(cell, place)
  if output_projection is None:
    cell = wrappers.OutputProjectionWrapper(cell, num_decoder_symbols)
  return outputs, {
    "decoder_inputs": decoder_inputs,
    "initial_state": state,
    "cell": cell,
    "num_symbols": num_decoder_symbols,
    "embedding_size": embedding_size,
    "output_projection": output_projection,
    "feed_previous": feed_previous,
    "update_embedding_for_previous": feeding.updates(feed_previous),
  }


@errors.named("embedding_tied_rnn_seq2seq")
def embedding_tied_rnn_seq2seq(
  encoder_inputs: Sequence[tf1.Tensor],
  decoder_inputs: Sequence[tf1.Tensor],
  cell: base.Cell,
  num_symbols: int,
  embedding_size: int,
  num_decoder_symbols: Optional[int] = None,
  output_projection: Optional[decoders.Projection] = None,
  feed_previous: Union[bool, tf1.Tensor] = False,
  dtype: Optional[tf1.DType] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Encodes and decodes symbols with one table and one cell.

  Source: `tf.contrib.legacy_seq2seq.embedding_tied_rnn_seq2seq` 1.15. As there,
  `scope` does not rename the scope of the cell, which is always
  `combined_tied_rnn_seq2seq/tied_rnn_seq2seq` below it.

  Args:
    encoder_inputs: T int tensors `[B]`.
    decoder_inputs: S int tensors `[B]`.
    cell: a cell, whose variables encoder and decoder share.
    num_symbols: number of symbols of both sides.
    embedding_size: E, depth of the table.
    num_decoder_symbols: V, if only the first V symbols are to be decoded;
      `num_symbols` for None. Not used with an `output_projection`.
    output_projection: a pair of weights `[O, num_symbols]` and biases
      `[num_symbols]`: outputs are the cell's, and `feed_previous` projects
      them. None for logits `[B, V]`.
    feed_previous, dtype: as for `embedding_rnn_seq2seq`.
    scope: variable and name scope; `embedding_tied_rnn_seq2seq` for None.

  Returns:
    A list of S outputs, `[B, V]` or `[B, O]`, and the final state.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as
      `embedding_rnn_seq2seq`.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "embedding_tied_rnn_seq2seq", dtype) as found:
    ids = feeding.check_decoder(decoder_inputs, num_symbols, embedding_size)
    source = scopes.check_ids("encoder_inputs", encoder_inputs)
    feed_previous = feeding.check_feed_previous(feed_previous)
    projection = feeding.check_projection(
      output_projection, cell.output_size, num_symbols, found.dtype
    )
    if projection is None:
      size = num_symbols if num_decoder_symbols is None else num_decoder_symbols
      cell = wrappers.OutputProjectionWrapper(cell, size)
    table = scopes.make_variable(
      "embedding", [num_symbols, embedding_size], found.dtype
    )
    feed = feeding.embedded(
      table, ids, feed_previous, projection, feeding.updates(feed_previous)
    )
    with tf1.variable_scope("combined_tied_rnn_seq2seq"):
      with tf1.variable_scope("tied_rnn_seq2seq"):
        step = cell.bind(embedding_size, found.dtype)
        state = encoders.zero_state(cell, source, found.dtype)
        source_feed = feeding.embedded(table, source, False)
        _, state = decoders.unroll(step, source_feed, len(source), state)
        return decoders.unroll(step, feed, len(ids), state)


@errors.named("embedding_attention_seq2seq")
def embedding_attention_seq2seq(
  encoder_inputs: Sequence[tf1.Tensor],
  decoder_inputs: Sequence[tf1.Tensor],
  cell: base.Cell,
  num_encoder_symbols: int,
  num_decoder_symbols: int,
  embedding_size: int,
  num_heads: int = 1,
  output_projection: Optional[decoders.Projection] = None,
  feed_previous: Union[bool, tf1.Tensor] = False,
  dtype: Optional[tf1.DType] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
  initial_state_attention: bool = False,
  share_cell: bool = False,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Encodes symbols, and decodes symbols attending to the encoder's outputs.

  Without `output_projection`, the cell's output is mapped to V numbers, and
  these, with the contexts, are mapped to V numbers again, as in contrib and its
  checkpoints.

  Source: `tf.contrib.legacy_seq2seq.embedding_attention_seq2seq` 1.15, after
  Vinyals et al. 2015, "Grammar as a Foreign Language".

  Args:
    encoder_inputs: T int tensors `[B]`.
    decoder_inputs: S int tensors `[B]`.
    num_heads: number of attention heads, at least 1.
    scope: variable and name scope; `embedding_attention_seq2seq` for None.
    initial_state_attention: whether the first contexts come from the encoder's
      final state; zeros if not.
    cell, num_encoder_symbols, num_decoder_symbols, embedding_size: as for
      `embedding_rnn_seq2seq`.
    output_projection, feed_previous, dtype, share_cell: as there.

  Returns:
    A list of S outputs, `[B, V]` or `[B, O]`, and the decoder's final state.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as
      `embedding_rnn_seq2seq`.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "embedding_attention_seq2seq", dtype) as found:
    checks.check_positive("num_heads", num_heads)
    outputs, settings = _encode_symbols(
      (encoder_inputs, decoder_inputs),
      cell,
      (num_encoder_symbols, num_decoder_symbols, embedding_size),
      output_projection,
      feed_previous,
      share_cell,
      found.dtype,
    )
    return decoders.embedding_attention_decoder(
      attention_states=tf1.stack(outputs, 1),
      num_heads=num_heads,
      output_size=num_decoder_symbols if output_projection is None else None,
      initial_state_attention=initial_state_attention,
      **settings,
    )

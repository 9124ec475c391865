"""Decoders of `tf.contrib.legacy_seq2seq`, with contrib's arguments.

They run over time-major inputs, from an initial state. The attention decoders
take any memory `[B, T, D]`, even with unknown T, so that a decoder can be cut
off from its encoder.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks, half
from tangle.seq2seq.legacy import attention, base, feeding, scopes

LoopFunction = Callable[[tf1.Tensor, int], tf1.Tensor]
"""A function of an output and the step, from 1, to the next input."""

Projection = Tuple[hints.Value, hints.Value]
"""The weights `[O, V]` and the biases `[V]` of an output projection."""


@errors.named("rnn_decoder")
def rnn_decoder(
  decoder_inputs: Sequence[tf1.Tensor],
  initial_state: hints.Nest,
  cell: base.Cell,
  loop_function: Optional[LoopFunction] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Runs a cell over inputs, from an initial state.

  Source: `tf.contrib.legacy_seq2seq.rnn_decoder` 1.15.

  Args:
    decoder_inputs: T tensors `[B, D]`.
    initial_state: state of the cell.
    cell: a cell.
    loop_function: function of an output `[B, O]` and the step, from 1, which
      returns the next input `[B, D]`; then only the first of `decoder_inputs`
      is read, and T is their number. None to read all of them.
    scope: variable and name scope; `rnn_decoder` for None.

  Returns:
    A list of T outputs `[B, O]`, and the final state.

  Raises:
    ArgumentError: if there are no inputs, `cell` is not a legacy cell,
      `initial_state` has another structure than its state, or a variable exists
      and the scope does not reuse it.
    DtypeError: if inputs are not floats.
    GraphError: if a tensor is from another graph, or eager execution is on.
    ShapeError: if inputs or state are of the wrong rank or depth.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "rnn_decoder"):
    inputs, depth = scopes.check_vectors("decoder_inputs", decoder_inputs)
    state = base.check_state("initial_state", initial_state, cell)
    step = cell.bind(depth, inputs[0].dtype.base_dtype)
    feed = feeding.looped(inputs, loop_function)
    return unroll(step, feed, len(inputs), state)


def unroll(
  step: Callable[[Any, Any], Tuple[Any, Any]],
  feed: Callable[[int, Any], Any],
  count: int,
  state: hints.Nest,
) -> Tuple[List[Any], hints.Nest]:
  """Adds the ops of T steps to the graph, one copy of the step after another.

  Step k, from 0 to T - 1, computes

      inputs[k] = feed(k, outputs[k - 1])  # None in place of outputs[-1]
      outputs[k], state = step(inputs[k], state)

  It checks nothing, and an error of `step` or `feed` reaches the caller.

  Args:
    step: a function of an input `[B, D]` and a state, which returns an output
      `[B, O]` and the next state, such as the result of `Cell.bind`.
    feed: a function of the step number k, a Python int, and the output of the
      step before, `None` at k = 0. It returns the input `[B, D]`. The functions
      of `feeding` make such functions.
    count: T, at least 0.
    state: the state before the first step: a tensor `[B, Q]` or a structure of
      such tensors.

  Returns:
    A list of T outputs `[B, O]`, and the state after the last step; for T = 0
    an empty list and `state`.
  """
  outputs, previous = [], None
  for k in range(count):
    previous, state = step(feed(k, previous), state)
    outputs.append(previous)
  return outputs, state


@errors.named("embedding_rnn_decoder")
def embedding_rnn_decoder(
  decoder_inputs: Sequence[tf1.Tensor],
  initial_state: hints.Nest,
  cell: base.Cell,
  num_symbols: int,
  embedding_size: int,
  output_projection: Optional[Projection] = None,
  feed_previous: Union[bool, tf1.Tensor] = False,
  update_embedding_for_previous: bool = True,
  scope: Union[str, tf1.VariableScope, None] = None,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Runs a cell over symbols, given or predicted.

  Source: `tf.contrib.legacy_seq2seq.embedding_rnn_decoder` 1.15.

  Args:
    decoder_inputs: T int tensors `[B]`.
    initial_state: state of the cell.
    cell: a cell.
    num_symbols: V.
    embedding_size: E.
    output_projection: a pair of weights `[O, V]` and biases `[V]`, for
      `feed_previous`; None if the cell's outputs are logits.
    feed_previous: whether each symbol but the first is the argmax of the
      previous output: a bool or a scalar bool tensor.
    update_embedding_for_previous: whether gradients flow to the table from
      symbols that were fed back.
    scope: variable and name scope; `embedding_rnn_decoder` for None.

  Returns:
    A list of T outputs `[B, O]`, and the final state.

  Raises:
    ArgumentError: as `rnn_decoder`; or if a size is not a positive integer, or
      `output_projection` is not a pair.
    DtypeError: if inputs are not ints, `feed_previous` is not a bool, or
      `output_projection` has another dtype than the variable scope.
    GraphError: if a tensor is from another graph, or eager execution is on.
    ShapeError: if an input is not of rank 1, `feed_previous` is not a scalar,
      or `output_projection` or the state has another shape.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "embedding_rnn_decoder") as found:
    state = base.check_state("initial_state", initial_state, cell)
    ids, feed = _feed_symbols(
      decoder_inputs,
      (num_symbols, embedding_size, cell.output_size),
      output_projection,
      feed_previous,
      update_embedding_for_previous,
      found.dtype,
    )
    with tf1.variable_scope("rnn_decoder"):
      step = cell.bind(embedding_size, found.dtype)
      return unroll(step, feed, len(ids), state)


def _feed_symbols(ids, sizes, projection, feed_previous, update, dtype):
  """Makes the table; returns ids and feed function, see `feeding.embedded`."""
  num_symbols, embedding_size, depth = sizes
  ids = feeding.check_decoder(ids, num_symbols, embedding_size)
  feed_previous = feeding.check_feed_previous(feed_previous)
  projection = feeding.check_projection(projection, depth, num_symbols, dtype)
  table = scopes.make_variable(
    "embedding", [num_symbols, embedding_size], dtype
  )
  feed = feeding.embedded(table, ids, feed_previous, projection, update)
  return ids, feed


@errors.named("attention_decoder")
def attention_decoder(
  decoder_inputs: Sequence[tf1.Tensor],
  initial_state: hints.Nest,
  attention_states: tf1.Tensor,
  cell: base.Cell,
  output_size: Optional[int] = None,
  num_heads: int = 1,
  loop_function: Optional[LoopFunction] = None,
  dtype: Optional[tf1.DType] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
  initial_state_attention: bool = False,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Runs a cell over inputs, from an initial state, attending to a memory.

      x = [input, contexts before] kernel + bias
      cell_output, state = cell(x, state before)
      contexts = attention(state), one for each head
      output = [cell_output, contexts] AttnOutputProjection

  Source: `tf.contrib.legacy_seq2seq.attention_decoder` 1.15; for the attention
  see `attention.Heads`.

  Args:
    decoder_inputs: S tensors `[B, E]`.
    initial_state: state of the cell.
    attention_states: `[B, T, D]`; B and T may be unknown.
    cell: a cell.
    output_size: O, depth of the outputs; that of the cell for None.
    num_heads: number of attention heads.
    loop_function: function of an output `[B, O]` and the step, from 1, which
      returns the next input `[B, E]`; then only the first of `decoder_inputs`
      is read, and S is their number. None to read all of them.
    dtype: float type; that of the enclosing variable scope for None.
    scope: variable and name scope; `attention_decoder` for None.
    initial_state_attention: whether the first contexts come from the initial
      state; zeros if not.

  Returns:
    A list of S outputs `[B, O]`, and the final state.

  Raises:
    ArgumentError: as `rnn_decoder`; or if `output_size` or `num_heads` is not a
      positive integer.
    DtypeError: if `attention_states` are of another type than `dtype`, or
      `decoder_inputs` are not floats.
    GraphError: if a tensor is from another graph, or eager execution is on.
    ShapeError: if inputs, states or memory are of the wrong rank or depth, or
      D or E is unknown.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "attention_decoder", dtype) as found:
    inputs, depth = scopes.check_vectors("decoder_inputs", decoder_inputs)
    feed = feeding.looped(inputs, loop_function)
    step = attention.Step(
      cell,
      depth,
      attention_states,
      initial_state,
      output_size,
      num_heads,
      initial_state_attention,
      found.dtype,
    )
    return _decode(step, feed, inputs)


def _decode(step, feed, inputs):
  """Returns a list of outputs, and the final state."""
  start = step.start(tf1.shape(inputs[0])[0])
  outputs, (_, final) = unroll(step, feed, len(inputs), start)
  return outputs, final


@errors.named("embedding_attention_decoder")
def embedding_attention_decoder(
  decoder_inputs: Sequence[tf1.Tensor],
  initial_state: hints.Nest,
  attention_states: tf1.Tensor,
  cell: base.Cell,
  num_symbols: int,
  embedding_size: int,
  num_heads: int = 1,
  output_size: Optional[int] = None,
  output_projection: Optional[Projection] = None,
  feed_previous: Union[bool, tf1.Tensor] = False,
  update_embedding_for_previous: bool = True,
  dtype: Optional[tf1.DType] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
  initial_state_attention: bool = False,
) -> Tuple[List[tf1.Tensor], hints.Nest]:
  """Runs an attention decoder over symbols, given or predicted.

  Source: `tf.contrib.legacy_seq2seq.embedding_attention_decoder` 1.15.

  Args:
    decoder_inputs: S int tensors `[B]`.
    num_symbols, embedding_size, output_projection, feed_previous: as for
      `embedding_rnn_decoder`.
    update_embedding_for_previous: as there.
    initial_state, attention_states, cell, num_heads, output_size, dtype: as for
      `attention_decoder`.
    initial_state_attention: as there.
    scope: variable and name scope; `embedding_attention_decoder` for None.

  Returns:
    A list of S outputs `[B, O]`, and the final state.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as
      `embedding_rnn_decoder` for symbols, sizes and projection, and as
      `attention_decoder` for the memory and the heads.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "embedding_attention_decoder", dtype) as found:
    ids, feed = _feed_symbols(
      decoder_inputs,
      (num_symbols, embedding_size, output_size or cell.output_size),
      output_projection,
      feed_previous,
      update_embedding_for_previous,
      found.dtype,
    )
    with tf1.variable_scope("attention_decoder"):
      step = attention.Step(
        cell,
        embedding_size,
        attention_states,
        initial_state,
        output_size,
        num_heads,
        initial_state_attention,
        found.dtype,
      )
      return _decode(step, feed, ids)


@errors.named("embedding_attention_decoder")
def embedding_attention_start(
  initial_state: hints.Nest,
  attention_states: tf1.Tensor,
  cell: base.Cell,
  num_symbols: int,
  embedding_size: int,
  num_heads: int = 1,
  output_size: Optional[int] = None,
  dtype: Optional[tf1.DType] = None,
  scope: Union[str, tf1.VariableScope, None] = None,
  initial_state_attention: bool = False,
) -> Tuple[
  Callable[[tf1.Tensor, hints.Nest], Tuple[tf1.Tensor, hints.Nest]], hints.Nest
]:
  """Prepares `embedding_attention_decoder` to be run step by step.

  The arguments and variables are those of `embedding_attention_decoder`.

  Args:
    initial_state, attention_states, cell, num_symbols: as there.
    embedding_size, num_heads, output_size, dtype, scope: as there.
    initial_state_attention: as there.

  Returns:
    A function of symbols `[R]` and the previous contexts and state, which
    returns the output `[R, O]` and the next contexts and state; and the initial
    contexts and state, `[B, ...]`. R is B times any number of beams; the beams
    of an example are adjacent rows.

  Raises:
    ArgumentError, DtypeError, GraphError, ShapeError: as
      `embedding_attention_decoder`.
  """
  base.check_cell(cell)
  with scopes.opened(scope, "embedding_attention_decoder", dtype) as found:
    checks.check_positive("num_symbols", num_symbols)
    checks.check_positive("embedding_size", embedding_size)
    table = scopes.make_variable(
      "embedding", [num_symbols, embedding_size], found.dtype
    )
    with tf1.variable_scope("attention_decoder"):
      step = attention.Step(
        cell,
        embedding_size,
        attention_states,
        initial_state,
        output_size,
        num_heads,
        initial_state_attention,
        found.dtype,
      )
      batch_size = tf1.shape(tf1.nest.flatten(initial_state)[0])[0]
      start = step.start(batch_size)

  def advance(symbols, before):
    inputs = half.look_up(table, symbols, tf1.nn.embedding_lookup)
    return step(inputs, before, batch_size)

  return advance, start

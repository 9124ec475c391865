"""Encoders of the legacy models: a cell over all inputs, including padding."""

from tangle.compat import tf1
from tangle.seq2seq.legacy import decoders, feeding, scopes, wrappers


def encoder(encoder_inputs, cell, dtype):
  """Runs a cell over features from a zero state, in the current scope.

  Args:
    encoder_inputs: T tensors `[B, D]`.
    cell: a legacy cell.
    dtype: float type, that of the inputs.

  Returns:
    The final state.

  Raises:
    ArgumentError: if there are no inputs, one is None, or a variable cannot be
      made, see `scopes.make_variable`.
    DtypeError: if an input does not contain floats.
    GraphError: if an input is from another graph.
    ShapeError: if an input is not of rank 2, or D is unknown or differs.
  """
  inputs, depth = scopes.check_vectors("encoder_inputs", encoder_inputs)
  step = cell.bind(depth, tf1.as_dtype(dtype))
  state = zero_state(cell, inputs, dtype)
  return decoders.unroll(step, feeding.given(inputs), len(inputs), state)[1]


def embedding_encoder(encoder_inputs, cell, num_symbols, embedding_size, dtype):
  """Runs a cell over embedded symbols, below `rnn` in the current scope.

  Args:
    encoder_inputs: T int tensors `[B]`.
    cell: a cell.
    num_symbols: number of symbols.
    embedding_size: E, depth of the table.
    dtype: float type.

  Returns:
    A list of T outputs `[B, O]`, the final state, and the variable scope in
    which the cell was bound.

  Raises:
    ArgumentError: if there are no inputs, one is None, `cell` is not a legacy
      cell, a size is not a positive integer, or a variable cannot be made, see
      `scopes.make_variable`.
    DtypeError: if an input is neither int32 nor int64.
    GraphError: if an input is from another graph.
    ShapeError: if an input is not of rank 1.
  """
  ids = scopes.check_ids("encoder_inputs", encoder_inputs)
  wrapper = wrappers.EmbeddingWrapper(cell, num_symbols, embedding_size)
  with tf1.variable_scope("rnn"):
    place = cell_place()
    table, step = wrapper.bind_parts(dtype)
    state = zero_state(cell, ids, dtype)
    feed = feeding.embedded(table, ids, False)
    outputs, state = decoders.unroll(step, feed, len(ids), state)
  return outputs, state, place


def cell_place():
  """Returns the scope of the encoder's cell; to be called within `rnn`.

  Returns:
    A `tf1.VariableScope`.
  """
  with scopes.inner("embedding_wrapper") as place:
    return place


def zero_state(cell, inputs, dtype):
  """Returns a zero state for the batch size of the inputs.

  Args:
    cell: a cell.
    inputs: tensors `[B, ...]`, at least one; B is that of the first in which it
      is static, otherwise read in the run.
    dtype: float type.

  Returns:
    A state of the cell, each part `[B, size]`.
  """
  sizes = [tf1.dimension_value(tensor.shape[0]) for tensor in inputs]
  known = [size for size in sizes if size is not None]
  return cell.zero_state(known[0] if known else tf1.shape(inputs[0])[0], dtype)

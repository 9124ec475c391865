"""Recurrent layers over whole sequences, batch-major.

A layer runs one cell along the time axis. `composites` combines layers.

Lengths: a layer ignores the steps beyond an example's length, whatever the
padding holds. There its outputs are zero, and its final state is the state
after the example's last real step. Inputs in the padding are set to zero first,
so that not even a NaN has an effect, forward or backward.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from tangle import compat, errors, hints
from tangle.compat import tf1
from tangle.nets import arrays, cells, checks, fused_gru, fused_lstm


class RecurrentResult(NamedTuple):
  """Result of a layer: `outputs` [B, T, U], and the final `state`.

  The structure of `state` is that of the layer's `initial_state`.
  """

  outputs: tf1.Tensor
  state: hints.Nest


class RecurrentLayer:
  """Runs a cell over the steps of a sequence, unrolled.

  The layer has the variables and the name of the cell. The graph has one copy
  of the cell per step, so T must be known.

  Attributes:
    cell: the cell, for single steps with the same variables.
    reverse: whether the layer runs from the last step to the first.
  """

  def __init__(self, cell: cells.Cell, reverse: bool = False) -> None:
    """Sets up the layer; makes neither ops nor variables.

    Args:
      cell: a cell, such as `LSTMCell`.
      reverse: whether to run each example from its last real step to its
        first. Outputs are in the order of the inputs in either case.
    """
    self.cell = cell
    self.reverse = bool(reverse)

  @property
  def name(self) -> str:
    """The name of the cell."""
    return self.cell.name

  @property
  def dtype(self) -> tf1.DType:
    """The dtype of variables, inputs and outputs."""
    return self.cell.dtype

  @property
  def units(self) -> int:
    """U, depth of the outputs."""
    return self.cell.units

  @property
  def variables(self) -> List[hints.Variable]:
    """The variables in order of creation; none before the first call."""
    return self.cell.variables

  @errors.named("{self.name}")
  def __call__(
    self,
    inputs: hints.Value,
    lengths: Optional[hints.Value] = None,
    initial_state: hints.Nest = None,
    name: Optional[str] = None,
  ) -> RecurrentResult:
    """Runs the layer over a batch of sequences.

    Args:
      inputs: `[B, T, D]`, D the same at every call.
      lengths: `[B]` int, each from 0 to T; None if all are T.
      initial_state: state before the first step, as `cell.zero_state` returns
        it; zeros for None.
      name: name scope of the new ops; the layer's name for None.

    Returns:
      A `RecurrentResult`: outputs `[B, T, U]`, zero beyond `lengths`; and the
      state after the last step of each example, or the initial one for length
      0.

    Raises:
      ShapeError: if `inputs` is not of rank 3 or `lengths` not of rank 1, D is
        unknown or differs from that of the first call, T is zero, T is unknown
        in a layer other than `LSTM` or in float64, or a part of `initial_state`
        is not `[B, U]`.
      ArgumentError: if `inputs` is None, `initial_state` does not have the
        parts of the cell's state, or a variable cannot be made, see
        `Network.make_variable`.
      DtypeError: if `inputs` or `initial_state` is not of the layer's dtype, or
        `lengths` are not integers.
      GraphError: if a tensor is from another graph than the layer's variables.
    """
    with self.cell.enter(name):
      inputs = self.cell.check_tensor("inputs", inputs, ranks=(3,))
      lengths = checks.check_lengths(lengths)
      self._check_steps(inputs)
      if initial_state is not None:
        initial_state = self.cell.check_state("initial_state", initial_state)
      weights = self.cell.weights(self.cell.check_depth("inputs", inputs))
      inputs = arrays.mask_padding(inputs, lengths)
      if self.reverse:
        inputs = arrays.reverse_sequence(inputs, lengths)
      result = self._run(inputs, lengths, initial_state, weights)
      outputs = arrays.mask_padding(result.outputs, lengths)
      if self.reverse:
        outputs = arrays.reverse_sequence(outputs, lengths)
      return RecurrentResult(outputs, result.state)

  @errors.named("{self.name}")
  def _check_steps(self, inputs):
    steps = tf1.dimension_value(inputs.shape[1])
    if steps is None:
      raise errors.ShapeError(
        f"inputs must have a known number of steps to be "
        f"unrolled, got {checks.describe(inputs)}. Call set_shape on it, or "
        "use a layer that needs none: nets.LSTM in another type than float64."
      )
    if steps == 0:
      raise errors.ShapeError(
        f"inputs must have at least one step, got "
        f"{checks.describe(inputs)}. Pad the batch to one step."
      )

  def _run(self, inputs, lengths, initial_state, weights):
    """Returns outputs, arbitrary beyond `lengths`, and the final state."""
    states = self._unroll(inputs, initial_state, weights)
    outputs = tf1.stack([self.cell.output(s) for s in states], axis=1)
    if lengths is None:
      return RecurrentResult(outputs, states[-1])
    sequences = tf1.nest.map_structure(
      lambda *parts: tf1.stack(parts, axis=1), *states
    )
    return self._end(inputs, outputs, sequences, lengths, initial_state)

  def _unroll(self, inputs, state, weights):
    """Returns the states after each step, with one copy of the cell each."""
    state = self._begin(inputs, state)
    states = []
    for t, x in enumerate(tf1.unstack(inputs, axis=1)):
      with tf1.name_scope(f"step_{t}"):
        state = self.cell.step(x, state, weights)
      states.append(state)
    return states

  def _begin(self, inputs, initial_state):
    """Returns the state before the first step, zeros for None."""
    if initial_state is not None:
      return initial_state
    return self.cell.zero_state(arrays.dimension(inputs, 0))

  def _end(self, inputs, outputs, sequences, lengths, initial_state):
    """Returns the result if the last real step differs between examples."""
    initial_state = self._begin(inputs, initial_state)
    state = arrays.last_state(sequences, lengths, initial_state)
    return RecurrentResult(outputs, state)


class LSTM(RecurrentLayer):
  """A layer of `cells.LSTMCell`.

  The implementation depends on sizes and type, whichever is fastest, see
  `fused_lstm`; results are those of the cell up to rounding. The number of
  steps T of the inputs `[B, T, D]` may be unknown, except in float64. With an
  unknown T, gradients cannot be differentiated again.
  """

  def __init__(
    self,
    units: int,
    forget_bias: float = 1.0,
    reverse: bool = False,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "lstm",
  ) -> None:
    """Sets up the layer; makes neither ops nor variables.

    Args:
      units: U, depth of the outputs.
      forget_bias: number added to the forget gate, on top of `bias`.
      reverse: whether to run each example from its last real step to its
        first. Outputs are in the order of the inputs in either case.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    cell = cells.LSTMCell(units, forget_bias, kernel_initializer, dtype, name)
    super().__init__(cell, reverse)

  def _check_steps(self, inputs):
    steps = tf1.dimension_value(inputs.shape[1])
    if steps is not None or not fused_lstm.has_block(self.dtype):
      super()._check_steps(inputs)

  def _run(self, inputs, lengths, initial_state, weights):
    whole = lengths is not None
    if tf1.dimension_value(inputs.shape[1]) is None:
      return self._run_block(inputs, lengths, initial_state, weights)
    if _in_function_of_1_15():
      return super()._run(inputs, lengths, initial_state, weights)

    def plain(inputs, kernel, bias, *state):
      state = cells.LSTMState(*state) if state else None
      states = self._unroll(inputs, state, (kernel, bias))
      cs, hs = zip(*states)
      outputs = tf1.stack(hs, axis=1)
      if whole:
        return [outputs, tf1.stack(cs, axis=1)]
      return [outputs, cs[-1], hs[-1]]

    outputs, *states = fused_lstm.lstm(
      inputs,
      *weights,
      state=initial_state or (),
      forget_bias=self.cell.forget_bias,
      whole=whole,
      plain=plain,
    )
    if not whole:
      return RecurrentResult(outputs, cells.LSTMState(*states))
    sequences = cells.LSTMState(states[0], outputs)
    return self._end(inputs, outputs, sequences, lengths, initial_state)

  def _run_block(self, inputs, lengths, initial_state, weights):
    """Runs over an unknown number of steps."""
    if lengths is None:
      steps = arrays.dimension(inputs, 1, tf1.int64)
    else:
      # Steps beyond the longest example are not computed.
      steps = tf1.cast(tf1.reduce_max(lengths), tf1.int64)
    outputs, cs = fused_lstm.block_lstm(
      inputs,
      *weights,
      *self._begin(inputs, initial_state),
      self.cell.forget_bias,
      steps,
    )
    if lengths is None:
      state = cells.LSTMState(cs[:, -1], outputs[:, -1])
      return RecurrentResult(outputs, state)
    sequences = cells.LSTMState(cs, outputs)
    return self._end(inputs, outputs, sequences, lengths, initial_state)


class GRU(RecurrentLayer):
  """A layer of `cells.GRUCell`.

  Large matrix products are computed once for all steps, see `chains`; results
  are those of the cell up to rounding. The number of steps T of the inputs
  `[B, T, D]` must be known.
  """

  def __init__(
    self,
    units: int,
    reverse: bool = False,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "gru",
  ) -> None:
    """Sets up the layer; makes neither ops nor variables.

    Args:
      units: U, depth of the outputs.
      reverse: whether to run each example from its last real step to its
        first. Outputs are in the order of the inputs in either case.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    cell = cells.GRUCell(units, kernel_initializer, dtype, name)
    super().__init__(cell, reverse)

  def _run(self, inputs, lengths, initial_state, weights):
    if _in_function_of_1_15():
      return super()._run(inputs, lengths, initial_state, weights)
    state = () if initial_state is None else (initial_state,)
    outputs = fused_gru.gru(inputs, *weights, state)
    if lengths is None:
      return RecurrentResult(outputs, outputs[:, -1])
    return self._end(inputs, outputs, outputs, lengths, initial_state)


def _in_function_of_1_15():
  """Whether ops are added where a custom gradient cannot be differentiated."""
  graph = tf1.get_default_graph()
  return compat.IS_TF1 and checks.outermost(graph) is not graph

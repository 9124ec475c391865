"""One step of a recurrent network: LSTM and GRU cells.

A cell maps an input and a state to an output and the next state. Whole
sequences are in `recurrent`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import base, checks, half


class LSTMState(NamedTuple):
  """State of an LSTM: cell state `c` [B, U] and output `h` [B, U]."""

  c: tf1.Tensor
  h: tf1.Tensor


class CellResult(NamedTuple):
  """Result of one step of a cell: `output` [B, U], and the next `state`."""

  output: tf1.Tensor
  state: hints.Nest


class Cell(base.Network):
  """Base class of the cells: the state has one or several parts `[B, U]`.

  A subclass defines `check_state`, `weights`, `step`, `output` and `_state_of`,
  which makes a state from a function that makes one part.
  """

  @errors.named("{name}")
  def __init__(
    self,
    units: int,
    kernel_initializer: Optional[hints.Initializer],
    dtype: hints.Dtype,
    name: str,
  ) -> None:
    """Sets up the cell; makes neither ops nor variables.

    Args:
      units: U, depth of output and state.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs, states and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(name, dtype, kernel_initializer)
    self._units = checks.check_positive("units", units)

  @property
  def units(self) -> int:
    """U, depth of output and state."""
    return self._units

  def __call__(
    self, inputs: hints.Value, state: hints.Nest, name: Optional[str] = None
  ) -> CellResult:
    """Runs one step.

    Args:
      inputs: `[B, D]`, D the same at every call.
      state: the previous state, as `zero_state` returns it.
      name: name scope of the new ops; the cell's name for None.

    Returns:
      A `CellResult`: output `[B, U]`, and the next state.

    Raises:
      ShapeError: if D is unknown or differs from that of the first call, the
        depth of `state` is not U, or a tensor is not of rank 2.
      ArgumentError: if `inputs` is None, `state` does not have the parts of
        this cell's state (None is refused, see `zero_state`), or a variable
        cannot be made, see `make_variable`.
      DtypeError: if `inputs` or `state` is not of the cell's dtype.
      GraphError: if a tensor is from another graph than the cell's variables.
    """
    with self.enter(name):
      inputs = self.check_tensor("inputs", inputs, ranks=(2,))
      state = self.check_state("state", state)
      weights = self.weights(self.check_depth("inputs", inputs))
      state = self.step(inputs, state, weights)
      return CellResult(self.output(state), state)

  @errors.named("{self._name}")
  def zero_state(
    self,
    batch_size: Union[int, tf1.Tensor],
    dtype: Optional[hints.Dtype] = None,
    name: Optional[str] = None,
  ) -> hints.Nest:
    """Makes a state of zeros.

    Args:
      batch_size: B, an int or a scalar int tensor.
      dtype: float type; the cell's for None.
      name: name scope of the new ops; `<name of the cell>_zero_state` for None.

    Returns:
      The state, each part `[B, U]`: an `LSTMState` or, for a GRU, one tensor.

    Raises:
      DtypeError: if `dtype` is not a float type.
    """
    dtype = self._dtype if dtype is None else checks.to_float("dtype", dtype)
    with tf1.name_scope(name or f"{self._name}_zero_state"):
      shape = [batch_size, self._units]
      return self._state_of(lambda: tf1.zeros(shape, dtype))

  def check_state(self, argument: str, state: hints.Nest) -> hints.Nest:
    """Returns `state` as tensors in this cell's structure.

    Args:
      argument: the argument's name, for messages.
      state: the parts of a state, each `[B, U]`.

    Returns:
      The state, of tensors.

    Raises:
      ArgumentError: if `state` does not have the parts of this cell's state, or
        one of them is None.
      DtypeError: if a part is not of the cell's dtype.
      GraphError: if a part is from another graph.
      ShapeError: if a part is not of rank 2, or its depth is not U.
    """
    raise NotImplementedError

  def weights(self, depth: int) -> Any:
    """Reads the variables once; creates them if necessary.

    Args:
      depth: D, depth of the inputs.

    Returns:
      The argument `weights` for `step`.

    Raises:
      ArgumentError: if a variable cannot be made, see `make_variable`.
    """
    raise NotImplementedError

  def step(
    self, inputs: tf1.Tensor, state: hints.Nest, weights: Any
  ) -> hints.Nest:
    """Computes the next state.

    Args:
      inputs: `[B, D]` tensor.
      state: the previous state, of tensors.
      weights: result of `weights`.

    Returns:
      The next state.
    """
    raise NotImplementedError

  def output(self, state: hints.Nest) -> tf1.Tensor:
    """Returns the part of a state that is the cell's output.

    Args:
      state: the state after a step.

    Returns:
      `[B, U]`.
    """
    raise NotImplementedError

  def _state_of(self, make_part):
    raise NotImplementedError

  def _part(self, argument, value):
    part = self.check_tensor(argument, value, ranks=(2,))
    self.check_depth(argument, part, self._units)
    return part

  def _read(self, name, shape, initializer=None):
    return tf1.convert_to_tensor(self.make_variable(name, shape, initializer))


class LSTMCell(Cell):
  """Long short-term memory.

      [i, g, f, o] = [x, h] kernel + bias                each [B, U]
      c' = sigmoid(f + forget_bias) c + sigmoid(i) tanh(g)
      h' = sigmoid(o) tanh(c')

  Source: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; forget gate
  from Gers, Schmidhuber & Cummins 2000, "Learning to Forget". Departures: tanh
  instead of the papers' scaled sigmoids, as usual; no peepholes; a constant
  `forget_bias` is added to the forget gate.

  Variables: `kernel` `[D + U, 4 U]` and `bias` `[4 U]`, with D the depth of x,
  in the gate order i, g, f, o, which is that of `tf.raw_ops.BlockLSTM` on both
  TensorFlows (there g is called ci) and of `tf.nn.rnn_cell.LSTMCell`.

  Attributes:
    forget_bias: the number added to the forget gate.
  """

  def __init__(
    self,
    units: int,
    forget_bias: float = 1.0,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "lstm_cell",
  ) -> None:
    """Sets up the cell; makes neither ops nor variables.

    Args:
      units: U, depth of output and state.
      forget_bias: number added to the forget gate, on top of `bias`.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None,
        over the whole kernel, with fan-out 4 U.
      dtype: float type of variables, inputs, states and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(units, kernel_initializer, dtype, name)
    self.forget_bias = float(forget_bias)

  @errors.named("{self._name}")
  def check_state(self, argument: str, state: hints.Nest) -> LSTMState:
    """Returns `state`, any list or tuple of c and h, as an `LSTMState`.

    Args:
      argument: the argument's name, for messages.
      state: c and h, each `[B, U]`.

    Returns:
      An `LSTMState` of tensors.

    Raises:
      ArgumentError: if `state` is no such pair, or a part is None.
      DtypeError, GraphError, ShapeError: as `Cell.check_state`.
    """
    if not isinstance(state, (tuple, list)) or len(state) != 2:
      raise errors.ArgumentError(
        f"{argument} must be an LSTMState(c, h) or another pair, "
        f"got {state!r}. Make one with zero_state."
      )
    c, h = state
    return LSTMState(
      self._part(f"{argument}.c", c), self._part(f"{argument}.h", h)
    )

  def weights(self, depth: int) -> Tuple[tf1.Tensor, ...]:
    """Returns kernel `[D + U, 4 U]` and bias `[4 U]`, each read once.

    Args:
      depth: D, depth of the inputs.

    Returns:
      Two tensors. Their variables are created if necessary.

    Raises:
      ArgumentError: if a variable cannot be made, see `make_variable`.
    """
    shape = [depth + self._units, 4 * self._units]
    kernel = self._read("kernel", shape)
    bias = self._read("bias", shape[1:], tf1.zeros_initializer())
    return kernel, bias

  def step(
    self, inputs: tf1.Tensor, state: LSTMState, weights: Tuple[tf1.Tensor, ...]
  ) -> LSTMState:
    """Returns the `LSTMState` after a step, by the formula above."""
    kernel, bias = weights
    both = tf1.concat([inputs, state.h], axis=1)
    gates = half.add_bias(tf1.matmul(both, kernel), bias)
    i, g, f, o = tf1.split(gates, 4, axis=1)
    kept = tf1.sigmoid(f + self.forget_bias) * state.c
    c = kept + tf1.sigmoid(i) * tf1.tanh(g)
    return LSTMState(c, tf1.sigmoid(o) * tf1.tanh(c))

  def output(self, state: LSTMState) -> tf1.Tensor:
    """Returns `state.h`, `[B, U]`."""
    return state.h

  def _state_of(self, make_part):
    return LSTMState(make_part(), make_part())


class GRUCell(Cell):
  """Gated recurrent unit.

      [r, z] = sigmoid([x, h] gates_kernel + gates_bias)   each [B, U]
      g = tanh([x, r h] candidate_kernel + candidate_bias)
      h' = z h + (1 - z) g

  Source: Cho et al. 2014, "Learning Phrase Representations using RNN
  Encoder-Decoder", eq. 5 to 8. Departure: biases, initially zero, which the
  paper leaves out of its formulas.

  Variables: `gates_kernel` `[D + U, 2 U]` and `gates_bias` `[2 U]` in the order
  r, z, `candidate_kernel` `[D + U, U]` and `candidate_bias` `[U]`; D is the
  depth of x. This is the layout of `tf.nn.rnn_cell.GRUCell`, but there the gate
  bias starts at one.
  """

  def __init__(
    self,
    units: int,
    kernel_initializer: Optional[hints.Initializer] = None,
    dtype: hints.Dtype = tf1.float32,
    name: str = "gru_cell",
  ) -> None:
    """Sets up the cell; makes neither ops nor variables.

    Args:
      units: U, depth of output and state.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs, states and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `units` is not a positive integer, or `name` cannot name
        a scope.
      DtypeError: if `dtype` is not a float type.
    """
    super().__init__(units, kernel_initializer, dtype, name)

  @errors.named("{self._name}")
  def check_state(self, argument: str, state: hints.Nest) -> tf1.Tensor:
    """Returns `state` as one tensor `[B, U]`.

    Args:
      argument: the argument's name, for messages.
      state: `[B, U]`.

    Returns:
      A tensor.

    Raises:
      ArgumentError: if `state` is None, a list or a tuple.
      DtypeError, GraphError, ShapeError: as `Cell.check_state`.
    """
    if isinstance(state, (tuple, list)):
      raise errors.ArgumentError(
        f"{argument} must be one tensor [B, {self._units}], got "
        f"{state!r}. Make one with zero_state."
      )
    return self._part(argument, state)

  def weights(self, depth: int) -> Tuple[tf1.Tensor, ...]:
    """Returns kernel and bias of the gates, then of the candidate.

    Args:
      depth: D, depth of the inputs.

    Returns:
      Four tensors `[D + U, 2 U]`, `[2 U]`, `[D + U, U]` and `[U]`, each read
      once. Their variables are created if necessary.

    Raises:
      ArgumentError: if a variable cannot be made, see `make_variable`.
    """
    rows, units = depth + self._units, self._units
    zeros = tf1.zeros_initializer()
    return (
      self._read("gates_kernel", [rows, 2 * units]),
      self._read("gates_bias", [2 * units], zeros),
      self._read("candidate_kernel", [rows, units]),
      self._read("candidate_bias", [units], zeros),
    )

  def step(
    self, inputs: tf1.Tensor, state: tf1.Tensor, weights: Tuple[tf1.Tensor, ...]
  ) -> tf1.Tensor:
    """Returns the state after a step, by the formula above."""
    gates_kernel, gates_bias, candidate_kernel, candidate_bias = weights
    both = tf1.concat([inputs, state], axis=1)
    gates = half.add_bias(tf1.matmul(both, gates_kernel), gates_bias)
    r, z = tf1.split(tf1.sigmoid(gates), 2, axis=1)
    reset = tf1.concat([inputs, r * state], axis=1)
    g = half.add_bias(tf1.matmul(reset, candidate_kernel), candidate_bias)
    return z * state + (1 - z) * tf1.tanh(g)

  def output(self, state: tf1.Tensor) -> tf1.Tensor:
    """Returns `state` itself, `[B, U]`."""
    return state

  def _state_of(self, make_part):
    return make_part()

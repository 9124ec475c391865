"""Recurrent cells with the variables of `tf.nn.rnn_cell` in TensorFlow 1.15.

Formulas, names, shapes and initial values are those of 1.15. Arguments that
affect none of these are left out. Cells made of cells are in `wrappers`.
"""

from __future__ import annotations

from typing import Any, Optional

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import cells as nets_cells
from tangle.nets import checks, half
from tangle.seq2seq.legacy import base, scopes

LSTMState = nets_cells.LSTMState


class GRUCell(base.Cell):
  """Gated recurrent unit.

      [r, u] = sigmoid([x, h] gates/kernel + gates/bias)       each [B, U]
      g = tanh([x, r h] candidate/kernel + candidate/bias)
      h' = u h + (1 - u) g

  Source: Cho et al. 2014, "Learning Phrase Representations using RNN
  Encoder-Decoder", eq. 5 to 8, with biases; variables and initial values of
  `tf.nn.rnn_cell.GRUCell` 1.15: the bias of the gates starts at one.

  Variables: `gates/kernel` `[D + U, 2 U]`, `gates/bias` `[2 U]`,
  `candidate/kernel` `[D + U, U]`, `candidate/bias` `[U]`. D is the depth of x.
  """

  @errors.named("{name}")
  def __init__(
    self,
    num_units: int,
    activation: Optional[hints.Function] = None,
    kernel_initializer: Optional[hints.Initializer] = None,
    bias_initializer: Optional[hints.Initializer] = None,
    name: str = "gru_cell",
  ) -> None:
    """Sets up the cell; makes neither ops nor variables.

    Args:
      num_units: U, depth of output and state.
      activation: function of a tensor, used instead of tanh; None for tanh.
      kernel_initializer: of both kernels; that of the scope for None.
      bias_initializer: of both biases; for None, ones for the gates and zeros
        for the candidate.
      name: variable scope.

    Raises:
      ArgumentError: if `num_units` is not a positive integer, or `activation`
        is not a function.
    """
    super().__init__(name)
    self._units = checks.check_positive("num_units", num_units)
    self._activation = _check_activation(activation)
    self._kernel_initializer = kernel_initializer
    self._bias_initializer = bias_initializer

  @property
  def state_size(self) -> int:
    """U, the depth of the state."""
    return self._units

  @property
  def output_size(self) -> int:
    """The depth of the output."""
    return self._units

  def make_step(self, depth: int, dtype: tf1.DType) -> hints.Step:
    rows, units = depth + self._units, self._units

    def read(name, width, start):
      kernel = scopes.read(
        f"{name}/kernel", [rows, width], dtype, self._kernel_initializer
      )
      initializer = self._bias_initializer
      if initializer is None:
        initializer = tf1.constant_initializer(start)
      return kernel, scopes.read(f"{name}/bias", [width], dtype, initializer)

    gates_kernel, gates_bias = read("gates", 2 * units, 1.0)
    candidate_kernel, candidate_bias = read("candidate", units, 0.0)

    def step(inputs, state):
      both = tf1.concat([inputs, state], 1)
      gates = half.add_bias(tf1.matmul(both, gates_kernel), gates_bias)
      r, u = tf1.split(tf1.sigmoid(gates), 2, 1)
      reset = tf1.concat([inputs, r * state], 1)
      g = half.add_bias(tf1.matmul(reset, candidate_kernel), candidate_bias)
      state = u * state + (1 - u) * self._activation(g)
      return state, state

    return step


class LSTMCell(base.Cell):
  """Long short-term memory.

      [i, j, f, o] = [x, h] kernel + bias                      each [B, U]
      c' = sigmoid(f + forget_bias) c + sigmoid(i) tanh(j)
      h' = sigmoid(o) tanh(c')

  With peepholes, f and i also get `w_f_diag c` and `w_i_diag c`, and o gets
  `w_o_diag c'`. With a projection, h' is multiplied by `projection/kernel`.

  Source: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; peepholes and
  projection from Sak, Senior & Beaufays 2014, "Long Short-Term Memory Recurrent
  Neural Network Architectures for Large Scale Acoustic Modeling"; variables of
  `tf.nn.rnn_cell.LSTMCell` 1.15.

  Variables: `kernel` `[D + P, 4 U]`, `bias` `[4 U]`, of zeros; with peepholes
  `w_f_diag`, `w_i_diag`, `w_o_diag` `[U]`; with a projection
  `projection/kernel` `[U, P]`. Without one, P is U. D is the depth of x.
  """

  @errors.named("{name}")
  def __init__(
    self,
    num_units: int,
    use_peepholes: bool = False,
    cell_clip: Optional[float] = None,
    initializer: Optional[hints.Initializer] = None,
    num_proj: Optional[int] = None,
    proj_clip: Optional[float] = None,
    forget_bias: float = 1.0,
    state_is_tuple: bool = True,
    activation: Optional[hints.Function] = None,
    name: str = "lstm_cell",
  ) -> None:
    """Sets up the cell; makes neither ops nor variables.

    Args:
      num_units: U, depth of c.
      use_peepholes: whether the gates read c.
      cell_clip: the largest absolute value in c'; None for no limit.
      initializer: of kernels and peepholes; that of the scope for None.
      num_proj: P, depth of h and the output; None for no projection.
      proj_clip: the largest absolute value in the projection; None for no
        limit.
      forget_bias: number added to the forget gate, on top of `bias`.
      state_is_tuple: whether the state is an `LSTMState(c, h)` rather than one
        tensor `[B, U + P]`, c first.
      activation: function of a tensor, used instead of both tanh; None for
        tanh.
      name: variable scope.

    Raises:
      ArgumentError: if a size is not a positive integer, `activation` is not a
        function, or `proj_clip` is given without `num_proj`.
    """
    super().__init__(name)
    self._units = checks.check_positive("num_units", num_units)
    self._activation = _check_activation(activation)
    self._projected = num_proj is not None
    self._depth = self._units
    if self._projected:
      self._depth = checks.check_positive("num_proj", num_proj)
    elif proj_clip is not None:
      raise errors.ArgumentError(
        f"proj_clip is {proj_clip} but there is no projection to clip. "
        "Give num_proj, or leave proj_clip out."
      )
    self._use_peepholes = use_peepholes
    self._cell_clip = cell_clip
    self._proj_clip = proj_clip
    self._initializer = initializer
    self._forget_bias = float(forget_bias)
    self._state_is_tuple = state_is_tuple

  @property
  def state_size(self) -> Any:
    """`LSTMState(U, P)`; the int U + P if `state_is_tuple` is False."""
    if self._state_is_tuple:
      return LSTMState(self._units, self._depth)
    return self._units + self._depth

  @property
  def output_size(self) -> int:
    """The depth of the output: P, or U without a projection."""
    return self._depth

  def make_step(self, depth: int, dtype: tf1.DType) -> hints.Step:
    units, start = self._units, self._initializer
    shape = [depth + self._depth, 4 * units]
    kernel = scopes.read("kernel", shape, dtype, start)
    bias = scopes.read("bias", [4 * units], dtype, tf1.zeros_initializer())
    peepholes = [
      scopes.read(f"w_{gate}_diag", [units], dtype, start)
      for gate in "fio"
      if self._use_peepholes
    ]
    projection = None
    if self._projected:
      shape = [units, self._depth]
      projection = scopes.read("projection/kernel", shape, dtype, start)

    def step(inputs, state):
      c, h = state if self._state_is_tuple else tf1.split(state, sizes, 1)
      both = tf1.concat([inputs, h], 1)
      gates = half.add_bias(tf1.matmul(both, kernel), bias)
      c, h = self._advance(tf1.split(gates, 4, 1), c, peepholes)
      h = self._project(h, projection)
      state = LSTMState(c, h)
      return h, state if self._state_is_tuple else tf1.concat(state, 1)

    sizes = [units, self._depth]
    return step

  def _advance(self, gates, c, peepholes):
    """Returns c and h, both [B, U], after a step."""
    i, j, f, o = gates
    f += self._forget_bias
    if peepholes:
      f += half.in_float32(tf1.multiply, peepholes[0], c)
      i += half.in_float32(tf1.multiply, peepholes[1], c)
    c = tf1.sigmoid(f) * c + tf1.sigmoid(i) * self._activation(j)
    c = _clip(c, self._cell_clip)
    if peepholes:
      o += half.in_float32(tf1.multiply, peepholes[2], c)
    return c, tf1.sigmoid(o) * self._activation(c)

  def _project(self, h, projection):
    if projection is None:
      return h
    return _clip(tf1.matmul(h, projection), self._proj_clip)


class BasicLSTMCell(LSTMCell):
  """Long short-term memory without the options, as in most old code.

  The formula is that of `LSTMCell`; the variables are below `basic_lstm_cell`.
  """

  def __init__(
    self,
    num_units: int,
    forget_bias: float = 1.0,
    state_is_tuple: bool = True,
    activation: Optional[hints.Function] = None,
    name: str = "basic_lstm_cell",
  ) -> None:
    """Sets up the cell; makes neither ops nor variables.

    Args:
      num_units: U, depth of c, h and the output.
      forget_bias: number added to the forget gate, on top of `bias`.
      state_is_tuple: whether the state is an `LSTMState(c, h)` rather than one
        tensor `[B, 2 U]`, c first.
      activation: function of a tensor, used instead of both tanh; None for
        tanh.
      name: variable scope.

    Raises:
      ArgumentError: if `num_units` is not a positive integer, or `activation`
        is not a function.
    """
    super().__init__(
      num_units,
      forget_bias=forget_bias,
      state_is_tuple=state_is_tuple,
      activation=activation,
      name=name,
    )


def _check_activation(activation):
  if activation is None:
    return tf1.tanh
  if not callable(activation):
    raise errors.ArgumentError(
      f"activation must be a function of a tensor such as "
      f"tf.nn.relu, got {activation!r}."
    )
  return activation


def _clip(tensor, limit):
  return tensor if limit is None else tf1.clip_by_value(tensor, -limit, limit)

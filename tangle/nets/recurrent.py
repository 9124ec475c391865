"""Recurrent layers over whole sequences, batch-major.

A layer runs one cell along the time axis. How layers are joined is in
`composites`.

Lengths: a layer treats what is beyond an example's length as if it was not
there, whatever the padding holds. There its outputs are zero; its final state
is the one after the example's last real step. Because inputs there are set to
zero first, not even a NaN gets through, forward or backward.
"""

import collections

from tangle import errors
from tangle.compat import tf1
from tangle.nets import arrays, cells, checks, fused

RecurrentResult = collections.namedtuple(
  "RecurrentResult", ["outputs", "state"]
)
RecurrentResult.__doc__ = "`outputs` [B, T, U], and the final `state`."


class RecurrentLayer:
  """Runs a cell over the steps of a sequence, unrolled.

  The layer's variables and name are the cell's. The graph has one copy of the
  cell for each step, so T must be known.
  """

  _implementations = ("unrolled",)

  def __init__(self, cell, reverse=False, implementation="unrolled"):
    """Sets up the layer; makes neither ops nor variables.

    Args:
      cell: a `cells.Cell`.
      reverse: whether to run each example from its last real step to its
        first. Outputs are in the order of the inputs all the same.
      implementation: how it is computed; this class knows `"unrolled"`.

    Raises:
      ArgumentError: if it knows no such implementation.
    """
    self._cell = cell
    self._reverse = bool(reverse)
    if implementation not in self._implementations:
      known = " or ".join(map(repr, self._implementations))
      raise errors.ArgumentError(
        f"{cell.name}: implementation must be {known}, got {implementation!r}"
      )
    self._implementation = implementation

  @property
  def name(self):
    """The name, a string."""
    return self._cell.name

  @property
  def dtype(self):
    """The `tf.DType` of variables, inputs and outputs."""
    return self._cell.dtype

  @property
  def units(self):
    """U, depth of the outputs."""
    return self._cell.units

  @property
  def reverse(self):
    """Whether the layer runs from the last step to the first."""
    return self._reverse

  @property
  def cell(self):
    """The cell, to make single steps with the same variables."""
    return self._cell

  @property
  def variables(self):
    """The variables in order of creation; none before the first call."""
    return self._cell.variables

  def __call__(self, inputs, lengths=None, initial_state=None, name=None):
    """Runs over a batch of sequences.

    Args:
      inputs: `[B, T, D]`, D the same at every call.
      lengths: `[B]` int, each from 0 to T; None if all are T.
      initial_state: state before the first step; zeros for None.
      name: name scope of the new ops.

    Returns:
      A `RecurrentResult`: outputs `[B, T, U]`, zero beyond `lengths`; and the
      state after the last step of each example, the initial one for length 0.

    Raises:
      ShapeError: if `inputs` is not of rank 3, or D is unknown or not that of
        the first call, or T is zero, or T is unknown and the layer unrolled.
      DtypeError: if `inputs` or `lengths` is of another type.
    """
    with self._cell.enter(name):
      inputs = self._cell.check_tensor("inputs", inputs, ranks=(3,))
      lengths = checks.check_lengths(self.name, lengths)
      self._check_steps(inputs)
      if initial_state is None:
        initial_state = self._cell.zero_state(arrays.dimension(inputs, 0))
      initial_state = self._cell.check_state("initial_state", initial_state)
      weights = self._cell.weights(self._cell.check_depth("inputs", inputs))
      inputs = arrays.blank(inputs, lengths)
      if self._reverse:
        inputs = arrays.turn(inputs, lengths)
      result = self._run(inputs, lengths, initial_state, weights)
      outputs = arrays.blank(result.outputs, lengths)
      if self._reverse:
        outputs = arrays.turn(outputs, lengths)
      return RecurrentResult(outputs, result.state)

  def _check_steps(self, inputs):
    steps = tf1.dimension_value(inputs.shape[1])
    if steps is None:
      raise errors.ShapeError(
        f"{self.name}: inputs must have a known number of steps to be "
        f"unrolled, got {checks.describe(inputs)}; call set_shape on it, or "
        "use an LSTM with implementation='block'"
      )
    if steps == 0:
      raise errors.ShapeError(
        f"{self.name}: inputs must have at least one step, got "
        f"{checks.describe(inputs)}; pad the batch to one step"
      )

  def _run(self, inputs, lengths, initial_state, weights):
    """Returns outputs, of any value beyond `lengths`, and final state."""
    state, states = initial_state, []
    for t, x in enumerate(tf1.unstack(inputs, axis=1)):
      with tf1.name_scope(f"step_{t}"):
        state = self._cell.step(x, state, weights)
      states.append(state)
    outputs = tf1.stack([self._cell.output(s) for s in states], axis=1)
    if lengths is None:
      return RecurrentResult(outputs, state)
    sequences = tf1.nest.map_structure(
      lambda *parts: tf1.stack(parts, axis=1), *states
    )
    return RecurrentResult(
      outputs, arrays.last_state(sequences, lengths, initial_state)
    )


class LSTM(RecurrentLayer):
  """A layer of `cells.LSTMCell`.

  Implementations with the same variables and, but for rounding, the same
  numbers: "unrolled" copies the cell for each step, in any float type; "fused"
  does too, but makes the products of inputs and of the kernel's gradient once
  for all steps, which is faster; "block" is one `BlockLSTM` op, far fewer ops,
  in float32 and float16, and for unknown T too.
  """

  _implementations = ("unrolled", "fused", "block")

  def __init__(
    self,
    units,
    forget_bias=1.0,
    implementation="unrolled",
    reverse=False,
    kernel_initializer=None,
    dtype=tf1.float32,
    name="lstm",
  ):
    """Sets up the layer; makes neither ops nor variables.

    Args:
      units: U, depth of the outputs.
      forget_bias: number added to the forget gate.
      implementation: "unrolled", "fused" or "block".
      reverse: whether to run each example from its last real step to its
        first.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs and outputs.
      name: variable scope, and default name scope of calls.

    Raises:
      ArgumentError: if `implementation` is none of these.
      DtypeError: if the type is not one that "block" can compute.
    """
    cell = cells.LSTMCell(units, forget_bias, kernel_initializer, dtype, name)
    super().__init__(cell, reverse, implementation)
    self._block = implementation == "block"
    if self._block and cell.dtype not in (tf1.float32, tf1.float16):
      raise errors.DtypeError(
        f"{name}: implementation='block' computes in float32 and float16, got "
        f"dtype {cell.dtype.name}; use implementation='fused'"
      )

  def _check_steps(self, inputs):
    if not self._block or tf1.dimension_value(inputs.shape[1]) is not None:
      super()._check_steps(inputs)

  def _run(self, inputs, lengths, initial_state, weights):
    if self._implementation == "fused":
      return self._run_fused(inputs, lengths, initial_state, weights)
    if not self._block:
      return super()._run(inputs, lengths, initial_state, weights)
    kernel, bias = weights
    if lengths is None:
      steps = arrays.dimension(inputs, 1, tf1.int64)
    else:
      # What is after the longest example is not computed at all.
      steps = tf1.cast(tf1.reduce_max(lengths), tf1.int64)
    no_peephole = tf1.zeros([self.units], self.dtype)
    block = tf1.raw_ops.BlockLSTM(
      seq_len_max=steps,
      x=tf1.transpose(inputs, [1, 0, 2]),
      cs_prev=initial_state.c,
      h_prev=initial_state.h,
      w=kernel,
      wci=no_peephole,
      wcf=no_peephole,
      wco=no_peephole,
      b=bias,
      forget_bias=self._cell.forget_bias,
      # No clipping, for any value up to 0 (the op's default is 3).
      cell_clip=-1.0,
      use_peephole=False,
    )
    outputs = tf1.transpose(block.h, [1, 0, 2])
    if lengths is None:
      state = cells.LSTMState(block.cs[-1], block.h[-1])
      return RecurrentResult(outputs, state)
    return self._end(outputs, block.cs, lengths, initial_state)

  def _run_fused(self, inputs, lengths, initial_state, weights):
    hs, cs = fused.lstm(
      tf1.transpose(inputs, [1, 0, 2]),
      *initial_state,
      *weights,
      forget_bias=self._cell.forget_bias,
      whole=lengths is not None,
    )
    outputs = tf1.transpose(hs, [1, 0, 2])
    if lengths is None:
      return RecurrentResult(outputs, cells.LSTMState(cs, hs[-1]))
    return self._end(outputs, cs, lengths, initial_state)

  def _end(self, outputs, cs, lengths, initial_state):
    """Returns the result where the last state is another for each example."""
    sequences = cells.LSTMState(tf1.transpose(cs, [1, 0, 2]), outputs)
    state = arrays.last_state(sequences, lengths, initial_state)
    return RecurrentResult(outputs, state)


class GRU(RecurrentLayer):
  """A layer of `cells.GRUCell`.

  Two implementations with the same variables and, but for rounding, the same
  numbers: "unrolled", and "fused" as for `LSTM`.
  """

  _implementations = ("unrolled", "fused")

  def __init__(
    self,
    units,
    reverse=False,
    kernel_initializer=None,
    dtype=tf1.float32,
    name="gru",
    implementation="unrolled",
  ):
    """Sets up the layer; makes neither ops nor variables.

    Args:
      units: U, depth of the outputs.
      reverse: whether to run each example from its last real step to its
        first.
      kernel_initializer: a TensorFlow initializer; Glorot uniform for None.
      dtype: float type of variables, inputs and outputs.
      name: variable scope, and default name scope of calls.
      implementation: "unrolled" or "fused".

    Raises:
      ArgumentError: if `implementation` is none of these.
    """
    cell = cells.GRUCell(units, kernel_initializer, dtype, name)
    super().__init__(cell, reverse, implementation)

  def _run(self, inputs, lengths, initial_state, weights):
    if self._implementation != "fused":
      return super()._run(inputs, lengths, initial_state, weights)
    states = fused.gru(
      tf1.transpose(inputs, [1, 0, 2]), initial_state, *weights
    )
    outputs = tf1.transpose(states, [1, 0, 2])
    if lengths is None:
      return RecurrentResult(outputs, states[-1])
    state = arrays.last_state(outputs, lengths, initial_state)
    return RecurrentResult(outputs, state)

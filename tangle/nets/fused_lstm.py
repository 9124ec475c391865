"""An LSTM over a sequence, with few large matrix products or one op.

The gradient is written by hand, see `chains`. A second gradient is computed by
the plain cells, whose ops are created only when it is requested.
"""

import numpy as np

from tangle.compat import tf1
from tangle.nets import chains, half

# If both depths are at most this, one op for all steps is fast enough.
_SMALL_DEPTH = 64


def prefers_block(inputs, units):
  """Whether `lstm` computes a layer with `block_lstm`, one op for all steps.

  It does for float32 inputs if D and U are both at most 64. Otherwise it adds
  ops for each step: larger layers are faster so, in half precision `block_lstm`
  would compute in float32, and it does not support float64.

  Args:
    inputs: `[B, T, D]` of any floating type, D known; its values are not read.
    units: U, the depth of the state.

  Returns:
    A Python bool.
  """
  depth = inputs.shape.as_list()[2]
  return inputs.dtype == tf1.float32 and max(depth, units) <= _SMALL_DEPTH


def has_block(dtype):
  """Whether `block_lstm` supports a `tf.DType`: all but float64."""
  return dtype == tf1.float32 or half.is_half(dtype)


def block_lstm(inputs, kernel, bias, c, h, forget_bias, steps):
  """Runs an LSTM over a sequence in one op.

  The formula is that of `cells.LSTMCell`. Half precision is computed in
  float32, because the op's gradient sums that of the bias step by step.

  Args:
    inputs: `[B, T, D]` float, not float64; T may be unknown.
    kernel: `[D + U, 4 U]`, gates in the order i, g, f, o.
    bias: `[4 U]`.
    c, h: `[B, U]`, the state before the first step.
    forget_bias: number added to the forget gate.
    steps: a scalar int64, the number of steps to compute; zeros follow.

  Returns:
    A list of outputs and cell states, both `[B, T, U]` of the type of `inputs`.

  Gradients:
    Can be differentiated once, not twice.
  """
  dtype = inputs.dtype
  inputs, kernel, bias, c, h = map(half.widen, (inputs, kernel, bias, c, h))
  block = tf1.raw_ops.BlockLSTM(
    seq_len_max=steps,
    x=tf1.transpose(inputs, [1, 0, 2]),
    cs_prev=c,
    h_prev=h,
    w=kernel,
    b=bias,
    forget_bias=forget_bias,
    # No clipping of c: any value up to 0 disables it (the op's default is 3).
    cell_clip=-1.0,
    **_no_peepholes(bias),
  )
  found = [tf1.transpose(x, [1, 0, 2]) for x in (block.h, block.cs)]
  return [tf1.cast(x, dtype) for x in found]


def lstm(inputs, kernel, bias, state, forget_bias, whole, plain):
  """Runs an LSTM over a sequence; the formula is that of `cells.LSTMCell`.

  Args:
    inputs: `[B, T, D]`, T and D known.
    kernel: `[D + U, 4 U]`, gates in the order i, g, f, o.
    bias: `[4 U]`.
    state: c and h before the first step, each `[B, U]`; `()` for zeros.
    forget_bias: number added to the forget gate.
    whole: whether to return all cell states instead of the last state.
    plain: a function of inputs, kernel, bias, and c and h if they are given,
      that returns the same results from plain cells.

  Returns:
    Two tensors if `whole`: outputs and cell states, both `[B, T, U]`; else
    three: outputs, the last c and the last h, these two `[B, U]`.
  """
  depth, units = inputs.shape.as_list()[2], kernel.shape.as_list()[1] // 4
  forget = np.zeros(4 * units, bias.dtype.as_numpy_dtype)
  forget[2 * units : 3 * units] = forget_bias

  def run(inputs, kernel, bias, *state):
    bias += forget
    kernels = kernel[:depth], kernel[depth:]
    sizes = chains.sizes_of(inputs)
    parts = [
      _LSTMChain(kernels, bias, whole, *rows)
      for rows in chains.divide([inputs, *state], sizes)
    ]

    def pull_back(*upstream):
      found = [
        chain.pull_back(*rows)
        for chain, rows in zip(parts, chains.divide(upstream, sizes))
      ]
      return chains.join_gradients(found, 2, len(state))

    results = [chain.results() for chain in parts]
    return [chains.join(rows) for rows in zip(*results)], pull_back

  if prefers_block(inputs, units):
    run = _by_block(forget_bias, whole)
  arguments = _tell_apart([inputs, kernel, bias, *state])
  return _twice_differentiable(run, plain)(*arguments)


def _by_block(forget_bias, whole):
  """Returns a `run` for `_twice_differentiable` that uses one op per chain."""

  def run(inputs, kernel, bias, *state):
    batch_size, steps, _ = inputs.shape.as_list()
    arguments = [inputs, kernel, bias, *state]
    if not state:
      rows = tf1.shape(inputs)[0] if batch_size is None else batch_size
      units = tf1.dimension_value(bias.shape[0]) // 4
      state = [tf1.zeros([rows, units], bias.dtype)] * 2
    parts = [
      block_lstm(x, kernel, bias, c, h, forget_bias, np.int64(steps))
      for x, c, h in chains.divide([inputs, *state], chains.sizes_of(inputs))
    ]
    outputs, cs = [chains.join(rows) for rows in zip(*parts)]
    results = [outputs, cs] if whole else [outputs, cs[:, -1], outputs[:, -1]]

    def pull_back(*upstream):
      return tf1.gradients(
        results, arguments, upstream, stop_gradients=arguments
      )

    return results, pull_back

  return run


class _LSTMChain:
  """The steps of one chain, a part of the batch."""

  def __init__(self, kernels, bias, whole, inputs, c=None, h=None):
    self._kernels, self._whole = kernels, whole
    self._inputs, self._flat = inputs, chains.time_major(inputs)
    steps = inputs.shape.as_list()[1]
    sums = half.add_bias(tf1.matmul(self._flat, kernels[0]), bias)
    self._cs, self._hs, self._gates = [c], [h], []
    axis = tf1.constant(1)  # one op for all steps
    for z in tf1.split(sums, steps, axis=0):
      if h is not None:
        z += tf1.matmul(h, kernels[1])
      i, g, f, o = tf1.raw_ops.Split(axis=axis, value=z, num_split=4)
      i, g, f, o = tf1.sigmoid(i), tf1.tanh(g), tf1.sigmoid(f), tf1.sigmoid(o)
      c = i * g if c is None else f * c + i * g
      bent = tf1.tanh(c)
      h = o * bent
      self._gates.append((i, g, f, o, bent))
      self._cs.append(c)
      self._hs.append(h)

  def results(self):
    """Returns the results of `lstm` for the rows of this chain."""
    outputs = tf1.stack(self._hs[1:], axis=1)
    if self._whole:
      return outputs, tf1.stack(self._cs[1:], axis=1)
    return outputs, self._cs[-1], self._hs[-1]

  def pull_back(self, d_outputs, d_states, d_last=None):
    """Backpropagates gradients.

    Args:
      d_outputs: `[B, T, U]`.
      d_states: `[B, T, U]`, or `[B, U]` of the last c.
      d_last: `[B, U]` of the last h, if there is one.

    Returns:
      The gradients of inputs, kernel, bias, and c and h.
    """
    d_hs = tf1.unstack(d_outputs, axis=1)
    d_cs = tf1.unstack(d_states, axis=1) if self._whole else None
    d_h = d_hs[-1] if self._whole else d_hs[-1] + d_last
    d_c = d_cs[-1] if self._whole else d_states
    d_sums, block = [], self._block_arguments()
    for t in reversed(range(len(self._gates))):
      d_z, d_c = self._slopes(t, d_c, d_h, block)
      d_sums.insert(0, d_z)
      if t or self._hs[0] is not None:
        d_h = tf1.matmul(d_z, self._kernels[1], transpose_b=True)
      if t:
        d_h += d_hs[t - 1]
        d_c = d_c + d_cs[t - 1] if self._whole else d_c
    found = chains.pull_back(d_sums, self._flat, self._hs, self._kernels)
    return found + (d_c, d_h)

  def _block_arguments(self):
    """Returns the constant arguments of `LSTMBlockCellGrad`, if it is used.

    The op computes no matrix product. It reads only the shapes of kernel,
    inputs and bias, which are those of a cell without inputs.
    """
    if self._kernels[1].dtype not in (tf1.float32, tf1.float16):
      return None
    bias = self._kernels[1][0]
    shapes = {"x": self._inputs[:, 0, :0], "w": self._kernels[1], "b": bias}
    return dict(shapes, **_no_peepholes(bias))

  def _slopes(self, t, d_c, d_h, block):
    """Returns the gradients `[B, 4 U]` of a step's sums and `[B, U]` of c."""
    i, g, f, o, bent = self._gates[t]
    before, c = self._cs[t : t + 2]
    before = tf1.zeros_like(c) if before is None else before
    if block is None:
      d_c += chains.tanh_grad(bent, d_h * o)
      parts = [
        chains.sigmoid_grad(i, d_c * g),
        chains.tanh_grad(g, d_c * i),
        chains.sigmoid_grad(f, d_c * before),
        chains.sigmoid_grad(o, d_h * bent),
      ]
      return tf1.concat(parts, 1), d_c * f
    found = tf1.raw_ops.LSTMBlockCellGrad(  # computes the same in one op
      cs_prev=before,
      h_prev=before,
      i=i,
      cs=c,
      f=f,
      o=o,
      ci=g,
      co=bent,
      cs_grad=d_c,
      h_grad=d_h,
      **block,
    )
    return found.dicfo, found.cs_prev_grad


def _twice_differentiable(run, plain):
  """Gives a function a hand-written gradient, and a second one from `plain`.

  Args:
    run: a function of tensors that returns its results, and a function from
      their gradients to the gradients of the arguments.
    plain: a function that computes the same results from differentiable ops.

  Returns:
    A function of tensors that returns the results.
  """

  @tf1.custom_gradient
  def once(*arguments):
    results, pull_back = run(*arguments)

    def backward(*upstream):
      @tf1.custom_gradient
      def first(*both):
        def second(*upstream):
          ends, starts = both[len(arguments) :], both[: len(arguments)]
          found = tf1.gradients(
            plain(*starts), starts, ends, stop_gradients=starts
          )
          return tf1.gradients(found, both, upstream, stop_gradients=both)

        return pull_back(*both[len(arguments) :]), second

      return first(*arguments, *_tell_apart(upstream))

    return results, backward

  return once


def _tell_apart(tensors):
  """Returns distinct tensors to differentiate by, even for repeated ones."""
  return [tf1.identity(x) for x in tensors]


def _no_peepholes(bias):
  """Returns the arguments that disable peepholes in an LSTM op."""
  none = tf1.zeros([tf1.dimension_value(bias.shape[0]) // 4], bias.dtype)
  return {"wci": none, "wcf": none, "wco": none, "use_peephole": False}

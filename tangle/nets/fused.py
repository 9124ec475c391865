"""Recurrent layers whose large products are made once for all steps.

The inputs of all steps meet the kernel in one matrix product, and so do their
gradients; the gradient of the kernel is one product over all steps, where plain
differentiation makes one for each step and adds them up. Only what must go step
by step does: the product of the state, and its gradient.

The gradient is written out by hand for that, as a custom gradient of the whole
layer. It is made of TensorFlow ops, so that it can be differentiated again.
"""

import numpy as np

from tangle.compat import tf1


def lstm(inputs, c, h, kernel, bias, forget_bias, whole):
  """Runs an LSTM over a sequence; the formula is that of `cells.LSTMCell`.

  Args:
    inputs: `[T, B, D]`, T and D known.
    c, h: `[B, U]`, the state before the first step.
    kernel: `[D + U, 4 U]`, gates in the order i, g, f, o.
    bias: `[4 U]`.
    forget_bias: number added to the forget gate.
    whole: whether all cell states are needed, not only the last.

  Returns:
    Outputs `[T, B, U]`, and cell states `[T, B, U]`, or the last `[B, U]`.
  """
  steps, depth = inputs.shape.as_list()[0], inputs.shape.as_list()[2]
  units = kernel.shape.as_list()[1] // 4
  forget = np.zeros(4 * units, bias.dtype.as_numpy_dtype)
  forget[2 * units : 3 * units] = forget_bias

  @tf1.custom_gradient
  def run(inputs, c, h, kernel, bias):
    below = kernel[depth:]
    flat = tf1.reshape(inputs, [-1, depth])
    gates = tf1.nn.bias_add(tf1.matmul(flat, kernel[:depth]), bias + forget)
    hs, cs, parts = [h], [c], []
    for z in _split(gates, steps):
      z += tf1.matmul(hs[-1], below)
      i, g, f, o = tf1.split(z, 4, axis=1)
      i, g, f, o = tf1.sigmoid(i), tf1.tanh(g), tf1.sigmoid(f), tf1.sigmoid(o)
      cs.append(f * cs[-1] + i * g)
      bent = tf1.tanh(cs[-1])
      hs.append(o * bent)
      parts.append((i, g, f, o, bent))
    states = tf1.stack(cs[1:]) if whole else cs[-1]

    def backward(d_hs, d_states):
      d_hs = tf1.unstack(d_hs, num=steps)
      d_cs = tf1.unstack(d_states, num=steps) if whole else None
      d_h, d_c = d_hs[-1], d_cs[-1] if whole else d_states
      d_gates = []
      for t in reversed(range(steps)):
        i, g, f, o, bent = parts[t]
        d_c += _tanh_grad(bent, d_h * o)
        slopes = [
          _sigmoid_grad(i, d_c * g),
          _tanh_grad(g, d_c * i),
          _sigmoid_grad(f, d_c * cs[t]),
          _sigmoid_grad(o, d_h * bent),
        ]
        d_gates.append(tf1.concat(slopes, 1))
        d_h = tf1.matmul(d_gates[-1], below, transpose_b=True)
        d_c = d_c * f
        if t:
          d_h += d_hs[t - 1]
          d_c = d_c + d_cs[t - 1] if whole else d_c
      d_gates = tf1.concat(d_gates[::-1], 0)
      d_inputs, d_kernel, d_bias = _pull_back(
        d_gates, flat, tf1.concat(hs[:-1], 0), kernel
      )
      return _shaped(d_inputs, inputs), d_c, d_h, d_kernel, d_bias

    return (tf1.stack(hs[1:]), states), backward

  return run(inputs, c, h, kernel, bias)


def gru(inputs, h, gates_kernel, gates_bias, candidate_kernel, candidate_bias):
  """Runs a GRU over a sequence; the formula is that of `cells.GRUCell`.

  Args:
    inputs: `[T, B, D]`, T and D known.
    h: `[B, U]`, the state before the first step.
    gates_kernel: `[D + U, 2 U]`, gates in the order r, z.
    gates_bias: `[2 U]`.
    candidate_kernel: `[D + U, U]`.
    candidate_bias: `[U]`.

  Returns:
    Outputs `[T, B, U]`, which are the states.
  """
  steps, depth = inputs.shape.as_list()[0], inputs.shape.as_list()[2]
  units = candidate_kernel.shape.as_list()[1]

  @tf1.custom_gradient
  def run(
    inputs, h, gates_kernel, gates_bias, candidate_kernel, candidate_bias
  ):
    flat = tf1.reshape(inputs, [-1, depth])
    both = tf1.concat([gates_kernel[:depth], candidate_kernel[:depth]], 1)
    biases = tf1.concat([gates_bias, candidate_bias], 0)
    sums = tf1.nn.bias_add(tf1.matmul(flat, both), biases)
    gates_below, candidate_below = (
      gates_kernel[depth:],
      candidate_kernel[depth:],
    )
    hs, resets, parts = [h], [], []
    for a in _split(sums, steps):
      gates, candidate = tf1.split(a, [2 * units, units], axis=1)
      gates = tf1.sigmoid(gates + tf1.matmul(hs[-1], gates_below))
      r, z = tf1.split(gates, 2, axis=1)
      resets.append(r * hs[-1])
      g = tf1.tanh(candidate + tf1.matmul(resets[-1], candidate_below))
      parts.append((gates, r, z, g))
      hs.append(g + z * (hs[-1] - g))

    def backward(d_hs):
      d_hs = tf1.unstack(d_hs, num=steps)
      d_h = d_hs[-1]
      d_gates, d_candidates = [], []
      for t in reversed(range(steps)):
        gates, r, z, g = parts[t]
        d_candidates.append(_tanh_grad(g, d_h * (1 - z)))
        d_reset = tf1.matmul(
          d_candidates[-1], candidate_below, transpose_b=True
        )
        d_both = tf1.concat([d_reset * hs[t], d_h * (hs[t] - g)], 1)
        d_gates.append(_sigmoid_grad(gates, d_both))
        d_h = d_h * z + d_reset * r
        d_h += tf1.matmul(d_gates[-1], gates_below, transpose_b=True)
        if t:
          d_h += d_hs[t - 1]
      of_gates = _pull_back(
        tf1.concat(d_gates[::-1], 0), flat, tf1.concat(hs[:-1], 0), gates_kernel
      )
      of_candidates = _pull_back(
        tf1.concat(d_candidates[::-1], 0),
        flat,
        tf1.concat(resets, 0),
        candidate_kernel,
      )
      d_inputs = _shaped(of_gates[0] + of_candidates[0], inputs)
      return (d_inputs, d_h) + of_gates[1:] + of_candidates[1:]

    return tf1.stack(hs[1:]), backward

  return run(
    inputs, h, gates_kernel, gates_bias, candidate_kernel, candidate_bias
  )


def _tanh_grad(y, upstream):
  """Returns `upstream * (1 - y^2)` by one op, for `y = tanh(x)`."""
  return tf1.raw_ops.TanhGrad(y=y, dy=upstream)


def _sigmoid_grad(y, upstream):
  """Returns `upstream * y * (1 - y)` by one op, for `y = sigmoid(x)`."""
  return tf1.raw_ops.SigmoidGrad(y=y, dy=upstream)


def _split(flat, steps):
  """Returns the rows `[B, N]` of each step of `[T B, N]`."""
  return tf1.split(flat, steps, axis=0)


def _pull_back(d_sums, inputs, states, kernel):
  """Carries a gradient through `[inputs, states] kernel + bias`, all steps.

  Args:
    d_sums: `[T B, N]`.
    inputs: `[T B, D]`.
    states: `[T B, U]`.
    kernel: `[D + U, N]`.

  Returns:
    The gradients of inputs, kernel and bias.
  """
  depth = inputs.shape.as_list()[1]
  d_kernel = tf1.concat(
    [
      tf1.matmul(inputs, d_sums, transpose_a=True),
      tf1.matmul(states, d_sums, transpose_a=True),
    ],
    0,
  )
  d_inputs = tf1.matmul(d_sums, kernel[:depth], transpose_b=True)
  return d_inputs, d_kernel, tf1.reduce_sum(d_sums, 0)


def _shaped(gradient, tensor):
  return tf1.reshape(gradient, tf1.shape(tensor))

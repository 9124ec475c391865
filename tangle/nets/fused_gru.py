"""A GRU over a sequence, with few large matrix products.

The gradient is written by hand, see `chains`, of ops that have gradients.
"""

from tangle.compat import tf1
from tangle.nets import chains, half


def gru(
  inputs, gates_kernel, gates_bias, candidate_kernel, candidate_bias, state
):
  """Runs a GRU over a sequence; the formula is that of `cells.GRUCell`.

  Args:
    inputs: `[B, T, D]`, T and D known.
    gates_kernel: `[D + U, 2 U]`, gates in the order r, z.
    gates_bias: `[2 U]`.
    candidate_kernel: `[D + U, U]`.
    candidate_bias: `[U]`.
    state: h before the first step, `[B, U]`, in a list; `()` for zeros.

  Returns:
    Outputs `[B, T, U]`, which are the states.
  """
  depth = inputs.shape.as_list()[2]

  @tf1.custom_gradient
  def run(inputs, *arguments):
    weights, state = arguments[:4], arguments[4:]
    sizes = chains.sizes_of(inputs)
    parts = [
      _GRUChain(depth, weights, *rows)
      for rows in chains.divide([inputs, *state], sizes)
    ]

    def pull_back(d_outputs):
      found = [
        chain.pull_back(*rows)
        for chain, rows in zip(parts, chains.divide([d_outputs], sizes))
      ]
      return chains.join_gradients(found, 4, len(state))

    return chains.join([tf1.stack(c.hs[1:], axis=1) for c in parts]), pull_back

  weights = gates_kernel, gates_bias, candidate_kernel, candidate_bias
  return run(inputs, *weights, *state)


class _GRUChain:
  """The steps of one chain, a part of the batch."""

  def __init__(self, depth, weights, inputs, h=None):
    gates_kernel, gates_bias, candidate_kernel, candidate_bias = weights
    self._gates_kernels = gates_kernel[:depth], gates_kernel[depth:]
    self._candidate_kernels = candidate_kernel[:depth], candidate_kernel[depth:]
    self._flat = chains.time_major(inputs)
    both = tf1.concat([gates_kernel[:depth], candidate_kernel[:depth]], 1)
    biases = tf1.concat([gates_bias, candidate_bias], 0)
    sums = half.add_bias(tf1.matmul(self._flat, both), biases)
    units = candidate_kernel.shape.as_list()[1]
    self.hs, self._resets, self._parts = [h], [], []
    for a in tf1.split(sums, inputs.shape.as_list()[1], axis=0):
      gates, candidate = tf1.split(a, [2 * units, units], axis=1)
      if h is not None:
        gates += tf1.matmul(h, self._gates_kernels[1])
      gates = tf1.sigmoid(gates)
      r, z = tf1.split(gates, 2, axis=1)
      reset = None if h is None else r * h
      if h is not None:
        candidate += tf1.matmul(reset, self._candidate_kernels[1])
      g = tf1.tanh(candidate)
      h = g - z * g if h is None else g + z * (h - g)
      self._parts.append((gates, r, z, g))
      self._resets.append(reset)
      self.hs.append(h)

  def pull_back(self, d_outputs):
    """Backpropagates the gradient `[B, T, U]` of the outputs."""
    d_hs = tf1.unstack(d_outputs, axis=1)
    d_h, d_gates, d_candidates = d_hs[-1], [], []
    for t in reversed(range(len(self._parts))):
      gates, r, z, g = self._parts[t]
      before = tf1.zeros_like(g) if self.hs[t] is None else self.hs[t]
      d_candidate = chains.tanh_grad(g, d_h * (1 - z))
      d_reset = tf1.matmul(
        d_candidate, self._candidate_kernels[1], transpose_b=True
      )
      d_both = tf1.concat([d_reset * before, d_h * (before - g)], 1)
      d_gates.insert(0, chains.sigmoid_grad(gates, d_both))
      d_candidates.insert(0, d_candidate)
      d_h = d_h * z + d_reset * r
      d_h += tf1.matmul(d_gates[0], self._gates_kernels[1], transpose_b=True)
      if t:
        d_h += d_hs[t - 1]
    of_gates = chains.pull_back(
      d_gates, self._flat, self.hs, self._gates_kernels
    )
    of_candidates = chains.pull_back(
      d_candidates, self._flat, self._resets, self._candidate_kernels
    )
    d_inputs = of_gates[0] + of_candidates[0]
    return (d_inputs,) + of_gates[1:] + of_candidates[1:] + (d_h,)

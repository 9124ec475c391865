"""JAX: two compiled functions with a cut between them, or one.

Split: one compiled function runs the lower part and returns the boundary and
its backward function, which is a pytree of residuals. Another compiled function
takes this pytree and the upstream gradient. So nothing is traced or computed
twice.
"""

import functools

import jax
import numpy as np
from jax import numpy as jnp

from tangle.benchmarks.frameworks import layers


class _Net(layers.Layers):
  """The layers on arrays."""

  relu = staticmethod(jax.nn.relu)
  tanh = staticmethod(jnp.tanh)

  def __init__(self, weights):
    """Keeps `weights`, name → array or tracer."""
    self._weights = weights

  def _get(self, name, *keys):
    return [self._weights[f"{name}/{key}"] for key in keys]

  def concat(self, x, y):
    """Returns `x` and `y` side by side."""
    return jnp.concatenate([x, y], -1)

  def dense(self, name, x, units):
    kernel, bias = self._get(name, "kernel", "bias")
    return x @ kernel + bias

  def normalize(self, name, x):
    gain, offset = self._get(name, "gain", "offset")
    return gain * jax.nn.standardize(x, axis=-1, epsilon=1e-5) + offset

  def lstm(self, name, x, units, state=None):
    zeros = jnp.zeros((x.shape[0], units), x.dtype)
    state = (zeros, zeros) if state is None else state
    kernel, bias = self._get(name, "kernel", "bias")
    outputs, state = run_lstm(kernel, bias, x, state)
    return outputs, list(state)

  def gru(self, name, x, units, state=None):
    kernel = self._weights[f"{name}_cell/kernel"]
    below = self.dense(name, x, 3 * units)

    def step(h, row):
      r, z, n = jnp.split(row, 3, axis=-1)
      r_h, z_h, n_h = jnp.split(h @ kernel, 3, axis=-1)
      found = jnp.tanh(n + jax.nn.sigmoid(r + r_h) * n_h)
      h = found + jax.nn.sigmoid(z + z_h) * (h - found)
      return h, h

    state = jnp.zeros((x.shape[0], units)) if state is None else state[0]
    state, outputs = jax.lax.scan(step, state, below.swapaxes(0, 1))
    return outputs.swapaxes(0, 1), [state]

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    def cut(x):
      return x.reshape(x.shape[:2] + (heads, -1)).swapaxes(1, 2)

    scores = scale * (cut(queries) @ cut(keys).swapaxes(2, 3))
    if causal:
      steps = queries.shape[1]
      scores += np.triu(np.full([steps, steps], -1e9, np.float32), 1)
    found = jax.nn.softmax(scores) @ cut(values)
    return found.swapaxes(1, 2).reshape(queries.shape)

  def cross_entropy(self, logits, targets):
    found = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(found, targets[..., None], -1).mean()


def run_lstm(kernel, bias, inputs, state, mask=None, reverse=False):
  """Runs an LSTM.

  Args:
    kernel: `[D + U, 4 U]`, of the gates i, g, f, o.
    bias: `[4 U]`.
    inputs: `[B, T, D]`.
    state: c and h before the first step, `[B, U]` each.
    mask: `[B, T]` bool, false where an example has ended; None for all true.
    reverse: whether to run from the last step to the first.

  Returns:
    Outputs `[B, T, U]`, in the order of `inputs` and zero where the mask is
    false; and a pair, c and h after the last step that the mask does not skip.
  """
  width = inputs.shape[-1]
  below = (inputs @ kernel[:width] + bias).swapaxes(0, 1)

  def step(state, now):
    row, real = now
    c, h = state
    i, g, f, o = jnp.split(row + h @ kernel[width:], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    if real is None:
      return (c, h), h
    real = real[:, None]
    following = jnp.where(real, c, state[0]), jnp.where(real, h, state[1])
    return following, jnp.where(real, h, 0)

  steps = below, None if mask is None else mask.T
  state, outputs = jax.lax.scan(step, tuple(state), steps, reverse=reverse)
  return outputs.swapaxes(0, 1), state


def update(optimizer, weights, slots, gradients):
  """Returns weights and slots after a step with clipped gradients.

  Args:
    optimizer: a `networks.Optimizer`.
    weights: name → array.
    slots: Adam's count of steps, first and second moments; empty for SGD.
    gradients: name → array, to be clipped by their global norm.
  """
  leaves = jax.tree_util.tree_leaves(gradients)
  norm = jnp.sqrt(sum((g * g).sum() for g in leaves))
  factor = optimizer.clip_norm / jnp.maximum(norm, optimizer.clip_norm)
  gradients = {name: factor * g for name, g in gradients.items()}
  rate = optimizer.learning_rate
  if optimizer.name == "sgd":
    return {k: w - rate * gradients[k] for k, w in weights.items()}, slots
  count, first, second = slots
  count = count + 1
  first = {k: 0.9 * m + 0.1 * gradients[k] for k, m in first.items()}
  second = {k: 0.999 * v + 0.001 * gradients[k] ** 2 for k, v in second.items()}
  rate = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
  weights = {
    k: w - rate * first[k] / (jnp.sqrt(second[k]) + 1e-8)
    for k, w in weights.items()
  }
  return weights, (count, first, second)


def to_device(arrays):
  """Returns name → array of JAX for `arrays`, name → array."""
  return {name: jnp.asarray(array) for name, array in arrays.items()}


def make_slots(optimizer, weights):
  """Returns the slots before the first step, each with its own buffer.

  A step donates the buffers of its arguments.

  Args:
    optimizer: a `networks.Optimizer`.
    weights: name → array.
  """
  if optimizer.name == "sgd":
    return ()
  both = [
    {name: jnp.zeros_like(array) for name, array in weights.items()}
    for _ in ("first", "second")
  ]
  return (jnp.zeros(()), *both)


def build(task, optimizer, threads, mode):
  """Builds a `networks.Task`; see `candidates`. `threads` has no effect."""
  del threads
  lower_names = set(task.lower_names)
  weights = to_device(task.weights)
  lower_feeds = to_device(task.lower_feeds)
  upper_feeds = to_device(task.upper_feeds)

  @jax.jit
  def forward(weights, feeds):
    return jax.vjp(lambda w: task.lower(_Net(w), feeds), weights)

  @jax.jit
  def above(weights, boundary, feeds):
    return jax.value_and_grad(
      lambda w, b: task.upper(_Net(w), b, feeds), argnums=(0, 1)
    )(weights, boundary)

  @jax.jit
  def backward(pull, upstream):
    return pull(upstream)[0]

  @jax.jit
  def both(weights, lower_feeds, upper_feeds):
    def loss(weights):
      net = _Net(weights)
      return task.upper(net, task.lower(net, lower_feeds), upper_feeds)

    return jax.value_and_grad(loss)(weights)

  change = functools.partial(update, optimizer)
  change = jax.jit(change, donate_argnums=(0, 1))
  state = [weights, make_slots(optimizer, weights)]

  def step():
    weights = state[0]
    if mode == "split":
      lower = {k: w for k, w in weights.items() if k in lower_names}
      upper = {k: w for k, w in weights.items() if k not in lower_names}
      boundary, pull = forward(lower, lower_feeds)
      loss, (gradients, upstream) = above(upper, boundary, upper_feeds)
      gradients = dict(gradients, **backward(pull, upstream))
    else:
      loss, gradients = both(weights, lower_feeds, upper_feeds)
    state[:] = change(weights, state[1], gradients)
    jax.block_until_ready(state)
    return float(loss)

  return step, {"jax": jax.__version__}

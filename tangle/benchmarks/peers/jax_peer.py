"""JAX on the tasks: `vjp` across two compiled functions, or one.

Split: one compiled function runs the lower part and returns the boundary and
its backward function, which is a pytree of residuals. Another compiled function
takes this pytree and the upstream gradient. So nothing is traced or computed
twice.
"""

import functools

import jax
import numpy as np
from jax import numpy as jnp


class Net:
  """The layers of `networks`, on a dict of weights."""

  def __init__(self, weights):
    """Keeps the weights.

    Args:
      weights: name → array or tracer.
    """
    self._weights = weights

  def dense(self, name, x, units):
    """Applies the dense layer `name` of `units` to `x`."""
    return x @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"]

  def normalize(self, name, x):
    """Normalizes `x` over its last axis, with the weights of `name`."""
    found = jax.nn.standardize(x, axis=-1, epsilon=1e-5)
    gain, offset = (self._weights[f"{name}/{k}"] for k in ("gain", "offset"))
    return gain * found + offset

  def lstm(self, name, x, units, state=None):
    """Runs the LSTM `name` of `units` over `x` from `state`."""
    kernel = self._weights[f"{name}/kernel"]
    depth = x.shape[-1]
    below = x @ kernel[:depth] + self._weights[f"{name}/bias"]
    zeros = jnp.zeros((x.shape[0], units), x.dtype)

    def step(state, row):
      c, h = state
      i, g, f, o = jnp.split(row + h @ kernel[depth:], 4, axis=-1)
      c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
      h = jax.nn.sigmoid(o) * jnp.tanh(c)
      return (c, h), h

    state = (zeros, zeros) if state is None else tuple(state)
    state, outputs = jax.lax.scan(step, state, below.swapaxes(0, 1))
    return outputs.swapaxes(0, 1), list(state)

  def gru(self, name, x, units, state=None):
    """Runs the GRU `name` of `units` over `x` from `state`."""
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
    """Attends to `values`.

    Args:
      queries: `[B, S, D]`.
      keys: `[B, T, D]`.
      values: `[B, T, D]`.
      heads: number of heads.
      scale: factor of the scores.
      causal: whether a query sees no later key.

    Returns:
      `[B, S, D]`.
    """

    def cut(x):
      return x.reshape(x.shape[:2] + (heads, -1)).swapaxes(1, 2)

    scores = scale * (cut(queries) @ cut(keys).swapaxes(2, 3))
    if causal:
      steps = queries.shape[1]
      scores += np.triu(np.full([steps, steps], -1e9, np.float32), 1)
    found = jax.nn.softmax(scores) @ cut(values)
    return found.swapaxes(1, 2).reshape(queries.shape)

  def relu(self, x):
    """Returns the positive part of `x`."""
    return jax.nn.relu(x)

  def tanh(self, x):
    """Returns the hyperbolic tangent of `x`."""
    return jnp.tanh(x)

  def add(self, x, y):
    """Returns the sum of `x` and `y`."""
    return x + y

  def concat(self, x, y):
    """Returns the concatenation of `x` and `y`."""
    return jnp.concatenate([x, y], -1)

  def cross_entropy(self, logits, targets):
    """Returns the mean cross entropy of `logits` on `targets`."""
    found = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(found, targets[..., None], -1).mean()


def update(optimizer, weights, slots, gradients):
  """Clips gradients by their global norm, and applies them.

  Args:
    optimizer: a `tasks.Optimizer`.
    weights: name → array.
    slots: Adam's count of steps, first and second moments; empty for SGD.
    gradients: name → array.

  Returns:
    Weights and slots after the step.
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


def make_slots(weights):
  """Returns Adam's slots before the first step.

  Args:
    weights: name → array.

  Returns:
    The count, and first and second moments, name → array: each array has its
    own buffer, since a step donates the buffers of its arguments.
  """
  both = [
    {name: jnp.zeros_like(array) for name, array in weights.items()}
    for _ in ("first", "second")
  ]
  return (jnp.zeros(()), *both)


def build(task, optimizer, threads, mode):
  """Builds a contender.

  Args:
    task: a `tasks.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: not used; XLA uses as many threads as the process has processors.
    mode: split or joint.

  Returns:
    A function without arguments that trains for a step and returns the loss,
    and a dict of versions.
  """
  del threads
  lower_names = _names(task.lower_layers, task.weights)
  weights = {name: jnp.asarray(array) for name, array in task.weights.items()}
  slots = ()
  if optimizer.name == "adam":
    slots = make_slots(weights)
  lower_feeds, upper_feeds = (
    {name: jnp.asarray(array) for name, array in feeds.items()}
    for feeds in (task.lower_feeds, task.upper_feeds)
  )

  @jax.jit
  def forward(weights, feeds):
    return jax.vjp(lambda w: task.lower(Net(w), feeds), weights)

  @jax.jit
  def above(weights, boundary, feeds):
    return jax.value_and_grad(
      lambda w, b: task.upper(Net(w), b, feeds), argnums=(0, 1)
    )(weights, boundary)

  @jax.jit
  def backward(pull, upstream):
    return pull(upstream)[0]

  @jax.jit
  def both(weights, lower_feeds, upper_feeds):
    def loss(weights):
      net = Net(weights)
      return task.upper(net, task.lower(net, lower_feeds), upper_feeds)

    return jax.value_and_grad(loss)(weights)

  change = functools.partial(update, optimizer)
  change = jax.jit(change, donate_argnums=(0, 1))
  state = [weights, slots]

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


def _names(layers, weights):
  """Returns the names of the weights of some layers."""
  owners = set(layers) | {f"{name}_cell" for name in layers}
  return {name for name in weights if name.split("/")[0] in owners}

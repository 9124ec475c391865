"""JAX on the real jobs: padded buckets, a compiled function per bucket.

A training step is one compiled function of weights, slots and batch, whose
buffers are donated; layers are `lax.scan` loops that keep the state after the
end of an example. JAX compiles once per shape. To have few shapes, it uses
joint buckets, planned as tangle plans its own. Training is joint, without a
cut.
"""

import functools

import jax
import numpy as np
from jax import numpy as jnp

from tangle import errors
from tangle.benchmarks.peers import (
  jax_peer,
  jobs,
  jobs_contender,
  jobs_jax_search,
)
from tangle.seq2seq import batches


def run_layer(weights, prefix, inputs, state, mask=None, reverse=False):
  """Runs an LSTM layer over a batch of sequences.

  Args:
    weights: name → array.
    prefix: one of `jobs.LAYERS`.
    inputs: `[B, T, D]`.
    state: c and h before the first step, `[B, U]` each.
    mask: `[B, T]` bool, false where an example has ended; None for all true.
    reverse: whether to run from the last step to the first.

  Returns:
    Outputs `[B, T, U]`, zero where the mask is false, and the last c and h.
  """
  kernel, depth = weights[f"{prefix}/kernel"], inputs.shape[-1]
  below = inputs @ kernel[:depth] + weights[f"{prefix}/bias"]
  if mask is None:
    mask = jnp.ones(inputs.shape[:2], bool)

  def step(state, now):
    row, real = now
    c, h = state
    i, g, f, o = jnp.split(row + h @ kernel[depth:], 4, axis=-1)
    c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    real = real[:, None]
    following = jnp.where(real, c, state[0]), jnp.where(real, h, state[1])
    return following, jnp.where(real, h, 0)

  steps = below.swapaxes(0, 1), mask.T
  state, outputs = jax.lax.scan(step, tuple(state), steps, reverse=reverse)
  return outputs.swapaxes(0, 1), state


def drop(x, rate, key):
  """Returns `x` after dropout at `rate`, a number; `key` is the mask's key."""
  if not rate:
    return x
  return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x, 0) / (
    1 - rate
  )


def encode(weights, source, lengths, rate=0.0, key=None):
  """Encodes a batch.

  Args:
    weights: name → array.
    source: `[B, S]` ids.
    lengths: `[B]` ints.
    rate: dropout rate, a number.
    key: random key of the mask.

  Returns:
    The memory `[B, S, 2 U]`, its mask `[B, S]`, and the decoder's first state,
    c and h.
  """
  units = weights["attention/kernel"].shape[0]
  inputs = drop(weights["source_embedding/table"][source], rate, key)
  mask = jnp.arange(source.shape[1]) < lengths[:, None]
  zeros = jnp.zeros([len(source), units])
  both = [
    run_layer(weights, prefix, inputs, (zeros, zeros), mask, reverse)
    for prefix, reverse in zip(jobs.LAYERS, (False, True))
  ]
  memory = jnp.concatenate([outputs for outputs, _ in both], -1)
  summary = jnp.concatenate([state[1] for _, state in both], -1)
  kernel, bias = (weights[f"decoder_bridge_0/{k}"] for k in ("kernel", "bias"))
  c, h = jnp.split(jnp.tanh(summary @ kernel + bias), 2, axis=-1)
  return memory, mask, (c, h)


def decode(weights, memory, mask, state, inputs, rate=0.0, key=None):
  """Predicts the symbols after each of `inputs`.

  Args:
    weights: name → array.
    memory: as `encode` returns it.
    mask: as `encode` returns it.
    state: as `encode` or `decode` returns it.
    inputs: ids `[B, T]`.
    rate: dropout rate, a number.
    key: random key of the masks.

  Returns:
    Logits `[B, T, V]`, and the state after the last step.
  """
  keys = (None, None) if key is None else jax.random.split(key)
  embedded = drop(weights["target_embedding/table"][inputs], rate, keys[0])
  outputs, state = run_layer(weights, jobs.LAYERS[2], embedded, state)
  scores = outputs @ weights["attention/kernel"] @ memory.swapaxes(1, 2)
  scores = jnp.where(mask[:, None], scores, -jnp.inf)
  context = jax.nn.softmax(scores) @ memory
  joined = jnp.concatenate([context, outputs], -1)
  joined = jnp.tanh(joined @ weights["attentional/kernel"])
  kernel, bias = (weights[f"logits/{k}"] for k in ("kernel", "bias"))
  return drop(joined, rate, keys[1]) @ kernel + bias, state


def loss(weights, arrays, rate, key):
  """Returns the mean cross entropy over the real target symbols.

  Args:
    weights: name → array.
    arrays: source, lengths, inputs, targets and weights of a batch.
    rate: dropout rate, a number.
    key: random key of the masks.
  """
  source, lengths, inputs, targets, real = arrays
  keys = jax.random.split(key)
  encoded = encode(weights, source, lengths, rate, keys[0])
  logits, _ = decode(weights, *encoded, inputs, rate, keys[1])
  chosen = jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
  losses = jax.nn.logsumexp(logits, -1) - chosen
  return (losses * real).sum() / real.sum()


class Contender(jobs_contender.Contender):
  """Compiled functions of JAX."""

  def __init__(self, task, optimizer):
    """Keeps the settings.

    Args:
      task: a `jobs.Task`.
      optimizer: a `tasks.Optimizer`.
    """
    super().__init__(task)
    self._optimizer = optimizer

  def plan(self):
    """Returns joint buckets."""
    return jobs_contender.plan_buckets(self.task, "joint")

  def batches(self, plan):
    """Draws the batches of the first epoch; see the base class."""
    sizes = self.task.sizes
    return batches.PairBatches(
      self.task.train, plan, sizes.batch, self.task.seed
    ).epoch(0)

  def make(self, plan, weights, rate):
    """Builds the training; see the base class."""
    del plan
    weights = self.task.draw() if weights is None else weights
    return _Trainer(weights, self._optimizer, rate, self.task.seed)

  def searcher(self, weights, beam_size):
    """Builds the decoding; see the base class."""
    weights = {name: jnp.asarray(array) for name, array in weights.items()}
    run = jobs_jax_search.make(encode, decode, self.task.longest[1], beam_size)
    task = self.task
    sources = batches.PairBatches(
      task.test, self.plan(), task.sizes.decode_batch
    )

    def search():
      for batch in sources.in_order():
        yield batch.indices, run(weights, batch.source, batch.source_lengths)

    return search


class _Trainer:
  """Weights, slots, and the compiled training step."""

  def __init__(self, weights, optimizer, rate, seed):
    weights = {name: jnp.asarray(array) for name, array in weights.items()}
    self._state = weights, jax_peer.make_slots(weights)
    self._key = jax.random.PRNGKey(seed)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(weights, slots, arrays, number, key):
      key = jax.random.fold_in(key, number)
      found, gradients = jax.value_and_grad(loss)(weights, arrays, rate, key)
      return jax_peer.update(optimizer, weights, slots, gradients) + (found,)

    self._step = step

  def train(self, batch, number):
    """Makes a step on a `rows.Batch`, `batch`; returns the loss."""
    arrays = (
      batch.source,
      batch.source_lengths,
      batch.decoder_inputs,
      batch.targets,
      batch.weights,
    )
    *state, found = self._step(*self._state, arrays, number, self._key)
    self._state = tuple(state)
    return found

  def weights(self):
    """Returns name → array."""
    return {name: np.asarray(array) for name, array in self._state[0].items()}


def build(task, optimizer, threads, mode="joint"):
  """Returns a contender.

  Args:
    task: a `jobs.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: not used; XLA uses as many threads as the process has processors.
    mode: joint, the only mode.

  Returns:
    A `Contender`, and a dict of versions.

  Raises:
    ArgumentError: for another mode.
  """
  del threads
  if mode != "joint":
    raise errors.ArgumentError(
      f"peers.jobs_jax.build: the mode must be joint, got {mode!r}."
    )
  return Contender(task, optimizer), {"jax": jax.__version__}

"""JAX on jobs: padded buckets, a compiled function per bucket.

A training step is one compiled function of weights, slots and batch, whose
buffers are donated; layers are `lax.scan` loops that keep the state after the
end of an example. JAX compiles once per shape. To have few shapes, it uses
joint buckets, planned as tangle plans its own. Training is joint, without a
cut. Decoding is a compiled `while_loop` per bucket.
"""

import functools

import jax
import numpy as np
from jax import numpy as jnp

from tangle import errors
from tangle.benchmarks import names
from tangle.benchmarks.frameworks import in_jax, job_training, jobs
from tangle.seq2seq import vocabulary


def _drop(x, rate, key):
  """Returns `x` after dropout."""
  if not rate:
    return x
  kept = jax.random.bernoulli(key, 1 - rate, x.shape)
  return jnp.where(kept, x, 0) / (1 - rate)


def _run_layer(weights, prefix, inputs, state, mask=None, reverse=False):
  """Runs an LSTM layer of `jobs.LAYERS`, which adds 1 to the forget gate."""
  kernel, bias = (weights[f"{prefix}/{key}"] for key in ("kernel", "bias"))
  forget = jnp.repeat(jnp.array([0.0, 0.0, 1.0, 0.0]), state[0].shape[-1])
  return in_jax.run_lstm(kernel, bias + forget, inputs, state, mask, reverse)


def _encode(weights, source, lengths, rate=0.0, key=None):
  """Returns the memory `[B, S, 2 U]`, its mask, and the decoder's c and h."""
  units = weights["attention/kernel"].shape[0]
  inputs = _drop(weights["source_embedding/table"][source], rate, key)
  mask = jnp.arange(source.shape[1]) < lengths[:, None]
  zeros = jnp.zeros([len(source), units])
  both = [
    _run_layer(weights, prefix, inputs, (zeros, zeros), mask, reverse)
    for prefix, reverse in zip(jobs.LAYERS, (False, True))
  ]
  memory = jnp.concatenate([outputs for outputs, _ in both], -1)
  summary = jnp.concatenate([state[1] for _, state in both], -1)
  kernel, bias = (weights[f"decoder_bridge_0/{k}"] for k in ("kernel", "bias"))
  c, h = jnp.split(jnp.tanh(summary @ kernel + bias), 2, axis=-1)
  return memory, mask, (c, h)


def _decode(weights, memory, mask, state, inputs, rate=0.0, key=None):
  """Returns the logits after each of `inputs` `[B, T]`, and the last state."""
  keys = (None, None) if key is None else jax.random.split(key)
  embedded = _drop(weights["target_embedding/table"][inputs], rate, keys[0])
  outputs, state = _run_layer(weights, jobs.LAYERS[2], embedded, state)
  scores = outputs @ weights["attention/kernel"] @ memory.swapaxes(1, 2)
  scores = jnp.where(mask[:, None], scores, -jnp.inf)
  context = jax.nn.softmax(scores) @ memory
  joined = jnp.concatenate([context, outputs], -1)
  joined = jnp.tanh(joined @ weights["attentional/kernel"])
  kernel, bias = (weights[f"logits/{k}"] for k in ("kernel", "bias"))
  return _drop(joined, rate, keys[1]) @ kernel + bias, state


def _loss(weights, arrays, rate, key):
  """Returns the mean cross entropy over the real target symbols."""
  source, lengths, inputs, targets, real = arrays
  keys = jax.random.split(key)
  encoded = _encode(weights, source, lengths, rate, keys[0])
  logits, _ = _decode(weights, *encoded, inputs, rate, keys[1])
  chosen = jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
  losses = jax.nn.logsumexp(logits, -1) - chosen
  return (losses * real).sum() / real.sum()


def make_search(encode, decode, steps, beam_size):
  """Makes a beam search; with one sequence it is greedy.

  A sequence that has ended stays unchanged in the beam, and an example is done
  when its best sequence has ended.

  Args:
    encode: a function of weights, source and lengths that returns memory, mask
      and state.
    decode: a function of weights, these and symbols `[B, 1]` that returns
      logits `[B, 1, V]` and the state.
    steps: S, the most symbols to predict.
    beam_size: K.

  Returns:
    A compiled function of weights, source `[B, T]` and lengths `[B]`, which
    returns the best symbols `[B, S]`, EOS beyond the end.
  """

  @jax.jit
  def search(weights, source, lengths):
    memory, mask, state = encode(weights, source, lengths)
    rows, first = len(source), jnp.arange(len(source))[:, None]
    memory, mask, c, h = (
      jnp.repeat(part, beam_size, 0) for part in (memory, mask, *state)
    )
    scores = jnp.full([rows, beam_size], -jnp.inf).at[:, 0].set(0)
    found = jnp.full([rows, beam_size, steps], vocabulary.EOS_ID)
    symbols = jnp.full([rows, beam_size], vocabulary.GO_ID)

    def goes_on(carry):
      time, ended = carry[0], carry[2]
      return (time < steps) & ~ended[:, 0].all()

    def body(carry):
      time, symbols, ended, scores, found, state = carry
      logits, state = decode(
        weights, memory, mask, state, symbols.reshape(-1, 1)
      )
      log_probs = jax.nn.log_softmax(logits[:, 0])
      log_probs = log_probs.reshape(rows, beam_size, -1)
      size = log_probs.shape[-1]
      stay = jnp.full([size], -jnp.inf).at[vocabulary.EOS_ID].set(0)
      log_probs = jnp.where(ended[..., None], stay, log_probs)
      totals = (scores[..., None] + log_probs).reshape(rows, -1)
      scores, places = jax.lax.top_k(totals, beam_size)
      parents, symbols = places // size, places % size
      found = found[first, parents].at[:, :, time].set(symbols)
      ended = ended[first, parents] | (symbols == vocabulary.EOS_ID)
      order = (first * beam_size + parents).reshape(-1)
      state = tuple(part[order] for part in state)
      return time + 1, symbols, ended, scores, found, state

    ended = jnp.zeros([rows, beam_size], bool)
    begin = (0, symbols, ended, scores, found, (c, h))
    return jax.lax.while_loop(goes_on, body, begin)[4][:, 0]

  return search


class _Training(job_training.Training):
  """Compiled functions of JAX."""

  def make(self, plan, weights, rate):
    del plan
    optimizer = self.optimizer
    weights = in_jax.to_device(self.task.draw() if weights is None else weights)
    state = [weights, in_jax.make_slots(optimizer, weights)]
    seed = jax.random.PRNGKey(self.task.seed)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(weights, slots, arrays, number, key):
      key = jax.random.fold_in(key, number)
      found, gradients = jax.value_and_grad(_loss)(weights, arrays, rate, key)
      return in_jax.update(optimizer, weights, slots, gradients) + (found,)

    def train(batch, number):
      arrays = (
        batch.source,
        batch.source_lengths,
        batch.decoder_inputs,
        batch.targets,
        batch.weights,
      )
      *after, found = step(*state, arrays, number, seed)
      state[:] = after
      return found

    def fetch():
      return {name: np.asarray(array) for name, array in state[0].items()}

    return train, fetch

  def searcher(self, weights, beam_size):
    weights = in_jax.to_device(weights)
    run = make_search(_encode, _decode, self.task.longest[1], beam_size)
    return self.search(
      self.plan(),
      lambda batch: run(weights, batch.source, batch.source_lengths),
    )


@errors.named("in_jax_jobs.build")
def build(task, optimizer, threads, mode="joint"):
  """Returns the training of a `jobs.Task`; `threads` has no effect."""
  del threads
  names.check("the mode", mode, ["joint"])
  return _Training(task, optimizer), {"jax": jax.__version__}

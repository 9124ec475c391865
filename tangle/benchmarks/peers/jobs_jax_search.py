"""Greedy and beam search in JAX: a compiled `while_loop` per bucket.

The algorithm is that of `jobs_torch_search`: a sequence that has ended stays
unchanged in the beam, and an example is done when its best sequence has ended.
Greedy search is beam search with one sequence.
"""

import jax
from jax import numpy as jnp

from tangle.seq2seq import vocabulary


def make(encode, decode, steps, beam_size):
  """Makes a search.

  Args:
    encode: as `jobs_jax.encode`.
    decode: as `jobs_jax.decode`.
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

"""An encoder and a decoder for the tests, as functions of shared weights."""

import numpy as np

from tangle.compat import tf1
from tangle.pipeline import pieces

VOCABULARY = 7
DEPTH = 5


class Weights:
  """The weights of encoder and decoder, drawn by numpy; the table is tied."""

  def __init__(self, rng, dtype=np.float64):
    def make(name, *shape):
      value = (rng.standard_normal(shape) * 0.5).astype(dtype)
      return tf1.get_variable(name, initializer=value, use_resource=True)

    self.table = make("table", VOCABULARY, DEPTH)
    self.recurrent = make("recurrent", 2 * DEPTH, DEPTH)
    self.decoder = make("decoder", 2 * DEPTH, DEPTH)
    self.attention = make("attention", DEPTH, DEPTH)


def encode(weights, source_ph):
  """Returns memory `[B, T, D]` and the last state `[B, D]`."""
  embedded = tf1.gather(weights.table, source_ph)
  state = tf1.zeros_like(embedded[:, 0])
  states = []
  for t in range(source_ph.shape[1]):
    joined = tf1.concat([embedded[:, t], state], 1)
    state = tf1.tanh(tf1.matmul(joined, weights.recurrent))
    states.append(state)
  return tf1.stack(states, 1), state


def decode(weights, memory, state, target_ph):
  """Returns logits `[B, T, V]` through the tied table."""
  embedded = tf1.gather(weights.table, target_ph)
  logits = []
  for t in range(target_ph.shape[1]):
    query = tf1.matmul(state, weights.attention)
    scores = tf1.reduce_sum(memory * query[:, tf1.newaxis], 2)
    context = tf1.reduce_sum(memory * tf1.nn.softmax(scores)[..., None], 1)
    joined = tf1.concat([embedded[:, t], state + context], 1)
    state = tf1.tanh(tf1.matmul(joined, weights.decoder))
    logits.append(tf1.matmul(state, weights.table, transpose_b=True))
  return tf1.stack(logits, 1)


def cross_entropy(logits, target_ph):
  """Returns the mean loss, a scalar."""
  losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
    labels=target_ph, logits=logits
  )
  return tf1.reduce_mean(losses)


def encoder_builder(weights):
  """Returns a builder for `Pipeline.add`."""

  def build(bucket, reads):
    del reads
    source_ph = tf1.placeholder(tf1.int32, [None, bucket])
    memory, state = encode(weights, source_ph)
    return pieces.Piece(
      feeds={"source": source_ph}, outputs={"memory": memory, "state": state}
    )

  return build


def decoder_builder(weights):
  """Returns a builder that reads `memory` and `state`."""

  def build(bucket, reads):
    target_ph = tf1.placeholder(tf1.int32, [None, bucket])
    logits = decode(weights, reads["memory"], reads["state"], target_ph)
    return pieces.Piece(
      feeds={"target": target_ph},
      outputs={"logits": logits},
      loss=cross_entropy(logits, target_ph),
      metrics={"symbols": tf1.size(target_ph)},
    )

  return build


def ids(rng, batch, length):
  """Draws ids `[batch, length]`."""
  return rng.randint(0, VOCABULARY, (batch, length)).astype(np.int32)

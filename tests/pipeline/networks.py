"""An encoder and a decoder for the tests, as functions of shared weights."""

from typing import Any, NamedTuple

import numpy as np

import tangle
from tangle.compat import tf1

VOCABULARY = 7
DEPTH = 5


class Weights:
  """The weights of encoder and decoder, drawn by numpy.

  Tied, encoder and decoder share one table for what goes in and what comes
  out; untied, the encoder has its own.
  """

  def __init__(self, rng, dtype=np.float64, tied=True):
    def make(name, *shape):
      value = (rng.standard_normal(shape) * 0.5).astype(dtype)
      return tf1.get_variable(name, initializer=value, use_resource=True)

    self.table = make("table", VOCABULARY, DEPTH)
    self.source = self.table if tied else make("source", VOCABULARY, DEPTH)
    self.recurrent = make("recurrent", 2 * DEPTH, DEPTH)
    self.decoder = make("decoder", 2 * DEPTH, DEPTH)
    self.attention = make("attention", DEPTH, DEPTH)


def encode(weights, source_ph):
  """Returns memory `[B, T, D]` and the last state `[B, D]`."""
  embedded = tf1.gather(weights.source, source_ph)
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
    return tangle.Piece(
      feeds={"source": source_ph}, outputs={"memory": memory, "state": state}
    )

  return build


def decoder_builder(weights):
  """Returns a builder that reads `memory` and `state`."""

  def build(bucket, reads):
    target_ph = tf1.placeholder(tf1.int32, [None, bucket])
    logits = decode(weights, reads["memory"], reads["state"], target_ph)
    return tangle.Piece(
      feeds={"target": target_ph},
      outputs={"logits": logits},
      loss=cross_entropy(logits, target_ph),
      metrics={"symbols": tf1.size(target_ph)},
    )

  return build


def seq2seq(weights, source_buckets, target_buckets, **options):
  """Returns a pipeline of an encoder and a decoder; `options` go to both."""
  pipeline = tangle.Pipeline()
  encoder, decoder = encoder_builder(weights), decoder_builder(weights)
  pipeline.add("encoder", encoder, buckets=source_buckets, **options)
  reads = {"memory": "encoder.memory", "state": "encoder.state"}
  pipeline.add(
    "decoder", decoder, buckets=target_buckets, reads=reads, **options
  )
  return pipeline


class JointStep(NamedTuple):
  """One step of the joint graph.

  Attributes:
    source_ph, target_ph: its placeholders.
    loss, norm: scalars.
    train_op: the update.
  """

  source_ph: Any
  target_ph: Any
  loss: Any
  norm: Any
  train_op: Any

  def run(self, sess, source, target):
    """Takes the step; returns loss and norm."""
    feed_dict = {self.source_ph: source, self.target_ph: target}
    return sess.run([self.loss, self.norm, self.train_op], feed_dict)[:2]


def joint_loss(weights, source_length, target_length):
  """Returns the placeholders and the loss of the joint graph."""
  source_ph = tf1.placeholder(tf1.int32, [None, source_length])
  target_ph = tf1.placeholder(tf1.int32, [None, target_length])
  memory, state = encode(weights, source_ph)
  logits = decode(weights, memory, state, target_ph)
  return source_ph, target_ph, cross_entropy(logits, target_ph)


def joint_step(weights, source_length, target_length, optimizer, clip_norm):
  """Returns a `JointStep` at one pair of lengths."""
  source_ph, target_ph, loss = joint_loss(weights, source_length, target_length)
  variables = tf1.trainable_variables()
  gradients = tf1.gradients(loss, variables)
  clipped, norm = tf1.clip_by_global_norm(gradients, clip_norm)
  train_op = optimizer.apply_gradients(list(zip(clipped, variables)))
  return JointStep(source_ph, target_ph, loss, norm, train_op)


def batch(source, target):
  """Returns the batch that trains on `source` and `target`."""
  return {"encoder": {"source": source}, "decoder": {"target": target}}


def ids(rng, batch, length):
  """Draws ids `[batch, length]`."""
  return rng.randint(0, VOCABULARY, (batch, length)).astype(np.int32)

"""Tangle on the tasks: as a pipeline of two sub-models, or in one graph."""

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.nets import cells, feedforward, recurrent
from tangle.pipeline import joint, pieces, pipeline

MODES = ("split", "joint")
RUNS = ("prepared", "session")
IMPLEMENTATIONS = {
  "fused": lambda units, name: recurrent.LSTM(units, 0.0, name=name),
  "cells": lambda units, name: recurrent.RecurrentLayer(
    cells.LSTMCell(units, 0.0, name=name)
  ),
}
"""Name → function of units and name that makes a layer."""


class ResetAfterCell(cells.GRUCell):
  """A GRU whose reset gate comes after the product; see `networks`.

  Its inputs are already multiplied by the input kernel, `[B, 3 U]`.
  """

  def weights(self, depth):
    """Returns the kernel `[U, 3 U]`."""
    return self._read("kernel", [self.units, 3 * self.units], None)

  def step(self, inputs, state, weights):
    """Returns the state after a step, by the formula in `networks`."""
    r, z, n = tf1.split(inputs, 3, axis=1)
    below = tf1.split(tf1.matmul(state, weights), 3, axis=1)
    z = tf1.sigmoid(z + below[1])
    found = tf1.tanh(n + tf1.sigmoid(r + below[0]) * below[2])
    return found + z * (state - found)


class Net:
  """The layers of `networks`, in a graph."""

  def __init__(self, implementation="fused"):
    """Does not make layers yet.

    Args:
      implementation: one of `IMPLEMENTATIONS` of the LSTM.
    """
    self._implementation = implementation
    self._layers = {}

  def _get(self, name, make):
    if name not in self._layers:
      self._layers[name] = make()
    return self._layers[name]

  def dense(self, name, x, units):
    """Applies the dense layer `name` of `units` to `x`."""
    layer = self._get(name, lambda: feedforward.Dense(units, name=name))
    return layer(x)

  def lstm(self, name, x, units, state=None):
    """Runs the LSTM `name` of `units` over `x` from `state`."""
    layer = self._get(
      name, lambda: IMPLEMENTATIONS[self._implementation](units, name)
    )
    state = None if state is None else cells.LSTMState(*state)
    found = layer(x, initial_state=state)
    return found.outputs, list(found.state)

  def gru(self, name, x, units, state=None):
    """Runs the GRU `name` of `units` over `x` from `state`."""
    layer = self._get(
      f"{name}_cell",
      lambda: recurrent.RecurrentLayer(
        ResetAfterCell(units, name=f"{name}_cell")
      ),
    )
    state = None if state is None else state[0]
    found = layer(self.dense(name, x, 3 * units), initial_state=state)
    return found.outputs, [found.state]

  def normalize(self, name, x):
    """Normalizes `x` over its last axis, with the weights of `name`."""
    depth = [tf1.dimension_value(x.shape[-1])]
    with tf1.variable_scope(name, use_resource=True, reuse=tf1.AUTO_REUSE):
      gain = tf1.get_variable("gain", depth)
      offset = tf1.get_variable("offset", depth)
    mean, variance = tf1.nn.moments(x, [-1], keepdims=True)
    return tf1.nn.batch_normalization(x, mean, variance, offset, gain, 1e-5)

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
    steps, depth = queries.shape.as_list()[1:]

    def cut(x):
      if heads == 1:
        return x
      shape = [-1, x.shape.as_list()[1], heads, depth // heads]
      return tf1.transpose(tf1.reshape(x, shape), [0, 2, 1, 3])

    if scale != 1.0:
      queries = queries * np.float32(scale)
    scores = tf1.matmul(cut(queries), cut(keys), transpose_b=True)
    if causal:
      scores += np.triu(np.full([steps, steps], -1e9, np.float32), 1)
    found = tf1.matmul(tf1.nn.softmax(scores), cut(values))
    if heads == 1:
      return found
    return tf1.reshape(tf1.transpose(found, [0, 2, 1, 3]), [-1, steps, depth])

  def relu(self, x):
    """Returns the positive part of `x`."""
    return tf1.nn.relu(x)

  def tanh(self, x):
    """Returns the hyperbolic tangent of `x`."""
    return tf1.tanh(x)

  def add(self, x, y):
    """Returns the sum of `x` and `y`."""
    return x + y

  def concat(self, x, y):
    """Returns the concatenation of `x` and `y`."""
    return tf1.concat([x, y], -1)

  def cross_entropy(self, logits, targets):
    """Returns the mean cross entropy of `logits` on `targets`."""
    return tf1.reduce_mean(
      tf1.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets, logits=logits
      )
    )


def make_optimizer(optimizer):
  """Returns TensorFlow's optimizer for a `tasks.Optimizer`, `optimizer`."""
  if optimizer.name == "adam":
    return tf1.train.AdamOptimizer(optimizer.learning_rate)
  return tf1.train.GradientDescentOptimizer(optimizer.learning_rate)


def _placeholders(feeds):
  return {
    name: tf1.placeholder(array.dtype, array.shape, name=f"{name}_ph")
    for name, array in feeds.items()
  }


def _make_pipeline(task, implementation):
  """Returns a pipeline of the two parts, not yet built."""
  net = Net(implementation)

  def build_lower(bucket, reads):
    del bucket, reads
    feeds = _placeholders(task.lower_feeds)
    found = task.lower(net, feeds)
    outputs = {f"output_{k}": tensor for k, tensor in enumerate(found)}
    return pieces.Piece(feeds=feeds, outputs=outputs)

  def build_upper(bucket, reads):
    del bucket
    feeds = _placeholders(task.upper_feeds)
    boundary = [reads[f"output_{k}"] for k in range(len(task.boundary))]
    return pieces.Piece(feeds=feeds, loss=task.upper(net, boundary, feeds))

  found = pipeline.Pipeline()
  found.add("lower", build_lower)
  names = [f"output_{k}" for k in range(len(task.boundary))]
  found.add("upper", build_upper, reads={k: f"lower.{k}" for k in names})
  return found


def check_mode(caller, mode):
  """Checks the mode of a contender.

  Args:
    caller: name of the caller, for the error message.
    mode: one of `MODES`.

  Raises:
    ArgumentError: if the mode is unknown.
  """
  if mode not in MODES:
    raise errors.ArgumentError(
      f"{caller}: the mode must be one of {MODES}, got {mode!r}."
    )


def fetch_weights(graph, sess):
  """Returns name → array of the trainable variables of a graph.

  Args:
    graph: a `tf.Graph`.
    sess: a session of it.

  Returns:
    A dict.
  """
  with graph.as_default():
    variables = tf1.trainable_variables()
  return dict(zip([v.op.name for v in variables], sess.run(variables)))


class _Unprepared:
  """A wrapper of a session that only has `run`."""

  def __init__(self, sess):
    self.graph = sess.graph
    self.run = sess.run


def build(
  task,
  optimizer,
  threads,
  mode,
  implementation="fused",
  runs="prepared",
  op_threads=None,
):
  """Builds a contender in its own graph and session.

  Args:
    task: a `tasks.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads between ops.
    mode: one of `MODES`.
    implementation: one of `IMPLEMENTATIONS` of the LSTM.
    runs: one of `RUNS`: prepared once, or through `Session.run`.
    op_threads: threads within an op; `None` for as many as `threads`.

  Returns:
    A function without arguments that trains for a step and returns the loss,
    and a dict of versions.

  Raises:
    ArgumentError: if the mode or `runs` is unknown.
  """
  check_mode("peers.ours.build", mode)
  if runs not in RUNS:
    raise errors.ArgumentError(
      f"peers.ours.build: runs must be one of {RUNS}, got {runs!r}."
    )
  with tf1.Graph().as_default() as graph:
    found = _make_pipeline(task, implementation)
    if mode == "split":
      trainer = found.minimize(make_optimizer(optimizer), optimizer.clip_norm)
    else:
      trainer = joint.JointTrainer(
        found, make_optimizer(optimizer), optimizer.clip_norm
      )
    sess = tf1.Session(
      graph=graph,
      config=tf1.ConfigProto(
        intra_op_parallelism_threads=op_threads or threads,
        inter_op_parallelism_threads=threads,
      ),
    )
    sess.run(tf1.global_variables_initializer())
    for variable in tf1.trainable_variables():
      variable.load(task.weights[variable.op.name], sess)
  if runs == "session":
    sess = _Unprepared(sess)
  batch = {"lower": task.lower_feeds, "upper": task.upper_feeds}
  versions = {"tensorflow": tf1.VERSION}
  return lambda: trainer.step(sess, batch).loss, versions

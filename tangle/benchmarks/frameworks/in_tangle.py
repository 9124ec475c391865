"""Tangle on all tasks: as a pipeline of two sub-models, or in one graph.

Split g2p training has one graph per bucket of the encoder and of the decoder;
joint training one per pair of buckets that occurs, from the same builders. A
job is wired as the scripts wire it: `experiments.translator`, with independent
buckets for split, joint ones for joint training.
"""

import functools
import types

import numpy as np

from tangle import errors
from tangle.benchmarks import names, strategies, timing
from tangle.benchmarks.frameworks import job_training, layers
from tangle.compat import tf1
from tangle.experiments import directions, translator
from tangle.nets import cells, feedforward, recurrent
from tangle.pipeline import joint, pieces, pipeline
from tangle.seq2seq import bucketing
from tangle.seq2seq.legacy import builders, parts, wrappers
from tangle.seq2seq.legacy import cells as legacy_cells
from tangle.training import determinism

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
  """A GRU whose reset gate comes after the product; see `layers`.

  Its inputs `[B, 3 U]` are already multiplied by the input kernel, with the
  bias added.
  """

  def weights(self, depth):
    """Returns the kernel `[U, 3 U]`."""
    return self._read("kernel", [self.units, 3 * self.units], None)

  def step(self, inputs, state, weights):
    """Returns the state after a step, by the formula in `layers`."""
    r, z, n = tf1.split(inputs, 3, axis=1)
    below = tf1.split(tf1.matmul(state, weights), 3, axis=1)
    z = tf1.sigmoid(z + below[1])
    found = tf1.tanh(n + tf1.sigmoid(r + below[0]) * below[2])
    return found + z * (state - found)


class Net(layers.Layers):
  """The `Layers` of tangle's networks, in the default graph."""

  relu = staticmethod(tf1.nn.relu)
  tanh = staticmethod(tf1.tanh)

  def __init__(self, implementation="fused"):
    """Does not make layers yet.

    Args:
      implementation: one of `IMPLEMENTATIONS` of the LSTM.
    """
    self._implementation = implementation
    self._layers = {}

  def _get(self, name, make):
    if name not in self._layers:
      self._layers[name] = make(name=name)
    return self._layers[name]

  def concat(self, x, y):
    """Returns `x` and `y` side by side."""
    return tf1.concat([x, y], -1)

  def dense(self, name, x, units):
    return self._get(name, functools.partial(feedforward.Dense, units))(x)

  def lstm(self, name, x, units, state=None):
    make = functools.partial(IMPLEMENTATIONS[self._implementation], units)
    state = None if state is None else cells.LSTMState(*state)
    found = self._get(name, make)(x, initial_state=state)
    return found.outputs, list(found.state)

  def gru(self, name, x, units, state=None):
    def make(name):
      return recurrent.RecurrentLayer(ResetAfterCell(units, name=name))

    state = None if state is None else state[0]
    below = self.dense(name, x, 3 * units)
    found = self._get(f"{name}_cell", make)(below, initial_state=state)
    return found.outputs, [found.state]

  def normalize(self, name, x):
    width = [tf1.dimension_value(x.shape[-1])]
    with tf1.variable_scope(name, use_resource=True, reuse=tf1.AUTO_REUSE):
      gain = tf1.get_variable("gain", width)
      offset = tf1.get_variable("offset", width)
    return self._normalize(x, gain, offset)

  def _normalize(self, x, gain, offset):
    mean, variance = tf1.nn.moments(x, [-1], keepdims=True)
    return tf1.nn.batch_normalization(x, mean, variance, offset, gain, 1e-5)

  def attend(self, queries, keys, values, heads=1, scale=1.0, causal=False):
    steps, width = queries.shape.as_list()[1:]

    def cut(x):
      if heads == 1:
        return x
      shape = [-1, x.shape.as_list()[1], heads, width // heads]
      return tf1.transpose(tf1.reshape(x, shape), [0, 2, 1, 3])

    if scale != 1.0:
      queries = queries * np.float32(scale)
    scores = tf1.matmul(cut(queries), cut(keys), transpose_b=True)
    if causal:
      scores += np.triu(np.full([steps, steps], -1e9, np.float32), 1)
    found = tf1.matmul(tf1.nn.softmax(scores), cut(values))
    if heads == 1:
      return found
    return tf1.reshape(tf1.transpose(found, [0, 2, 1, 3]), [-1, steps, width])

  def cross_entropy(self, logits, targets):
    return tf1.reduce_mean(
      tf1.nn.sparse_softmax_cross_entropy_with_logits(
        labels=targets, logits=logits
      )
    )


def make_optimizer(optimizer):
  """Returns TensorFlow's optimizer for a `networks.Optimizer`, `optimizer`."""
  if optimizer.name == "adam":
    return tf1.train.AdamOptimizer(optimizer.learning_rate)
  return tf1.train.GradientDescentOptimizer(optimizer.learning_rate)


def fetch_weights(graph, sess):
  """Returns name → array of trainable variables of `graph`, by `sess`."""
  with graph.as_default():
    variables = tf1.trainable_variables()
  return dict(zip([v.op.name for v in variables], sess.run(variables)))


def _minimize(found, optimizer, mode, combinations=None):
  """Returns the trainer of a pipeline in a mode."""
  update, clip_norm = make_optimizer(optimizer), optimizer.clip_norm
  if mode == "split":
    return found.minimize(update, clip_norm)
  return joint.JointTrainer(found, update, clip_norm, combinations=combinations)


@errors.named("in_tangle.build_networks")
def build_networks(
  task,
  optimizer,
  threads,
  mode,
  implementation="fused",
  runs="prepared",
  op_threads=None,
):
  """Builds a `networks.Task` in a graph and session, as `candidates` has it.

  Args:
    task: a `networks.Task`.
    optimizer: a `networks.Optimizer`.
    threads: threads between ops.
    mode: one of `MODES`.
    implementation: one of `IMPLEMENTATIONS` of the LSTM.
    runs: one of `RUNS`: prepared once, or through `Session.run`.
    op_threads: threads within an op; `None` for as many as `threads`.

  Returns:
    A step and a dict of versions.

  Raises:
    ArgumentError: if the mode or `runs` is unknown.
  """
  names.check("the mode", mode, MODES)
  names.check("runs", runs, RUNS)
  with tf1.Graph().as_default() as graph:
    found = _wire(task, Net(implementation))
    trainer = _minimize(found, optimizer, mode)
    sess = timing.open_session(
      graph, threads, draw=lambda _: task.weights, op_threads=op_threads
    )
  if runs == "session":  # only `run` is left, which cannot be prepared
    sess = types.SimpleNamespace(graph=sess.graph, run=sess.run)
  batch = {"lower": task.lower_feeds, "upper": task.upper_feeds}
  versions = {"tensorflow": tf1.VERSION}
  return lambda: trainer.step(sess, batch).loss, versions


def _wire(task, net):
  """Returns a pipeline of the two parts, not yet built."""
  boundary = [f"output_{k}" for k in range(task.boundary)]

  def build_lower(bucket, reads):
    del bucket, reads
    feeds = strategies.placeholders(task.lower_feeds)
    outputs = dict(zip(boundary, task.lower(net, feeds)))
    return pieces.Piece(feeds=feeds, outputs=outputs)

  def build_upper(bucket, reads):
    del bucket
    feeds = strategies.placeholders(task.upper_feeds)
    loss = task.upper(net, [reads[name] for name in boundary], feeds)
    return pieces.Piece(feeds=feeds, loss=loss)

  found = pipeline.Pipeline()
  found.add("lower", build_lower)
  found.add("upper", build_upper, reads={k: f"lower.{k}" for k in boundary})
  return found


@errors.named("in_tangle.build_g2p")
def build_g2p(task, optimizer, threads, mode):
  """Builds a `g2p.Task` in a graph and session; see `candidates`."""
  names.check("the mode", mode, MODES)
  with tf1.Graph().as_default() as graph:
    pairs = [{"encoder": s, "decoder": t} for s, t in task.pairs]
    trainer = _minimize(make_pipeline(task), optimizer, mode, pairs)
    sess = timing.open_session(graph, threads, draw=task.draw)
  cycle = []
  for batch in task.batches:
    decoder = batch._asdict()
    cycle.append({"encoder": {"source": decoder.pop("source")}})
    cycle[-1]["decoder"] = dict(decoder)

  def step():
    return np.mean([trainer.step(sess, batch).loss for batch in cycle])

  return step, {"tensorflow": tf1.VERSION}


def make_pipeline(task):
  """Makes a pipeline of the encoder and the decoder of an attention model.

  Args:
    task: a `g2p.Task`; the buckets are those of its pairs, on each side.

  Returns:
    A `Pipeline` that is not built yet.
  """
  sizes = task.sizes
  made = [legacy_cells.BasicLSTMCell(sizes.units) for _ in range(sizes.layers)]
  cell = made[0] if sizes.layers == 1 else wrappers.MultiRNNCell(made)
  model = parts.AttentionModel(cell, *task.symbols, sizes.units)
  sources, targets = (sorted(set(side)) for side in zip(*task.pairs))
  found = pipeline.Pipeline()
  found.add("encoder", builders.encoder_builder(model), sources)
  found.add(
    "decoder",
    builders.decoder_builder(model),
    targets,
    reads=builders.reads("encoder"),
  )
  return found


@errors.named("in_tangle.build_jobs")
def build_jobs(task, optimizer, threads, mode):
  """Returns the training of a `jobs.Task`; see `candidates`."""
  names.check("the mode", mode, MODES)
  versions = {"tensorflow": tf1.VERSION}
  return _Training(task, optimizer, threads, mode), versions


class GraphTraining(job_training.Training):
  """Base of the `job_training.Training`s that have a graph and a session."""

  def __init__(self, task, optimizer, threads):
    """Keeps the `threads` of sessions, and the others as `Training`."""
    super().__init__(task, optimizer)
    self._threads = threads

  def _open(self, graph, weights):
    draw = self.task.draw if weights is None else lambda _: weights
    return timing.open_session(graph, self._threads, draw=draw)


class _Training(GraphTraining):
  """Tangle's attention model in a pipeline, or in joint graphs."""

  def __init__(self, task, optimizer, threads, mode):
    super().__init__(task, optimizer, threads)
    self.bucketing = {"split": "independent"}.get(mode, mode)

  def _translator(self, buckets, **settings):
    """Returns the `translator.Translator` in the default graph."""
    symbols = [range(size) for size in self.task.symbols]
    return translator.Translator(
      dict(zip(directions.PAIR.sides, symbols)),
      {directions.PAIR: buckets},
      units=self.task.sizes.units,
      embedding_dim=self.task.sizes.embedding_dim,
      **settings,
    )

  def make(self, plan, weights, rate):
    if plan is None:
      batch = self.step_batch()
      cell = batch.source_bucket, batch.target_bucket
      plan = bucketing.JointBuckets([cell])
      if self.bucketing == "independent":
        plan = bucketing.IndependentBuckets(*[[length] for length in cell])
    with tf1.Graph().as_default() as graph:
      model = self._translator(plan)
      update = make_optimizer(self.optimizer)
      step = tf1.train.get_or_create_global_step()
      model.minimize(update, self.optimizer.clip_norm, step)
      sess = self._open(graph, weights)

    def train(batch, number):
      seed = determinism.step_seed(self.task.seed, number)
      feeds = model.feeds(batch, rate, seed if rate else None)
      return model.trainer.step(sess, feeds).loss

    return train, functools.partial(fetch_weights, graph, sess)

  def searcher(self, weights, beam_size):
    buckets = self.plan()
    with tf1.Graph().as_default() as graph:
      model = self._translator(buckets, beam_size=beam_size, trained=False)
      model.pipeline.build()
      sess = self._open(graph, weights)
      convert = model.converter(sess)

    def find(batch):
      symbols = np.asarray(convert(batch).symbols)
      return symbols if beam_size == 1 else symbols[:, 0]

    return self.search(buckets, find)

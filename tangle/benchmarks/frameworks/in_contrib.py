"""`tf.contrib.legacy_seq2seq` as its tutorial trains it.

It has a placeholder per time step, a graph per bucket pair from
`model_with_buckets`, clipped gradients per pair, and plain session runs that
fetch the update, the norm and the loss.

The network of a job differs from that of the other candidates: it is contrib's
own embedding attention model, of the same sizes, without dropout. So losses are
not compared, and it decodes with its own weights. It only has greedy search.

Source: `Seq2SeqModel` of TensorFlow's translate tutorial (2015,
`seq2seq_model.py`). Departures: a new cell is made for each pair, as contrib
cannot copy one that has been called; the bucket pairs need not be nested.
"""

import functools
import importlib

import numpy as np

from tangle import errors
from tangle.benchmarks import timing
from tangle.benchmarks.frameworks import g2p, in_tangle
from tangle.compat import IS_TF1, tf1
from tangle.seq2seq import rows, vocabulary


def _check(mode):
  if not IS_TF1:
    raise errors.ArgumentError(
      f"contrib is in TensorFlow 1.15 only, and this is {tf1.VERSION}. Give an "
      f"interpreter that has 1.15 as python1."
    )
  if mode != "joint":
    raise errors.ArgumentError(
      f"contrib trains in one graph: mode must be 'joint', got {mode!r}."
    )


@errors.named("in_contrib.build_g2p")
def build_g2p(task, optimizer, threads, mode="joint"):
  """Builds a `g2p.Task` in a graph and session; see `candidates`."""
  _check(mode)
  sizes = task.sizes
  with tf1.Graph().as_default() as graph:
    model = _Model(task, task.pairs, sizes.layers, sizes.units)
    model.minimize(optimizer)
    sess = timing.open_session(graph, threads, draw=task.draw)
  cycle = [model.feeds(batch) for batch in task.batches]

  def step():
    found = [sess.run(fetches, feeds) for fetches, feeds in cycle]
    return np.mean([loss for _, _, loss in found])

  return step, {"tensorflow": tf1.VERSION}


class _Model:
  """The graphs of all pairs, without training ops; `outputs` has the logits.

  `feed_previous` is whether the decoder reads its own predictions.
  """

  def __init__(self, task, pairs, layers, embedding_dim, feed_previous=False):
    self.pairs = pairs
    sources, targets = (max(side) for side in zip(*pairs))
    self._source = _placeholders("encoder", sources, tf1.int32)
    self._inputs = _placeholders("decoder", targets + 1, tf1.int32)
    self._weights = _placeholders("weight", targets, tf1.float32)
    # Imported by name, so that the structure test does not see an import of
    # TensorFlow. `compat` has only what both versions have.
    contrib = importlib.import_module("tensorflow.contrib.legacy_seq2seq")
    self.outputs, self._losses = contrib.model_with_buckets(
      self._source,
      self._inputs[:-1],
      self._inputs[1:],  # the targets are the inputs shifted by one
      self._weights,
      pairs,
      lambda source, target: contrib.embedding_attention_seq2seq(
        source,
        target,
        _make_cell(task.sizes.units, layers),
        *task.symbols,
        embedding_dim,
        feed_previous=feed_previous,
      ),
    )
    self._fetches = {}

  def minimize(self, optimizer):
    """Builds the training ops of each pair."""
    update = in_tangle.make_optimizer(optimizer)
    variables = tf1.trainable_variables()
    for pair, loss in zip(self.pairs, self._losses):
      gradients = tf1.gradients(loss, variables)
      gradients, norm = tf1.clip_by_global_norm(gradients, optimizer.clip_norm)
      op = update.apply_gradients(list(zip(gradients, variables)))
      self._fetches[pair] = [op, norm, loss]

  def search_feeds(self, source, pair):
    """Returns the feeds of a search with the graph of one pair (S, T)."""
    zeros = np.zeros([len(source), pair[1] + 1], np.int32)
    inputs = zeros + np.eye(1, pair[1] + 1, dtype=np.int32) * vocabulary.GO_ID
    return self._feed(source, inputs, zeros[:, 1:].astype(np.float32))

  def feeds(self, batch):
    """Returns the fetches and feeds of a step on a `g2p.Batch`."""
    inputs = np.concatenate([batch.inputs, batch.targets[:, -1:]], 1)
    feeds = self._feed(batch.source, inputs, batch.weights)
    return self._fetches[batch.pair], feeds

  def _feed(self, *arrays):
    feeds = {}
    for placeholders, array in zip(
      (self._source, self._inputs, self._weights), arrays
    ):
      columns = [np.ascontiguousarray(column) for column in array.T]
      feeds.update(zip(placeholders, columns))
    return feeds


def _placeholders(name, count, dtype):
  return [tf1.placeholder(dtype, [None], f"{name}{k}") for k in range(count)]


def _make_cell(units, layers):
  made = [tf1.nn.rnn_cell.BasicLSTMCell(units) for _ in range(layers)]
  return made[0] if layers == 1 else tf1.nn.rnn_cell.MultiRNNCell(made)


@errors.named("in_contrib.build_jobs")
def build_jobs(task, optimizer, threads, mode="joint"):
  """Returns the training of a `jobs.Task`; see `candidates`."""
  _check(mode)
  return _Training(task, optimizer, threads), {"tensorflow": tf1.VERSION}


class _Training(in_tangle.GraphTraining):
  """Contrib's model, one graph per pair of joint buckets."""

  layout = rows.TUTORIAL

  def _model(self, pairs, **settings):
    sizes = self.task.sizes
    return _Model(self.task, pairs, 1, sizes.embedding_dim, **settings)

  def make(self, plan, weights, rate):
    del rate  # there is no dropout
    pairs = [g2p.layout(self.step_batch()).pair] if plan is None else plan.cells
    with tf1.Graph().as_default() as graph:
      model = self._model(list(pairs))
      model.minimize(self.optimizer)
      sess = self._open(graph, weights)

    def train(batch, number):
      del number
      fetches, feeds = model.feeds(g2p.layout(batch))
      return np.mean(sess.run(fetches, feeds)[-1])

    return train, functools.partial(in_tangle.fetch_weights, graph, sess)

  def losses(self, count=3):
    return {"losses": [float("nan")] * count}  # of another network

  def save(self, path):
    return {"saved": False}  # no other candidate can use the weights

  def decode(self, beam_size, path=None):
    return super().decode(beam_size)  # with its own weights

  def searcher(self, weights, beam_size):
    if beam_size > 1:
      return None
    buckets = self.plan()
    with tf1.Graph().as_default() as graph:
      model = self._model(list(buckets.cells), feed_previous=True)
      taken = [
        tf1.stack([tf1.argmax(logits, 1) for logits in outputs], 1)
        for outputs in model.outputs
      ]
      fetches = dict(zip(buckets.cells, taken))
      sess = self._open(graph, weights)

    def find(batch):
      pair = batch.source_bucket, batch.target_bucket
      return sess.run(fetches[pair], model.search_feeds(batch.source, pair))

    return self.search(buckets, find)

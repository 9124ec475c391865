"""`tf.contrib.legacy_seq2seq` on g2p training, as its tutorial trains it.

It has a placeholder per time step, a graph per bucket pair from
`model_with_buckets`, clipped gradients per pair, and plain session runs that
fetch the update, the norm and the loss.

Source: `Seq2SeqModel` of TensorFlow's translate tutorial (2015,
`seq2seq_model.py`). Departures: a new cell is made for each pair, as contrib
cannot copy one that has been called; the bucket pairs need not be nested.
"""

import importlib

import numpy as np

from tangle import errors
from tangle.benchmarks.peers import g2p_ours, ours
from tangle.compat import IS_TF1, tf1
from tangle.seq2seq import vocabulary


def build(task, optimizer, threads, mode="joint"):
  """Builds the contender in a graph and session of its own.

  Args:
    task: a `g2p.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op, and between ops.
    mode: joint, the only mode.

  Returns:
    A function without arguments that trains on the cycle and returns the mean
    loss, and a dict of versions.

  Raises:
    ArgumentError: if this is not TensorFlow 1.15, or for another mode.
  """
  if not IS_TF1 or mode != "joint":
    raise errors.ArgumentError(
      f"peers.g2p_contrib.build: contrib is in TensorFlow 1.15 only, and is "
      f"joint; got {tf1.VERSION} and {mode!r}. Give an interpreter that has it."
    )
  with tf1.Graph().as_default() as graph:
    model = Model(task.pairs, task.symbols, task.sizes, task.sizes.units)
    model.minimize(optimizer)
    sess = g2p_ours.open_session(graph, threads)
    g2p_ours.load(sess, task)
  cycle = [model.feeds(batch) for batch in task.batches]

  def step():
    found = [sess.run(fetches, feeds) for fetches, feeds in cycle]
    return np.mean([loss for _, _, loss in found])

  return step, {"tensorflow": tf1.VERSION}


class Model:
  """The graphs of all pairs."""

  def __init__(self, pairs, symbols, sizes, depth, feed_previous=False):
    """Builds the graphs, without training ops.

    Args:
      pairs: the bucket pairs (S, T), sorted.
      symbols: numbers of source symbols and of target symbols.
      sizes: has `units` and `layers`.
      depth: of the embeddings.
      feed_previous: whether the decoder reads its own predictions.
    """
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
        _make_cell(sizes),
        *symbols,
        depth,
        feed_previous=feed_previous,
      ),
    )
    self._fetches = {}

  def minimize(self, optimizer):
    """Builds the training ops of each pair.

    Args:
      optimizer: a `tasks.Optimizer`.
    """
    update = ours.make_optimizer(optimizer)
    variables = tf1.trainable_variables()
    for pair, loss in zip(self.pairs, self._losses):
      gradients = tf1.gradients(loss, variables)
      gradients, norm = tf1.clip_by_global_norm(gradients, optimizer.clip_norm)
      op = update.apply_gradients(list(zip(gradients, variables)))
      self._fetches[pair] = [op, norm, loss]

  def search_feeds(self, source, pair):
    """Returns the feeds of a search with the graph of one pair.

    Args:
      source: `[B, S]` ids in the tutorial's layout.
      pair: the bucket pair (S, T).
    """
    zeros = np.zeros([len(source), pair[1] + 1], np.int32)
    inputs = zeros + np.eye(1, pair[1] + 1, dtype=np.int32) * vocabulary.GO_ID
    return self._feed(source, inputs, zeros[:, 1:].astype(np.float32))

  def feeds(self, batch):
    """Returns the fetches and feeds of a step on a `g2p.Batch`, `batch`."""
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


def _make_cell(sizes):
  layers = [
    tf1.nn.rnn_cell.BasicLSTMCell(sizes.units) for _ in range(sizes.layers)
  ]
  if sizes.layers == 1:
    return layers[0]
  return tf1.nn.rnn_cell.MultiRNNCell(layers)

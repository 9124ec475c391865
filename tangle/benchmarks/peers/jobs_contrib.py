"""`tf.contrib.legacy_seq2seq` on the real jobs, as its tutorial trains it.

The network differs from that of the other contenders: it is contrib's own
embedding attention model, of the same sizes, without dropout. So losses are not
compared, and it decodes with its own weights. It only has greedy search.
"""

from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks.peers import (
  g2p,
  g2p_contrib,
  g2p_ours,
  jobs,
  jobs_contender,
  ours,
)
from tangle.compat import IS_TF1, tf1
from tangle.seq2seq import batches, rows


class _Layers(NamedTuple):
  """The sizes that `g2p_contrib.Model` needs."""

  units: int
  layers: int = 1


class Contender(jobs_contender.Contender):
  """Contrib's model, one graph per pair of joint buckets."""

  def __init__(self, task, optimizer, threads):
    """Keeps the settings.

    Args:
      task: a `jobs.Task`.
      optimizer: a `tasks.Optimizer`.
      threads: threads within an op, and between ops.
    """
    super().__init__(task)
    self._optimizer, self._threads = optimizer, threads

  def plan(self):
    """Returns joint buckets."""
    return jobs_contender.plan_buckets(self.task, "joint")

  def batches(self, plan):
    """Draws the batches of the first epoch; see the base class."""
    task = self.task
    return batches.PairBatches(
      task.train, plan, task.sizes.batch, task.seed, rows.TUTORIAL
    ).epoch(0)

  def step_batch(self):
    """Returns the batch of the timed step, in contrib's layout."""
    return jobs.step_batch(self.task, rows.TUTORIAL)

  def make(self, plan, weights, rate):
    """Builds the training; see the base class. There is no dropout."""
    del rate
    pairs = list(plan.cells) if plan else [_pair_of(self.step_batch())]
    return _Trainer(self, pairs, weights)

  def losses(self, count=3):
    """Returns NaN, since losses cannot be compared.

    Args:
      count: number of losses.

    Returns:
      A dict of `losses`.
    """
    return {"losses": [float("nan")] * count}

  def save(self, path):
    """Saves nothing, as other contenders cannot use the weights.

    Args:
      path: not used.

    Returns:
      A dict of `saved`, false.
    """
    del path
    return {"saved": False}

  def decode(self, beam_size, path=None):
    """Decodes with the weights of the epoch; see the base class."""
    del path
    return super().decode(beam_size)

  def searcher(self, weights, beam_size):
    """Builds greedy search; None for a beam. See the base class."""
    if beam_size > 1:
      return None
    task, buckets = self.task, self.plan()
    graph = tf1.Graph()
    with graph.as_default():
      model = self.model(list(buckets.cells), feed_previous=True)
      taken = [
        tf1.stack([tf1.argmax(logits, 1) for logits in outputs], 1)
        for outputs in model.outputs
      ]
      fetches = dict(zip(buckets.cells, taken))
      sess = self.open(graph, weights)
    sources = batches.PairBatches(
      task.test, buckets, task.sizes.decode_batch, layout=rows.TUTORIAL
    )

    def search():
      for batch in sources.in_order():
        pair = _pair_of(batch)
        feeds = model.search_feeds(batch.source, pair)
        yield batch.indices, sess.run(fetches[pair], feeds)

    return search

  def model(self, pairs, **settings):
    """Returns the `g2p_contrib.Model` of the job in the default graph.

    Args:
      pairs: its bucket pairs.
      **settings: additional arguments.
    """
    sizes = self.task.sizes
    return g2p_contrib.Model(
      pairs, self.task.symbols, _Layers(sizes.units), sizes.depth, **settings
    )

  def minimize(self, model):
    """Builds the training of `model`, as `model` returns it."""
    model.minimize(self._optimizer)

  def open(self, graph, weights):
    """Opens a session with weights.

    Args:
      graph: the default graph, complete with all ops.
      weights: name → array; None for drawn ones.

    Returns:
      A `tf1.Session`.
    """
    sess = g2p_ours.open_session(graph, self._threads)
    sess.run(tf1.global_variables_initializer())
    variables = {v.op.name: v for v in tf1.trainable_variables()}
    if weights is None:
      shapes = {name: v.shape.as_list() for name, v in variables.items()}
      weights = self.task.draw(shapes)
    for name, variable in variables.items():
      variable.load(weights[name], sess)
    return sess


def _pair_of(batch):
  return batch.source_bucket, batch.target_bucket


class _Trainer:
  """The training graphs, and their session."""

  def __init__(self, contender, pairs, weights):
    self._graph = tf1.Graph()
    with self._graph.as_default():
      self._model = contender.model(pairs)
      contender.minimize(self._model)
      self._sess = contender.open(self._graph, weights)

  def train(self, batch, number):
    """Makes a step on a `rows.Batch`, `batch`; returns the loss."""
    del number
    fetches, feeds = self._model.feeds(
      g2p.Batch(
        batch.source, batch.decoder_inputs, batch.targets, batch.weights
      )
    )
    return np.mean(self._sess.run(fetches, feeds)[-1])

  def weights(self):
    """Returns name → array."""
    return ours.fetch_weights(self._graph, self._sess)


def build(task, optimizer, threads, mode="joint"):
  """Returns a contender.

  Args:
    task: a `jobs.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op, and between ops.
    mode: joint, the only mode.

  Returns:
    A `Contender`, and a dict of versions.

  Raises:
    ArgumentError: if this is not TensorFlow 1.15, or for another mode.
  """
  if not IS_TF1 or mode != "joint":
    raise errors.ArgumentError(
      f"peers.jobs_contrib.build: contrib is in TensorFlow 1.15 only, and is "
      f"joint; got {tf1.VERSION} and {mode!r}. Give an interpreter that has it."
    )
  return Contender(task, optimizer, threads), {"tensorflow": tf1.VERSION}

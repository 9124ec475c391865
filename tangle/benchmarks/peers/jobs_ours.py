"""Tangle on the real jobs, as the scripts wire it: `experiments.translator`.

Split: independent buckets, a pipeline of encoder and decoder. Joint: joint
buckets, one graph per pair.
"""

import numpy as np

from tangle.benchmarks.peers import g2p_ours, jobs_contender, ours
from tangle.compat import tf1
from tangle.experiments import directions, translator
from tangle.seq2seq import batches, bucketing
from tangle.training import determinism

_KINDS = {"split": "independent", "joint": "joint"}


class Contender(jobs_contender.Contender):
  """Tangle's attention model in a pipeline, or in joint graphs."""

  def __init__(self, task, optimizer, threads, mode):
    """Keeps the settings.

    Args:
      task: a `jobs.Task`.
      optimizer: a `tasks.Optimizer`.
      threads: threads within an op, and between ops.
      mode: one of `ours.MODES`.
    """
    super().__init__(task)
    self._optimizer, self._threads, self._mode = optimizer, threads, mode

  def plan(self):
    """Returns planned buckets."""
    return jobs_contender.plan_buckets(self.task, _KINDS[self._mode])

  def batches(self, plan):
    """Draws the batches of the first epoch; see the base class."""
    task = self.task
    return batches.PairBatches(
      task.train, plan, task.sizes.batch, task.seed
    ).epoch(0)

  def make(self, plan, weights, rate):
    """Builds the training; see the base class."""
    return _Trainer(self, plan or self._step_buckets(), weights, rate)

  def _step_buckets(self):
    batch = self.step_batch()
    cell = batch.source_bucket, batch.target_bucket
    if self._mode == "joint":
      return bucketing.JointBuckets([cell])
    return bucketing.IndependentBuckets(*[[length] for length in cell])

  def searcher(self, weights, beam_size):
    """Builds the decoding; see the base class."""
    task, buckets = self.task, self.plan()
    graph = tf1.Graph()
    with graph.as_default():
      model = self.translator(buckets, beam_size=beam_size, trained=False)
      model.pipeline.build()
      sess = self.open(graph, weights)
      convert = model.converter(sess)
    sources = batches.PairBatches(task.test, buckets, task.sizes.decode_batch)

    def search():
      for batch in sources.in_order():
        symbols = np.asarray(convert(batch).symbols)
        yield batch.indices, symbols if beam_size == 1 else symbols[:, 0]

    return search

  def translator(self, buckets, **settings):
    """Returns the `translator.Translator` of the job in the default graph.

    Args:
      buckets: its buckets.
      **settings: additional arguments.
    """
    sizes = self.task.sizes
    symbols = [range(size) for size in self.task.symbols]
    return translator.Translator(
      dict(zip(directions.PAIR.sides, symbols)),
      {directions.PAIR: buckets},
      units=sizes.units,
      embedding_dim=sizes.depth,
      **settings,
    )

  def minimize(self, model):
    """Builds the training of a `Translator`, `model`; returns its trainer."""
    model.minimize(
      ours.make_optimizer(self._optimizer),
      self._optimizer.clip_norm,
      tf1.train.get_or_create_global_step(),
    )
    return model.trainer

  def open(self, graph, weights):
    """Opens a session with weights.

    Args:
      graph: the default graph, complete with all ops.
      weights: name → array; None for the weights that the task draws.

    Returns:
      A `tf1.Session`.
    """
    sess = g2p_ours.open_session(graph, self._threads)
    sess.run(tf1.global_variables_initializer())
    weights = self.task.draw() if weights is None else weights
    for variable in tf1.trainable_variables():
      variable.load(weights[variable.op.name], sess)
    return sess


class _Trainer:
  """The training graphs, and their session."""

  def __init__(self, contender, buckets, weights, rate):
    self._task, self._rate = contender.task, rate
    self._graph = tf1.Graph()
    with self._graph.as_default():
      self._model = contender.translator(buckets)
      self._trainer = contender.minimize(self._model)
      self._sess = contender.open(self._graph, weights)

  def train(self, batch, number):
    """Makes a step on a `rows.Batch`, `batch`; returns the loss."""
    seed = determinism.step_seed(self._task.seed, number)
    feeds = self._model.feeds(batch, self._rate, seed if self._rate else None)
    return self._trainer.step(self._sess, feeds).loss

  def weights(self):
    """Returns name → array."""
    return ours.fetch_weights(self._graph, self._sess)


def build(task, optimizer, threads, mode):
  """Returns a contender.

  Args:
    task: a `jobs.Task`.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op, and between ops.
    mode: one of `ours.MODES`.

  Returns:
    A `Contender`, and a dict of versions.

  Raises:
    ArgumentError: if the mode is unknown.
  """
  ours.check_mode("peers.jobs_ours.build", mode)
  versions = {"tensorflow": tf1.VERSION}
  return Contender(task, optimizer, threads, mode), versions

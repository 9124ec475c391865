"""Base of the candidates of the real jobs, for any framework.

A candidate of a job is called to make a step, like every candidate, and has
methods that the driver calls by name: `epoch`, `losses`, `save` and `decode`.
Nothing is built in advance, so that an epoch starts with only the examples.
"""

import time
import zlib

import numpy as np

from tangle.benchmarks.frameworks import jobs
from tangle.experiments import bucket_plans, directions
from tangle.seq2seq import batches, planner, rows, vocabulary


class Training:
  """Base of the candidates: a subclass implements `make` and `searcher`.

  Attributes:
    task: a `jobs.Task`.
    optimizer: a `networks.Optimizer`.
    bucketing: kind of the planned buckets, independent or joint.
    layout: the `rows.Layout` of batches.
  """

  bucketing = "joint"
  layout = rows.PLAIN

  def __init__(self, task, optimizer):
    """Keeps `task` and `optimizer`."""
    self.task, self.optimizer = task, optimizer
    self._trained, self._stepped = None, None

  def plan(self):
    """Returns the padding plan of an epoch: buckets, as the scripts plan them.

    It is the first argument of `batches` and `make`.
    """
    found = bucket_plans.make_buckets(
      {directions.PAIR: planner.count_lengths(self.task.train)},
      self.bucketing,
      self.task.sizes.buckets,
      longest_source=self.task.longest[0],
    )
    return found[directions.PAIR]

  def batches(self, plan):
    """Returns an iterable of the first epoch's `rows.Batch`es, of `plan`."""
    task, size = self.task, self.task.sizes.batch
    return batches.PairBatches(
      task.train, plan, size, task.seed, self.layout
    ).epoch(0)

  def search(self, plan, find):
    """Returns a decoding as from `searcher`, in the buckets of `plan`.

    Args:
      plan: what `plan` returned.
      find: a function of a `rows.Batch` that returns its symbols `[B, S]`.
    """
    size = self.task.sizes.decode_batch
    sources = batches.PairBatches(
      self.task.test, plan, size, layout=self.layout
    )
    return lambda: (
      (batch.indices, find(batch)) for batch in sources.in_order()
    )

  def make(self, plan, weights, rate):
    """Builds the training.

    Args:
      plan: what `plan` returned, or None to train only on the step's batch.
      weights: name → array; None for the weights that the task draws.
      rate: dropout rate, a number.

    Returns:
      Two functions: `train(batch, number)`, which makes a step and returns the
      loss, a number or an object that `float` takes; and one that returns the
      weights, name → array.
    """
    raise NotImplementedError

  def searcher(self, weights, beam_size):
    """Builds the decoding.

    Args:
      weights: name → array; None for the weights after the epoch.
      beam_size: how many sequences are open at once; 1 is greedy.

    Returns:
      A function without arguments that decodes all of `task.test`, and yields
      pairs: indices `[B]`, and the best symbols `[B, S]`; or None if it has no
      such search.
    """
    raise NotImplementedError

  def step_batch(self):
    """Returns the batch of the timed step."""
    return jobs.step_batch(self.task, self.layout)

  def epoch(self):
    """Trains for an epoch: plans, builds, and makes all steps.

    Returns:
      A dict: `examples`; `steps`; `first_step_s` from the beginning to the end
      of the first step; `positions`, source and target positions, including
      padding; `loss`, the mean of the last tenth of the steps.
    """
    begin = time.perf_counter()
    plan = self.plan()
    train, self._trained = self.make(plan, None, self.task.sizes.dropout_rate)
    losses, first_s, examples, positions = [], 0.0, 0, 0
    for number, batch in enumerate(self.batches(plan)):
      losses.append(train(batch, number))
      if not number:
        losses[0] = float(losses[0])
        first_s = time.perf_counter() - begin
      examples += batch.examples
      positions += batch.examples * (batch.source_bucket + batch.target_bucket)
    losses = [float(loss) for loss in losses]  # waits for the last step
    return {
      "examples": examples,
      "steps": len(losses),
      "first_step_s": first_s,
      "positions": positions,
      "loss": float(np.mean(losses[-max(1, len(losses) // 10) :])),
    }

  def losses(self, count=3):
    """Returns `losses` of `count` steps from drawn weights, without dropout."""
    (train, _), batch = self.make(None, None, 0.0), self.step_batch()
    return {"losses": [float(train(batch, k)) for k in range(count)]}

  def __call__(self):
    """Makes the timed step; returns the loss."""
    if self._stepped is None:
      train, _ = self.make(None, None, self.task.sizes.dropout_rate)
      self._stepped = train, self.step_batch()
    train, batch = self._stepped
    return float(train(batch, 0))

  def save(self, path):
    """Writes the weights after the epoch.

    Args:
      path: an `.npz` file to write.

    Returns:
      A dict of `saved`, whether it has written weights.
    """
    np.savez(path, **self._trained())
    return {"saved": True}

  def decode(self, beam_size, path=None):
    """Decodes all sources twice, and times the second time.

    Args:
      beam_size: how many sequences are open at once; 1 is greedy.
      path: file of weights that `save` wrote; None for those after the epoch.

    Returns:
      A dict: `seconds`, None if it has no such search; `first_s` of the first
      time, including building; `lengths`, the mean length, and `checksums`, one
      per source.
    """
    begin = time.perf_counter()
    if path is None:
      weights = self._trained()
    else:
      with np.load(path) as file:
        weights = dict(file)
    search = self.searcher(weights, beam_size)
    if search is None:
      return {"seconds": None}
    found = dict(_cut(search()))
    middle = time.perf_counter()
    for _ in search():
      pass
    return {
      "seconds": time.perf_counter() - middle,
      "first_s": middle - begin,
      "lengths": float(np.mean([len(ids) for ids in found.values()])),
      "checksums": [
        zlib.crc32(found[k].astype("<i4").tobytes()) for k in sorted(found)
      ],
    }


def _cut(batches):
  """Yields pairs of an index and symbols up to EOS, without it."""
  for indices, symbols in batches:
    for index, ids in zip(indices, np.asarray(symbols)):
      ends = np.flatnonzero(ids == vocabulary.EOS_ID)
      yield int(index), ids[: ends[0]] if ends.size else ids

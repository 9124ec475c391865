"""Batches as TensorFlow's translate tutorial draws them.

Each step draws a bucket with a probability proportional to its number of
examples, then examples of that bucket, with replacement. The draws depend on a
random state that can be read and set, so that a resumed run draws the same
batches.
"""

from __future__ import annotations

import copy
import zlib
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import batches, bucketing, rows
from tangle.seq2seq import buckets as buckets_lib

BUCKETS = bucketing.JointBuckets(
  [(5, 10), (10, 15), (20, 25), (40, 50)], strict=True
)
"""The tutorial's buckets. As in the tutorial, a source, and a target with EOS,
must be shorter than its bucket."""


class TutorialBatches:
  """Draws batches with replacement, as the translate tutorial does.

  With `n_k` the number of examples in bucket k and u uniform in [0, 1), the
  bucket is the first with `sum_{j <= k} n_j / sum_j n_j > u`. The examples are
  uniform among those of the bucket.

  The layout of a batch is the tutorial's (`rows.TUTORIAL`): PAD, then the
  reversed source; GO, the target and EOS, then PAD; weights are 0 where the
  target is PAD. The last target of a row is always PAD, because buckets are
  strict.

  Source: TensorFlow's translate tutorial (2015, `translate.train` and
  `seq2seq_model.get_batch`). Departures: one explicit `RandomState`, where the
  tutorial draws buckets by numpy's global generator and examples by
  Python's; arrays are `[B, T]`, where the tutorial has T arrays `[B]`; a weight
  is 0 after EOS, where the tutorial looks for PAD among the targets, which is
  the same for targets without PAD; the targets are a separate array, where the
  tutorial's model shifts the decoder's inputs by one.

  Iterating over it calls `draw()` without end.

  Attributes:
    examples: the `rows.Examples`.
    buckets: a `JointBuckets`, strict.
  """

  @errors.named("TutorialBatches")
  def __init__(
    self,
    examples: rows.Sides,
    batch_size: bucketing.BatchSize,
    buckets: bucketing.JointBuckets = BUCKETS,
    seed: int = 0,
    layout: rows.Layout = rows.TUTORIAL,
  ) -> None:
    """Sorts the examples into their buckets.

    Args:
      examples: a sequence of pairs (source ids, target ids), preferably the
        `rows.Examples` of `encoding.encode_pairs`, which leaves out and counts
        pairs that fit no bucket.
      batch_size: the number of examples in a batch, see `PairBatches`. A
        bucket's probability does not depend on its batch size.
      buckets: a `JointBuckets` with `strict=True`.
      seed: seed of the random state, in 0..2^32 - 1.
      layout: a `rows.Layout`. The tutorial's self-test has no EOS:
        `rows.TUTORIAL._replace(add_eos=False)`.

    Raises:
      ArgumentError: if there are no examples, or another argument is not as
        described.
      DataError: if an example is not a pair of sequences of ids, or its
        source is empty.
      BucketError: if an example fits no bucket.
    """
    if not isinstance(buckets, bucketing.JointBuckets) or not buckets.strict:
      raise errors.ArgumentError(
        f"buckets must be JointBuckets with strict=True, got "
        f"{buckets!r}. For others use batches.PairBatches."
      )
    self.buckets = buckets
    self.examples = rows.collect(examples)
    self._layout = layout
    self._seed = buckets_lib.check_int("seed", seed, 0, 2**32 - 1)
    self._rng = np.random.RandomState(self._seed)
    self._batch_size = batch_size
    of_example = bucketing.assign_all(
      buckets, self.examples.side_lengths(layout)
    )
    counts = np.bincount(of_example, minlength=len(buckets.cells))
    by_bucket = np.argsort(of_example, kind="stable")
    self._members = np.split(by_bucket, np.cumsum(counts)[:-1])
    self._sizes = [
      bucketing.size_of(batch_size, cell) if count else None
      for cell, count in zip(buckets.cells, counts)
    ]
    self._shares = np.cumsum(counts) / len(of_example)
    plan = repr((buckets, self._sizes, layout)).encode()
    self._digest = zlib.crc32(plan, self.examples.digest()) & 0xFFFFFFFF

  @property
  def cell_counts(self) -> Dict[Tuple[int, int], int]:
    """How many examples each bucket has; empty buckets are left out.

    A dict from (source bucket, target bucket) to an int, in order of buckets.
    """
    pairs = zip(self.buckets.cells, self._members)
    return {cell: len(members) for cell, members in pairs if len(members)}

  @errors.named("TutorialBatches.draw")
  def draw(self, cell: Optional[Tuple[int, int]] = None) -> rows.Batch:
    """Returns a batch, drawn with replacement; advances the random state.

    Args:
      cell: the pair (source bucket, target bucket) to draw from; None to draw
        the bucket as well.

    Returns:
      A `rows.Batch`.

    Raises:
      ArgumentError: if `cell` is not one of the buckets, or has no examples.
    """
    if cell is None:
      # The first bucket whose cumulative share exceeds the drawn number. An
      # empty bucket is never the first.
      drawn = self._rng.random_sample()
      index = int(np.searchsorted(self._shares, drawn, side="right"))
    elif any(cell == one for one in self.cell_counts):
      index = self.buckets.cells.index(cell)
    else:
      raise errors.ArgumentError(
        "cell must be one of the buckets that have "
        f"examples, {list(self.cell_counts)}, got {cell!r}."
      )
    members = self._members[index]
    chosen = self._rng.randint(0, len(members), self._sizes[index])
    return self.examples.batch(
      members[chosen], self.buckets.cells[index], self._layout
    )

  def at(self, position: Optional[Mapping[str, Any]] = None) -> TutorialBatches:
    """Returns another instance, which draws from a position on.

    With this method, it is a source of batches for `training.loop`.

    Args:
      position: a value of `position` or `state()`; None for the beginning.

    Returns:
      A `TutorialBatches` with the same examples and a random state of its own.

    Raises:
      DataError: if the position cannot be used, see `restore`.
    """
    other = copy.copy(self)
    other._rng = np.random.RandomState(self._seed)
    if position is not None:
      other.restore(position)
    return other

  @property
  def position(self) -> hints.State:
    """The state from which the next batch is drawn: what `state()` returns."""
    return self.state()

  def __iter__(self) -> TutorialBatches:
    return self

  def __next__(self):
    return self.draw()

  def in_order(self) -> Iterator[rows.Batch]:
    """Returns every example once, bucket by bucket, in a fixed order.

    For evaluation: the last batch of a bucket may be smaller. Nothing is drawn.
    The tutorial evaluates one batch drawn from each bucket: `draw(cell)`.

    Returns:
      An iterator over `rows.Batch`.
    """
    every = batches.PairBatches(
      self.examples,
      self.buckets,
      self._batch_size,
      layout=self._layout,
      pool=False,
    )
    return every.in_order()

  def state(self) -> hints.State:
    """Returns the random state, as a JSON value.

    Returns:
      A dict: `generator`, `keys`, `position`, `has_gauss` and
      `cached_gaussian`, as in numpy, and `plan`, a checksum of examples,
      buckets, batch sizes and layout. `position` counts no batches.
    """
    generator, keys, position, has_gauss, cached = self._rng.get_state()
    return {
      "generator": str(generator),
      "keys": keys.tolist(),
      "position": int(position),
      "has_gauss": int(has_gauss),
      "cached_gaussian": float(cached),
      "plan": self._digest,
    }

  @errors.named("TutorialBatches.restore")
  def restore(self, state: Mapping[str, Any]) -> None:
    """Sets the random state, so that the same batches follow.

    Args:
      state: what `state` returned.

    Raises:
      DataError: if the state belongs to other batches, or is not one of
        numpy's; the random state is unchanged then.
    """
    if state.get("plan") != self._digest:
      raise errors.DataError(
        "the state is of other batches (plan "
        f"{state.get('plan')}, here {self._digest}). Use the examples, "
        "buckets, batch size and layout that it was taken with."
      )
    # A separate object: numpy may set half of a state before it raises.
    rng = np.random.RandomState()
    try:
      keys = np.array(state["keys"], np.uint32).reshape([624])
      rng.set_state(
        (
          state["generator"],
          keys,
          buckets_lib.check_int("position", state["position"], 0, 624),
          state["has_gauss"],
          state["cached_gaussian"],
        )
      )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
      raise errors.DataError(
        f"the state cannot be used ({error!r}). Pass what state() returned."
      ) from error
    self._rng = rng

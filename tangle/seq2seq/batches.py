"""Batches of examples, such as (source, target) pairs, each once per epoch.

An example is a tuple of sequences of ids, without GO and EOS: source, target;
or several sources, and the target. A batch is a `rows.Batch`: numpy arrays,
padded to one bucket per side, made when the batch is drawn.
"""

from __future__ import annotations

import functools
import zlib
from typing import Dict, Iterator, NamedTuple, Tuple, Union

import numpy as np

from tangle import errors
from tangle.seq2seq import bucketing, rows
from tangle.seq2seq import buckets as buckets_lib


class Waste(NamedTuple):
  """The share of padding, from 0 to 1, of source and target.

  For several sources, `source` is a tuple.
  """

  source: Union[float, Tuple[float, ...]]
  target: float


class PairBatches:
  """Draws every example once per epoch, in batches that share their buckets.

  Each example belongs to one cell of the buckets. The examples of a cell are
  divided into full batches. The remaining examples of neighbouring cells are
  pooled; a pooled batch is padded to the smallest cell that holds it. So no
  example is dropped or repeated, and with one batch size for all cells an epoch
  has `ceil(N / batch_size)` batches, all full but one. Without pooling, each
  batch is from one cell, and each cell may have one batch that is not full.

  Epoch n depends only on `seed` and n, not on earlier draws or on the versions
  of numpy and TensorFlow. A run that stopped after `position` batches of epoch
  n resumes with `epoch(n, start=position)`, given the same arguments here.

  Source: the layout of a batch is that of TensorFlow's translate tutorial
  (2015, `seq2seq_model.get_batch`), batch first. It differs in that the
  tutorial draws with replacement, as `tutorial_batches` does; and, unless
  `layout` is `rows.TUTORIAL`, in the source's direction and padding.

  Attributes:
    examples: the `rows.Examples`.
    buckets: as given.
  """

  @errors.named("PairBatches")
  def __init__(
    self,
    examples: rows.Sides,
    buckets: buckets_lib.Buckets,
    batch_size: bucketing.BatchSize,
    seed: int = 0,
    layout: rows.Layout = rows.PLAIN,
    pool: bool = True,
  ) -> None:
    """Plans the batches; takes time and memory linear in the symbols.

    Args:
      examples: a sequence of tuples with a sequence of ids per side, such as
        (source ids, target ids), preferably the `rows.Examples` of
        `encoding.encode_pairs`. The target may be empty, as when decoding; a
        source may not.
      buckets: an `IndependentBuckets` or a `JointBuckets`, with as many sides.
      batch_size: the number of examples in a batch: an int; or a mapping from
        a cell, such as (source bucket, target bucket), to an int; or a callable
        of one bucket per side, such as a `bucketing.TokenBudget`. The size of
        a pooled batch is that of the cell to which it is padded.
      seed: seed of the order of the examples, in 0..2^32 - 1.
      layout: a `rows.Layout`, the same for all sources.
      pool: whether a batch may join the remaining examples of several cells.

    Raises:
      ArgumentError: if there are no examples, or another argument is not as
        described.
      DataError: if an example is not a tuple of sequences of ids, or a source
        is empty.
      BucketError: if an example fits no bucket.
    """
    bucketing.check_bucketing(buckets, sides=None)
    self._seed = buckets_lib.check_int("seed", seed, 0, 2**32 - 1)
    self._layout = layout
    self.examples = rows.collect(examples, len(buckets.sides))
    self.buckets = buckets
    self._cells = bucketing.assign_all(
      buckets, self.examples.side_lengths(layout)
    )
    self._plan(batch_size, pool)

  def _plan(self, batch_size, pool):
    """Assigns examples to cells, and cells to batches."""
    cells = self.buckets.cells
    size_of = functools.lru_cache(maxsize=None)(
      lambda cell: bucketing.size_of(batch_size, cells[cell])
    )
    counts = np.bincount(self._cells, minlength=len(cells))
    sizes = [size_of(cell) if count else 1 for cell, count in enumerate(counts)]
    rest = counts % sizes
    batches = [
      (cell, size)
      for cell, size in enumerate(sizes)
      for _ in range(counts[cell] // size)
    ]
    left = [(cell, int(count)) for cell, count in enumerate(rest) if count]
    # places: for each row of each batch, an index into the examples sorted by
    # cell. Pooled examples come after all full batches.
    self._places = np.arange(len(self._cells))
    if pool:
      ends = np.cumsum(counts) - rest
      pooled = self._places >= np.repeat(ends, counts)
      self._places = np.argsort(pooled, kind="stable")
      batches += _pool(left, self.buckets.join, size_of)
    else:
      batches = sorted(batches + left, key=lambda batch: batch[0])
    self._cell_of_batch = [cell for cell, _ in batches]
    self._sizes = np.array([size for _, size in batches])
    self._ends = np.cumsum(self._sizes)

  def _order(self, examples):
    """Returns examples, given in any order, in the order of the batches."""
    by_cell = np.argsort(self._cells[examples], kind="stable")
    return examples[by_cell[self._places]]

  def __len__(self) -> int:
    """The number of batches in an epoch."""
    return len(self._sizes)

  @property
  def cell_counts(self) -> Dict[buckets_lib.Cell, int]:
    """How many examples each cell has; cells without examples are left out.

    A dict from a tuple of a bucket for each side to an int, in order of
    buckets.
    """
    cells = self.buckets.cells
    counts = np.bincount(self._cells, minlength=len(cells)).tolist()
    return dict(sorted(pair for pair in zip(cells, counts) if pair[1]))

  @errors.named("PairBatches.epoch")
  def epoch(self, n: int, start: int = 0) -> Iterator[rows.Batch]:
    """Returns the batches of epoch `n` in their shuffled order.

    Args:
      n: the epoch, from 0 to 2^32 - 1.
      start: how many batches to skip at the beginning of the epoch, from 0 to
        `len(self)`; skipped batches are not made.

    Returns:
      An iterator over `rows.Batch`.

    Raises:
      ArgumentError: if `n` or `start` is out of range.
    """
    n = buckets_lib.check_int("n", n, 0, 2**32 - 1)
    start = buckets_lib.check_int("start", start, 0, len(self))
    # RandomState: its numbers are the same in all versions of numpy.
    rng = np.random.RandomState([self._seed, n])
    order = self._order(rng.permutation(len(self._cells)))
    return self._make(order, rng.permutation(len(self))[start:])

  def in_order(self) -> Iterator[rows.Batch]:
    """Returns every example once, cell by cell, whatever the seed.

    For evaluation: `batch.indices` says where each example was in the data.
    Pooled batches come last.

    Returns:
      An iterator over `rows.Batch`.
    """
    order = self._order(np.arange(len(self._cells)))
    return self._make(order, range(len(self)))

  def digest(self) -> int:
    """Returns a checksum of everything that determines the batches.

    A resumed run must have the same batches as before.

    Returns:
      An int in 0..2^32 - 1; for other examples, buckets, batch sizes, layout or
      seed it differs, except with probability 2^-32.
    """
    plan = (self.buckets, self._seed, self._layout, self._cell_of_batch)
    digest = zlib.crc32(repr(plan).encode(), self.examples.digest())
    return zlib.crc32(self._sizes.astype("<i8").tobytes(), digest) & 0xFFFFFFFF

  def _make(self, order, numbers_of_batches):
    """Yields the batches with these numbers, made from examples in `order`."""
    for number in numbers_of_batches:
      end = self._ends[number]
      indices = order[end - self._sizes[number] : end]
      cell = self.buckets.cells[self._cell_of_batch[number]]
      yield self.examples.batch(indices, cell, self._layout)

  @property
  def padding_waste(self) -> Waste:
    """The share of padding in an epoch's batches: a `Waste(source, target)`.

    Unlike `planner.padding_cost`, it includes the padding that pooling adds.
    """
    cells = np.array([self.buckets.cells[cell] for cell in self._cell_of_batch])
    lengths = self.examples.side_lengths(self._layout)
    *sources, target = [
      1.0 - float(of_side.sum() / padded)
      for of_side, padded in zip(lengths, self._sizes @ cells)
    ]
    return Waste(tuple(sources) if len(sources) > 1 else sources[0], target)


def _pool(left, join, size_of):
  """Joins the remaining examples of neighbouring cells.

  Args:
    left: pairs (cell, how many examples), in order.
    join: a function of two cells that returns the smallest cell for both.
    size_of: a function of a cell that returns the size of its full batch.

  Returns:
    Batches as pairs (cell, how many examples), in the order of `left`.
  """
  batches, size, cell = [], 0, None
  for of_cell, count in left:
    while count:
      joined = of_cell if cell is None else join(cell, of_cell)
      taken = min(count, size_of(joined) - size)
      if taken <= 0:
        batches.append((cell, size))
        size, cell = 0, None
        continue
      size, count, cell = size + taken, count - taken, joined
  return batches + [(cell, size)] if size else batches

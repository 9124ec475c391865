"""Batches of (source, target) pairs in independent buckets.

Examples are pairs of sequences of ids: source, target, without GO and EOS. A
batch is a set of numpy arrays, padded to one source bucket and one target
bucket. The arrays are made when a batch is drawn, from the ids laid end to
end, so that nothing is held padded.
"""

import collections
import functools
import itertools
import numbers
import operator

import numpy as np

from tangle import errors
from tangle.seq2seq import buckets as buckets_lib
from tangle.seq2seq import vocabulary

_LARGEST_ID = np.iinfo(np.int32).max

Encoded = collections.namedtuple("Encoded", ["examples", "report"])

Waste = collections.namedtuple("Waste", ["source", "target"])

_BATCH_FIELDS = (
  "source source_lengths decoder_inputs targets weights "
  "source_bucket target_bucket indices words symbols"
)


class Batch(collections.namedtuple("Batch", _BATCH_FIELDS)):
  """B examples, padded to a source bucket S and a target bucket T.

  Attributes:
    source: `[B, S]` int32, the source, then PAD.
    source_lengths: `[B]` int32, without PAD.
    decoder_inputs: `[B, T]` int32, GO and the target, then PAD.
    targets: `[B, T]` int32, the target and EOS, then PAD.
    weights: `[B, T]` float32, 1 at the target and EOS, 0 at PAD.
    source_bucket: S, an int.
    target_bucket: T, an int.
    indices: `[B]` int64, where each example is among those given.
    words: B, the number of examples, an int.
    symbols: the sum of the weights, an int: target symbols, EOS among them.
  """

  __slots__ = ()


class PairBatches:
  """Draws every example once an epoch, in batches that share their buckets.

  Source and target have buckets of their own, so an example belongs to one of
  N x M cells. A cell's examples are cut into full batches. What is left over
  in the cells is pooled, neighbouring cells together, and such a batch is
  padded to the larger bucket of each side. So an epoch has
  `ceil(N / batch_size)` batches, all full but one, and no example is dropped
  or seen twice.

  Epoch n depends on `seed` and n alone, not on what was drawn before, and on
  neither the version of numpy nor that of TensorFlow: a run that stopped after
  `position` batches of epoch n goes on with `epoch(n, start=position)`, given
  the same arguments here.

  Source: the layout of a batch is that of TensorFlow's translate tutorial
  (2015, `seq2seq_model.get_batch`), batch first. It differs in that the
  tutorial draws with replacement, and has PAD in front of a reversed source,
  which is `batch.source[:, ::-1]` of a batch that is not reversed.
  """

  def __init__(
    self,
    examples,
    source_buckets,
    target_buckets,
    batch_size,
    seed=0,
    reverse_source=False,
  ):
    """Plans the batches; takes time and memory linear in the symbols.

    Args:
      examples: a sequence of pairs (source ids, target ids). The target may
        be empty, as when decoding; the source may not.
      source_buckets: source lengths, increasing.
      target_buckets: target lengths, increasing. EOS counts: a target of n
        ids is in the smallest bucket of at least n + 1.
      batch_size: the number of examples in a batch.
      seed: of the order of the examples, in 0..2^32 - 1.
      reverse_source: whether to give the source's ids last to first, with PAD
        still after them.

    Raises:
      ArgumentError: if there are no examples, or `batch_size`, `seed` or the
        buckets are out of range.
      DataError: if an example is not a pair of sequences of ids, or its
        source is empty.
      BucketError: if an example fits no bucket.
    """
    check = functools.partial(buckets_lib.check_buckets, caller="PairBatches")
    self._source_buckets = check(source_buckets, argument="source_buckets")
    self._target_buckets = check(target_buckets, argument="target_buckets")
    check = functools.partial(buckets_lib.check_int, "PairBatches")
    self._batch_size = check("batch_size", batch_size, 1)
    self._seed = check("seed", seed, 0, 2**32 - 1)
    self._reverse_source = reverse_source
    sources, targets = _split_pairs(examples)
    self._source = _Rows(sources, "source", smallest=1)
    # GO and EOS stand around each target: the decoder's inputs are the row
    # without its last id, the targets the row without its first.
    self._target = _Rows(
      targets, "target", before=[vocabulary.GO_ID], after=[vocabulary.EOS_ID]
    )
    self._plan()

  def _plan(self):
    """Assigns examples to cells, and cells to batches."""
    assign = functools.partial(buckets_lib.bucket_indices, caller="PairBatches")
    source = assign(
      self._source.lengths, self._source_buckets, what="source of example"
    )
    target = assign(
      self._target.lengths - 1,
      self._target_buckets,
      what="target, with EOS, of example",
    )
    self._pairs = np.stack([source, target])
    # Cells in the order of an ox ploughing: next in order is next in the grid,
    # so that pooled cells are alike.
    width = len(self._target_buckets)
    column = np.where(source % 2 == 0, target, width - 1 - target)
    self._cells = source * width + column
    counts = np.bincount(self._cells)
    starts = np.cumsum(counts) - counts
    cell_of = np.repeat(np.arange(len(counts)), counts)
    full = counts // self._batch_size * self._batch_size
    pooled = np.arange(len(cell_of)) >= (starts + full)[cell_of]
    # places: for each row of each batch in turn, a place among the examples
    # sorted by cell.
    self._places = np.argsort(pooled, kind="stable")
    in_order = self._order(np.arange(len(cell_of)))
    first = np.arange(0, len(in_order), self._batch_size)
    self._source_of = np.maximum.reduceat(source[in_order], first)
    self._target_of = np.maximum.reduceat(target[in_order], first)

  def _order(self, examples):
    """Returns the examples, given in any order, as the batches have them."""
    by_cell = np.argsort(self._cells[examples], kind="stable")
    return examples[by_cell[self._places]]

  def __len__(self):
    """The number of batches in an epoch."""
    return len(self._source_of)

  @property
  def cell_counts(self):
    """How many examples each cell has, without the cells that have none.

    A dict from (source bucket, target bucket) to an int, in order of buckets.
    """
    cells, counts = np.unique(self._pairs, axis=1, return_counts=True)
    sources = [self._source_buckets[index] for index in cells[0]]
    targets = [self._target_buckets[index] for index in cells[1]]
    return dict(zip(zip(sources, targets), counts.tolist()))

  @property
  def padding_waste(self):
    """The share of padding in an epoch's batches: a `Waste(source, target)`.

    Unlike `buckets.padding_waste`, it counts what pooling adds.
    """
    words = np.full(len(self), self._batch_size)
    words[-1] = len(self._cells) - self._batch_size * (len(self) - 1)
    source = words @ np.asarray(self._source_buckets)[self._source_of]
    target = words @ np.asarray(self._target_buckets)[self._target_of]
    return Waste(
      source=1.0 - float(self._source.lengths.sum() / source),
      target=1.0 - float((self._target.lengths - 1).sum() / target),
    )

  def epoch(self, n, start=0):
    """Returns the batches of epoch `n` in their shuffled order.

    Args:
      n: the epoch, from 0 to 2^32 - 1.
      start: how many batches of the epoch to leave out at its beginning, from
        0 to `len(self)`; those are not made.

    Returns:
      An iterator over `Batch`.

    Raises:
      ArgumentError: if `n` or `start` is out of range.
    """
    check = functools.partial(buckets_lib.check_int, "PairBatches.epoch")
    n = check("n", n, 0, 2**32 - 1)
    start = check("start", start, 0, len(self))
    # RandomState: its numbers are frozen across versions of numpy.
    rng = np.random.RandomState([self._seed, n])
    order = self._order(rng.permutation(len(self._cells)))
    return self._make(order, rng.permutation(len(self))[start:])

  def in_order(self):
    """Returns every example once, cell by cell, always the same way.

    For evaluation: `batch.indices` tells where an example was. What the cells
    have left over comes last.

    Returns:
      An iterator over `Batch`.
    """
    order = self._order(np.arange(len(self._cells)))
    return self._make(order, range(len(self)))

  def _make(self, order, numbers_of_batches):
    """Yields the batches with these numbers, out of examples in `order`."""
    size = self._batch_size
    for number in numbers_of_batches:
      rows = order[number * size : (number + 1) * size]
      source_bucket = self._source_buckets[self._source_of[number]]
      target_bucket = self._target_buckets[self._target_of[number]]
      source, _ = self._source.take(
        rows, source_bucket, reverse=self._reverse_source
      )
      inputs, _ = self._target.take(rows, target_bucket, drop_last=1)
      targets, inside = self._target.take(rows, target_bucket, drop_first=1)
      yield Batch(
        source=source,
        source_lengths=self._source.lengths[rows].astype(np.int32),
        decoder_inputs=inputs,
        targets=targets,
        weights=inside.astype(np.float32),
        source_bucket=source_bucket,
        target_bucket=target_bucket,
        indices=rows,
        words=len(rows),
        symbols=int(np.count_nonzero(inside)),
      )


class _Rows:
  """Rows of ids of different lengths, end to end in one array."""

  def __init__(self, rows, side, smallest=0, before=(), after=()):
    """Lays `rows` end to end, each with the ids `before` and `after` it."""
    extra = len(before) + len(after)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    short = np.flatnonzero(lengths < smallest)
    if short.size:
      raise errors.DataError(
        f"PairBatches: the {side} of examples[{short[0]}] is empty "
        f"({short.size} such). Leave such examples out, as encode_pairs does."
      )
    self.lengths = lengths + extra
    self._ends = np.cumsum(self.lengths)
    chain = itertools.chain.from_iterable
    ids = chain(itertools.chain(before, row, after) for row in rows)
    try:
      # index: fromiter alone would quietly round floats.
      ids = map(operator.index, ids)
      ids = np.fromiter(ids, np.int64, int(self.lengths.sum()))
      sound = ids.min() >= 0 and ids.max() <= _LARGEST_ID
    except (TypeError, OverflowError):
      sound = False
    if not sound:
      culprit = next(n for n, row in enumerate(rows) if not _are_ids(row))
      raise errors.DataError(
        f"PairBatches: the {side} of examples[{culprit}] must be ids, ints "
        f"of at least 0, got {rows[culprit]!r}. Encode it first."
      )
    self._ids = ids.astype(np.int32)

  def take(self, rows, width, drop_first=0, drop_last=0, reverse=False):
    """Returns rows, padded, and where they are not padding: `[B, width]`."""
    lengths = self.lengths[rows] - drop_first - drop_last
    ends = self._ends[rows] - drop_last
    columns = np.arange(width)
    inside = columns < lengths[:, np.newaxis]
    if reverse:
      places = (ends - 1)[:, np.newaxis] - columns
    else:
      places = (ends - lengths)[:, np.newaxis] + columns
    padded = np.full(inside.shape, vocabulary.PAD_ID, np.int32)
    padded[inside] = self._ids[places[inside]]
    return padded, inside


def encode_pairs(
  pairs,
  source_vocabulary,
  target_vocabulary,
  source_buckets,
  target_buckets,
  unknown="drop",
):
  """Turns pairs of sequences of symbols into examples for `PairBatches`.

  What cannot be used is left out, counted and reported; nothing is cut. A pair
  is judged by the first of: a side is empty, a side fits no bucket, a side has
  an unknown symbol.

  Args:
    pairs: an iterable of (source symbols, target symbols); a string is a
      sequence of characters.
    source_vocabulary: the `Vocabulary` of the sources.
    target_vocabulary: the `Vocabulary` of the targets.
    source_buckets: source lengths, increasing.
    target_buckets: target lengths, increasing; EOS counts.
    unknown: `"drop"` leaves a pair with an unknown symbol out; `"unk"` keeps
      it, with UNK for the symbol, and counts it as kept and as replaced.

  Returns:
    An `Encoded(examples, report)`: a list of pairs of lists of ids, and a
    `buckets.Report`.

  Raises:
    ArgumentError: if `unknown` is neither, or buckets are not as above.
  """
  if unknown not in ("drop", "unk"):
    raise errors.ArgumentError(
      f"encode_pairs: unknown must be 'drop' or 'unk', got {unknown!r}."
    )
  check = functools.partial(buckets_lib.check_buckets, caller="encode_pairs")
  largest = (
    check(source_buckets, argument="source_buckets")[-1],
    check(target_buckets, argument="target_buckets")[-1],
  )
  examples, report = [], buckets_lib.Report()
  for pair in pairs:
    source, target = pair
    kind, why = _judge(source, target, largest)
    if not kind:
      source_ids = source_vocabulary.encode(source, unknown="unk")
      target_ids = target_vocabulary.encode(target, unknown="unk")
      if vocabulary.UNK_ID in source_ids:
        kind, why = "unknown", _strangers("source", source, source_ids)
      elif vocabulary.UNK_ID in target_ids:
        kind, why = "unknown", _strangers("target", target, target_ids)
      if not kind or unknown == "unk":
        examples.append((source_ids, target_ids))
        report.count("kept", pair)
        kind = kind and "replaced"
    if kind:
      report.count(kind, pair, why)
  return Encoded(examples, report)


def _judge(source, target, largest):
  """Returns a kind of `Report` and why, or two Nones for a pair that fits."""
  sides = ("source", source, 0), ("target", target, 1)
  for side, symbols, _ in sides:
    if not len(symbols):
      return "empty", f"no {side}"
  for (side, symbols, extra), bucket in zip(sides, largest):
    length = len(symbols) + extra
    if length > bucket:
      eos = " with EOS" if extra else ""
      return "too_long", f"{side} of {length}{eos}, largest bucket {bucket}"
  return None, None


def _strangers(side, symbols, ids):
  """Returns a few words on the unknown symbols of one side."""
  pairs = zip(symbols, ids)
  unknown = [repr(symbol) for symbol, n in pairs if n == vocabulary.UNK_ID]
  return f"{side} has unknown {', '.join(unknown)}"


def _split_pairs(examples):
  """Returns the sources and the targets of `examples`, two lists."""
  sources, targets = [], []
  for position, example in enumerate(examples):
    try:
      source, target = example
      len(source), len(target)
    except (TypeError, ValueError):
      raise errors.DataError(
        f"PairBatches: examples[{position}] must be a pair (source ids, "
        f"target ids), got {example!r}."
      ) from None
    sources.append(source)
    targets.append(target)
  if not sources:
    raise errors.ArgumentError(
      "PairBatches: examples is empty; there is nothing to draw. See the "
      "report of encode_pairs for what was left out."
    )
  return sources, targets


def _are_ids(row):
  """Returns whether `row` holds nothing but ids."""
  is_int = [isinstance(value, numbers.Integral) for value in row]
  return all(is_int) and all(0 <= value <= _LARGEST_ID for value in row)

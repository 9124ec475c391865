"""Examples as concatenated ids, and the padded batches made from them.

An example is a pair of sequences of ids: source, target, without GO and EOS.
Storage takes four bytes per id and a few bytes per example; nothing is stored
padded. A `Layout` defines how a batch is laid out. The callers choose which
examples it has.
"""

from __future__ import annotations

import array
import collections
import collections.abc
import itertools
import numbers
import operator
import zlib
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple, Union

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import vocabulary

_LARGEST_ID = np.iinfo(np.int32).max

_BATCH_FIELDS = (
  "source source_lengths decoder_inputs targets weights "
  "source_bucket target_bucket indices examples symbols"
)


class Batch(collections.namedtuple("Batch", _BATCH_FIELDS)):
  """B examples, padded to a source bucket S and a target bucket T.

  The legacy models take T arrays `[B]` instead of `[B, T]`: `list(array.T)`.

  Attributes:
    source: `[B, S]` int32, the source and PAD; see `Layout` for the order.
    source_lengths: `[B]` int32, without PAD.
    decoder_inputs: `[B, T]` int32, GO and the target, then PAD.
    targets: `[B, T]` int32, the target and EOS, then PAD.
    weights: `[B, T]` float32, 1 at the target and EOS, 0 at PAD.
    source_bucket, target_bucket: S and T, ints.
    indices: `[B]` int64, the position of each example in the data.
    examples: B, the number of examples, an int.
    symbols: the sum of the weights, an int: target symbols, EOS among them.
  """

  __slots__ = ()


TargetArrays = collections.namedtuple(
  "TargetArrays", ["decoder_inputs", "targets", "weights", "symbols"]
)
TargetArrays.__doc__ = "The fields of a `Batch` that its targets alone make."


class Layout(NamedTuple):
  """How examples lie in the arrays of a batch.

  Attributes:
    reverse_source: whether the source's ids are reversed.
    pad_left: whether PAD comes before the source, not after it.
    feed_eos: whether the decoder's inputs include EOS, if there is room for it.
      No target follows it, so it has no weight.
    add_eos: whether EOS is appended to each target, and counts in its length;
      if not, targets are used as they are.
  """

  reverse_source: bool
  pad_left: bool
  feed_eos: bool
  add_eos: bool


PLAIN = Layout(
  reverse_source=False, pad_left=False, feed_eos=False, add_eos=True
)
"""Source, then PAD; GO and the target, then PAD."""

TUTORIAL = Layout(
  reverse_source=True, pad_left=True, feed_eos=True, add_eos=True
)
"""The layout of TensorFlow's translate tutorial (2015): PAD, then the source
last to first; GO, the target and EOS, then PAD."""

Pairs = Sequence[Sequence[hints.Ints]]
"""Pairs (source ids, target ids), such as `Examples`."""


class Rows(collections.abc.Sequence):
  """Rows of ids of different lengths, concatenated in one array.

  Attributes:
    lengths: `[N]` int64, how many ids each row has.
  """

  def __init__(self, ids: hints.Ints, lengths: hints.Ints) -> None:
    """Stores the arrays, without a copy if they have these types.

    Args:
      ids: `[sum(lengths)]` int32.
      lengths: `[N]` int64.
    """
    self._ids = np.asarray(ids, np.int32)
    self.lengths = np.asarray(lengths, np.int64)
    self._ends = np.cumsum(self.lengths)

  def take(
    self,
    rows: hints.Ints,
    width: int,
    reverse: bool = False,
    pad_left: bool = False,
  ) -> np.ndarray:
    """Returns rows, padded to one width.

    Args:
      rows: `[B]` ints, the indices of the rows.
      width: number of columns; at least the length of the longest row.
      reverse: whether to reverse the ids.
      pad_left: whether PAD comes before the ids.

    Returns:
      A new int32 array `[B, width]`.
    """
    lengths, ends = (x[rows][:, None] for x in (self.lengths, self._ends))
    columns = np.arange(width)
    if pad_left:
      columns = columns - (width - lengths)
    inside = (columns >= 0) & (columns < lengths)
    places = ends - 1 - columns if reverse else ends - lengths + columns
    padded = np.full(inside.shape, vocabulary.PAD_ID, np.int32)
    padded[inside] = self._ids[places[inside]]
    return padded

  def as_targets(
    self, rows: hints.Ints, width: int, layout: Layout = PLAIN
  ) -> TargetArrays:
    """Returns rows as the targets of a batch.

    Args:
      rows: `[B]` ints, the indices of the rows.
      width: T, number of columns; the rows must fit, including EOS if added.
      layout: a `Layout`.

    Returns:
      A `TargetArrays`.
    """
    lengths = self.lengths[rows]
    targets = self.take(rows, width)
    inputs = np.empty_like(targets)
    inputs[:, 0] = vocabulary.GO_ID
    inputs[:, 1:] = targets[:, :-1]
    if layout.add_eos:
      targets[np.arange(len(lengths)), lengths] = vocabulary.EOS_ID
      lengths = lengths + 1
      if layout.feed_eos:
        inputs[:, 1:] = targets[:, :-1]
    weights = (np.arange(width) < lengths[:, np.newaxis]).astype(np.float32)
    return TargetArrays(inputs, targets, weights, int(lengths.sum()))

  def digest(self, start: int = 0) -> int:
    """Returns a checksum of all rows, equal on every machine.

    Args:
      start: a checksum to continue from.

    Returns:
      An int in 0..2^32 - 1.
    """
    start = zlib.crc32(self.lengths.astype("<i8").tobytes(), start)
    return zlib.crc32(self._ids.astype("<i4").tobytes(), start) & 0xFFFFFFFF

  def __len__(self) -> int:
    return len(self.lengths)

  def __getitem__(self, row: Union[int, slice]) -> List[Any]:
    if isinstance(row, slice):
      return [self[n] for n in range(*row.indices(len(self)))]
    end = self._ends[row]
    return self._ids[end - self.lengths[row] : end].tolist()


class Examples(collections.abc.Sequence):
  """Pairs (source ids, target ids), without GO and EOS.

  A sequence: `examples[n]` is a pair of lists of ints.

  Attributes:
    sources: the `Rows` of sources.
    targets: the `Rows` of targets.
  """

  def __init__(self, sources: Rows, targets: Rows) -> None:
    """Joins the two sides, of as many rows."""
    self.sources = sources
    self.targets = targets

  def batch(
    self, indices: hints.Ints, cell: Tuple[int, int], layout: Layout = PLAIN
  ) -> Batch:
    """Returns some of the examples as a batch.

    Args:
      indices: `[B]` ints, the positions of the examples.
      cell: the source and target bucket to pad to; the examples must fit.
      layout: a `Layout`.

    Returns:
      A `Batch`.
    """
    source_bucket, target_bucket = cell
    order = layout.reverse_source, layout.pad_left
    return Batch(
      source=self.sources.take(indices, source_bucket, *order),
      source_lengths=self.sources.lengths[indices].astype(np.int32),
      source_bucket=source_bucket,
      target_bucket=target_bucket,
      indices=np.array(indices, np.int64),
      examples=len(indices),
      **self.targets.as_targets(indices, target_bucket, layout)._asdict(),
    )

  def target_lengths(self, layout: Layout = PLAIN) -> np.ndarray:
    """Returns how many positions each target needs.

    Args:
      layout: a `Layout`, which says whether EOS is one of them.

    Returns:
      `[N]` int64.
    """
    return self.targets.lengths + int(layout.add_eos)

  def side_lengths(self, layout: Layout = PLAIN) -> Dict[str, np.ndarray]:
    """Returns how many positions each side of each example needs.

    Args:
      layout: a `Layout`.

    Returns:
      A dict from the name of a side to its lengths, `[N]` int64.
    """
    return {
      "source": self.sources.lengths,
      "target, with EOS,": self.target_lengths(layout),
    }

  def digest(self) -> int:
    """Returns a checksum in 0..2^32 - 1, equal on every machine."""
    return self.targets.digest(self.sources.digest())

  def __len__(self) -> int:
    return len(self.sources)

  def __getitem__(self, index: Union[int, slice]) -> Any:
    if isinstance(index, slice):
      return list(zip(self.sources[index], self.targets[index]))
    return self.sources[index], self.targets[index]


class Collector:
  """Collects examples one by one, at four bytes per id."""

  def __init__(self, sides: int = 2) -> None:
    """Creates an empty collector.

    Args:
      sides: how many sequences an example has.
    """
    self._sides = [(array.array("i"), array.array("q")) for _ in range(sides)]

  def add(self, *sequences: Sequence[int]) -> None:
    """Adds an example.

    Args:
      *sequences: ints in 0..2^31 - 1, one sequence per side: source, target.
    """
    for (ids, lengths), row in zip(self._sides, sequences):
      ids.extend(row)
      lengths.append(len(row))

  def rows(self) -> List[Rows]:
    """Returns copies of the collected rows, the `Rows` of each side."""
    return [Rows(*map(np.array, side)) for side in self._sides]

  def examples(self) -> Examples:
    """Returns a copy of the collected pairs as `Examples`."""
    return Examples(*self.rows())


def collect(pairs: Pairs, caller: str = "collect") -> Examples:
  """Returns pairs of sequences of ids as `Examples`.

  Args:
    pairs: pairs (source ids, target ids); `Examples` are returned as they are.
    caller: the function to name in a message.

  Returns:
    An `Examples`.

  Raises:
    ArgumentError: if there are none.
    DataError: if one is not two sequences of ids, or its source is empty.
  """
  if not isinstance(pairs, Examples):
    pairs = Examples(*lay_out(pairs, ("source", "target"), caller))
  check_sources({"source": pairs.sources}, caller)
  return pairs


def check_sources(
  sources: Mapping[str, Rows], caller: str = "check_sources"
) -> None:
  """Raises if there are no examples, or one has an empty source.

  Args:
    sources: a dict from the name of a source to its `Rows`.
    caller: the function to name in a message.

  Raises:
    ArgumentError: if there are no examples.
    DataError: if a source is empty.
  """
  for side, found in sources.items():
    if not len(found):
      raise errors.ArgumentError(
        f"{caller}: examples is empty; there is nothing to draw. See the "
        "report of their encoding for what was left out."
      )
    short = np.flatnonzero(found.lengths == 0)
    if short.size:
      raise errors.DataError(
        f"{caller}: the {side} of examples[{short[0]}] is empty; this is so in "
        f"{short.size} of {len(found)} examples. Remove them, as encode_pairs "
        "does."
      )


def lay_out(
  examples: Sequence[Any], sides: Sequence[str], caller: str = "lay_out"
) -> List[Rows]:
  """Returns sequences of ids as `Rows`, checked.

  Args:
    examples: tuples of sequences of ids, one for each side.
    sides: the names of the sides.
    caller: the function to name in a message.

  Returns:
    The `Rows` of each side.

  Raises:
    DataError: if one is not a tuple with one sequence of ids per side.
  """
  found = []
  for position, example in enumerate(examples):
    try:
      found.append(tuple(example))
      sound = len(list(map(len, found[-1]))) == len(sides)
    except TypeError:
      sound = False
    if not sound:
      names = ", ".join(f"{side} ids" for side in sides)
      what = "a pair" if len(sides) == 2 else f"{len(sides)} sequences"
      raise errors.DataError(
        f"{caller}: examples[{position}] must be {what} ({names}), got "
        f"{example!r}."
      )
  return [
    _lay_out([example[k] for example in found], side, caller)
    for k, side in enumerate(sides)
  ]


def _lay_out(rows, side, caller):
  """Returns `rows` as `Rows`, checked."""
  lengths = np.fromiter(map(len, rows), np.int64, len(rows))
  try:
    # index: fromiter alone would silently round floats.
    ids = map(operator.index, itertools.chain.from_iterable(rows))
    ids = np.fromiter(ids, np.int64, int(lengths.sum()))
    sound = not ids.size or (ids.min() >= 0 and ids.max() <= _LARGEST_ID)
  except (TypeError, OverflowError):
    sound = False
  if not sound:
    culprit = next(n for n, row in enumerate(rows) if not _are_ids(row))
    raise errors.DataError(
      f"{caller}: the {side} of examples[{culprit}] must be ids, ints of at "
      f"least 0, got {rows[culprit]!r}. Encode it first."
    )
  return Rows(ids, lengths)


def _are_ids(row):
  """Returns whether `row` holds nothing but ids."""
  is_int = [isinstance(value, numbers.Integral) for value in row]
  return all(is_int) and all(0 <= value <= _LARGEST_ID for value in row)

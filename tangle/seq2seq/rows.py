"""Examples as concatenated ids, and the padded batches made from them.

An example is a tuple of sequences of ids, without GO and EOS: one source or
several, and the target.
Storage takes four bytes per id and a few bytes per example; nothing is stored
padded. A `Layout` defines how a batch, of any examples, is laid out.
"""

from __future__ import annotations

import array
import collections
import collections.abc
import itertools
import numbers
import operator
import zlib
from typing import Any, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import buckets as buckets_lib
from tangle.seq2seq import vocabulary

_LARGEST_ID = np.iinfo(np.int32).max


class Source(NamedTuple):
  """One source of a batch.

  Attributes:
    ids: `[B, S]` int32, the source and PAD; see `Layout` for the order.
    lengths: `[B]` int32, without PAD.
    bucket: S.
  """

  ids: np.ndarray
  lengths: np.ndarray
  bucket: int


class Batch(NamedTuple):
  """B examples; each source is padded to a bucket S, the target to a bucket T.

  The legacy models take T arrays `[B]` instead of `[B, T]`: `list(array.T)`.
  EOS is where `PLAIN` has it; for other layouts see `Layout`.

  Attributes:
    sources: a `Source` for each source.
    target_bucket: T.
    indices: `[B]` int64, the position of each example in the `Examples`.
    examples: B.
    decoder_inputs: `[B, T]` int32, GO and the target, then PAD.
    targets: `[B, T]` int32, the target and EOS, then PAD.
    weights: `[B, T]` float32, 1 at the target and EOS, 0 at PAD.
    symbols: the sum of the weights: target symbols, EOS among them.
  """

  sources: Tuple[Source, ...]
  target_bucket: int
  indices: np.ndarray
  examples: int
  decoder_inputs: np.ndarray
  targets: np.ndarray
  weights: np.ndarray
  symbols: int

  @property
  def source(self) -> np.ndarray:
    """The `ids` of the first source."""
    return self.sources[0].ids

  @property
  def source_lengths(self) -> np.ndarray:
    """The `lengths` of the first source."""
    return self.sources[0].lengths

  @property
  def source_bucket(self) -> int:
    """The `bucket` of the first source."""
    return self.sources[0].bucket


class Layout(NamedTuple):
  """How examples lie in the arrays of a batch.

  Attributes:
    reverse_source: whether the source's ids are reversed.
    pad_left: whether PAD comes before the source, not after it.
    feed_eos: whether the decoder's inputs include EOS, if there is room for it.
      No target follows it, so it has no weight. Ignored without `add_eos`.
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

Sides = Sequence[Sequence[hints.Ints]]
"""Tuples of ids, one for each side, such as `Examples`."""


class Rows(collections.abc.Sequence):
  """Rows of ids of different lengths, concatenated in one array.

  Attributes:
    lengths: `[N]` int64, how many ids each row has.
  """

  def __init__(self, ids: hints.Ints, lengths: hints.Ints) -> None:
    """Stores the arrays, without a copy if they have these types; no checks.

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
    """Returns rows, padded to one width, in the order of `rows`.

    Args:
      rows: `[B]` ints, the indices of the rows.
      width: number of columns. Longer rows must not be given; not checked.
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

  def _as_targets(self, rows, width, layout):
    """Returns the fields of a `Batch` that its targets alone make, a dict."""
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
    return {
      "decoder_inputs": inputs,
      "targets": targets,
      "weights": weights,
      "symbols": int(lengths.sum()),
    }

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
  """Tuples (source ids, ..., target ids), without GO and EOS.

  A sequence: `examples[n]` is a tuple of lists of ints.

  Attributes:
    sides: the `Rows` of each side, a tuple; the target is the last.
  """

  def __init__(self, *sides: Rows) -> None:
    """Joins the `Rows` of each side, equally many; the target is the last."""
    self.sides = sides

  @property
  def sources(self) -> Rows:
    """The `Rows` of the first source."""
    return self.sides[0]

  @property
  def targets(self) -> Rows:
    """The `Rows` of the targets."""
    return self.sides[-1]

  def batch(
    self, indices: hints.Ints, cell: Tuple[int, ...], layout: Layout = PLAIN
  ) -> Batch:
    """Returns some of the examples as a batch, in the order of `indices`.

    Args:
      indices: `[B]` ints, the positions of the examples.
      cell: one bucket per side to pad to, such as (source bucket, target
        bucket); the examples must fit, which is not checked.
      layout: a `Layout`, the same for all sources.

    Returns:
      A `Batch`.
    """
    settings = layout.reverse_source, layout.pad_left
    sources = [
      Source(
        ids=side.take(indices, bucket, *settings),
        lengths=side.lengths[indices].astype(np.int32),
        bucket=bucket,
      )
      for side, bucket in zip(self.sides[:-1], cell)
    ]
    return Batch(
      sources=tuple(sources),
      target_bucket=cell[-1],
      indices=np.array(indices, np.int64),
      examples=len(indices),
      **self.targets._as_targets(indices, cell[-1], layout),
    )

  def side_lengths(self, layout: Layout = PLAIN) -> List[np.ndarray]:
    """Returns how many positions each side of each example needs.

    Args:
      layout: a `Layout`.

    Returns:
      A list with `[N]` int64 for each side; `layout.add_eos` adds 1 to targets.
    """
    *sources, targets = [side.lengths for side in self.sides]
    return [*sources, targets + int(layout.add_eos)]

  def digest(self) -> int:
    """Returns a checksum in 0..2^32 - 1, equal on every machine."""
    digest = 0
    for side in self.sides:
      digest = side.digest(digest)
    return digest

  def __len__(self) -> int:
    return len(self.targets)

  def __getitem__(self, index: Union[int, slice]) -> Any:
    sides = [side[index] for side in self.sides]
    return list(zip(*sides)) if isinstance(index, slice) else tuple(sides)


class Collector:
  """Collects examples one by one, at four bytes per id."""

  def __init__(self, sides: int = 2) -> None:
    """Creates an empty collector.

    Args:
      sides: how many sequences an example has.
    """
    self._sides = [(array.array("i"), array.array("q")) for _ in range(sides)]

  def add(self, *sequences: Sequence[int]) -> None:
    """Adds an example; does not check how many sequences it has.

    Args:
      *sequences: ints in 0..2^31 - 1, one sequence per side: source, target. An
        id that is no int of 32 bits raises `OverflowError` or `TypeError`.
    """
    for (ids, lengths), row in zip(self._sides, sequences):
      ids.extend(row)
      lengths.append(len(row))

  def examples(self) -> Examples:
    """Returns a copy of what was collected as `Examples`."""
    return Examples(*[Rows(*map(np.array, side)) for side in self._sides])


def collect(examples: Sides, sides: int = 2) -> Examples:
  """Returns tuples of sequences of ids as `Examples`.

  Args:
    examples: tuples with a sequence of ids per side: source, target; `Examples`
      are returned as they are.
    sides: the number of sides.

  Returns:
    An `Examples`.

  Raises:
    ArgumentError: if there are none, or `Examples` have another number of
      sides.
    DataError: if one is not such a tuple, has an id outside of 0..2^31 - 1, or
      has an empty source; a target may be empty.
  """
  names = buckets_lib.name_sides(sides)
  if not isinstance(examples, Examples):
    examples = Examples(*_lay_out_all(examples, names))
  if len(examples.sides) != sides:
    raise errors.ArgumentError(
      f"examples must have {sides} sides, as the buckets do, got "
      f"{len(examples.sides)}. Pass buckets with as many sides as the examples."
    )
  if not len(examples):
    raise errors.ArgumentError(
      "examples is empty; there is nothing to draw. See the report "
      "of their encoding for what was left out."
    )
  for name, source in zip(names[:-1], examples.sides):
    short = np.flatnonzero(source.lengths == 0)
    if short.size:
      raise errors.DataError(
        f"the {name} of examples[{short[0]}] is empty; this is so in "
        f"{short.size} of {len(source)} examples. Remove them, as encode_pairs "
        "does."
      )
  return examples


def _lay_out_all(examples, sides):
  """Returns the checked `Rows` of each side; `sides` are their names."""
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
        f"examples[{position}] must be {what} ({names}), got {example!r}."
      )
  return [
    _lay_out([example[k] for example in found], side)
    for k, side in enumerate(sides)
  ]


def _lay_out(rows, side):
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
    culprit = next(n for n, row in enumerate(rows) if not all(map(_is_id, row)))
    raise errors.DataError(
      f"the {side} of examples[{culprit}] must be ids, ints of at "
      f"least 0, got {rows[culprit]!r}. Encode it first."
    )
  return Rows(ids, lengths)


def _is_id(value):
  return isinstance(value, numbers.Integral) and 0 <= value <= _LARGEST_ID

"""Buckets for examples with several sides, such as pairs: independent or joint.

A cell is a tuple with one bucket per side, such as (source bucket, target
bucket), to which a batch may be padded. `IndependentBuckets` has one for each
combination of the sides' buckets; there may be several sources. `JointBuckets`
lists its cells, which are pairs, as in TensorFlow's translate tutorial. Both
can be used in the same places.
The target is the last side. Its lengths count EOS.
"""

from __future__ import annotations

import collections
import collections.abc
from typing import (
  Any,
  Callable,
  Mapping,
  Optional,
  Sequence,
  Tuple,
  Union,
)

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import buckets as buckets_lib

BatchSize = Union[int, Mapping[Any, int], Callable[..., int]]
"""The batch size: an int, or a mapping or a function from a cell to an int."""


class IndependentBuckets(buckets_lib.Buckets):
  """Buckets of several sides, such as source and target, each on its own.

  Attributes:
    cells: all combinations of one bucket per side, in serpentine order:
      consecutive cells are neighbours in the grid.
    sides: for each side the tuple of its buckets, increasing.
    strict: whether a length has to be less than its bucket.
    longest: the largest length of each side that fits; for the target with EOS.
  """

  @errors.named("IndependentBuckets")
  def __init__(self, *sides: Sequence[int], strict: bool = False) -> None:
    """Makes the cells.

    Args:
      *sides: the buckets of each side, lengths, increasing: source buckets,
        target buckets; or those of several sources, and the target's. EOS
        counts: a target of n symbols is in the smallest bucket of at least
        n + 1.
      strict: whether a length has to be less than its bucket, as in the
        tutorial, not at most the bucket.

    Raises:
      ArgumentError: if there are fewer than two sides, or the buckets of one
        are not increasing positive ints.
    """
    if len(sides) < 2:
      raise errors.ArgumentError(
        f"expected the buckets of a source and of the "
        f"target, such as IndependentBuckets([5, 10], [5, 10]), got {sides}."
      )
    names = buckets_lib.name_sides(len(sides))
    checked = [
      buckets_lib.check_buckets(side, f"{name} buckets")
      for name, side in zip(names, sides)
    ]
    self._counts = [len(side) for side in checked]
    super().__init__(
      [
        tuple(side[place] for side, place in zip(checked, self._find(cell)))
        for cell in range(int(np.prod(self._counts)))
      ],
      strict,
    )

  @property
  def source_buckets(self) -> Tuple[int, ...]:
    """The buckets of the first source."""
    return self.sides[0]

  @property
  def target_buckets(self) -> Tuple[int, ...]:
    """The buckets of the target."""
    return self.sides[-1]

  @errors.named("IndependentBuckets.assign")
  def assign(self, *lengths: hints.Ints) -> np.ndarray:
    """Returns the cell of each example.

    Args:
      *lengths: for each side, `[N]` ints; for the target, with EOS.

    Returns:
      An int array `[N]` of indices into `cells`, in the order of the examples;
      -1 if no cell fits.

    Raises:
      ArgumentError: if the number of arguments is not that of the sides, or
        lengths are no ints, negative, or not as many for each side.
    """
    if len(lengths) != len(self.sides):
      raise errors.ArgumentError(
        f"must have the lengths of "
        f"{len(self.sides)} sides (all sources, then the target), one argument "
        f"for each side, got {len(lengths)} arguments."
      )
    places = self._places(self.sides, lengths)
    fits = [place < count for place, count in zip(places, self._counts)]
    return np.where(np.all(fits, axis=0), self._index(places), -1)

  def join(self, one: int, other: int) -> int:
    """Returns the smallest cell that holds the examples of two cells.

    Args:
      one: an index into `cells`.
      other: an index into `cells`.

    Returns:
      An index into `cells`.
    """
    return self._index(map(max, zip(self._find(one), self._find(other))))

  def _index(self, places):
    """Returns the cell's index for the index of each side's bucket."""
    index = 0
    for count, place in zip(self._counts, places):
      index = index * count + _turn(index, place, count)
    return index

  def _find(self, cell):
    """Returns the index of each side's bucket for a cell's index."""
    places = []
    for count in reversed(self._counts):
      cell, place = divmod(cell, count)
      places.append(_turn(cell, place, count))
    return places[::-1]

  def __repr__(self):
    return self._show(", ".join(str(list(side)) for side in self.sides))


class JointBuckets(buckets_lib.Buckets):
  """K pairs (source bucket, target bucket), each holding the one before.

  An example is in the first pair that fits on both sides.

  Source: TensorFlow's translate tutorial (2015, `translate.py`) with
  `strict`. It differs in that the pairs must be nested, which the tutorial
  assumes and does not check.

  Attributes:
    strict: whether a length has to be less than its bucket.
    cells: the K pairs, in order.
    sides: the source buckets and the target buckets that occur, increasing.
    longest: the longest source and the longest target, with EOS, that fit.
  """

  @errors.named("JointBuckets")
  def __init__(
    self, pairs: Sequence[Tuple[int, int]], strict: bool = False
  ) -> None:
    """Checks the pairs.

    Args:
      pairs: K pairs (source bucket, target bucket), none smaller on a side
        than the one before, and no two equal. EOS counts in a target.
      strict: whether a length has to be less than its bucket, as in the
        tutorial, not at most the bucket.

    Raises:
      ArgumentError: if the pairs are not as described.
    """
    super().__init__(_check_pairs(pairs), strict)

  @errors.named("JointBuckets.assign")
  def assign(
    self, source_lengths: hints.Ints, target_lengths: hints.Ints
  ) -> np.ndarray:
    """Returns the cell of each example.

    Args:
      source_lengths: `[N]` ints.
      target_lengths: `[N]` ints, with EOS.

    Returns:
      An int array `[N]` of indices into `cells`; -1 if no cell fits.

    Raises:
      ArgumentError: if lengths are no ints, negative, or not as many for both
        sides.
    """
    sources, targets = zip(*self.cells)
    # Since the pairs are nested, the first pair that fits both sides is the
    # later of the first pairs that fit each side.
    lengths = source_lengths, target_lengths
    first = np.maximum(*self._places([sources, targets], lengths))
    return np.where(first < len(self.cells), first, -1)

  def join(self, one: int, other: int) -> int:
    """Returns the smallest cell that holds the examples of two cells.

    Args:
      one: an index into `cells`.
      other: an index into `cells`.

    Returns:
      An index into `cells`.
    """
    return max(one, other)

  def __repr__(self):
    return self._show(list(self.cells))


class TokenBudget:
  """A batch size per cell: as many examples as a budget of tokens allows.

  For a cell (S, T) it is `max_tokens // (S + T)`, but at most `most`; with
  more sides, the sum is over all of them. Called with one bucket per side, it
  returns the size, or raises `ArgumentError` if one example is too large.
  """

  @errors.named("TokenBudget")
  def __init__(self, max_tokens: int, most: Optional[int] = None) -> None:
    """Sets the budget.

    Args:
      max_tokens: the largest number of tokens in a batch, source and target
        together, including padding.
      most: the largest batch size, in examples; None for no limit.

    Raises:
      ArgumentError: if an argument is not a positive integer.
    """
    self.max_tokens = buckets_lib.check_int("max_tokens", max_tokens, 1)
    self.most = most
    if most is not None:
      self.most = buckets_lib.check_int("most", most, 1)

  @errors.named("TokenBudget")
  def __call__(self, *cell: int) -> int:
    size = self.max_tokens // sum(cell)
    if not size:
      raise errors.ArgumentError(
        f"one example in the cell {cell} has {sum(cell)} "
        f"tokens with its padding, more than max_tokens, {self.max_tokens}. "
        "Raise max_tokens to at least that, or drop the bucket."
      )
    return size if self.most is None else min(size, self.most)

  def __repr__(self):
    return f"TokenBudget({self.max_tokens}, most={self.most})"


def size_of(batch_size: BatchSize, cell: buckets_lib.Cell) -> int:
  """Returns the number of examples in a full batch of a cell.

  Args:
    batch_size: an int for every cell; or a mapping from a cell to an int; or a
      callable of one bucket per side, such as a `TokenBudget`.
    cell: a tuple with one bucket per side.

  Returns:
    An int of at least 1.

  Raises:
    ArgumentError: if there is no size for the cell, or it is not such an int.
  """
  where = f"batch_size at the cell {cell}"
  if isinstance(batch_size, collections.abc.Mapping):
    if cell not in batch_size:
      raise errors.ArgumentError(
        f"batch_size has no entry for the cell {cell}, which a batch "
        f"needs; its keys are {sorted(batch_size)}. Add one, or pass a "
        "callable such as TokenBudget; pool=False needs only the cells "
        "that have examples."
      )
    size = batch_size[cell]
  elif callable(batch_size):
    size = batch_size(*cell)
  else:
    size, where = batch_size, "batch_size"
  return buckets_lib.check_int(where, size, 1)


def check_bucketing(
  buckets: buckets_lib.Buckets,
  sides: Optional[int] = 2,
) -> buckets_lib.Buckets:
  """Returns `buckets` if it is an instance of a bucket class, or raises.

  Args:
    buckets: a `JointBuckets` or an `IndependentBuckets`.
    sides: the required number of sides; None for any.

  Returns:
    `buckets`.

  Raises:
    ArgumentError: if it is not, or has another number of sides.
  """
  found = len(buckets.sides) if isinstance(buckets, buckets_lib.Buckets) else 0
  if found and sides in (None, found):
    return buckets
  kinds, given = "IndependentBuckets or JointBuckets", "source_buckets, "
  joint = ", or JointBuckets(pairs)"
  if sides not in (None, 2):
    kinds, given = f"IndependentBuckets of {sides} sides", "buckets, ..., "
    joint = ""
  raise errors.ArgumentError(
    f"buckets must be {kinds}, got {buckets!r}. Pass "
    f"IndependentBuckets({given}target_buckets){joint}."
  )


def assign_all(
  buckets: buckets_lib.Buckets,
  lengths: Sequence[hints.Ints],
) -> np.ndarray:
  """Returns the cell of each example; all of them must fit.

  Args:
    buckets: a `JointBuckets` or an `IndependentBuckets`.
    lengths: for each side `[N]` ints; for the target, with EOS.

  Returns:
    An int array `[N]` of indices into `buckets.cells`.

  Raises:
    ArgumentError: if `IndependentBuckets` have another number of sides.
    BucketError: if an example fits no cell; the message names the first one
      that is too long on a side.
  """
  cells = buckets.assign(*lengths)
  if np.all(cells >= 0):
    return cells
  names = buckets_lib.name_sides(len(lengths))
  names[-1] += ", with EOS,"
  for name, side, longest in zip(names, lengths, buckets.longest):
    long = np.flatnonzero(np.asarray(side) > longest)
    if long.size:
      raise buckets_lib.too_long(
        side[long[0]],
        longest + int(buckets.strict),
        what=f"{name} of example {long[0]}",
        count=long.size,
        strict=buckets.strict,
      )
  raise AssertionError("what fits on all sides fits the largest cell")


def _turn(row, place, count):
  """Returns the place in a row of `count`; every second row runs backward."""
  return place + row % 2 * (count - 1 - 2 * place)


def _check_pairs(pairs):
  """Returns `pairs` as a tuple of pairs of ints, or raises."""
  check = buckets_lib.check_int
  try:
    found = [
      (check("a source bucket", source, 1), check("a target bucket", target, 1))
      for source, target in pairs
    ]
  except (TypeError, ValueError):
    found = []
  grows = all(
    one != two and one[0] <= two[0] and one[1] <= two[1]
    for one, two in zip(found, found[1:])
  )
  if not found or not grows:
    raise errors.ArgumentError(
      "pairs must be pairs of positive integers (source bucket, "
      "target bucket), none smaller on a side than the one before, such as "
      f"[(5, 10), (10, 15)]; got {pairs!r}. Sort them, and leave out those "
      "that an earlier pair holds."
    )
  return tuple(found)

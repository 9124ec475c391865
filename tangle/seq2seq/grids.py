"""Buckets for any number of sides, such as two sources and a target.

A cell is a tuple with one bucket per side. `bucketing` has those for pairs.
"""

from __future__ import annotations

from typing import Iterable, Sequence, Tuple

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import buckets as buckets_lib


class Buckets:
  """Base class of all bucket classes: cells, and when a length fits.

  Attributes:
    cells: tuples with one bucket per side, to which a batch may be padded.
    strict: whether a length has to be less than its bucket.
    longest: the largest length of each side that fits; for the target with EOS.
  """

  def __init__(self, cells: Iterable[Tuple[int, ...]], strict: bool) -> None:
    """Stores the cells.

    Args:
      cells: tuples with one bucket per side.
      strict: whether a length has to be less than its bucket.
    """
    self.cells = tuple(cells)
    self.strict = bool(strict)
    self.longest = tuple(max(side) - int(strict) for side in zip(*cells))

  def _places(self, buckets, lengths):
    """Returns the index of the first bucket that fits each length."""
    side = "right" if self.strict else "left"
    return np.searchsorted(buckets, np.asarray(lengths, np.int64), side=side)

  def _key(self):
    return type(self), self.cells, self.strict

  def __eq__(self, other):
    return isinstance(other, Buckets) and self._key() == other._key()

  def __hash__(self):
    return hash(self._key())


class GridBuckets(Buckets):
  """Buckets for several sides, chosen independently.

  Attributes:
    sides: for each side a tuple of ints, increasing.
    strict: whether a length has to be less than its bucket.
    cells: all combinations of one bucket per side, in serpentine order:
      consecutive cells are neighbours in the grid.
    longest: the largest length of each side that fits; for the target with EOS.
  """

  def __init__(
    self, sides: Sequence[Sequence[int]], strict: bool = False
  ) -> None:
    """Makes the cells.

    Args:
      sides: the buckets of each side, increasing; those of the target come
        last, and include EOS.
      strict: whether a length has to be less than its bucket, as in the
        tutorial, not at most the bucket.

    Raises:
      ArgumentError: if there is no side, or the buckets of one are not
        increasing positive ints.
    """
    sides = list(sides)
    if not sides:
      raise errors.ArgumentError(
        "GridBuckets: sides is empty; give the buckets of each side."
      )
    self.sides = tuple(
      buckets_lib.check_buckets(buckets, "GridBuckets", f"sides[{n}]")
      for n, buckets in enumerate(sides)
    )
    super().__init__(list(self._all_cells()), strict)

  def _all_cells(self):
    count = int(np.prod([len(buckets) for buckets in self.sides]))
    for cell in range(count):
      places = zip(self.sides, self._find(cell))
      yield tuple(buckets[place] for buckets, place in places)

  def assign(self, *lengths: hints.Ints) -> np.ndarray:
    """Returns the cell of each example.

    Args:
      *lengths: for each side, `[N]` ints; for the target, with EOS.

    Returns:
      An int array `[N]` of indices into `cells`; -1 if no cell fits.

    Raises:
      ArgumentError: if the number of arguments is not that of the sides.
    """
    if len(lengths) != len(self.sides):
      raise errors.ArgumentError(
        f"{type(self).__name__}.assign: must have the lengths of "
        f"{len(self.sides)} sides (all sources, then the target), one argument "
        f"for each side, got {len(lengths)} arguments."
      )
    places = [self._places(*side) for side in zip(self.sides, lengths)]
    fits = [place < len(side) for side, place in zip(self.sides, places)]
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
    for buckets, place in zip(self.sides, places):
      index = index * len(buckets) + _turn(index, place, len(buckets))
    return index

  def _find(self, cell):
    """Returns the index of each side's bucket for a cell's index."""
    places = []
    for buckets in reversed(self.sides):
      cell, place = divmod(cell, len(buckets))
      places.append(_turn(cell, place, len(buckets)))
    return places[::-1]

  def __repr__(self):
    strict = ", strict=True" if self.strict else ""
    return f"GridBuckets({[list(side) for side in self.sides]}{strict})"


def _turn(row, place, count):
  """Returns the place in a row of `count`; every second row runs backward."""
  return place + row % 2 * (count - 1 - 2 * place)

"""Buckets for one side, source or target: checking, choosing, measuring.

A bucket is a length to which sequences are padded. This module handles lengths,
not symbols: callers who add an EOS to a target count it in the length.
"""

from __future__ import annotations

import bisect
import numbers
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import vocabulary

Cell = Tuple[int, ...]
"""A bucket for each side."""


class Buckets:
  """Base class of all bucket classes: cells, and when a length fits.

  Attributes:
    cells: tuples with one bucket per side, to which a batch may be padded.
    sides: for each side the tuple of its buckets, increasing.
    strict: whether a length has to be less than its bucket.
    longest: the largest length of each side that fits; for the target with EOS.
  """

  def __init__(self, cells: Iterable[Cell], strict: bool) -> None:
    """Stores the cells.

    Args:
      cells: tuples with one bucket per side.
      strict: whether a length has to be less than its bucket.
    """
    self.cells = tuple(cells)
    self.sides = tuple(tuple(sorted(set(side))) for side in zip(*self.cells))
    self.strict = bool(strict)
    self.longest = tuple(side[-1] - int(strict) for side in self.sides)

  def _places(self, sides, lengths):
    """Returns for each side the indices of the first buckets that fit."""
    lengths = [np.asarray(side) for side in lengths]
    for side in lengths:
      if (
        side.shape != lengths[0].shape
        or side.size
        and side.dtype.kind not in "iu"
      ):
        raise errors.ArgumentError(
          f"lengths must be ints, as many for each side, got "
          f"{', '.join(map(errors.show, lengths))}. Give one for each example."
        )
      if np.any(side < 0):
        raise errors.ArgumentError(
          f"lengths must be at least 0, got {side[side < 0][0]}."
        )
    side = "right" if self.strict else "left"
    return [np.searchsorted(*both, side=side) for both in zip(sides, lengths)]

  def _key(self):
    return type(self), self.cells, self.strict

  def __eq__(self, other):
    return isinstance(other, Buckets) and self._key() == other._key()

  def __hash__(self):
    return hash(self._key())

  def _show(self, made_of):
    strict = ", strict=True" if self.strict else ""
    return f"{type(self).__name__}({made_of}{strict})"


def name_sides(count: int) -> List[str]:
  """Returns the names of the sides of an example in messages.

  Args:
    count: how many sides there are, from 2; the target is the last.

  Returns:
    A list of strings: "source" and "target"; or "source 0", "source 1", ...,
    "target".
  """
  several = [f"source {k}" for k in range(count - 1)]
  return (several if count > 2 else ["source"]) + ["target"]


def check_int(
  argument: str,
  value: Any,
  smallest: int,
  largest: Optional[int] = None,
) -> int:
  """Returns `value` as an int, or raises.

  Args:
    argument: the argument to name in the message.
    value: the integer to check; numpy integers are accepted, bools are not.
    smallest: the smallest allowed value.
    largest: the largest allowed value; None for no limit.

  Returns:
    An int.

  Raises:
    ArgumentError: if `value` is not an integer or out of range.
  """
  if (
    not _is_int(value)
    or value < smallest
    or (largest is not None and value > largest)
  ):
    most = "" if largest is None else f" and at most {largest}"
    raise errors.ArgumentError(
      f"{argument} must be an integer of at least {smallest}{most}, "
      f"got {value!r}."
    )
  return int(value)


def check_buckets(
  buckets: Sequence[int],
  argument: str = "buckets",
) -> Tuple[int, ...]:
  """Returns `buckets` as a tuple of ints, or raises.

  Args:
    buckets: the lengths to check.
    argument: the argument to name in a message.

  Returns:
    A tuple of ints.

  Raises:
    ArgumentError: unless `buckets` are positive integers, at least one, each
      larger than the one before.
  """
  values = tuple(buckets) if np.iterable(buckets) else ()
  sound = all(_is_int(value) and value > 0 for value in values)
  if not (values and sound and _increases(values)):
    raise errors.ArgumentError(
      f"{argument} must be positive integers, each larger than the "
      f"one before, such as [10, 20, 40]; got {buckets!r}."
    )
  return tuple(int(value) for value in values)


@errors.named("smallest_bucket")
def smallest_bucket(
  buckets: Sequence[int], length: int, sequence: Optional[Sequence[Any]] = None
) -> int:
  """Returns the smallest bucket that holds `length` symbols.

  Args:
    buckets: lengths that pass `check_buckets`.
    length: a number of symbols, 0 or more.
    sequence: the symbols, to show in the message; None to show none.

  Returns:
    The bucket, an int with `bucket >= length`.

  Raises:
    BucketError: if `length` is more than the largest bucket.
  """
  index = bisect.bisect_left(buckets, length)
  if index < len(buckets):
    return buckets[index]
  raise too_long(length, buckets[-1], sequence)


def too_long(
  length: int,
  largest: int,
  sequence: Optional[Sequence[Any]] = None,
  what: str = "sequence",
  strict: bool = False,
  count: int = 1,
) -> errors.BucketError:
  """Returns the error for a sequence that fits no bucket.

  Args:
    length: the sequence's length in symbols.
    largest: the largest bucket.
    sequence: the symbols, or None if they are not available.
    what: the word for the sequence in the message.
    strict: whether a length has to be less than its bucket.
    count: how many sequences are too long.

  Returns:
    A `BucketError`, to be raised.
  """
  shown = "" if sequence is None else f" {vocabulary.show(sequence)}"
  others = f"; {count} are too long" if count > 1 else ""
  than = "not less than" if strict else "more than"
  return errors.BucketError(
    f"the {what}{shown} has length {length}, {than} the largest "
    f"bucket, {largest}{others}. Add a bucket of at least "
    f"{length + int(strict)}, or remove what is too long from the data; tangle "
    f"does not truncate sequences."
  )


def bucket_indices(
  lengths: hints.Ints,
  buckets: Sequence[int],
  what: str = "sequence",
) -> np.ndarray:
  """Returns the index of the smallest bucket with `bucket >= length`.

  Args:
    lengths: `[N]` ints, 0 or more.
    buckets: lengths that pass `check_buckets`.
    what: the word for a sequence in the message.

  Returns:
    An int array `[N]` of indices into `buckets`.

  Raises:
    BucketError: if a length is more than the largest bucket.
  """
  lengths = np.asarray(lengths, np.int64)
  indices = np.searchsorted(buckets, lengths)
  long = np.flatnonzero(indices == len(buckets))
  if long.size:
    raise too_long(
      lengths[long[0]],
      buckets[-1],
      what=f"{what} {long[0]}",
      count=long.size,
    )
  return indices


@errors.named("padding_waste")
def padding_waste(lengths: hints.Ints, buckets: Sequence[int]) -> float:
  """Returns the share of padding among the computed positions.

  It is `1 - sum(length) / sum(bucket(length))`, with each sequence in the
  smallest bucket that holds it.

  Args:
    lengths: `[N]` ints, of at least one sequence.
    buckets: positive ints, strictly increasing.

  Returns:
    A float in 0..1: 0 if nothing is padded.

  Raises:
    ArgumentError: if there are no lengths, or `buckets` are not as above.
    BucketError: if a length is more than the largest bucket.
  """
  buckets = check_buckets(buckets)
  lengths = np.asarray(lengths, np.int64)
  if not lengths.size:
    raise errors.ArgumentError(
      "lengths is empty; give the length of each sequence."
    )
  padded = np.asarray(buckets)[bucket_indices(lengths, buckets)]
  return 1.0 - float(lengths.sum()) / float(padded.sum())


@errors.named("propose_buckets")
def propose_buckets(
  length_counts: Mapping[int, int], count: int
) -> Tuple[int, ...]:
  """Returns the buckets with the least padding, for one side.

  Minimizes `sum_l length_counts[l] * bucket(l)` over all sets of at most
  `count` buckets. The result is exact: the last bucket is the largest length,
  and dynamic programming finds the best split of the lengths below it, in
  O(count * L^2) for L different lengths. Ties are always broken in the same
  way.

  Args:
    length_counts: a mapping from a length, 1 or more, to the number of
      sequences of that length. Lengths without sequences may be missing or 0.
      For targets that end with EOS, the lengths include it.
    count: the largest number of buckets.

  Returns:
    A tuple of ints, strictly increasing: `count` of them, or one for each
    length if there are fewer lengths.

  Raises:
    ArgumentError: if `count` or a length is less than 1, a number of sequences
      is negative, one of these is no integer, or no sequence is counted.
  """
  count = check_int("count", count, 1)
  for length, number in length_counts.items():
    if not (_is_int(length) and _is_int(number) and length > 0 and number >= 0):
      raise errors.ArgumentError(
        "length_counts must map lengths of at least 1 to "
        f"counts of at least 0, got {length!r}: {number!r}. Leave empty "
        "sequences out."
      )
  used = sorted(length for length, number in length_counts.items() if number)
  if not used:
    raise errors.ArgumentError(
      "length_counts counts no sequence; there is nothing to plan for."
    )
  return _plan(used, [length_counts[length] for length in used], count)


def _plan(lengths, counts, count):
  """Returns the best buckets for increasing `lengths` with their `counts`."""
  lengths = np.asarray(lengths, np.int64)
  below = np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))])
  total = len(lengths)
  # best[j]: fewest positions for the j shortest lengths, with the buckets so
  # far; splits[k][j]: how many of these lengths the first k buckets hold.
  none = np.iinfo(np.int64).max // 2
  best = np.full(total + 1, none)
  best[0] = 0
  splits = []
  for _ in range(min(count, total)):
    following = np.full(total + 1, none)
    split = np.zeros(total + 1, np.int64)
    for j in range(1, total + 1):
      positions = best[:j] + lengths[j - 1] * (below[j] - below[:j])
      split[j] = np.argmin(positions)
      following[j] = positions[split[j]]
    best = following
    splits.append(split)
  ends, end = [], total
  for split in reversed(splits):
    ends.append(int(lengths[end - 1]))
    end = split[end]
  return tuple(reversed(ends))


def _is_int(value):
  """Returns whether `value` is an integer, numpy's included, not a bool."""
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _increases(values):
  """Returns whether each of `values` is larger than the one before."""
  return all(a < b for a, b in zip(values, values[1:]))

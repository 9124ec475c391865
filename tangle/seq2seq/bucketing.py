"""Buckets for pairs: joint, as in the tutorial, or independent.

A cell is a pair (source bucket, target bucket) to which a batch may be padded.
`JointBuckets` lists its cells; `IndependentBuckets` has one for each
combination of a source bucket and a target bucket. Both can be used in the same
places. `grids.GridBuckets` supports more sides, such as two sources and a
target.
Target lengths count EOS.
"""

from __future__ import annotations

import collections
import collections.abc
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from tangle import errors, hints
from tangle.seq2seq import buckets as buckets_lib
from tangle.seq2seq import grids

Cell = Tuple[int, ...]
"""A bucket for each side."""

BatchSize = Union[int, Mapping[Any, int], Callable[..., int]]
"""The batch size: an int, or a mapping or a function from a cell to an int."""


class IndependentBuckets(grids.GridBuckets):
  """N source buckets and M target buckets, chosen independently.

  Attributes:
    source_buckets: a tuple of N ints, increasing.
    target_buckets: a tuple of M ints, increasing.
    strict: whether a length has to be less than its bucket.
    cells: the N x M pairs (source bucket, target bucket), in serpentine order:
      consecutive cells are neighbours in the grid.
    longest: the longest source and the longest target, with EOS, that fit.
  """

  def __init__(
    self,
    source_buckets: Sequence[int],
    target_buckets: Sequence[int],
    strict: bool = False,
  ) -> None:
    """Makes the cells.

    Args:
      source_buckets: source lengths, increasing.
      target_buckets: target lengths, increasing. EOS counts: a target of n
        symbols is in the smallest bucket of at least n + 1.
      strict: whether a length has to be less than its bucket, as in the
        tutorial, not at most the bucket.

    Raises:
      ArgumentError: if the buckets are not increasing positive ints.
    """
    check = buckets_lib.check_buckets
    caller = "IndependentBuckets"
    sides = (
      check(source_buckets, caller, "source_buckets"),
      check(target_buckets, caller, "target_buckets"),
    )
    super().__init__(sides, strict)
    self.source_buckets, self.target_buckets = self.sides

  def __repr__(self):
    strict = ", strict=True" if self.strict else ""
    return (
      f"IndependentBuckets({list(self.source_buckets)}, "
      f"{list(self.target_buckets)}{strict})"
    )


class JointBuckets(grids.Buckets):
  """K pairs (source bucket, target bucket), each holding the one before.

  An example is in the first pair that fits on both sides.

  Source: TensorFlow's translate tutorial (2015, `translate.py`) with
  `strict`. It differs in that the pairs must be nested, which the tutorial
  assumes and does not check.

  Attributes:
    strict: whether a length has to be less than its bucket.
    cells: the K pairs, in order.
    longest: the longest source and the longest target, with EOS, that fit.
  """

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

  def assign(
    self, source_lengths: hints.Ints, target_lengths: hints.Ints
  ) -> np.ndarray:
    """Returns the cell of each example.

    Args:
      source_lengths: `[N]` ints.
      target_lengths: `[N]` ints, with EOS.

    Returns:
      An int array `[N]` of indices into `cells`; -1 if no cell fits.
    """
    sources, targets = zip(*self.cells)
    # Since the pairs are nested, the first pair that fits both sides is the
    # later of the first pairs that fit each side.
    first = np.maximum(
      self._places(sources, source_lengths),
      self._places(targets, target_lengths),
    )
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
    strict = ", strict=True" if self.strict else ""
    return f"JointBuckets({list(self.cells)}{strict})"


class TokenBudget:
  """A batch size per cell: as many examples as a budget of tokens allows.

  For a cell (S, T) it is `max_tokens // (S + T)`, but at most `most`; with
  more sides, the sum is over all of them.
  """

  def __init__(self, max_tokens: int, most: Optional[int] = None) -> None:
    """Sets the budget.

    Args:
      max_tokens: the largest number of tokens in a batch, source and target
        together, including padding.
      most: the largest batch size, in examples; None for no limit.

    Raises:
      ArgumentError: if an argument is not a positive integer.
    """
    caller = "TokenBudget"
    self.max_tokens = buckets_lib.check_int(caller, "max_tokens", max_tokens, 1)
    self.most = most
    if most is not None:
      self.most = buckets_lib.check_int(caller, "most", most, 1)

  def __call__(self, *cell: int) -> int:
    size = self.max_tokens // sum(cell)
    if not size:
      raise errors.ArgumentError(
        f"TokenBudget: one example in the cell {cell} has {sum(cell)} "
        f"tokens with its padding, more than max_tokens, {self.max_tokens}. "
        "Raise max_tokens to at least that, or drop the bucket."
      )
    return size if self.most is None else min(size, self.most)

  def __repr__(self):
    return f"TokenBudget({self.max_tokens}, most={self.most})"


def size_of(batch_size: BatchSize, cell: Cell, caller: str = "size_of") -> int:
  """Returns the number of examples in a full batch of a cell.

  Args:
    batch_size: an int for every cell; or a mapping from (source bucket, target
      bucket) to an int; or a callable of a source bucket and a target bucket,
      such as a `TokenBudget`.
    cell: a pair (source bucket, target bucket).
    caller: the function to name in a message.

  Returns:
    An int of at least 1.

  Raises:
    ArgumentError: if there is no size for the cell, or it is not such an int.
  """
  where = f"batch_size at the cell {cell}"
  if isinstance(batch_size, collections.abc.Mapping):
    if cell not in batch_size:
      raise errors.ArgumentError(
        f"{caller}: batch_size has no entry for the cell {cell}, which a batch "
        f"needs; its keys are {sorted(batch_size)}. Add one, or pass a "
        "callable such as TokenBudget; pool=False needs only the cells "
        "that have examples."
      )
    size = batch_size[cell]
  elif callable(batch_size):
    size = batch_size(*cell)
  else:
    size, where = batch_size, "batch_size"
  return buckets_lib.check_int(caller, where, size, 1)


def check_bucketing(
  buckets: grids.Buckets,
  caller: str = "check_bucketing",
  sides: Optional[int] = 2,
) -> grids.Buckets:
  """Returns `buckets` if it is an instance of a bucket class, or raises.

  Args:
    buckets: a `JointBuckets` or an `IndependentBuckets`; or a `GridBuckets`.
    caller: the function to name in a message.
    sides: the required number of sides; None for any number from 2.

  Returns:
    `buckets`.

  Raises:
    ArgumentError: if it is not, or has another number of sides.
  """
  found = len(buckets.cells[0]) if isinstance(buckets, grids.Buckets) else 0
  if found == sides or (sides is None and found > 1):
    return buckets
  if sides == 2:
    kinds = "IndependentBuckets or JointBuckets"
    remedy = (
      "Pass IndependentBuckets(source_buckets, target_buckets), or "
      "JointBuckets(pairs)."
    )
  else:
    kinds = f"GridBuckets of {'several' if sides is None else sides} sides"
    remedy = "Pass GridBuckets([source_buckets, ..., target_buckets])."
  raise errors.ArgumentError(
    f"{caller}: buckets must be {kinds}, got {buckets!r}. {remedy}"
  )


def assign_all(
  buckets: grids.Buckets,
  source_lengths: hints.Ints,
  target_lengths: hints.Ints,
  caller: str = "assign_all",
) -> np.ndarray:
  """Returns the cell of each example; all of them must fit.

  Args:
    buckets: a `JointBuckets` or an `IndependentBuckets`.
    source_lengths: `[N]` ints.
    target_lengths: `[N]` ints, with EOS.
    caller: the function to name in a message.

  Returns:
    An int array `[N]` of indices into `buckets.cells`.

  Raises:
    BucketError: if an example fits no cell.
  """
  sides = {"source": source_lengths, "target, with EOS,": target_lengths}
  return assign_sides(buckets, sides, caller)


def assign_sides(
  buckets: grids.Buckets,
  sides: Mapping[str, hints.Ints],
  caller: str = "assign_sides",
) -> np.ndarray:
  """Returns the cell of each example, for any number of sides.

  Args:
    buckets: a `JointBuckets`, an `IndependentBuckets` or a `GridBuckets`.
    sides: a dict from the name of a side to the lengths, `[N]` ints, in the
      order of the buckets.
    caller: the function to name in a message.

  Returns:
    An int array `[N]` of indices into `buckets.cells`.

  Raises:
    BucketError: if an example fits no cell.
  """
  cells = buckets.assign(*sides.values())
  if np.all(cells >= 0):
    return cells
  for (side, lengths), longest in zip(sides.items(), buckets.longest):
    long = np.flatnonzero(np.asarray(lengths) > longest)
    if long.size:
      raise buckets_lib.too_long(
        caller,
        lengths[long[0]],
        longest + int(buckets.strict),
        what=f"{side} of example {long[0]}",
        count=long.size,
        strict=buckets.strict,
      )
  raise AssertionError("what fits on all sides fits the largest cell")


def _check_pairs(pairs):
  """Returns `pairs` as a tuple of pairs of ints, or raises."""
  found, before = [], (0, 0)
  for pair in pairs if np.iterable(pairs) else ():
    try:
      source, target = pair
      cell = (
        buckets_lib.check_int("JointBuckets", "a source bucket", source, 1),
        buckets_lib.check_int("JointBuckets", "a target bucket", target, 1),
      )
    except (TypeError, ValueError):
      found = []
      break
    if cell == before or cell[0] < before[0] or cell[1] < before[1]:
      found = []
      break
    found.append(cell)
    before = cell
  if not found:
    raise errors.ArgumentError(
      "JointBuckets: pairs must be pairs of positive integers (source bucket, "
      "target bucket), none smaller on a side than the one before, such as "
      f"[(5, 10), (10, 15)]; got {pairs!r}. Sort them, and leave out those "
      "that an earlier pair holds."
    )
  return tuple(found)

"""Proposes the buckets with the fewest padded positions.

The lengths are given as a joint histogram, a mapping from (source length,
target length with EOS) to the number of pairs, as made by
`planner.count_lengths`.
"""

import collections

import numpy as np

from tangle import errors
from tangle.seq2seq import bucketing
from tangle.seq2seq import buckets as buckets_lib

MOST_LENGTHS = 100
"""Up to this number of different lengths per side, the search is exact."""


def check_counts(length_counts):
  """Returns the nonzero entries of a histogram, or raises.

  Args:
    length_counts: a mapping from (source length, target length with EOS) to
      how many pairs have them.

  Returns:
    A dict with the same entries, without those of 0.

  Raises:
    ArgumentError: if it is not such a mapping, or counts nothing.
  """
  found = {}
  for lengths, number in length_counts.items():
    try:
      source, target = lengths
      for value, smallest in ((source, 1), (target, 1), (number, 0)):
        buckets_lib.check_int("length_counts", value, smallest)
    except (TypeError, ValueError):
      raise errors.ArgumentError(
        f"length_counts must map pairs (source length, target length "
        f"with EOS) of at least 1 to counts of at least 0, got {lengths!r}: "
        f"{number!r}. planner.count_lengths makes such counts."
      ) from None
    if number:
      found[int(source), int(target)] = int(number)
  if not found:
    raise errors.ArgumentError(
      "length_counts counts no pair; there is nothing to plan for."
    )
  return found


@errors.named("propose_independent")
def propose_independent(
  length_counts, source_count, target_count, strict=False
):
  """Returns the independent buckets with the least padding.

  Exact: since a source bucket does not depend on the target, each side is
  planned separately, see `buckets.propose_buckets`.

  Args:
    length_counts: a mapping from (source length, target length with EOS) to
      how many pairs have them.
    source_count: the largest number of source buckets.
    target_count: the largest number of target buckets.
    strict: whether a length has to be less than its bucket.

  Returns:
    An `IndependentBuckets` that holds every pair.

  Raises:
    ArgumentError: if no pair is counted, a length or a number of buckets is no
      positive integer, or a count is negative.
  """
  counts = check_counts(length_counts)
  sides = []
  for side, count in enumerate((source_count, target_count)):
    of_side = collections.Counter()
    for lengths, number in counts.items():
      of_side[lengths[side]] += number
    chosen = buckets_lib.propose_buckets(of_side, count)
    sides.append([length + int(strict) for length in chosen])
  return bucketing.IndependentBuckets(*sides, strict=strict)


@errors.named("propose_joint")
def propose_joint(
  length_counts, count, strict=False, most_lengths=MOST_LENGTHS
):
  """Returns the nested pair buckets with the least padding.

  Let `C(S, T)` be the number of pairs that fit (S, T). As the buckets are
  nested, bucket k gets `C(S_k, T_k) - C(S_k-1, T_k-1)` pairs, so that

    positions = sum_k (S_k + T_k) (C(S_k, T_k) - C(S_k-1, T_k-1))

  depends only on neighbours. Dynamic programming over the grid of the occurring
  lengths finds the best buckets, in O(count * (L M)^2) for L and M different
  lengths. This is exact if each side has at most `most_lengths` lengths.
  Otherwise the grid has that many lengths per side, those that are best for the
  side alone; then one length of one bucket at a time is moved to the best of
  all lengths, until no single move improves the result.

  Args:
    length_counts: a mapping from (source length, target length with EOS) to
      how many pairs have them.
    count: the largest number of buckets.
    strict: whether a length has to be less than its bucket.
    most_lengths: the largest number of lengths per side of the grid.

  Returns:
    A `JointBuckets` that holds every pair.

  Raises:
    ArgumentError: if no pair is counted, a length, `count` or `most_lengths`
      is no positive integer, or a count is negative.
  """
  counts = check_counts(length_counts)
  count = buckets_lib.check_int("count", count, 1)
  buckets_lib.check_int("most_lengths", most_lengths, 1)
  grid = _Grid(counts)
  places, thinned = [], False
  for side, lengths in enumerate(grid.lengths):
    taken = np.arange(len(lengths))
    if len(lengths) > most_lengths:
      thinned = True
      of_side = collections.Counter()
      for pair, number in counts.items():
        of_side[pair[side]] += number
      best = buckets_lib.propose_buckets(of_side, most_lengths)
      taken = np.searchsorted(lengths, best)
    places.append(taken)
  chain = _best_chain(grid, places, count)
  if thinned:
    chain = _move(grid, chain)
  pairs = [
    tuple(int(grid.lengths[side][place]) + int(strict) for side, place in both)
    for both in (enumerate(point) for point in chain)
  ]
  return bucketing.JointBuckets(pairs, strict)


class _Grid:
  """The occurring lengths, and the number of pairs that each point holds."""

  def __init__(self, counts):
    """Computes cumulative sums of the histogram `counts` along both sides."""
    self.lengths = [np.array(sorted(set(side))) for side in zip(*counts)]
    held = np.zeros([len(lengths) for lengths in self.lengths], np.int64)
    for (source, target), number in counts.items():
      row = np.searchsorted(self.lengths[0], source)
      held[row, np.searchsorted(self.lengths[1], target)] += number
    self.held = held.cumsum(axis=0).cumsum(axis=1)

  def positions(self, chain):
    """Returns the padded positions for nested points, pairs of indices."""
    total, before = 0, 0
    for i, j in chain:
      total += self.size(i, j) * int(self.held[i, j] - before)
      before = self.held[i, j]
    return total

  def size(self, i, j):
    """Returns the number of positions of one pair at a point."""
    return int(self.lengths[0][i] + self.lengths[1][j])


def _best_chain(grid, places, count):
  """Returns the best nested points, at most `count`, within part of a grid.

  `places` are the indices that a point may have on each side, including the
  last index.
  """
  held = grid.held[np.ix_(*places)]
  sizes = np.add.outer(*[grid.lengths[s][places[s]] for s in range(2)])
  # best[i, j]: fewest positions for the pairs held by (i, j), with a bucket
  # there and the buckets so far below it; below[k][i, j]: the bucket before.
  best = sizes * held
  below = []
  for _ in range(count - 1):
    following, before = best.copy(), np.full(held.shape, -1)
    for i, j in np.ndindex(*held.shape):
      candidates = best[: i + 1, : j + 1] - sizes[i, j] * held[: i + 1, : j + 1]
      where = int(np.argmin(candidates))
      positions = candidates.flat[where] + sizes[i, j] * held[i, j]
      if positions < following[i, j]:
        following[i, j] = positions
        row, column = divmod(where, j + 1)
        before[i, j] = row * held.shape[1] + column
    best = following
    below.append(before)
  chain = [held.size - 1]
  for before in reversed(below):
    if before.flat[chain[-1]] >= 0:
      chain.append(int(before.flat[chain[-1]]))
  return [
    tuple(int(places[s][n]) for s, n in enumerate(divmod(p, held.shape[1])))
    for p in reversed(chain)
  ]


def _move(grid, chain):
  """Moves one length of one bucket at a time, until no move improves."""
  chain, best = list(chain), grid.positions(chain)
  moved = True
  while moved:
    moved = False
    for k in range(len(chain) - 1):
      for side in range(2):
        low = chain[k - 1][side] if k else 0
        for place in range(low, chain[k + 1][side] + 1):
          point = tuple(place if s == side else chain[k][s] for s in range(2))
          trial = chain[:k] + [point] + chain[k + 1 :]
          positions = grid.positions(trial)
          if positions < best and len(set(trial)) == len(trial):
            chain, best, moved = trial, positions, True
  return chain

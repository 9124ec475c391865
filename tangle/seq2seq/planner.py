"""The cost of buckets in padding, for proposals and for any others.

The cost is the number of padded positions: for each pair that fits, the source
and target length of its cell. The lengths are given as a joint histogram, which
`count_lengths` makes; target lengths count EOS.
"""

from __future__ import annotations

import collections
from typing import (
  Any,
  Dict,
  Iterable,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

import numpy as np

from tangle import errors
from tangle.seq2seq import bucketing, proposals
from tangle.seq2seq import buckets as buckets_lib

LengthCounts = Mapping[Tuple[int, int], int]
"""(source length, target length with EOS) → how many pairs have them."""


class PaddingCost(NamedTuple):
  """The cost of a set of buckets.

  Attributes:
    buckets: a `JointBuckets` or an `IndependentBuckets`.
    cell_counts: a dict from a cell to its number of pairs, for all cells.
    left_out: how many pairs fit no cell; no other field includes them.
    symbols: source symbols and target symbols with EOS, two ints.
    positions: source positions and target positions, two ints.
  """

  buckets: buckets_lib.Buckets
  cell_counts: Dict[Tuple[int, int], int]
  left_out: int
  symbols: Sequence[int]
  positions: Sequence[int]

  @property
  def kept(self) -> int:
    """How many pairs fit a cell."""
    return sum(self.cell_counts.values())

  @property
  def source_waste(self) -> float:
    """The share of padding among the source positions, from 0 to 1."""
    return 1.0 - self.symbols[0] / self.positions[0]

  @property
  def target_waste(self) -> float:
    """The share of padding among the target positions, from 0 to 1."""
    return 1.0 - self.symbols[1] / self.positions[1]

  @property
  def waste(self) -> float:
    """The share of padding among all positions, from 0 to 1."""
    return 1.0 - sum(self.symbols) / sum(self.positions)


class Plan(NamedTuple):
  """Proposed buckets; `str(plan)` is a table of what they cost.

  Attributes:
    independent: an `IndependentBuckets`.
    joint: a `JointBuckets`.
    costs: a dict from a name to a `PaddingCost`: `"independent"` and `"joint"`
      for the proposals, then the names in `compare`.
  """

  independent: bucketing.IndependentBuckets
  joint: bucketing.JointBuckets
  costs: Dict[str, PaddingCost]

  def __str__(self):
    return table(self.costs)


def count_lengths(pairs: Iterable[Sequence[Any]]) -> Dict[Tuple[int, int], int]:
  """Counts pairs by the lengths of their sides, as a histogram to plan from.

  Pairs with an empty side are left out, as `encoding.encode_pairs` does.

  Args:
    pairs: an iterable of (source, target), sequences of symbols or ids without
      EOS; or of tuples with several sources, and the target.

  Returns:
    A `Counter` from (source length, target length + 1) to the number of pairs.
    With several sources, keys have the length of each; only those of pairs can
    be passed to `plan` and `padding_cost`.
  """
  lengths = (tuple(map(len, sides)) for sides in pairs)
  return collections.Counter((*n[:-1], n[-1] + 1) for n in lengths if all(n))


@errors.named("padding_cost")
def padding_cost(
  length_counts: LengthCounts, buckets: buckets_lib.Buckets
) -> PaddingCost:
  """Returns the cost of a set of buckets.

  `PairBatches` pads a little more if it pools, see its `padding_waste`.

  Args:
    length_counts: a mapping from (source length, target length with EOS) to
      how many pairs have them.
    buckets: an `IndependentBuckets` or a `JointBuckets`.

  Returns:
    A `PaddingCost`.

  Raises:
    ArgumentError: if an argument is not as described.
    BucketError: if no pair fits.
  """
  counts = proposals.check_counts(length_counts)
  bucketing.check_bucketing(buckets)
  lengths = np.array(list(counts), np.int64)
  numbers = np.array(list(counts.values()), np.int64)
  cells = buckets.assign(lengths[:, 0], lengths[:, 1])
  fits = cells >= 0
  if not fits.any():
    raise errors.BucketError(
      f"none of {numbers.sum():,} pairs fits {buckets}. The "
      f"shortest lengths are {lengths.min(axis=0).tolist()}: take larger "
      f"buckets."
    )
  padded = np.array(buckets.cells)[cells[fits]]
  per_cell = np.zeros(len(buckets.cells), np.int64)
  np.add.at(per_cell, cells[fits], numbers[fits])
  return PaddingCost(
    buckets=buckets,
    cell_counts=dict(sorted(zip(buckets.cells, per_cell.tolist()))),
    left_out=int(numbers[~fits].sum()),
    symbols=tuple((numbers[fits] @ lengths[fits]).tolist()),
    positions=tuple((numbers[fits] @ padded).tolist()),
  )


@errors.named("plan")
def plan(
  length_counts: LengthCounts,
  source_count: int = 4,
  target_count: int = 4,
  pair_count: int = 4,
  strict: bool = False,
  longest: Optional[Tuple[int, int]] = None,
  compare: Optional[Mapping[str, buckets_lib.Buckets]] = None,
) -> Plan:
  """Proposes independent and joint buckets, and computes their costs.

  Args:
    length_counts: a mapping from (source length, target length with EOS) to
      how many pairs have them.
    source_count: the largest number of source buckets.
    target_count: the largest number of target buckets.
    pair_count: the largest number of pair buckets.
    strict: whether a length has to be less than its bucket.
    longest: the longest source and the longest target, with EOS, that the
      proposals have to hold; None for all. Without a limit, a few long pairs
      make the last bucket large; longer pairs are left out and counted.
    compare: a mapping from a name to further buckets to compare; None for none.
      A name `"independent"` or `"joint"` replaces a proposal in the costs.

  Returns:
    A `Plan`; print it for a table.

  Raises:
    ArgumentError: if no pair is counted, none is within `longest`, a length or
      a number of buckets is no positive integer, or a count is negative.
    BucketError: if one of the buckets in `compare` holds no pair.
  """
  counts = kept = proposals.check_counts(length_counts)
  if longest is not None:
    kept = {
      lengths: number
      for lengths, number in counts.items()
      if lengths[0] <= longest[0] and lengths[1] <= longest[1]
    }
  independent = proposals.propose_independent(
    kept, source_count, target_count, strict
  )
  joint = proposals.propose_joint(kept, pair_count, strict)
  named = {"independent": independent, "joint": joint}
  named.update(compare or {})
  costs = {name: padding_cost(counts, named[name]) for name in named}
  return Plan(independent, joint, costs)


def table(costs: Mapping[str, PaddingCost]) -> str:
  """Returns a table of the costs of buckets, one line for each.

  Args:
    costs: a mapping from a name to a `PaddingCost`.

  Returns:
    Text: name, number of static graphs, pairs left out, padded positions,
    shares of padding; and the buckets below. Independent buckets need a graph
    for each source bucket plus one for each target bucket; joint buckets need
    one for each pair.
  """
  header = (
    "buckets", "graphs", "left out", "positions",
    "source waste", "target waste", "waste",
  )  # fmt: skip
  lines = [header]
  for name, cost in costs.items():
    lines.append(
      (
        name,
        _count_graphs(cost.buckets),
        f"{cost.left_out:,}",
        f"{sum(cost.positions):,}",
        f"{cost.source_waste:.1%}",
        f"{cost.target_waste:.1%}",
        f"{cost.waste:.1%}",
      )
    )
  widths = [max(map(len, column)) for column in zip(*lines)]
  text = []
  for line in lines:
    cells = [line[0].ljust(widths[0])]
    cells += [cell.rjust(n) for cell, n in zip(line[1:], widths[1:])]
    text.append("  ".join(cells).rstrip())
  text += [f"{name}: {j.buckets}" for name, j in costs.items()]
  return "\n".join(text)


def _count_graphs(buckets):
  """Returns the number of static graphs that buckets need, as text."""
  if isinstance(buckets, bucketing.IndependentBuckets):
    n, m = len(buckets.source_buckets), len(buckets.target_buckets)
    return f"{n}+{m}"
  return str(len(buckets.cells))

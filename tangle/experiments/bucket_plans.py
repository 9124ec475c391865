"""Buckets as users specify them: by number, by lengths, or from a file."""

from tangle import errors
from tangle.seq2seq import bucketing, planner, proposals


def choose_buckets(pairs, kind, written, count, strict=False, longest=None):
  """Returns the buckets that a user has specified, or plans them.

  Args:
    pairs: an iterable of (source, target) to plan for.
    kind: `"independent"` or `"joint"`.
    written: pairs, source buckets and target buckets, as `parse_buckets` takes
      them, or `None`s.
    count: as for `make_buckets`.
    strict: whether a length must be less than its bucket.
    longest: as for `make_buckets`; ints or texts.

  Returns:
    An `IndependentBuckets` or a `JointBuckets`.

  Raises:
    ArgumentError: as the other functions of this module.
  """
  if any(written):
    return parse_buckets(kind, *written, strict=strict)
  counts = planner.count_lengths(pairs)
  longest = longest and [int(length) for length in longest]
  return make_buckets(counts, kind, count, strict, longest)


def make_buckets(
  counts,
  kind,
  count,
  strict=False,
  longest=None,
  longest_source=0,
):
  """Plans the buckets with the least padding.

  Args:
    counts: what `planner.count_lengths` returns.
    kind: `"independent"` or `"joint"`.
    count: how many buckets each side gets, or how many pairs.
    strict: whether a length must be less than its bucket.
    longest: the longest source and target, with EOS, to plan for.
    longest_source: the last source bucket holds sources of this length too.

  Returns:
    An `IndependentBuckets` or a `JointBuckets`.

  Raises:
    ArgumentError: if `kind` is neither.
  """
  check_kind(kind)
  if longest is not None:
    counts = {
      lengths: count
      for lengths, count in counts.items()
      if lengths[0] <= longest[0] and lengths[1] <= longest[1]
    }
  if kind == "joint":
    cells = list(proposals.propose_joint(counts, count, strict).cells)
    cells[-1] = (max(cells[-1][0], longest_source + strict), cells[-1][1])
    return bucketing.JointBuckets(cells, strict)
  found = proposals.propose_independent(counts, count, count, strict)
  sources = list(found.source_buckets)
  sources[-1] = max(sources[-1], longest_source + strict)
  return bucketing.IndependentBuckets(sources, found.target_buckets, strict)


def parse_buckets(kind, pairs, source_buckets, target_buckets, strict=False):
  """Makes buckets from what a user has specified.

  Args:
    kind: `"independent"` or `"joint"`.
    pairs: texts such as `"5:10"`, or pairs of ints; for joint buckets.
    source_buckets: lengths, ints or texts; for independent ones.
    target_buckets: the same.
    strict: whether a length must be less than its bucket.

  Returns:
    An `IndependentBuckets` or a `JointBuckets`.

  Raises:
    ArgumentError: if the arguments are not those that `kind` needs, or not
      numbers.
  """
  check_kind(kind)
  needed = {"joint": [pairs], "independent": [source_buckets, target_buckets]}
  others = "independent" if kind == "joint" else "joint"
  if not all(needed[kind]) or any(needed[others]):
    raise errors.ArgumentError(
      f"parse_buckets: {kind} bucketing takes "
      f"{'pairs' if kind == 'joint' else 'source_buckets and target_buckets'} "
      f"and no others, got pairs {pairs}, source_buckets {source_buckets}, "
      f"target_buckets {target_buckets}."
    )
  try:
    if kind == "joint":
      split = [p.split(":") if isinstance(p, str) else p for p in pairs]
      cells = [(int(source), int(target)) for source, target in split]
      return bucketing.JointBuckets(cells, strict)
    sides = [[int(n) for n in side] for side in needed[kind]]
  except ValueError as error:
    raise errors.ArgumentError(
      f"parse_buckets: buckets are numbers, pairs such as 5:10; {error}."
    ) from error
  return bucketing.IndependentBuckets(*sides, strict)


def describe_buckets(buckets):
  """Returns buckets as JSON-compatible values, for `parse_buckets`.

  Args:
    buckets: an `IndependentBuckets` or a `JointBuckets`.

  Returns:
    A dict: the arguments of `parse_buckets`.
  """
  joint = isinstance(buckets, bucketing.JointBuckets)
  return {
    "kind": "joint" if joint else "independent",
    "pairs": [list(cell) for cell in buckets.cells] if joint else None,
    "source_buckets": None if joint else list(buckets.source_buckets),
    "target_buckets": None if joint else list(buckets.target_buckets),
    "strict": buckets.strict,
  }


def check_kind(kind):
  """Raises unless `kind` is one of the two kinds of bucketing.

  Args:
    kind: `"independent"` or `"joint"`.

  Raises:
    ArgumentError: if it is neither.
  """
  if kind not in ("independent", "joint"):
    raise errors.ArgumentError(
      f"bucketing must be 'independent' or 'joint', got {kind!r}."
    )

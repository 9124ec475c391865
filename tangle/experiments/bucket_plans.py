"""Buckets as users specify them: by number, by lengths, or from a file.

Each encoder and each decoder has buckets of its own, which all directions that
use it share.
"""

import collections

from tangle import errors
from tangle.seq2seq import bucketing, proposals
from tangle.seq2seq import buckets as buckets_lib

KINDS = ("independent", "joint")


def choose_buckets(
  counts,
  kind,
  written=(None, None, None),
  count=4,
  strict=False,
  longest=None,
  held_out=(),
):
  """Returns the buckets that a user has specified, or plans them.

  Args:
    counts: direction → what `planner.count_lengths` returns for it.
    kind: `"independent"` or `"joint"`.
    written: pairs, source buckets and target buckets, as `parse_buckets` takes
      them, or `None`s.
    count, strict: as for `make_buckets`.
    longest: as for `make_buckets`; ints or texts.
    held_out: further directions, whose encoders and decoders others use.

  Returns:
    A dict from direction to an `IndependentBuckets` or a `JointBuckets`.

  Raises:
    ArgumentError, DataError: as the other functions of this module.
  """
  check_kind(kind, [*counts, *held_out])
  if any(written):
    return {
      direction: parse_buckets(
        kind, *written, strict=strict, sources=len(direction.sources)
      )
      for direction in (*counts, *held_out)
    }
  try:
    longest = longest and [int(length) for length in longest]
  except ValueError:
    longest = [longest]
  if longest and len(longest) != 2:
    raise errors.ArgumentError(
      f"choose_buckets: longest must be two numbers, the longest source and "
      f"the longest target with EOS, got {longest}."
    )
  return make_buckets(counts, kind, count, strict, longest, held_out=held_out)


def make_buckets(
  counts,
  kind,
  count,
  strict=False,
  longest=None,
  longest_source=0,
  held_out=(),
):
  """Plans the buckets with the least padding.

  Args:
    counts, kind, held_out: as for `choose_buckets`.
    count: how many buckets each encoder and decoder gets, or how many pairs.
    strict: whether a length must be less than its bucket.
    longest: the longest source and the longest target, with EOS, to plan for;
      None for all.
    longest_source: the last source bucket holds sources of this length too.

  Returns:
    A dict from direction to an `IndependentBuckets` or a `JointBuckets`.

  Raises:
    ArgumentError: as `check_kind`.
    DataError: if no example can be used.
  """
  check_kind(kind, counts)
  lengths_of = collections.defaultdict(collections.Counter)
  for direction, histogram in counts.items():
    if longest is not None:
      histogram = {
        lengths: number
        for lengths, number in histogram.items()
        if max(lengths[:-1]) <= longest[0] and lengths[-1] <= longest[1]
      }
    if not histogram:
      within = f" within the longest, {longest}" if longest else ""
      raise errors.DataError(
        f"make_buckets: {direction} has no example without an empty side"
        f"{within}. Give such examples, or a larger longest."
      )
    if kind == "joint":
      cells = list(proposals.propose_joint(histogram, count, strict).cells)
      cells[-1] = (max(cells[-1][0], longest_source + strict), cells[-1][1])
      return {direction: bucketing.JointBuckets(cells, strict)}
    for side, lengths in zip(_networks(direction), zip(*histogram)):
      for length, number in zip(lengths, histogram.values()):
        lengths_of[side][length] += number
  planned = {}
  for side, lengths in lengths_of.items():
    found = buckets_lib.propose_buckets(lengths, count)
    planned[side] = [length + strict for length in found]
    if side[0] == "encoder":
      planned[side][-1] = max(planned[side][-1], longest_source + strict)
  return {
    direction: bucketing.IndependentBuckets(
      *[planned[side] for side in _networks(direction)], strict=strict
    )
    for direction in (*counts, *held_out)
  }


def _networks(direction):
  """Returns a name for each encoder, and the decoder, of a direction."""
  encoders = [("encoder", name) for name in direction.sources]
  return [*encoders, ("decoder", direction.target)]


def parse_buckets(
  kind, pairs, source_buckets, target_buckets, strict=False, sources=1
):
  """Makes buckets from what a user has specified.

  Args:
    kind, strict: as for `make_buckets`.
    pairs: texts such as `"5:10"`, or pairs of ints; for joint buckets.
    source_buckets, target_buckets: lengths, ints or texts; for independent
      ones.
    sources: how many sources have the source buckets.

  Returns:
    An `IndependentBuckets` or a `JointBuckets`.

  Raises:
    ArgumentError: if the arguments are not those that `kind` needs, or not
      numbers.
  """
  check_kind(kind)
  needed, others = [source_buckets, target_buckets], [pairs]
  if kind == "joint":
    needed, others = others, needed
  if not all(needed) or any(others):
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
    source, target = [[int(n) for n in side] for side in needed]
  except ValueError as error:
    raise errors.ArgumentError(
      f"parse_buckets: buckets are numbers, pairs such as 5:10; {error}."
    ) from error
  return bucketing.IndependentBuckets(
    *[source] * sources, target, strict=strict
  )


def describe(buckets):
  """Returns buckets as a dict of JSON values, the arguments of `restore`."""
  joint = isinstance(buckets, bucketing.JointBuckets)
  return {
    "kind": "joint" if joint else "independent",
    "lengths": [list(n) for n in (buckets.cells if joint else buckets.sides)],
    "strict": buckets.strict,
  }


def restore(kind, lengths, strict):
  """Makes the buckets that `describe` has described, or raises."""
  check_kind(kind)
  if kind == "joint":
    return bucketing.JointBuckets(lengths, strict)
  return bucketing.IndependentBuckets(*lengths, strict=strict)


def check_kind(kind, directions=()):
  """Raises unless `kind` is a kind of bucketing that fits the directions.

  Args:
    kind: `"independent"` or `"joint"`.
    directions: `Direction`s.

  Raises:
    ArgumentError: if it is neither, or joint for several directions or sources.
  """
  if kind not in KINDS:
    raise errors.ArgumentError(
      f"bucketing must be one of {', '.join(KINDS)}, got {kind!r}."
    )
  several = len(directions) > 1 or any(len(d.sources) > 1 for d in directions)
  if kind == "joint" and several:
    raise errors.ArgumentError(
      f"bucketing 'joint' is for one direction from one source, got "
      f"{', '.join(map(str, directions))}: its buckets are pairs. Use "
      f"'independent'."
    )

"""Encodes symbols as examples, and reports which were left out, and why."""

from __future__ import annotations

from typing import (
  Dict,
  Iterable,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

import numpy as np

from tangle import errors
from tangle.seq2seq import bucketing, rows, vocabulary
from tangle.seq2seq import buckets as buckets_lib


class Report:
  """Counts examples of one pass by kind, and keeps a few of each as text.

  Attributes:
    kept: how many examples can be used.
    empty: how many were dropped because a side has no symbols.
    too_long: how many were dropped because a side fits no bucket.
    unknown: how many were dropped because of an unknown symbol.
    replaced: how many of the kept have an unknown symbol replaced by UNK.
  """

  DROPPED = ("empty", "too_long", "unknown")
  KINDS = ("kept",) + DROPPED + ("replaced",)

  def __init__(self, max_examples: int = 3) -> None:
    """Creates an empty report.

    Args:
      max_examples: how many examples of each kind to keep, the first ones.
    """
    self.kept = self.empty = self.too_long = self.unknown = self.replaced = 0
    self._examples = {kind: [] for kind in self.KINDS}
    self._max_examples = max_examples

  @errors.named("Report.count")
  def count(
    self, kind: str, pair: Sequence[Sequence[str]], why: str = ""
  ) -> None:
    """Counts one example, and keeps its text if there is room.

    Args:
      kind: one of `Report.KINDS`.
      pair: the sequences of symbols in the example.
      why: a few words on the reason for this kind; "" for none.

    Raises:
      ArgumentError: if `kind` is unknown.
    """
    if kind not in self.KINDS:
      raise errors.ArgumentError(
        f"kind must be one of {self.KINDS}, got {kind!r}."
      )
    setattr(self, kind, getattr(self, kind) + 1)
    if len(self._examples[kind]) < self._max_examples:
      shown = " -> ".join(vocabulary.show(symbols) for symbols in pair)
      self._examples[kind].append(f"{shown} ({why})" if why else shown)

  @property
  def dropped(self) -> int:
    """How many examples were dropped."""
    return self.empty + self.too_long + self.unknown

  @property
  def examples(self) -> Dict[str, Tuple[str, ...]]:
    """The first examples of each kind, as text.

    A dict from each of `KINDS` to a tuple of strings, empty if there is none.
    """
    return {kind: tuple(shown) for kind, shown in self._examples.items()}

  def summary(self) -> str:
    """Returns text: a line of totals, then one per other kind that occurs."""
    total = self.kept + self.dropped
    lines = [
      f"{total:,} examples: {self.kept:,} kept, {self.dropped:,} left out"
    ]
    for kind in self.DROPPED + ("replaced",):
      count = getattr(self, kind)
      if count:
        name, shown = kind.replace("_", " "), self._examples[kind]
        more = ["..."] if count > len(shown) else []
        lines.append(f"  {name}: {count:,}: {'; '.join(shown + more)}")
    return "\n".join(lines)

  def __str__(self):
    return self.summary()


class Encoded(NamedTuple):
  """What was encoded.

  Attributes:
    examples: the `rows.Examples` that can be used, in the order of the input;
      there may be none.
    report: the `Report` on all that was given.
    positions: `[N]` int64, the position of each example in the input, from 0.
  """

  examples: rows.Examples
  report: Report
  positions: np.ndarray


@errors.named("encode_pairs")
def encode_pairs(
  pairs: Iterable[Sequence[Sequence[str]]],
  source_vocabulary: vocabulary.Vocabulary,
  target_vocabulary: vocabulary.Vocabulary,
  buckets: buckets_lib.Buckets,
  unknown: str = "drop",
) -> Encoded:
  """Turns pairs of sequences of symbols into examples.

  A pair that cannot be used is left out and counted; the report shows the first
  three of each kind with their numbers, from 1, which are line numbers in
  aligned files. Nothing is truncated. The first reason that applies counts: a
  side is empty, a side fits no bucket, a side has an unknown symbol.

  Source: TensorFlow's translate tutorial (2015, `translate.read_data`), for
  strict buckets. It differs in that the tutorial keeps empty lines, and
  silently leaves out pairs that are too long.

  Args:
    pairs: an iterable of (source symbols, target symbols); a string is a
      sequence of characters. It is read once, so it may exceed the memory.
    source_vocabulary: the `Vocabulary` of the sources.
    target_vocabulary: the `Vocabulary` of the targets.
    buckets: an `IndependentBuckets` or a `JointBuckets`. EOS counts in a
      target, and not in a source.
    unknown: `"drop"` leaves a pair with an unknown symbol out; `"unk"` keeps
      it, with UNK for the symbol, and counts it as kept and as replaced.

  Returns:
    An `Encoded(examples, report, positions)`; positions begin at 0.

  Raises:
    ArgumentError: if `unknown` or `buckets` is not one of these.
    DataError: if one of `pairs` is not a pair of sequences.
  """
  both = source_vocabulary, target_vocabulary
  return _encode(pairs, both, buckets, unknown)


@errors.named("encode_sources")
def encode_sources(
  sources: Iterable[Sequence[str]],
  source_vocabulary: vocabulary.Vocabulary,
  buckets: buckets_lib.Buckets,
  unknown: str = "unk",
) -> Encoded:
  """Turns sequences of symbols into examples to decode, with empty targets.

  Like `encode_pairs`, but without targets, and with another default for
  `unknown`. A source is too long if it does not fit the largest source bucket.

  Args:
    sources: an iterable of sequences of symbols.
    source_vocabulary: the `Vocabulary` of the sources.
    buckets: an `IndependentBuckets` or a `JointBuckets`.
    unknown: `"drop"` or `"unk"`, see `encode_pairs`.

  Returns:
    An `Encoded(examples, report, positions)`.

  Raises:
    ArgumentError: if `unknown` or `buckets` is not one of these.
  """
  alone = ((source,) for source in sources)
  both = source_vocabulary, None
  return _encode(alone, both, buckets, unknown)


@errors.named("encode_tuples")
def encode_tuples(
  tuples: Iterable[Sequence[Sequence[str]]],
  vocabularies: Sequence[Optional[vocabulary.Vocabulary]],
  buckets: buckets_lib.Buckets,
  unknown: str = "drop",
) -> Encoded:
  """Turns tuples with a sequence per side into examples.

  Like `encode_pairs`, but for any number of sources.

  Args:
    tuples: an iterable of tuples of sequences of symbols, the target the last.
    vocabularies: the `Vocabulary` of each side. When decoding, None for the
      target's: the tuples then have no target, and the examples an empty one.
    buckets: an `IndependentBuckets` with as many sides as `vocabularies`, or a
      `JointBuckets` for two. EOS counts in a target.
    unknown: `"drop"` or `"unk"`, see `encode_pairs`.

  Returns:
    An `Encoded(examples, report, positions)`.

  Raises:
    ArgumentError: if `unknown` is not one of these, or `buckets` is not, or has
      another number of sides than there are `vocabularies`.
    DataError: if one of `tuples` does not have one sequence per side.
  """
  return _encode(tuples, vocabularies, buckets, unknown)


@errors.named("encode_word")
def encode_word(
  word: Sequence[str],
  source_vocabulary: vocabulary.Vocabulary,
  largest_bucket: int,
  unknown: str = "raise",
) -> List[int]:
  """Turns one sequence from a user into ids, or raises the reason.

  Args:
    word: symbols; a string is a sequence of characters.
    source_vocabulary: the `Vocabulary` of the sources.
    largest_bucket: the largest allowed length: the largest source bucket, or
      `longest[0]` of the buckets, which is smaller if they are strict.
    unknown: what to do with an unknown symbol, see `Vocabulary.encode`.

  Returns:
    A list of ints, as long as `word`.

  Raises:
    ArgumentError: if `unknown` is neither `"raise"` nor `"unk"`.
    DataError: if `word` is empty, or has an unknown symbol and `unknown` is
      "raise".
    BucketError: if `word` is longer than `largest_bucket`.
  """
  if not len(word):
    raise errors.DataError("the word is empty. Give at least one symbol.")
  if len(word) > largest_bucket:
    raise buckets_lib.too_long(len(word), largest_bucket, word, "word")
  return source_vocabulary.encode(word, unknown)


class _Side:
  """One side of the examples: checks and encodes its sequences."""

  def __init__(self, name, symbols, longest, strict, extra):
    """Sets it up; `extra` is 1 if an EOS will be added."""
    self.name = name
    self._vocabulary = symbols
    self._longest = longest
    self._strict = strict
    self._extra = extra

  def too_long(self, sequence):
    """Returns why a sequence fits no bucket, or None."""
    length = len(sequence) + self._extra
    if length <= self._longest:
      return None
    eos = " with EOS" if self._extra else ""
    fits = f"must be less than {self._longest + 1}"
    if not self._strict:
      fits = f"largest bucket {self._longest}"
    return f"{self.name} of {length}{eos}, {fits}"

  def encode(self, sequence):
    """Returns ids, and a message on unknown symbols, or None."""
    ids = self._vocabulary.encode(sequence, unknown="unk")
    if vocabulary.UNK_ID not in ids:
      return ids, None
    both = zip(sequence, ids)
    unknown = [repr(symbol) for symbol, n in both if n == vocabulary.UNK_ID]
    return ids, f"{self.name} has unknown {', '.join(unknown)}"


def _encode(tuples, vocabularies, buckets, unknown):
  """Encodes tuples with one sequence per side; see `encode_tuples`."""
  count = len(vocabularies)
  bucketing.check_bucketing(buckets, count)
  if unknown not in ("drop", "unk"):
    raise errors.ArgumentError(
      f"unknown must be 'drop' or 'unk', got {unknown!r}."
    )
  names = buckets_lib.name_sides(count)
  sides = [
    _Side(name, symbols, longest, buckets.strict, int(name == "target"))
    for name, symbols, longest in zip(names, vocabularies, buckets.longest)
    if symbols is not None
  ]
  collector, report, positions = rows.Collector(count), Report(), []
  for position, sequences in enumerate(tuples):
    if not _fits(sequences, len(sides)):
      raise errors.DataError(f"{_wanted(position, sides)}, got {sequences!r}.")
    kind, why, ids = _use(sequences, sides)
    if kind is None or (kind == "unknown" and unknown == "unk"):
      collector.add(*ids, *[()] * (count - len(ids)))
      positions.append(position)
      report.count("kept", sequences)
      kind = kind and "replaced"
    if kind:
      report.count(kind, sequences, f"{why}; number {position + 1}")
  return Encoded(collector.examples(), report, np.array(positions, np.int64))


def _fits(sequences, count):
  """Whether there are `count` sequences, each of which has a length."""
  try:
    return len(list(map(len, sequences))) == len(sequences) == count
  except TypeError:  # what has no length
    return False


def _wanted(position, sides):
  """Describes a valid tuple of sequences of symbols, for a message."""
  if len(sides) == 2:
    return f"pairs[{position}] must be a pair (source symbols, target symbols)"
  names = ", ".join(f"{side.name} symbols" for side in sides)
  return f"tuples[{position}] must be {len(sides)} sequences ({names})"


def _use(sequences, sides):
  """Returns a kind of `Report`, the reason, and ids, which may be None."""
  both = list(zip(sides, sequences))
  for side, sequence in both:
    if not len(sequence):
      return "empty", f"no {side.name}", None
  for side, sequence in both:
    why = side.too_long(sequence)
    if why:
      return "too_long", why, None
  encoded = [side.encode(sequence) for side, sequence in both]
  why = next((why for _, why in encoded if why), None)
  return why and "unknown", why, [ids for ids, _ in encoded]

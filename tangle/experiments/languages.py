"""Several languages, all directions between them: data, buckets, batches."""

import collections
from typing import Any, Dict, NamedTuple, Optional

from tangle import errors
from tangle.seq2seq import (
  batches,
  bucketing,
  corpora,
  encoding,
  vocabulary,
)
from tangle.seq2seq import buckets as buckets_lib


class Direction(collections.namedtuple("Direction", ["source", "target"])):
  """From one language to another."""

  __slots__ = ()

  def __str__(self):
    return "-".join(self)


class Language(NamedTuple):
  """One language.

  Attributes:
    name: its name, such as `"en"`.
    symbols: its `Vocabulary`.
    source_buckets: lengths of the buckets of its encoder.
    target_buckets: the same for its decoder, including EOS.
  """

  name: str
  symbols: Any
  source_buckets: Any
  target_buckets: Any


class Corpus(NamedTuple):
  """Aligned files of several languages.

  Attributes:
    languages: name → `Language`.
    paths: split → name → path.
    directions: all `Direction`s, in order.
  """

  languages: Dict[str, Language]
  paths: Dict[str, Dict[str, str]]
  directions: Any

  def lines(self, split, language):
    """Reads one side of a split.

    Args:
      split: name of the split.
      language: name of the language.

    Returns:
      A list of tuples of words.
    """
    lines = corpora.read_lines(self.paths[split][language])
    return [tuple(corpora.split_words(line)) for line in lines]

  def buckets(self, direction):
    """Returns the buckets of a direction.

    Args:
      direction: a `Direction`.

    Returns:
      An `IndependentBuckets`.
    """
    return bucketing.IndependentBuckets(
      self.languages[direction.source].source_buckets,
      self.languages[direction.target].target_buckets,
    )

  def encode(self, split, direction):
    """Encodes a split for a direction.

    Args:
      split: name of the split.
      direction: a `Direction`.

    Returns:
      An `encoding.Encoded`.
    """
    files = [self.paths[split][name] for name in direction]
    return encoding.encode_pairs(
      corpora.ParallelCorpus(*files),
      *[self.languages[name].symbols for name in direction],
      self.buckets(direction),
      unknown="unk",
    )

  def batches(self, split, direction, batch_size, seed=0):
    """Returns the batches of a split for a direction.

    Args:
      split: name of the split.
      direction: a `Direction`.
      batch_size: examples per batch.
      seed: of the order.

    Returns:
      A `PairBatches`.
    """
    return batches.PairBatches(
      self.encode(split, direction).examples,
      self.buckets(direction),
      batch_size,
      seed,
    )


def load(
  names,
  train,
  validation: Optional[str] = None,
  test: Optional[str] = None,
  min_count=2,
  buckets=4,
):
  """Builds vocabularies and buckets, each language on its own.

  Args:
    names: names of the languages, at least two.
    train: path of the training files, with `{}` in place of the language.
    validation: the same for validation.
    test: the same for test.
    min_count: how often a word must occur to be in a vocabulary.
    buckets: how many buckets each encoder and each decoder gets.

  Returns:
    A `Corpus`.

  Raises:
    ArgumentError: if there are fewer than two languages, or a path has no `{}`.
    DataError: if a file cannot be read.
  """
  if len(set(names)) < 2 or len(set(names)) < len(names):
    raise errors.ArgumentError(
      f"languages.load: names must be two or more different ones, got {names}."
    )
  paths = {}
  for split, path in (
    ("train", train), ("validation", validation), ("test", test),
  ):  # fmt: skip
    if not path and split != "train":
      continue
    if not path or "{}" not in path:
      raise errors.ArgumentError(
        f"languages.load: {split} must be a path with {{}} in the place of the "
        f"language, such as train.{{}}.gz, got {path!r}."
      )
    paths[split] = {name: path.replace("{}", name) for name in names}
  found = {}
  for name in names:
    lines = [
      corpora.split_words(line)
      for line in corpora.read_lines(paths["train"][name])
    ]
    lengths = collections.Counter(len(words) for words in lines if words)
    with_eos = {length + 1: number for length, number in lengths.items()}
    found[name] = Language(
      name,
      vocabulary.Vocabulary.build(lines, min_count=min_count),
      buckets_lib.propose_buckets(lengths, buckets),
      buckets_lib.propose_buckets(with_eos, buckets),
    )
  directions = [Direction(a, b) for a in names for b in names if a != b]
  return Corpus(found, paths, directions)


def parse_directions(corpus, texts):
  """Reads directions such as `"en-de"`.

  Args:
    corpus: a `Corpus`.
    texts: the texts.

  Returns:
    A list of `Direction`s.

  Raises:
    ArgumentError: if there is no such direction.
  """
  known = {str(direction): direction for direction in corpus.directions}
  for text in texts:
    if text not in known:
      raise errors.ArgumentError(
        f"parse_directions: there is no direction {text!r}; there are "
        f"{', '.join(known)}."
      )
  return [known[text] for text in texts]

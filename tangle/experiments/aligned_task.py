"""Translation from several sources: vocabularies, buckets, examples."""

import collections
from typing import Any, List, NamedTuple, Optional

from tangle import errors
from tangle.seq2seq import buckets as buckets_lib
from tangle.seq2seq import corpora, encoding, grids, vocabulary


class Task(NamedTuple):
  """Data of a task.

  Attributes:
    vocabularies: the `Vocabulary` of each source, then that of the target.
    buckets: a `grids.GridBuckets`.
    train: an `encoding.Encoded`.
    validation: an `encoding.Encoded`, or None.
    test: an `encoding.Encoded` of sources alone, or None.
    references: the targets of all lines of test, tuples of symbols.
  """

  vocabularies: Any
  buckets: Any
  train: Any
  validation: Any
  test: Any
  references: Any


def load(
  train: Optional[List[str]] = None,
  validation: Optional[List[str]] = None,
  test: Optional[List[str]] = None,
  max_vocabulary: Optional[int] = None,
  min_count=1,
  buckets=4,
  longest: Optional[int] = None,
  limit: Optional[int] = None,
):
  """Reads aligned text files: two sources or more, and a target.

  Args:
    train: aligned text files, the sources and then the target; UTF-8, words
      between spaces, gzip-compressed if they end in .gz.
    validation: as many files, for evaluations during training.
    test: as many files, to translate after training.
    max_vocabulary: the largest size of a vocabulary, including the four special
      words.
    min_count: words that occur less often are not in a vocabulary.
    buckets: the largest number of buckets for each side.
    longest: the largest length of a source, and of a target with EOS; longer
      examples are left out and counted.
    limit: the largest number of lines to read from each file.

  Returns:
    A `Task`.

  Raises:
    ArgumentError: if `train` has fewer than three files, or `validation` or
      `test` has another number of files.
    DataError: if a file is damaged, the files have different numbers of lines,
      or no line can be used.
    FileError: if a file cannot be read.
  """
  corpus = _align("train", train, limit)
  sides = len(corpus.paths)
  vocabularies = [
    vocabulary.Vocabulary.build(corpus.side(k), max_vocabulary, min_count)
    for k in range(sides)
  ]
  *source_vocabularies, target_vocabulary = vocabularies
  grid = plan(corpus, buckets, longest)

  def encode(lines, target=target_vocabulary):
    return encoding.encode_tuples(
      lines, source_vocabularies, target, grid, unknown="unk"
    )

  held_out, to_translate, references = None, None, []
  if validation:
    held_out = encode(_align("validation", validation, limit, sides))
  if test:
    lines = list(_align("test", test, limit, sides))
    to_translate = encode([line[:-1] for line in lines], None)
    references = [line[-1] for line in lines]
  return Task(
    vocabularies, grid, encode(corpus), held_out, to_translate, references
  )


def plan(tuples, count, longest=None):
  """Returns the buckets with the least padding, planned for each side alone.

  Args:
    tuples: tuples of sequences, the target the last.
    count: the largest number of buckets per side.
    longest: the largest length of a source, and of a target with EOS; longer
      examples are ignored. None for no limit.

  Returns:
    A `grids.GridBuckets`.

  Raises:
    DataError: if no example can be used.
  """
  counters = None
  for sequences in tuples:
    lengths = [len(sequence) for sequence in sequences]
    counters = counters or [collections.Counter() for _ in lengths]
    if not all(lengths):
      continue
    lengths[-1] += 1  # EOS
    if longest is None or max(lengths) <= longest:
      for counter, length in zip(counters, lengths):
        counter[length] += 1
  if not counters or not counters[0]:
    raise errors.DataError(
      f"aligned_task.plan: there is no line without an empty side and of at "
      f"most {longest} words. Give such lines, or a larger longest."
    )
  return grids.GridBuckets(
    buckets_lib.propose_buckets(counter, count) for counter in counters
  )


def _align(split, paths, limit, sides=None):
  """Returns the aligned files of a split, at least three."""
  wanted = "three or more" if sides is None else sides
  if len(paths or ()) < 3 or (sides and len(paths) != sides):
    raise errors.ArgumentError(
      f"aligned_task.load: {split} must be {wanted} files, the sources and the"
      f" target last, got {paths}."
    )
  return corpora.AlignedFiles(paths, limit=limit)

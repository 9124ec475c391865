"""Parallel text files, whose n-th lines belong together.

Files are read line by line, so they may be larger than memory. No line is
skipped: an empty line gives an empty tuple, so that the n-th pair is line n + 1
of both files. `encoding.encode_pairs` leaves out unusable pairs, and
`Encoded.positions` has the positions of the others.
"""

from __future__ import annotations

import errno
import functools
import gzip
import itertools
import os
import re
import zlib
from typing import (
  Callable,
  Iterable,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
  Union,
)

from tangle import errors, files, hints
from tangle.seq2seq import buckets as buckets_lib
from tangle.seq2seq import vocabulary

Tokenize = Callable[[str], Sequence[str]]
"""A function from a line, without its end, to its tokens."""


class Line(NamedTuple):
  """The number of a line, from 1, and its tokens on both sides."""

  number: int
  source: Tuple[str, ...]
  target: Tuple[str, ...]


class Vocabularies(NamedTuple):
  """The `Vocabulary` of each side."""

  source: vocabulary.Vocabulary
  target: vocabulary.Vocabulary


FILE = "{}_vocabulary.txt"
"""The name of the file of a vocabulary, for the name of its side."""

_LONGEST = 1 << 24  # bytes of a line
_MARKS = ".,!?\"':;)("
_TUTORIAL_WORDS = re.compile(f"[{_MARKS}]|[^ \t\n\r\x0b\x0c{_MARKS}]+")
_DIGITS = re.compile("[0-9]")


def split_words(line: str) -> List[str]:
  """Returns the words of a line, separated by white space of any kind.

  Args:
    line: a string.

  Returns:
    A list of strings, none empty.
  """
  return line.split()


def split_as_tutorial(line: str) -> List[str]:
  """Returns the words of a line, split as in the translate tutorial.

  White space separates words, each of `.,!?"':;)(` is a word of its own, and
  each digit becomes 0. White space and digits are those of ASCII.

  Source: TensorFlow's translate tutorial (2015, `data_utils.basic_tokenizer`
  and `sentence_to_token_ids`), applied to text; the tutorial uses bytes.

  Args:
    line: a string.

  Returns:
    A list of strings, none empty.
  """
  return _TUTORIAL_WORDS.findall(_DIGITS.sub("0", line))


@errors.named("read_lines")
def read_lines(path: hints.Path, limit: Optional[int] = None) -> Iterator[str]:
  """Reads a text file line by line.

  The file is opened, and errors are raised, when lines are asked for. Lines end
  only with `\\n` or `\\r\\n`, not with other line separators of Unicode.

  Args:
    path: a UTF-8 file; gzip-compressed if its name ends with `.gz`.
    limit: the largest number of lines to read; None for all.

  Yields:
    Strings, without their line ends.

  Raises:
    DataError: if the file is not UTF-8, starts with a byte order mark, or
      is not in the format of its name, or a line is longer than 16 MiB; the
      message has the line number.
    FileError: if it cannot be read.
  """
  path = os.fspath(path)
  number = 0
  try:
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
      lines = iter(functools.partial(file.readline, _LONGEST), b"")
      for number, line in enumerate(itertools.islice(lines, limit), 1):
        if len(line) == _LONGEST and not line.endswith(b"\n"):
          raise errors.DataError(
            f"line {number} of {path} is longer than {_LONGEST:,} "
            "bytes. Cut it, or see whether the file is a text."
          )
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
          raise errors.DataError(
            f"{path} starts with a byte order mark, which would "
            "become part of its first word. Remove the first three bytes."
          )
        yield line.decode("utf-8").rstrip("\r\n")
  except UnicodeDecodeError as error:
    raise errors.DataError(
      f"line {number} of {path} is not UTF-8 ({error}). Convert "
      "the file, or unpack it first if it is compressed; only gzip is read, "
      "from names that end with .gz."
    ) from error
  except (EOFError, zlib.error, OSError) as error:
    if isinstance(error, OSError) and error.errno is not None:
      raise files.explain(path, error, "read") from error
    raise errors.DataError(
      f"{path} is damaged, or not gzip, after line {number} "
      f"({error}). Fetch it again, or name it without .gz if it is plain."
    ) from error


class AlignedFiles:
  """Two or more aligned text files; each iteration reads them again.

  `for lines in files` gives tuples with one tuple of tokens per file. The loop
  raises `DataError` if one file ends before another, or as `read_lines` does.

  Attributes:
    paths: the files, a tuple.
    limit: the number of lines to read, or None.
  """

  @errors.named("{self.__class__.__name__}")
  def __init__(
    self,
    paths: Iterable[hints.Path],
    tokenize: Union[Tokenize, Sequence[Tokenize]] = split_words,
    limit: Optional[int] = None,
  ) -> None:
    """Opens nothing yet.

    Args:
      paths: files as for `read_lines`, two or more, with equally many lines.
      tokenize: a function from a line, without its end, to its tokens; or a
        list of such functions, one per file.
      limit: the largest number of lines to read; None for all. If the files are
        longer, their numbers of lines are not compared.

    Raises:
      ArgumentError: if `limit` is not a positive integer, `tokenize` is not a
        function or a list of functions, or there are fewer than two files.
    """
    self.paths = tuple(map(os.fspath, paths))
    if len(self.paths) < 2:
      raise errors.ArgumentError(
        f"paths must be two files or more, got {list(self.paths)}."
      )
    self.limit = limit
    if limit is not None:
      self.limit = buckets_lib.check_int("limit", limit, 1)
    each = tokenize
    if not isinstance(tokenize, (list, tuple)):
      each = [tokenize] * len(self.paths)
    if len(each) != len(self.paths) or not all(map(callable, each)):
      raise errors.ArgumentError(
        f"tokenize must be a function from a line to tokens, or one "
        f"for each of the {len(self.paths)} files, got {tokenize!r}."
      )
    self._tokenize = each

  def side(self, k: int) -> Iterator[Tuple[str, ...]]:
    """Reads only one file.

    The file is opened, and errors are raised, when lines are asked for.

    Args:
      k: index of the file, from 0.

    Yields:
      Tuples of tokens.

    Raises:
      DataError, FileError: see `read_lines`.
      IndexError: if there is no file k; at once.
    """
    tokenize = self._tokenize[k]
    lines = read_lines(self.paths[k], self.limit)
    return (tuple(tokenize(line)) for line in lines)

  @errors.named("{self.__class__.__name__}")
  def __iter__(self) -> Iterator[Tuple[Tuple[str, ...], ...]]:
    nothing = object()
    sides = [self.side(k) for k in range(len(self.paths))]
    tuples = itertools.zip_longest(*sides, fillvalue=nothing)
    for count, sequences in enumerate(tuples):
      if any(sequence is nothing for sequence in sequences):
        counts = [count] * len(sides)
        for rest in itertools.chain([sequences], tuples):
          for k, sequence in enumerate(rest):
            counts[k] += sequence is not nothing
        raise self._uneven(counts)
      yield sequences

  def _uneven(self, counts):
    """Returns the error for files with these different numbers of lines."""
    more = "" if self.limit is None else f" within the limit {self.limit}"
    found = [f"{path} has {n:,}" for path, n in zip(self.paths, counts)]
    return errors.DataError(
      f"the files do not have as many lines{more}: "
      f"{', '.join(found)}. Line n of one must belong to line n of the other: "
      "look for lines lost or added."
    )

  def __repr__(self):
    limit = "" if self.limit is None else f", limit={self.limit}"
    return f"AlignedFiles({list(self.paths)}{limit})"


class ParallelCorpus(AlignedFiles):
  """Two aligned text files; each iteration reads them again.

  `for source, target in corpus` gives pairs of tuples of tokens.

  Source: `read_data` of TensorFlow's translate tutorial (2015,
  `translate.py`), which reads aligned files of ids. It differs in that the
  tutorial silently stops at the end of the shorter file.

  Attributes:
    source_path: the file of sources.
    target_path: the file of targets.
    limit: the number of lines to read, or None.
  """

  def __init__(
    self,
    source_path: hints.Path,
    target_path: hints.Path,
    tokenize: Union[Tokenize, Sequence[Tokenize]] = split_words,
    limit: Optional[int] = None,
  ) -> None:
    """Opens nothing yet.

    Args:
      source_path: a file as for `read_lines`, one sequence per line.
      target_path: likewise, with as many lines.
      tokenize: as for `AlignedFiles`: a function, or one for each side.
      limit: as for `AlignedFiles`.

    Raises:
      ArgumentError: if `limit` is not a positive integer, or `tokenize` is not
        a function or a pair of functions.
    """
    super().__init__((source_path, target_path), tokenize, limit)
    self.source_path, self.target_path = self.paths

  def sources(self) -> Iterator[Tuple[str, ...]]:
    """Reads only the sources, tuples of tokens; it is `side(0)`."""
    return self.side(0)

  def targets(self) -> Iterator[Tuple[str, ...]]:
    """Reads only the targets, tuples of tokens; it is `side(1)`."""
    return self.side(1)

  def lines(self) -> Iterator[Line]:
    """Reads both sides together.

    Yields:
      A `Line(number, source, target)` for each line.

    Raises:
      DataError: if one file has fewer lines than the other; it is raised at the
        end of the shorter file. See also `read_lines`.
    """
    for number, (source, target) in enumerate(self, 1):
      yield Line(number, source, target)

  def __repr__(self):
    limit = "" if self.limit is None else f", limit={self.limit}"
    return f"ParallelCorpus({self.source_path!r}, {self.target_path!r}{limit})"


@errors.named("build_vocabularies")
def build_vocabularies(
  corpus: ParallelCorpus,
  max_size: Optional[int] = None,
  min_count: int = 1,
  target_max_size: Optional[int] = None,
  shared: bool = False,
) -> Vocabularies:
  """Makes the vocabularies of a corpus, frequent tokens first.

  Reads each file once; does not check that they have as many lines.

  Args:
    corpus: a `ParallelCorpus`.
    max_size: the largest size of a vocabulary, including the four specials;
      None for no limit.
    min_count: tokens that occur less often are left out.
    target_max_size: `max_size` of the target's vocabulary; None for the same
      as that of the source's.
    shared: whether both sides have one vocabulary.

  Returns:
    A `Vocabularies(source, target)`; the same object twice if `shared`.

  Raises:
    ArgumentError: if a size is less than 4, `min_count` is less than 1, or
      `target_max_size` is given for a shared vocabulary.
    DataError: if a token cannot be in a vocabulary; also as `read_lines`.
    FileError: as `read_lines`.
  """
  build = vocabulary.Vocabulary.build
  if shared:
    if target_max_size is not None:
      raise errors.ArgumentError(
        f"target_max_size must be None for a shared vocabulary, got "
        f"{target_max_size}. Set max_size alone."
      )
    both = itertools.chain(corpus.sources(), corpus.targets())
    one = build(both, max_size, min_count)
    return Vocabularies(one, one)
  sizes = max_size, max_size if target_max_size is None else target_max_size
  both = corpus.sources(), corpus.targets()
  return Vocabularies(*(build(*side, min_count) for side in zip(both, sizes)))


def save_vocabularies(vocabularies: Vocabularies, folder: str) -> None:
  """Writes `source_vocabulary.txt` and `target_vocabulary.txt` into a folder.

  Args:
    vocabularies: a `Vocabularies`.
    folder: a folder; created if missing. Existing files are replaced.

  Raises:
    FileError: if the folder or a file cannot be written.
  """
  files.make_folder(folder)
  for name, symbols in vocabularies._asdict().items():
    symbols.save(os.path.join(folder, FILE.format(name)))


@errors.named("load_vocabularies")
def load_vocabularies(
  folder: hints.Path, names: Sequence[str] = Vocabularies._fields
) -> Union[Vocabularies, List[vocabulary.Vocabulary]]:
  """Reads what `save_vocabularies` wrote.

  Args:
    folder: the folder.
    names: names of the sides; that of `NAME` is in `NAME_vocabulary.txt`.

  Returns:
    A `Vocabularies(source, target)`; for other `names` a list in their order.

  Raises:
    DataError: if a file is missing or not a vocabulary.
    FileError: if an existing file cannot be read.
  """
  found, paths = [], [os.path.join(folder, FILE.format(k)) for k in names]
  for path in paths:
    try:
      found.append(vocabulary.Vocabulary.load(path))
    except errors.FileError as error:
      if error.errno != errno.ENOENT:
        raise
      raise errors.DataError(
        f"{path} is missing. A model is of no use without "
        "the vocabularies that it was trained with: take all files "
        f"({', '.join(paths)}) from where it was trained."
      ) from error
  return Vocabularies(*found) if names == Vocabularies._fields else found

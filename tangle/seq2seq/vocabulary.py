"""Symbols and their ids.

A vocabulary maps symbols (characters, phonemes, words: any text) to ids and
back. It does not split text into symbols.
"""

from __future__ import annotations

import collections
import operator
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from tangle import errors, files, hints

PAD_ID = 0
"""Fills a row up to the length of its bucket."""

GO_ID = 1
"""The first input of a decoder."""

EOS_ID = 2
"""Ends a target."""

UNK_ID = 3
"""Replaces a symbol that is not in the vocabulary."""

_LIMIT = 1 << 30  # bytes of a file

SPECIALS = ("_PAD", "_GO", "_EOS", "_UNK")
"""The names of the ids 0..3 in a vocabulary file."""


def show(sequence: Sequence[Any], limit: int = 60) -> str:
  """Formats a sequence for a message, truncated after `limit` characters.

  Args:
    sequence: a string, or a sequence of symbols.
    limit: the largest number of characters.

  Returns:
    A quoted string. If all symbols have one character, they are concatenated;
    otherwise spaces separate all of them. `...` follows a truncated text.
  """
  symbols = [str(symbol) for symbol in sequence]
  separator = "" if all(len(symbol) == 1 for symbol in symbols) else " "
  text = separator.join(symbols)
  return repr(text if len(text) <= limit else text[:limit] + "...")


class Vocabulary:
  """Symbols and their ids; immutable.

  Ids 0..3 are PAD, GO, EOS and UNK; the symbols follow in the given order. The
  names of the specials are not symbols: `encode` treats `"_EOS"` in a text like
  any other unknown symbol, so that no text can end its own sequence.

  Source: the layout and the file format are those of TensorFlow's translate
  tutorial (2015, `data_utils.py`). It differs in that the tutorial lets the
  specials' names in a text represent the specials.
  """

  __slots__ = ("_symbols", "_ids")

  @errors.named("Vocabulary")
  def __init__(self, symbols: Iterable[str]) -> None:
    """Makes a vocabulary of `symbols`.

    Args:
      symbols: distinct strings without the specials, none empty or with a line
        break. The n-th gets the id 4 + n.

    Raises:
      ArgumentError: if a symbol is not a string, is not allowed in a vocabulary
        file, has a special's name, or occurs twice.
    """
    symbols = tuple(symbols)
    problem = _problem(symbols)
    if problem:
      position, text = problem
      raise errors.ArgumentError(
        f"symbols[{position}] {text}. Give each symbol once, "
        "without the specials, which come first on their own."
      )
    self._symbols = SPECIALS + symbols
    self._ids = {s: len(SPECIALS) + n for n, s in enumerate(symbols)}

  @classmethod
  @errors.named("Vocabulary.build")
  def build(
    cls,
    sequences: Iterable[Iterable[str]],
    max_size: Optional[int] = None,
    min_count: int = 1,
  ) -> Vocabulary:
    """Makes a vocabulary of the symbols of `sequences`, frequent ones first.

    Symbols of equal frequency are sorted, so that the same data gives the same
    ids in whatever order it is read.

    Args:
      sequences: an iterable of sequences of symbols; a string is a sequence
        of characters.
      max_size: the largest size of the vocabulary, including the four specials;
        None for no limit.
      min_count: symbols that occur less often are left out; at least 1.

    Returns:
      A `Vocabulary`.

    Raises:
      ArgumentError: if `max_size` leaves no room for the specials, or
        `min_count` is less than 1.
      DataError: if a symbol of the data is not allowed in a vocabulary, see
        `__init__`, even if it would be left out.
    """
    if max_size is not None and max_size < len(SPECIALS):
      raise errors.ArgumentError(
        f"max_size must be at least {len(SPECIALS)}, which "
        f"is the number of specials, got {max_size}."
      )
    if min_count < 1:
      raise errors.ArgumentError(
        f"min_count must be at least 1, got {min_count}."
      )
    counts = collections.Counter()
    for sequence in sequences:
      counts.update(sequence)
    problem = _problem(tuple(counts))
    if problem:
      raise errors.DataError(
        f"a symbol of the data {problem[1]}. Replace it in "
        "the data, or leave out the sequences that hold it."
      )
    taken = [symbol for symbol in counts if counts[symbol] >= min_count]
    taken.sort(key=lambda symbol: (-counts[symbol], symbol))
    room = None if max_size is None else max_size - len(SPECIALS)
    return cls(taken[:room])

  @classmethod
  @errors.named("Vocabulary.load")
  def load(cls, path: hints.Path) -> Vocabulary:
    """Reads a vocabulary that `save` wrote.

    Args:
      path: a UTF-8 file with one symbol a line, the four specials first.

    Returns:
      A `Vocabulary`.

    Raises:
      DataError: if the file does not have this form, or is larger than 1 GiB.
      FileError: if the file cannot be read.
    """
    try:
      lines = files.read_bytes(path, _LIMIT).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
      raise errors.DataError(
        f"{path} is not UTF-8 ({error}). Convert it."
      ) from error
    if lines[-1] == "":
      lines.pop()
    for position, special in enumerate(SPECIALS):
      line = lines[position] if position < len(lines) else None
      if line != special:
        raise errors.DataError(
          f"line {position + 1} of {path} must be "
          f"{special!r}, got {line!r}. The file must start with "
          f"{', '.join(SPECIALS)}, one per line, with Unix line ends and no "
          "byte order mark."
        )
    symbols = tuple(lines[len(SPECIALS) :])
    problem = _problem(symbols)
    if problem:
      position, text = problem
      raise errors.DataError(
        f"line {position + len(SPECIALS) + 1} of {path} "
        f"{text}. Repair the file, or build it again."
      )
    return cls(symbols)

  def save(self, path: hints.Path) -> None:
    """Writes the vocabulary to `path`, completely or not at all.

    An existing file is replaced. The folder must exist.

    Args:
      path: the file to write: UTF-8, one symbol a line, the specials first,
        so that the line number, from 0, is the id.

    Raises:
      FileError: if the file cannot be written.
    """
    files.write_text(path, self.text)

  @property
  def text(self) -> str:
    """The text that `save` writes, one symbol a line, specials first."""
    return "".join(f"{symbol}\n" for symbol in self._symbols)

  @errors.named("Vocabulary.encode")
  def encode(
    self, sequence: Sequence[str], unknown: str = "raise"
  ) -> List[int]:
    """Turns symbols into ids; adds neither GO nor EOS.

    Args:
      sequence: symbols; a string is a sequence of characters.
      unknown: how to treat a symbol that is not in the vocabulary: `"raise"`,
        or `"unk"` to replace it by `UNK_ID`.

    Returns:
      A list of ints, as long as `sequence`.

    Raises:
      ArgumentError: if `unknown` is neither of these.
      DataError: if a symbol is unknown and `unknown` is `"raise"`.
    """
    if unknown == "unk":
      return [self._ids.get(symbol, UNK_ID) for symbol in sequence]
    if unknown != "raise":
      raise errors.ArgumentError(
        f"unknown must be 'raise' or 'unk', got {unknown!r}."
      )
    try:
      return [self._ids[symbol] for symbol in sequence]
    except KeyError as error:
      symbol = error.args[0]
    lower = symbol.lower() if isinstance(symbol, str) else symbol
    remedy = (
      f"The vocabulary has {lower!r}: change the case"
      if lower in self._ids
      else "Leave the symbol out, add it to the vocabulary"
    )
    raise errors.DataError(
      f"unknown symbol {symbol!r} in the sequence "
      f"{show(sequence)}. {remedy}, or pass unknown='unk'."
    )

  @errors.named("Vocabulary.decode")
  def decode(self, ids: Iterable[int]) -> List[str]:
    """Turns ids into symbols, up to the first EOS; omits PAD, GO and UNK.

    Args:
      ids: ints, such as one row of a decoder's output; those after the first
        EOS are not read.

    Returns:
      A list of symbols.

    Raises:
      ArgumentError: if an id is not an integer or not in the vocabulary.
    """
    symbols = []
    for position, value in enumerate(ids):
      try:
        number = operator.index(value)
      except TypeError:
        raise errors.ArgumentError(
          f"ids[{position}] must be an integer, got "
          f"{value!r}. Pass one sequence of ids."
        ) from None
      if not 0 <= number < len(self._symbols):
        raise errors.ArgumentError(
          f"ids[{position}] must be in 0.."
          f"{len(self._symbols) - 1}, got {number}. Decode with the "
          "vocabulary that the model was trained with."
        )
      if number == EOS_ID:
        break
      if number >= len(SPECIALS):
        symbols.append(self._symbols[number])
    return symbols

  @property
  def symbols(self) -> Tuple[str, ...]:
    """All symbols as a tuple; the n-th has id n, so the specials come first."""
    return self._symbols

  def __len__(self) -> int:
    return len(self._symbols)

  def __contains__(self, symbol):
    return symbol in self._ids

  def __eq__(self, other):
    if not isinstance(other, Vocabulary):
      return NotImplemented
    return self._symbols == other._symbols

  def __hash__(self):
    return hash(self._symbols)

  def __repr__(self):
    return f"Vocabulary({len(self)} symbols, 4 of them special)"


def _problem(symbols):
  """Returns the first invalid symbol's position and the reason, or None."""
  seen = set()
  for position, symbol in enumerate(symbols):
    if not isinstance(symbol, str):
      return position, f"is not a string but {symbol!r}"
    if not symbol:
      return position, "is empty"
    if "\n" in symbol or "\r" in symbol:
      return position, f"has a line break in it: {symbol!r}"
    if any("\ud800" <= character <= "\udfff" for character in symbol):
      return position, f"is not valid Unicode: {symbol!r}"
    if symbol in SPECIALS:
      return position, f"has the name of a special symbol: {symbol!r}"
    if symbol in seen:
      return position, f"is given before: {symbol!r}"
    seen.add(symbol)
  return None

"""Decoding of text: lines, whole files, and interactive input.

The model is used through a `convert` function, which maps a `rows.Batch` to
`search.Hypotheses` of arrays. `pipeline_converter` makes one from a pipeline.
This module forms batches by bucket, restores the order of the input, handles
lines that cannot be decoded, and writes the results.
"""

from __future__ import annotations

import copy
import io
from typing import (
  Any,
  Callable,
  Iterable,
  List,
  NamedTuple,
  Optional,
  Sequence,
  TextIO,
  Tuple,
  Union,
)

import numpy as np

from tangle import errors, files, hints
from tangle.pipeline import pipeline as pipeline_lib
from tangle.seq2seq import batches as batches_lib
from tangle.seq2seq import (
  bucketing,
  corpora,
  encoding,
  feeding,
  rows,
  search,
  vocabulary,
)
from tangle.seq2seq import buckets as buckets_lib


class Candidate(NamedTuple):
  """The symbols of a result, without specials, and its score."""

  symbols: Tuple[str, ...]
  score: float


class Decoded(NamedTuple):
  """What came of N lines.

  Attributes:
    candidates: for each line, in order, a list of `Candidate`, the best first;
      it is empty for a line that could not be decoded.
    report: says how many those are, and why.
  """

  candidates: List[List[Candidate]]
  report: encoding.Report


class LineDecoder:
  """Decodes lines of text independently, in batches of similar lengths.

  With several sources, a line here is a tuple with the line of each of them.
  A line that is empty, fits no bucket, or has an unknown symbol is neither
  truncated nor guessed at: it is counted, and has no result.
  """

  def __init__(
    self,
    convert: Callable[[rows.Batch], Sequence[Any]],
    source_vocabulary: Union[
      vocabulary.Vocabulary, Sequence[vocabulary.Vocabulary]
    ],
    target_vocabulary: vocabulary.Vocabulary,
    buckets: buckets_lib.Buckets,
    batch_size: bucketing.BatchSize = 64,
    unknown: str = "drop",
    layout: rows.Layout = rows.PLAIN,
    tokenize: corpora.Tokenize = corpora.split_words,
    join: Callable[[Iterable[str]], str] = " ".join,
  ) -> None:
    """Sets the decoder up; checks no argument.

    Args:
      convert: a callable of a `rows.Batch` of B examples, with empty targets;
        it returns symbols, scores and lengths as in `search.Hypotheses`, with
        or without the dimension N, as arrays.
      source_vocabulary: the `Vocabulary` of the sources; for several sources a
        list with one for each.
      target_vocabulary: the `Vocabulary` of the results.
      buckets: an `IndependentBuckets` or a `JointBuckets`.
      batch_size: as for `batches.PairBatches`.
      unknown: `"drop"`: a line with an unknown symbol has no result; `"unk"`:
        the symbol is read as UNK.
      layout: the `rows.Layout` that was used in training.
      tokenize: a function from a line, without its end, to its symbols; the
        same for all sources.
      join: a function from symbols to a text without line breaks.
    """
    self._convert = convert
    self._several = isinstance(source_vocabulary, (list, tuple))
    self._sources = [source_vocabulary]
    if self._several:
      self._sources = list(source_vocabulary)
    self._target = target_vocabulary
    self._buckets = buckets
    self._batch_size = batch_size
    self._unknown = unknown
    self._layout = layout
    self._tokenize = tokenize
    self._join = join

  def reading(self, tokenize: Callable[[Any], Sequence[str]]) -> LineDecoder:
    """Returns a copy with another tokenizer.

    Args:
      tokenize: as for `__init__`; for tokenized lines, a function that returns
        its argument.

    Returns:
      A `LineDecoder`; this one is unchanged.
    """
    other = copy.copy(self)
    other._tokenize = tokenize
    return other

  def decode_lines(
    self,
    lines: Iterable[Any],
    progress: Optional[Callable[[int, int], Any]] = None,
  ) -> Decoded:
    """Decodes lines; keeps their ids and all results in memory.

    Args:
      lines: an iterable of N strings, without line ends; with several
        sources, of N tuples of strings.
      progress: called after each batch as `progress(done, kept)`: the number of
        decoded lines, and the number of all lines that can be decoded.

    Returns:
      A `Decoded`, in the order of `lines`.

    Raises:
      ArgumentError: if `convert` does not return one row per example, or it
        returns an id that is not in the target vocabulary; or if an argument
        of `__init__` is invalid.
      DataError: with several sources, if there is not one string for each.
    """
    count = 0

    def tokenized():
      nonlocal count
      for line in lines:
        count += 1
        yield self._split(line)

    encoded = encoding.encode_tuples(
      tokenized(), [*self._sources, None], self._buckets, self._unknown
    )
    found, done = [[] for _ in range(count)], 0
    for batch in self._batches(encoded.examples):
      for index, candidates in zip(batch.indices, self._find(batch)):
        found[encoded.positions[index]] = candidates
      done += batch.examples
      if progress is not None:
        progress(done, len(encoded.examples))
    return Decoded(found, encoded.report)

  def _split(self, line):
    """Returns the symbols of each source."""
    lines = line if self._several else [line]
    return [tuple(self._tokenize(one)) for one in lines]

  @errors.named("LineDecoder.decode_file")
  def decode_file(
    self,
    in_path: Union[hints.Path, Sequence[hints.Path]],
    out_path: hints.Path,
    n_best: bool = False,
    progress: Optional[Callable[[int, int], Any]] = None,
  ) -> encoding.Report:
    """Decodes a file; writes the complete result or nothing.

    Args:
      in_path: a UTF-8 file; gzip-compressed if its name ends with `.gz`; for
        several sources a list with one for each.
      out_path: the file to write or replace, see `write`.
      n_best: whether to write all candidates, see `write`.
      progress: see `decode_lines`.

    Returns:
      The `encoding.Report`.

    Raises:
      ArgumentError: if there are more or fewer files than sources.
      DataError: if a file is not valid, see `corpora.read_lines`, or the files
        do not have as many lines; raised before anything is decoded.
      FileError: if an input file cannot be read, or the result not written.
    """
    paths = in_path if isinstance(in_path, (list, tuple)) else [in_path]
    if len(paths) != len(self._sources):
      raise errors.ArgumentError(
        f"expected {len(self._sources)} files, one "
        f"for each source, got {paths}."
      )
    decoder, lines = self, corpora.read_lines(paths[0])
    if self._several:
      lines = corpora.AlignedFiles(paths, self._tokenize)
      decoder = self.reading(tuple)
    decoded = decoder.decode_lines(lines, progress)
    text = io.StringIO()
    self.write(decoded.candidates, text, n_best)
    files.write_text(out_path, text.getvalue())
    return decoded.report

  def write(
    self,
    candidates: Sequence[Sequence[Candidate]],
    stream: TextIO,
    n_best: bool = False,
  ) -> None:
    """Writes results.

    Without `n_best`, line n has the best result for line n of the input; it is
    empty if there is none. With `n_best`, there is one line per candidate,

        index ||| symbols ||| score

    with the index of the input line, from 0, the best candidate first, and the
    score with six decimals. An input line without a result gets one line,
    without symbols and with score -inf. If `|||` may be a symbol, split off the
    first and the last field. Symbols are joined by `join`, see `__init__`.

    Source: the n-best lists of Moses (manual, "Generating n-Best Lists"),
    without their field of component scores, which Nematus also leaves out
    (`translate_utils.py`). As in Moses, a higher score is better.

    Args:
      candidates: for each line a list of `Candidate`, the best first, as in
        `Decoded`; an empty list for a line without a result.
      stream: a text stream.
      n_best: whether to write all candidates.
    """
    for index, found in enumerate(candidates):
      if not n_best:
        stream.write(self._join(found[0].symbols) if found else "")
        stream.write("\n")
        continue
      for candidate in found or [Candidate((), -np.inf)]:
        text = self._join(candidate.symbols)
        stream.write(f"{index} ||| {text} ||| {candidate.score:.6f}\n")

  def prompt(
    self,
    in_stream: TextIO,
    out_stream: TextIO,
    n_best: bool = False,
    text: str = "> ",
  ) -> None:
    """Decodes lines that a user types, until the input ends.

    With several sources, the line of each is asked for in turn. If a line
    cannot be decoded, or a `TangleError` is raised, the reason is written and
    the next line is read. Empty lines are skipped. An interrupt ends the prompt
    like the end of the input.

    Args:
      in_stream: a text stream to read, such as `sys.stdin`.
      out_stream: a text stream to write, such as `sys.stdout`.
      n_best: whether to show all candidates, with scores.
      text: the prompt to write before each line.
    """
    lines = []
    try:
      while True:
        number = f"{len(lines) + 1}" if self._several else ""
        _say(out_stream, f"{number}{text}")
        try:
          line = in_stream.readline()
        except UnicodeDecodeError as error:
          _say(out_stream, f"This line cannot be read: {error}\n")
          continue
        if not line:
          break
        if line.strip():
          lines.append(line.rstrip("\r\n"))
        if len(lines) == len(self._sources):
          whole = tuple(lines) if self._several else lines[0]
          _say(out_stream, self._answer(whole, n_best))
          lines = []
    except KeyboardInterrupt:
      pass
    _say(out_stream, "\n")

  def _answer(self, line, n_best):
    """Returns the answer to a line: text that ends with a line break."""
    unknown = "raise" if self._unknown == "drop" else self._unknown
    try:
      sides = zip(self._split(line), self._sources, self._buckets.longest)
      ids = [
        encoding.encode_word(symbols, known, longest, unknown)
        for symbols, known, longest in sides
      ]
      (batch,) = self._batches([(*ids, ())])
      (found,) = self._find(batch)
    except errors.TangleError as error:
      return f"{error}\n"
    if not found:
      return "Nothing was found.\n"
    if not n_best:
      return self._join(found[0].symbols) + "\n"
    return "".join(
      f"{candidate.score:10.4f}  {self._join(candidate.symbols)}\n"
      for candidate in found
    )

  def _batches(self, examples):
    if not len(examples):
      return ()
    return batches_lib.PairBatches(
      examples, self._buckets, self._batch_size, layout=self._layout
    ).in_order()

  @errors.named("LineDecoder")
  def _find(self, batch):
    """Returns a list of `Candidate` for each row of a batch."""
    symbols, scores, lengths = map(np.asarray, self._convert(batch))
    if scores.ndim == 1:  # greedy search: one result per row, no dimension N
      symbols, scores, lengths = (
        array[:, np.newaxis] for array in (symbols, scores, lengths)
      )
    if len(symbols) != batch.examples:
      raise errors.ArgumentError(
        f"convert must return {batch.examples} rows, as many as "
        f"the batch has, got symbols of shape {symbols.shape}."
      )
    return [
      [
        Candidate(tuple(self._target.decode(ids)), float(score))
        for ids, score, length in zip(*row)
        if length  # 0 if the search found fewer candidates
      ]
      for row in zip(symbols, scores, lengths)
    ]


def pipeline_converter(
  pipeline: pipeline_lib.Pipeline,
  sess: hints.Session,
  searcher: str,
  encoder: Union[str, Sequence[str]] = "encoder",
  feeds: feeding.Feeds = feeding.FEEDS,
) -> Callable[[rows.Batch], search.Hypotheses]:
  """Makes a `convert` from a pipeline with encoders and one search.

  Args:
    pipeline: a built `Pipeline`.
    sess: the session.
    searcher: name of the sub-model with outputs `symbols`, `scores` and
      `lengths`, such as `attention_model.beam_builder` builds.
    encoder: name of the encoder; for several sources a list of names.
    feeds: the feeds of an encoder, see `feeding.feed`.

  Returns:
    A function from a `rows.Batch` to `search.Hypotheses` of arrays. Each call
    runs `pipeline.forward` in `sess`.
  """
  encoders = [encoder] if isinstance(encoder, str) else encoder
  fetch = [f"{searcher}.{field}" for field in search.Hypotheses._fields]

  def convert(batch):
    inputs = feeding.feed(batch, encoders, feeds=feeds)
    result = pipeline.forward(sess, dict(inputs, **{searcher: {}}), fetch)
    return search.Hypotheses(*[result.outputs[name] for name in fetch])

  return convert


def _say(stream, text):
  """Writes and flushes `text`, as far as the stream's encoding has it."""
  try:
    stream.write(text)
  except UnicodeEncodeError:
    encoding_name = getattr(stream, "encoding", None) or "ascii"
    escaped = text.encode(encoding_name, "backslashreplace")
    stream.write(escaped.decode(encoding_name))
  stream.flush()

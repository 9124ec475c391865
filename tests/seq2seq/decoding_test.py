"""Tests of decoding."""

import io
import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq import (
  attention_model,
  bucketing,
  decoding,
  rows,
  search,
  vocabulary,
)
from tests import case

LETTERS = vocabulary.Vocabulary("abcd")
NAMES = vocabulary.Vocabulary(["A", "B", "C", "D"])
BUCKETS = bucketing.IndependentBuckets([3, 6], [5])


class Mirror:
  """A `convert` that answers with the source, last to first, and half of it.

  Attributes:
    shapes: those of the batches that it has seen.
  """

  def __init__(self, n_best=2, greedy=False):
    self.shapes = []
    self._n_best = n_best
    self._greedy = greedy

  def __call__(self, batch):
    self.shapes.append(batch.source.shape)
    eos = vocabulary.EOS_ID
    symbols = np.full([batch.examples, self._n_best, 8], eos, np.int32)
    lengths = np.zeros([batch.examples, self._n_best], np.int32)
    scores = np.full([batch.examples, self._n_best], -np.inf)
    for row, length in enumerate(batch.source_lengths):
      for rank, count in enumerate([length, length // 2]):
        ids = batch.source[row, :length][::-1][:count]
        symbols[row, rank, :count] = ids
        lengths[row, rank] = count + 1
        scores[row, rank] = -0.5 * (rank + 1)
    if self._greedy:
      return symbols[:, 0], scores[:, 0], lengths[:, 0]
    return search.Hypotheses(symbols, scores, lengths)


def make(convert, **settings):
  settings = dict({"tokenize": tuple, "batch_size": 2}, **settings)
  return decoding.LineDecoder(convert, LETTERS, NAMES, BUCKETS, **settings)


def best(decoded):
  """Returns the best of each line as text, None where there is none."""
  return [
    "".join(found[0].symbols) if found else None for found in decoded.candidates
  ]


class DecodeLinesTest(parameterized.TestCase):
  LINES = ("abcd", "a", "bca", "ddcbaa", "cc", "b", "abca")

  def test_results_are_in_the_order_of_the_lines(self):
    convert = Mirror()
    decoded = make(convert).decode_lines(self.LINES)
    expected = [line[::-1].upper() for line in self.LINES]
    self.assertEqual(best(decoded), expected)
    self.assertEqual(decoded.report.kept, 7)
    self.assertEqual(decoded.report.dropped, 0)
    # Short and long lines are apart, but for what is left over.
    self.assertCountEqual(convert.shapes, [(2, 3), (2, 3), (2, 6), (1, 6)])

  @parameterized.parameters(1, 3, 100)
  def test_the_batch_size_changes_nothing(self, batch_size):
    one = make(Mirror(), batch_size=batch_size).decode_lines(iter(self.LINES))
    other = make(Mirror()).decode_lines(self.LINES)
    self.assertEqual(one.candidates, other.candidates)

  def test_all_candidates_come_with_their_scores(self):
    decoded = make(Mirror()).decode_lines(["abc"])
    self.assertEqual(
      decoded.candidates,
      [
        [
          decoding.Candidate(("C", "B", "A"), -0.5),
          decoding.Candidate(("C",), -1.0),
        ]
      ],
    )

  def test_greedy_search_gives_one_candidate(self):
    decoded = make(Mirror(greedy=True)).decode_lines(["abc", "d"])
    self.assertEqual(
      decoded.candidates, [[(("C", "B", "A"), -0.5)], [(("D",), -0.5)]]
    )

  def test_what_a_search_has_not_found_is_left_out(self):
    decoded = make(Mirror(n_best=5)).decode_lines(["abc"])
    self.assertLen(decoded.candidates[0], 2)

  def test_lines_that_cannot_be_decoded_keep_their_places(self):
    lines = ["ab", "", "abcdabc", "axz", "d", "abcdab"]
    decoded = make(Mirror()).decode_lines(lines)
    self.assertEqual(best(decoded), ["BA", None, None, None, "D", "BADCBA"])
    report = decoded.report
    self.assertEqual(
      (report.kept, report.empty, report.too_long, report.unknown),
      (3, 1, 1, 1),
    )
    summary = report.summary()
    self.assertIn("'x', 'z'", summary)
    self.assertIn("number 3", summary)  # the line that is too long

  def test_unknown_symbols_may_be_read_as_unk(self):
    decoded = make(Mirror(), unknown="unk").decode_lines(["axb"])
    self.assertEqual(best(decoded), ["BA"])  # UNK is no symbol of the result
    self.assertEqual(decoded.report.replaced, 1)

  @parameterized.parameters([[]], [["", "xyz"]])
  def test_nothing_to_decode_runs_nothing(self, lines):
    convert = Mirror()
    decoded = make(convert).decode_lines(lines)
    self.assertEqual(decoded.candidates, [[] for _ in lines])
    self.assertEmpty(convert.shapes)

  def test_the_layout_is_that_of_training(self):
    seen = []

    def convert(batch):
      seen.append(batch.source.tolist())
      return Mirror()(batch)

    make(convert, layout=rows.TUTORIAL).decode_lines(["ab"])
    self.assertEqual(seen, [[[vocabulary.PAD_ID, 5, 4]]])

  def test_progress_is_told_after_each_batch(self):
    told = []
    make(Mirror()).decode_lines(
      ["ab", "x", "c", "d"], lambda *numbers: told.append(numbers)
    )
    self.assertEqual(told, [(2, 3), (3, 3)])

  def test_a_convert_that_loses_rows_is_refused(self):
    def convert(batch):
      return [array[:1] for array in Mirror()(batch)]

    with self.assertRaisesRegex(errors.ArgumentError, "convert must return 2"):
      make(convert).decode_lines(["ab", "c"])


class DecodeFileTest(parameterized.TestCase):
  LINES = "ab\n\nabcdabcd\nd\n"

  def folder(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    return folder.name

  def decode(self, text, n_best=False, **settings):
    folder = self.folder()
    paths = [os.path.join(folder, name) for name in ("in", "out")]
    with open(paths[0], "wb") as file:
      file.write(text.encode("utf-8"))
    report = make(Mirror(), **settings).decode_file(*paths, n_best=n_best)
    self.assertCountEqual(os.listdir(folder), ["in", "out"])
    with open(paths[1], encoding="utf-8") as file:
      return file.read(), report

  def test_line_n_belongs_to_line_n(self):
    text, report = self.decode(self.LINES)
    self.assertEqual(text, "B A\n\n\nD\n")
    self.assertEqual((report.kept, report.empty, report.too_long), (2, 1, 1))

  def test_the_n_best_format_has_an_entry_for_each_line(self):
    text, _ = self.decode(self.LINES, n_best=True)
    self.assertEqual(
      text.split("\n"),
      [
        "0 ||| B A ||| -0.500000",
        "0 ||| B ||| -1.000000",
        "1 |||  ||| -inf",
        "2 |||  ||| -inf",
        "3 ||| D ||| -0.500000",
        "3 |||  ||| -1.000000",
        "",
      ],
    )

  def test_symbols_are_joined_as_asked_for(self):
    text, _ = self.decode("abc\n", join="".join)
    self.assertEqual(text, "CBA\n")

  def test_an_empty_file_gives_an_empty_file(self):
    text, report = self.decode("")
    self.assertEqual(text, "")
    self.assertEqual(report.kept, 0)

  def test_a_file_that_cannot_be_read_leaves_no_result(self):
    folder = self.folder()
    paths = [os.path.join(folder, name) for name in ("in", "out")]
    with open(paths[0], "wb") as file:
      file.write(b"ab\n\xff\xfe\n")
    convert = Mirror()
    with self.assertRaisesRegex(errors.DataError, "line 2"):
      make(convert).decode_file(*paths)
    self.assertEqual(os.listdir(folder), ["in"])
    self.assertEmpty(convert.shapes)

  def test_a_result_that_cannot_be_written_is_named_and_removed(self):
    folder = self.folder()
    in_path, taken = (os.path.join(folder, name) for name in ("in", "taken"))
    os.mkdir(taken)
    with open(in_path, "w") as file:
      file.write(self.LINES)
    for path, remedy in (
      (taken, "A folder is in the place of a file"),
      (os.path.join(folder, "no", "out"), "See whether the name is right"),
    ):
      with self.assertRaisesRegex(errors.FileError, f"'{path}' .*{remedy}"):
        make(Mirror()).decode_file(in_path, path)
    self.assertCountEqual(os.listdir(folder), ["in", "taken"])


class PromptTest(parameterized.TestCase):
  def ask(self, text, n_best=False, **settings):
    """Returns the answers to the lines of `text`."""
    out_stream = io.StringIO()
    if isinstance(text, bytes):
      in_stream = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8")
    else:
      in_stream = io.StringIO(text)
    make(Mirror(), **settings).prompt(in_stream, out_stream, n_best)
    return out_stream.getvalue()

  def test_each_line_is_answered(self):
    self.assertEqual(self.ask("abc\nd\n"), "> C B A\n> D\n> \n")

  def test_the_last_line_needs_no_line_end(self):
    self.assertEqual(self.ask("abc"), "> C B A\n> \n")

  def test_bad_words_are_explained_and_the_next_is_read(self):
    answer = self.ask("axc\nabcdabcd\n \n\nab\n")
    lines = answer.split("\n")
    self.assertIn("unknown symbol 'x'", lines[0])
    self.assertIn("length 8", lines[1])
    self.assertEqual(lines[2:], ["> > > B A", "> ", ""])

  def test_bytes_that_are_no_text_do_not_end_it(self):
    answer = self.ask(b"ab\n" + b"\xff\xfe\n" * 3 + b"\n" * 9000 + b"ab\n")
    self.assertIn("cannot be read", answer)
    self.assertEndsWith(answer, "> B A\n> \n")

  def test_unknown_symbols_may_be_read_as_unk(self):
    self.assertEqual(self.ask("axb\n", unknown="unk"), "> B A\n> \n")

  def test_all_candidates_are_shown_with_their_scores(self):
    self.assertEqual(
      self.ask("abc\n", n_best=True), ">    -0.5000  C B A\n   -1.0000  C\n> \n"
    )

  def test_it_says_when_nothing_was_found(self):
    def convert(batch):
      found = Mirror()(batch)
      return found._replace(lengths=0 * found.lengths)

    out_stream = io.StringIO()
    make(convert).prompt(io.StringIO("ab\n"), out_stream)
    self.assertEqual(out_stream.getvalue(), "> Nothing was found.\n> \n")

  def test_an_interrupt_ends_it(self):
    class Interrupted(io.StringIO):
      def readline(self, *args):
        raise KeyboardInterrupt

    out_stream = io.StringIO()
    make(Mirror()).prompt(Interrupted(), out_stream)
    self.assertEqual(out_stream.getvalue(), "> \n")

  def test_a_terminal_without_the_letters_gets_them_escaped(self):
    raw = io.BytesIO()
    out_stream = io.TextIOWrapper(raw, encoding="ascii")
    make(Mirror()).prompt(io.StringIO("a\u00e9\n"), out_stream)
    self.assertIn(b"\\xe9", raw.getvalue())


class SeveralSourcesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.decoder = decoding.LineDecoder(
      self.convert,
      [LETTERS, NAMES],
      NAMES,
      bucketing.IndependentBuckets([3], [2, 4], [5]),
      batch_size=2,
      tokenize=tuple,
    )

  def convert(self, batch):
    """Answers with what the second source says, as often as the first."""
    ids, lengths = batch.sources[1].ids, batch.sources[0].lengths
    symbols = np.full([batch.examples, 3], vocabulary.EOS_ID, np.int32)
    for row, length in enumerate(lengths):
      symbols[row, :length] = ids[row, 0]
    return symbols, np.zeros([batch.examples]), lengths + 1

  def test_lines_are_tuples_with_one_for_each_source(self):
    found, report = self.decoder.decode_lines(
      [("ab", "B"), ("", "A"), ("a", "D" * 5), ("c", "CABA")]
    )
    symbols = [tuple(c[0].symbols) if c else None for c in found]
    self.assertEqual(symbols, [("B", "B"), None, None, ("C",)])
    self.assertEqual((report.kept, report.empty, report.too_long), (2, 1, 1))

  def test_files_are_aligned(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    paths = [os.path.join(folder.name, name) for name in ("a", "b", "out")]
    for path, text in zip(paths, ("ab\nc\n", "B\nD\n")):
      with open(path, "w") as file:
        file.write(text)
    self.decoder.decode_file(paths[:2], paths[2])
    with open(paths[2]) as file:
      self.assertEqual(file.read(), "B B\nD\n")
    with open(paths[1], "a") as file:
      file.write("A\n")
    with self.assertRaisesRegex(errors.DataError, "as many lines"):
      self.decoder.decode_file(paths[:2], paths[2])

  def test_the_prompt_asks_for_each_source(self):
    out_stream = io.StringIO()
    self.decoder.prompt(io.StringIO("ab\n\nB\nabcd\nA\n"), out_stream)
    asked, told = out_stream.getvalue().split("B B\n")
    self.assertEqual(asked, "1> 2> 2> ")
    self.assertRegex(told, "1> 2> encode_word: the word 'abcd' has length 4")


class PipelineConverterTest(case.GraphTestCase):
  @parameterized.parameters("greedy", "beam")
  def test_lines_are_decoded_as_alone(self, searcher):
    model = attention_model.AttentionModel(
      len(LETTERS), len(NAMES), 5, 1, 4, tf1.float64
    )
    pipeline = tangle.Pipeline()
    pipeline.add(
      "encoder", attention_model.encoder_builder(model), buckets=[3, 6]
    )
    build = attention_model.greedy_builder(model)
    if searcher == "beam":
      build = attention_model.beam_builder(model, 4, 0.5, n_best=2)
    reads = {
      name: f"encoder.{name}" for name in attention_model.Encoded._fields
    }
    pipeline.add(searcher, build, buckets=[5], reads=reads)
    pipeline.build()
    sess = self.session()
    for variable in tf1.trainable_variables():
      variable.load(self.normal(*variable.shape.as_list()), sess)
    convert = decoding.pipeline_converter(pipeline, sess, searcher)
    lines = ["abcd", "", "a", "bca", "ddcbaa", "cc", "b", "abca"]
    together = make(convert, batch_size=3).decode_lines(lines).candidates
    count = 2 if searcher == "beam" else 1
    for line, found in zip(lines, together):
      (alone,) = make(convert).decode_lines([line]).candidates
      self.assertLen(alone, count if line else 0)
      for one, other in zip(alone, found):
        self.assertEqual(one.symbols, other.symbols)
        self.assertAlmostEqual(one.score, other.score, places=12)


if __name__ == "__main__":
  absltest.main()

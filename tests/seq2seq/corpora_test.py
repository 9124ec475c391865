"""Tests for `tangle.seq2seq.corpora`. All texts are made up here."""

import gzip
import os
import tempfile
import tracemalloc

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import bucketing, corpora, encoding, vocabulary


class CorporaTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def write(self, name, text):
    """Writes text or bytes to a file, packed if so called; returns its path."""
    path = os.path.join(self.folder, name)
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    with (gzip.open if name.endswith(".gz") else open)(path, "wb") as file:
      file.write(data)
    return path

  def corpus(self, source, target, **kwargs):
    paths = self.write("a.txt", source), self.write("b.txt", target)
    return corpora.ParallelCorpus(*paths, **kwargs)


class ReadLinesTest(CorporaTestCase):
  @parameterized.parameters("text", "text.gz", "text.txt.gz")
  def test_plain_and_packed_files_are_read(self, name):
    path = self.write(name, "ein Hund\n\nzwei Häuser\n")
    lines = ["ein Hund", "", "zwei Häuser"]
    self.assertEqual(list(corpora.read_lines(path)), lines)
    self.assertEqual(list(corpora.read_lines(path, 2)), lines[:2])

  @parameterized.named_parameters(
    ("nothing", "", []),
    ("no_last_end", "a\nb", ["a", "b"]),
    ("windows", "a\r\nb\r\n", ["a", "b"]),
    ("empty_lines", "\n\n", ["", ""]),
    ("other_ends", "a\u2028b\x85c\x0cd\re\n", ["a\u2028b\x85c\x0cd\re"]),
  )
  def test_lines_end_where_other_tools_end_them(self, text, lines):
    self.assertEqual(list(corpora.read_lines(self.write("t", text))), lines)

  @parameterized.named_parameters(
    ("latin", "t", b"a\n\xe9t\xe9\n", "line 2 of .* not UTF-8"),
    ("latin_packed", "t.gz", b"a\n\xe9t\xe9\n", "line 2 of .* not UTF-8"),
    ("marked", "t", b"\xef\xbb\xbfa\n", "starts with a byte order mark"),
  )
  def test_refuses_text(self, name, text, message):
    path = self.write(name, text)
    with self.assertRaisesRegex(errors.DataError, message) as raised:
      list(corpora.read_lines(path))
    self.assertIn(path, str(raised.exception))

  def test_refuses_what_is_not_as_it_is_called(self):
    packed = gzip.compress(b"a b c\n" * 1000)
    damaged = packed[:40] + b"\xff\xff\xff\xff" + packed[44:]
    for data in (b"plain\n", packed[:-20], damaged, packed[:-8] + b"\0" * 8):
      path = os.path.join(self.folder, "t.gz")
      with open(path, "wb") as file:
        file.write(data)
      with self.assertRaisesRegex(errors.DataError, "t.gz is damaged, or not"):
        list(corpora.read_lines(path))
    with self.assertRaisesRegex(errors.DataError, "not UTF-8.*unpack it first"):
      list(corpora.read_lines(self.write("t", packed)))

  def test_a_missing_file_is_named(self):
    for name in ("none", "none.gz"):
      with self.assertRaisesRegex(errors.FileError, name):
        list(corpora.read_lines(os.path.join(self.folder, name)))

  def test_a_line_without_end_is_not_read_whole(self):
    for name in ("t", "t.gz"):
      path = os.path.join(self.folder, name)
      with (gzip.open if name == "t.gz" else open)(path, "wb") as file:
        file.write(b"a b\n" + b"\0" * (17 << 20))
      with self.assertRaisesRegex(errors.DataError, "line 2 of .* is longer"):
        list(corpora.read_lines(path))


class SplitTest(parameterized.TestCase):
  def test_words_are_what_white_space_separates(self):
    self.assertEqual(
      corpora.split_words(" ein\tHund ,  zwei\u3000drei\n"),
      ["ein", "Hund", ",", "zwei", "drei"],
    )

  @parameterized.parameters(
    ("Ein Hund.", ["Ein", "Hund", "."]),
    ("(drei, vier)!?", ["(", "drei", ",", "vier", ")", "!", "?"]),
    ('1998 war\'s "so":', ["0000", "war", "'", "s", '"', "so", '"', ":"]),
    ("a-b a\u00a0b \u0663", ["a-b", "a\u00a0b", "\u0663"]),
    ("  ", []),
  )
  def test_the_tutorials_words_are_parted_from_marks(self, line, words):
    self.assertEqual(corpora.split_as_tutorial(line), words)


class ParallelCorpusTest(CorporaTestCase):
  def test_lines_come_in_pairs_again_and_again(self):
    corpus = self.corpus("ein Hund\n\nzwei\n", "a dog\nb\n\n")
    pairs = [(("ein", "Hund"), ("a", "dog")), ((), ("b",)), (("zwei",), ())]
    for _ in range(2):
      self.assertEqual(list(corpus), pairs)
      self.assertEqual(
        list(corpus.lines()),
        [(n + 1, source, target) for n, (source, target) in enumerate(pairs)],
      )
    self.assertEqual(list(corpus.sources()), [pair[0] for pair in pairs])
    self.assertEqual(list(corpus.targets()), [pair[1] for pair in pairs])

  def test_one_side_may_be_packed(self):
    paths = self.write("a.gz", "x y\n"), self.write("b", "z\n")
    corpus = corpora.ParallelCorpus(*paths)
    self.assertEqual(list(corpus), [(("x", "y"), ("z",))])

  def test_tokens_may_be_made_otherwise_on_each_side(self):
    self.assertEqual(
      list(self.corpus("ab\n", "c d\n", tokenize=list)),
      [(("a", "b"), ("c", " ", "d"))],
    )
    both = list, corpora.split_words
    self.assertEqual(
      list(self.corpus("ab\n", "c d\n", tokenize=both)),
      [(("a", "b"), ("c", "d"))],
    )

  @parameterized.parameters((1, 1), (2, 2), (3, 3), (9, 3))
  def test_a_limit_is_of_lines(self, limit, count):
    corpus = self.corpus("a\n" * 3, "b\n" * 3, limit=limit)
    self.assertLen(list(corpus), count)
    self.assertLen(list(corpus.sources()), count)

  @parameterized.parameters((3, 5), (5, 3), (0, 1), (2000, 1))
  def test_files_of_other_line_counts_are_refused_with_both(self, one, other):
    corpus = self.corpus("a\n" * one, "b\n" * other)
    with self.assertRaisesRegex(
      errors.DataError,
      rf"a\.txt has {one:,}, .*b\.txt has {other:,}\. .*lines lost or added",
    ):
      list(corpus)

  def test_what_is_beyond_the_limit_is_not_compared(self):
    self.assertLen(list(self.corpus("a\n" * 3, "b\n" * 5, limit=3)), 3)
    with self.assertRaisesRegex(
      errors.DataError, "within the limit 4: .* has 3, .* has 4"
    ):
      list(self.corpus("a\n" * 3, "b\n" * 5, limit=4))

  @parameterized.named_parameters(
    ("no_limit", {"limit": 0}, "limit must be .* got 0"),
    ("text", {"tokenize": "words"}, "tokenize must be a function .*'words'"),
    ("three", {"tokenize": [list] * 3}, "tokenize must be"),
    ("none", {"tokenize": None}, "tokenize must be .* got None"),
  )
  def test_refuses(self, kwargs, message):
    with self.assertRaisesRegex(
      errors.ArgumentError, "ParallelCorpus: " + message
    ):
      corpora.ParallelCorpus("a", "b", **kwargs)

  def test_it_prints_as_it_is_made(self):
    self.assertEqual(
      repr(corpora.ParallelCorpus("a", "b", limit=3)),
      "ParallelCorpus('a', 'b', limit=3)",
    )

  def test_positions_of_what_is_kept_lead_back_to_lines(self):
    corpus = self.corpus("a\n\nb c d\nb\nx\n", "b\nc\nc\n\na\n")
    symbols = corpora.Vocabularies(*[vocabulary.Vocabulary("abcd")] * 2)
    encoded = encoding.encode_pairs(
      corpus, *symbols, bucketing.JointBuckets([(2, 2)])
    )
    self.assertEqual(encoded.positions.tolist(), [0])
    self.assertEqual(
      encoded.report.examples,
      {
        "kept": ("'a' -> 'b'",),
        "empty": (
          "'' -> 'c' (no source; number 2)",
          "'b' -> '' (no target; number 4)",
        ),
        "too_long": ("'bcd' -> 'c' (source of 3, largest bucket 2; number 3)",),
        "unknown": ("'x' -> 'a' (source has unknown 'x'; number 5)",),
        "replaced": (),
      },
    )

  def test_memory_does_not_grow_with_the_file(self):
    rng = np.random.RandomState(0)

    def peak(count):
      text = "\n".join(
        " ".join(row) for row in rng.choice(list("abcd"), [count, 20])
      )
      corpus = self.corpus(text + "\n", text + "\n")
      tracemalloc.start()
      symbols = corpora.build_vocabularies(corpus)
      encoded = encoding.encode_pairs(
        corpus, *symbols, bucketing.JointBuckets([(20, 21)])
      )
      self.assertLen(encoded.examples, count)
      found = tracemalloc.get_traced_memory()[1]
      tracemalloc.stop()
      return found

    few, many = peak(500), peak(4500)
    # 40 ids of 4 bytes, two lengths and a position of 8, once while they are
    # gathered and once as arrays; as lists of words it is 4 kB.
    self.assertLess((many - few) / 4000, 600)


class AlignedFilesTest(CorporaTestCase):
  def files(self, *texts, **kwargs):
    paths = [self.write(f"{n}.txt", text) for n, text in enumerate(texts)]
    return corpora.AlignedFiles(paths, **kwargs)

  def test_lines_come_together_again_and_again(self):
    files = self.files("a b\n\n", "c\nd\n", "e\nf g\n")
    rows = [(("a", "b"), ("c",), ("e",)), ((), ("d",), ("f", "g"))]
    for _ in range(2):
      self.assertEqual(list(files), rows)
    self.assertEqual(list(files.side(2)), [("e",), ("f", "g")])

  @parameterized.parameters((3, 5, 4), (5, 3, 5), (4, 4, 0), (1, 2, 2000))
  def test_lines_missing_in_a_file_are_an_error_with_all_counts(self, *counts):
    files = self.files(*["a\n" * count for count in counts])
    wanted = ", .*".join(
      rf"{n}\.txt has {count:,}" for n, count in enumerate(counts)
    )
    with self.assertRaisesRegex(
      errors.DataError, f"AlignedFiles: .*{wanted}.*lines lost or added"
    ):
      list(files)

  def test_a_limit_is_of_lines_and_tokens_may_be_made_otherwise(self):
    each = [list, corpora.split_words, list]
    files = self.files("ab\nx\n", "c d\n", "e\n", tokenize=each, limit=1)
    self.assertEqual(list(files), [(("a", "b"), ("c", "d"), ("e",))])
    self.assertIn("limit=1)", repr(files))

  @parameterized.named_parameters(
    ("one", ["a"], {}, "paths must be two files or more"),
    ("limit", ["a", "b"], {"limit": 0}, "limit must be"),
    ("pair", ["a", "b", "c"], {"tokenize": [list] * 2}, "each of the 3 files"),
  )
  def test_refuses(self, paths, kwargs, message):
    with self.assertRaisesRegex(
      errors.ArgumentError, f"AlignedFiles: .*{message}"
    ):
      corpora.AlignedFiles(paths, **kwargs)


class VocabulariesTest(CorporaTestCase):
  def setUp(self):
    super().setUp()
    self.corpus_of_both = self.corpus("b a b\nc\n", "x\ny x a a a\n")

  def test_frequent_words_come_first_on_each_side(self):
    source, target = corpora.build_vocabularies(self.corpus_of_both)
    self.assertEqual(source.symbols[4:], ("b", "a", "c"))
    self.assertEqual(target.symbols[4:], ("a", "x", "y"))

  @parameterized.named_parameters(
    ("max_size", {"max_size": 6}, 6, 6),
    ("target", {"max_size": 6, "target_max_size": 5}, 6, 5),
    ("min_count", {"min_count": 2}, 5, 6),
  )
  def test_sizes_are_limited(self, kwargs, source, target):
    found = corpora.build_vocabularies(self.corpus_of_both, **kwargs)
    self.assertEqual(tuple(map(len, found)), (source, target))

  def test_both_sides_can_share_one(self):
    source, target = corpora.build_vocabularies(
      self.corpus_of_both, shared=True, min_count=2
    )
    self.assertIs(source, target)
    self.assertEqual(source.symbols[4:], ("a", "b", "x"))
    with self.assertRaisesRegex(errors.ArgumentError, "got 9. Set max_size"):
      corpora.build_vocabularies(
        self.corpus_of_both, shared=True, target_max_size=9
      )

  def test_a_limit_holds_for_vocabularies(self):
    corpus = self.corpus("a\nb\n", "c\nd\n", limit=1)
    source, target = corpora.build_vocabularies(corpus)
    self.assertEqual((source.symbols[4:], target.symbols[4:]), (("a",), ("c",)))

  def test_what_is_saved_beside_the_model_loads(self):
    folder = os.path.join(self.folder, "model", "en-de")
    found = corpora.build_vocabularies(self.corpus_of_both)
    corpora.save_vocabularies(found, folder)
    self.assertEqual(corpora.load_vocabularies(folder), found)
    names = [corpora.FILE.format(side) for side in ("source", "target")]
    self.assertCountEqual(os.listdir(folder), names)
    self.assertEqual(names[1], "target_vocabulary.txt")
    self.assertEqual(
      corpora.load_vocabularies(folder, ("target",)), [found.target]
    )

  def test_a_missing_vocabulary_is_named(self):
    found = corpora.build_vocabularies(self.corpus_of_both)
    corpora.save_vocabularies(found, self.folder)
    os.remove(os.path.join(self.folder, corpora.FILE.format("target")))
    with self.assertRaisesRegex(
      errors.DataError, "target_vocabulary.txt is missing.*take all files"
    ):
      corpora.load_vocabularies(self.folder)


if __name__ == "__main__":
  absltest.main()

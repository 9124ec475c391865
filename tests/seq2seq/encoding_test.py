"""Tests for `tangle.seq2seq.encoding`."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import (
  batches,
  bucketing,
  encoding,
  vocabulary,
)

UNK = vocabulary.UNK_ID


BUCKETS = bucketing.IndependentBuckets([2, 4], [3])


class EncodePairsTest(parameterized.TestCase):
  def encode(self, pairs, buckets=BUCKETS, **kwargs):
    """Returns examples as a list, their report and their positions."""
    encoded = encoding.encode_pairs(
      pairs,
      vocabulary.Vocabulary("abc"),
      vocabulary.Vocabulary(["K", "AE"]),
      buckets,
      **kwargs,
    )
    return list(encoded.examples), encoded.report, encoded.positions.tolist()

  def test_pairs_become_ids(self):
    examples, report, positions = self.encode(
      [("cab", ("K", "AE")), (["a"], ["AE"])]
    )
    self.assertEqual(examples, [([6, 4, 5], [4, 5]), ([4], [5])])
    self.assertEqual((report.kept, report.dropped), (2, 0))
    self.assertEqual(positions, [0, 1])

  @parameterized.named_parameters(
    ("empty_source", ("", ["K"]), "empty", "'' -> 'K' (no source; number 2)"),
    ("empty_target", ("a", []), "empty", "'a' -> '' (no target; number 2)"),
    (
      "long_source",
      ("abcab", ["K"]),
      "too_long",
      "'abcab' -> 'K' (source of 5, largest bucket 4; number 2)",
    ),
    (
      "long_target",
      ("a", ["K"] * 3),
      "too_long",
      "'a' -> 'KKK' (target of 4 with EOS, largest bucket 3; number 2)",
    ),
    (
      "unknown_source",
      ("axy", ["K"]),
      "unknown",
      "'axy' -> 'K' (source has unknown 'x', 'y'; number 2)",
    ),
    (
      "unknown_target",
      ("a", ["K", "Q"]),
      "unknown",
      "'a' -> 'KQ' (target has unknown 'Q'; number 2)",
    ),
    (
      "empty_and_long",
      ("abcab", []),
      "empty",
      "'abcab' -> '' (no target; number 2)",
    ),
    (
      "long_and_unknown",
      ("xxxxx", ["K"]),
      "too_long",
      "'xxxxx' -> 'K' (source of 5, largest bucket 4; number 2)",
    ),
  )
  def test_what_cannot_be_used_is_counted_and_shown(self, pair, kind, shown):
    examples, report, positions = self.encode(
      [("ab", ["K"]), pair, ("c", ["AE"])]
    )
    self.assertEqual(examples, [([4, 5], [4]), ([6], [5])])
    self.assertEqual(positions, [0, 2])
    counts = {kind: getattr(report, kind) for kind in report.KINDS}
    wanted = dict.fromkeys(report.KINDS, 0)
    wanted.update({"kept": 2, kind: 1})
    self.assertEqual(counts, wanted)
    self.assertEqual(report.examples[kind], (shown,))

  def test_what_just_fits_is_kept(self):
    examples, report, _ = self.encode([("abca", ["K", "K"])])
    self.assertLen(examples, 1)
    self.assertEqual(report.dropped, 0)

  @parameterized.named_parameters(
    ("source", ("axb", ["K"]), ([4, UNK, 5], [4])),
    ("target", ("a", ["Q"]), ([4], [UNK])),
    ("both", ("x", ["Q"]), ([UNK], [UNK])),
  )
  def test_unknown_symbols_are_replaced_and_counted_when_asked(
    self, pair, example
  ):
    examples, report, _ = self.encode([pair, ("a", ["K"])], unknown="unk")
    self.assertEqual(examples, [example, ([4], [4])])
    self.assertEqual((report.kept, report.replaced), (2, 1))
    self.assertEqual((report.unknown, report.dropped), (0, 0))

  def test_an_iterator_of_pairs_will_do(self):
    examples, _, _ = self.encode(iter([("a", ["K"])]))
    self.assertLen(examples, 1)

  def test_what_it_keeps_can_be_drawn(self):
    rng = np.random.RandomState(0)
    pairs = [
      (
        "".join(rng.choice(list("abcx"), rng.randint(0, 7))),
        rng.choice(["K", "AE"], rng.randint(0, 5)).tolist(),
      )
      for _ in range(300)
    ]
    symbols = vocabulary.Vocabulary("abc"), vocabulary.Vocabulary(["K", "AE"])
    encoded = encoding.encode_pairs(pairs, *symbols, BUCKETS)
    report = encoded.report
    self.assertLen(encoded.examples, report.kept)
    self.assertEqual(report.kept + report.dropped, 300)
    for kind in report.DROPPED:
      self.assertGreater(getattr(report, kind), 0)
    found = [None] * len(pairs)
    for batch in batches.PairBatches(encoded.examples, BUCKETS, 16).epoch(0):
      places = encoded.positions[batch.indices]
      for place, source, target in zip(places, batch.source, batch.targets):
        sides = zip(symbols, (source, target))
        found[place] = tuple(side.decode(row) for side, row in sides)
    wanted = [(list(source), target) for source, target in pairs]
    kept = [n for n in range(300) if found[n] is not None]
    self.assertEqual(kept, encoded.positions.tolist())
    self.assertEqual([found[n] for n in kept], [wanted[n] for n in kept])

  def test_another_way_with_unknown_symbols_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "got 'raise'"):
      self.encode([], unknown="raise")

  def test_bad_buckets_are_refused_by_name(self):
    vocab = vocabulary.Vocabulary("a")
    for encode, arguments in (
      (encoding.encode_pairs, ([], vocab, vocab, [3])),
      (encoding.encode_sources, ([], vocab, [3])),
    ):
      with self.assertRaisesRegex(
        errors.ArgumentError, f"{encode.__name__}: buckets must be .* got"
      ):
        encode(*arguments)

  @parameterized.parameters((["a"],), (("a", ["K"], 3),), (7,), (("a", 7),))
  def test_what_is_no_pair_is_refused(self, pair):
    with self.assertRaisesRegex(errors.DataError, r"pairs\[1\] must be a pair"):
      self.encode([("a", ["K"]), pair])

  @parameterized.named_parameters(
    ("fits", ("ab", ["K"]), ()),
    ("source", ("abc", ["K"]), ("source of 3, must be less than 3",)),
    (
      "target",
      ("a", ["K"] * 2),
      ("target of 3 with EOS, must be less than 3",),
    ),
  )
  def test_strict_buckets_leave_out_what_fills_them(self, pair, reasons):
    strict = bucketing.JointBuckets([(3, 3)], strict=True)
    _, report, _ = self.encode([pair], strict)
    self.assertEqual(report.kept, 1 - len(reasons))
    for reason, shown in zip(reasons, report.examples["too_long"]):
      self.assertIn(reason, shown)
    self.assertLen(report.examples["too_long"], len(reasons))

  def test_nothing_kept_is_no_error_here(self):
    examples, report, positions = self.encode([("", []), ("x", ["K"])])
    self.assertEqual((examples, positions), ([], []))
    self.assertEqual(report.dropped, 2)


class EncodeSourcesTest(parameterized.TestCase):
  def test_lines_come_back_to_where_they_were(self):
    lines = ["ab", "", "cab", "abcab", "x", "c"]
    vocab = vocabulary.Vocabulary("abc")
    examples, report, positions = encoding.encode_sources(lines, vocab, BUCKETS)
    self.assertEqual(positions.tolist(), [0, 2, 4, 5])
    self.assertEqual(examples[1], ([6, 4, 5], []))
    self.assertEqual(examples[2], ([UNK], []))
    self.assertEqual(
      (report.kept, report.empty, report.too_long, report.replaced),
      (4, 1, 1, 1),
    )
    self.assertEqual(
      report.examples["too_long"],
      ("'abcab' (source of 5, largest bucket 4; number 4)",),
    )
    drawn = batches.PairBatches(examples, BUCKETS, 2)
    places = [positions[batch.indices].tolist() for batch in drawn.in_order()]
    self.assertCountEqual(sum(places, []), positions.tolist())

  def test_unknown_symbols_are_dropped_when_asked(self):
    vocab = vocabulary.Vocabulary("abc")
    encoded = encoding.encode_sources(["x", "a"], vocab, BUCKETS, "drop")
    self.assertEqual(encoded.positions.tolist(), [1])
    self.assertEqual(encoded.report.unknown, 1)


class EncodeTuplesTest(parameterized.TestCase):
  buckets = bucketing.IndependentBuckets([2, 4], [3], [3])
  symbols = [vocabulary.Vocabulary("abc"), vocabulary.Vocabulary("xyz")]
  target = vocabulary.Vocabulary(["K", "AE"])

  def encode(self, tuples, **kwargs):
    return encoding.encode_tuples(
      tuples, [*self.symbols, self.target], self.buckets, **kwargs
    )

  @parameterized.named_parameters(
    ("source_0", ("", "x", ["K"]), "empty", "no source 0"),
    ("source_1", ("a", "", ["K"]), "empty", "no source 1"),
    ("target", ("a", "x", []), "empty", "no target"),
    ("long_0", ("a" * 5, "x", ["K"]), "too_long", "source 0 of 5, largest"),
    ("long_1", ("a", "xxxx", ["K"]), "too_long", "source 1 of 4, largest"),
    ("long_target", ("a", "x", ["K"] * 3), "too_long", "target of 4 with EOS"),
    ("unknown", ("a", "xq", ["K"]), "unknown", "source 1 has unknown 'q'"),
  )
  def test_what_cannot_be_used_is_counted_and_shown(self, one, kind, why):
    tuples = [("ab", "zy", ["AE"]), one, ("c", "x", ["K", "AE"])]
    examples, report, positions = self.encode(iter(tuples))
    self.assertEqual(
      list(examples), [([4, 5], [6, 5], [5]), ([6], [4], [4, 5])]
    )
    self.assertEqual(positions.tolist(), [0, 2])
    self.assertEqual((report.kept, report.dropped), (2, 1))
    self.assertEqual(getattr(report, kind), 1)
    (shown,) = report.examples[kind]
    self.assertIn(f"({why}", shown)
    self.assertIn("number 2)", shown)

  def test_unknown_symbols_are_replaced_when_asked(self):
    encoded = self.encode([("q", "x", ["K"])], unknown="unk")
    self.assertEqual(encoded.examples[0], ([UNK], [4], [4]))
    self.assertEqual(encoded.report.replaced, 1)

  def test_sources_alone_have_empty_targets_and_can_be_drawn(self):
    encoded = encoding.encode_tuples(
      [("ab", "x"), ("", "y"), ("c", "zz")],
      [*self.symbols, None],
      self.buckets,
    )
    wanted = [([4, 5], [4], []), ([6], [6, 6], [])]
    self.assertEqual(list(encoded.examples), wanted)
    self.assertEqual(encoded.positions.tolist(), [0, 2])
    drawn = batches.PairBatches(encoded.examples, self.buckets, 4)
    self.assertEqual(sum(batch.examples for batch in drawn.in_order()), 2)

  @parameterized.parameters(("a", "x"), ("a", "x", ["K"], "b"))
  def test_tuples_of_another_size_are_refused(self, *sequences):
    with self.assertRaisesRegex(
      errors.DataError,
      r"encode_tuples: tuples\[0\] must be 3 sequences \(source 0 symbols, ",
    ):
      self.encode([sequences])

  def test_buckets_of_another_number_of_sides_are_refused(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "encode_tuples: buckets must be Independent.* of 3"
    ):
      encoding.encode_tuples([], [*self.symbols, self.target], BUCKETS)


class EncodeWordTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.vocab = vocabulary.Vocabulary("abc")

  @parameterized.parameters("cab", (("c", "a", "b"),))
  def test_a_word_becomes_ids(self, word):
    self.assertEqual(encoding.encode_word(word, self.vocab, 3), [6, 4, 5])

  @parameterized.named_parameters(
    ("empty", "", errors.DataError, "the word is empty"),
    ("unknown", "cat", errors.DataError, "symbol 't' in the sequence 'cat'"),
    ("case", "cAb", errors.DataError, "change the case"),
    ("long", "abcabc", errors.BucketError, "word 'abcabc' has length 6.*, 5"),
  )
  def test_refuses(self, word, error, message):
    with self.assertRaisesRegex(error, message):
      encoding.encode_word(word, self.vocab, 5)


class ReportTest(parameterized.TestCase):
  def test_kinds_are_counted(self):
    report = encoding.Report()
    for kind, times in zip(report.KINDS, (5, 1, 2, 3, 4)):
      for _ in range(times):
        report.count(kind, ("a", "b"))
    self.assertEqual(
      (report.kept, report.empty, report.too_long, report.unknown),
      (5, 1, 2, 3),
    )
    self.assertEqual((report.replaced, report.dropped), (4, 6))

  def test_a_few_examples_are_remembered(self):
    report = encoding.Report(max_examples=2)
    for word in ("cat", "dog", "cow"):
      report.count("too_long", (word, ["K", "AE"]), "source of 3")
    self.assertEqual(
      report.examples["too_long"],
      ("'cat' -> 'K AE' (source of 3)", "'dog' -> 'K AE' (source of 3)"),
    )
    self.assertEqual(report.examples["kept"], ())

  def test_the_summary_names_each_kind_that_occurred(self):
    report = encoding.Report(max_examples=1)
    for _ in range(1200):
      report.count("kept", ("a",))
    report.count("empty", ("", "K"), "no source")
    report.count("unknown", ("x",))
    report.count("unknown", ("y",))
    self.assertEqual(
      report.summary(),
      "1,203 examples: 1,200 kept, 3 left out\n"
      "  empty: 1: '' -> 'K' (no source)\n"
      "  unknown: 2: 'x'; ...",
    )
    self.assertEqual(str(report), report.summary())

  def test_nothing_counted_is_a_summary_too(self):
    self.assertEqual(str(encoding.Report()), "0 examples: 0 kept, 0 left out")

  def test_replaced_are_among_the_kept(self):
    report = encoding.Report()
    report.count("kept", ("ax",))
    report.count("replaced", ("ax",), "'x'")
    self.assertEqual(
      str(report),
      "1 examples: 1 kept, 0 left out\n  replaced: 1: 'ax' ('x')",
    )

  def test_another_kind_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "got 'long'"):
      encoding.Report().count("long", ("a",))


if __name__ == "__main__":
  absltest.main()

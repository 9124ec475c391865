"""Tests for `tangle.seq2seq.metrics`."""

import collections
import functools
import math
import sys
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import metrics


@functools.lru_cache(maxsize=None)
def recursive_distance(a, b):
  """Returns the edit distance straight from its definition."""
  if not a or not b:
    return len(a) + len(b)
  return min(
    recursive_distance(a[1:], b) + 1,
    recursive_distance(a, b[1:]) + 1,
    recursive_distance(a[1:], b[1:]) + (a[0] != b[0]),
  )


def random_word(rng):
  """Returns 0 to 7 of three letters, so that many positions agree."""
  return "".join(rng.choice(list("abc"), rng.randint(0, 8)))


class EditDistanceTest(parameterized.TestCase):
  @parameterized.parameters(
    ("", "", 0),
    ("abc", "", 3),
    ("", "abc", 3),
    ("abc", "abc", 0),
    ("kitten", "sitting", 3),
    ("ab", "ba", 2),
    (["HH", "AH"], ("HH", "EH"), 1),
  )
  def test_known_distances(self, a, b, distance):
    self.assertEqual(metrics.edit_distance(a, b), distance)

  @parameterized.parameters(*range(5))
  def test_it_equals_the_recursive_definition(self, seed):
    rng = np.random.RandomState(seed)
    for _ in range(40):
      a, b = random_word(rng), random_word(rng)
      self.assertEqual(metrics.edit_distance(a, b), recursive_distance(a, b))

  @parameterized.parameters(0, 1)
  def test_it_is_a_metric(self, seed):
    rng = np.random.RandomState(seed)
    for _ in range(40):
      a, b, c = (random_word(rng) for _ in range(3))
      between = metrics.edit_distance(a, b)
      self.assertEqual(between, metrics.edit_distance(b, a))
      self.assertEqual(between == 0, a == b)
      detour = metrics.edit_distance(a, c) + metrics.edit_distance(c, b)
      self.assertLessEqual(between, detour)

  def test_long_sequences_do_not_recurse(self):
    self.assertEqual(metrics.edit_distance("a" * 2000, "a" * 3), 1997)


class ErrorRatesTest(parameterized.TestCase):
  def test_all_right_is_zero(self):
    rates = metrics.error_rates([["K"], ["A", "B"]], [[("K",)], [("A", "B")]])
    self.assertEqual(rates, metrics.ErrorRates(per=0.0, wer=0.0, words=2))

  def test_distances_and_lengths_are_summed_over_words(self):
    rates = metrics.error_rates(["abc", "x"], [["abd"], ["xyzzy"]])
    self.assertEqual(rates.per, (1 + 4) / (3 + 5))
    self.assertEqual(rates.wer, 1.0)

  def test_any_reference_makes_a_word_right(self):
    rates = metrics.error_rates(["ab", "cd"], [["xy", "ab"], ["xy", "ce"]])
    self.assertEqual(rates.wer, 0.5)
    self.assertEqual(rates.per, 1 / 4)

  def test_the_length_is_that_of_the_nearest_reference(self):
    rates = metrics.error_rates(["abcde"], [["a", "abcdx"]])
    self.assertEqual(rates.per, 1 / 5)

  def test_of_equally_near_references_the_first_counts(self):
    self.assertEqual(metrics.error_rates(["ab"], [["abc", "a"]]).per, 1 / 3)
    self.assertEqual(metrics.error_rates(["ab"], [["a", "abc"]]).per, 1 / 1)

  def test_an_empty_prediction_is_wrong_everywhere(self):
    rates = metrics.error_rates([[]], [[("A", "B")]])
    self.assertEqual((rates.per, rates.wer), (1.0, 1.0))

  def test_long_predictions_can_pass_one(self):
    self.assertEqual(metrics.error_rates(["aaaa"], [["b"]]).per, 4.0)

  def test_lists_tuples_and_arrays_compare_alike(self):
    rates = metrics.error_rates([np.array([7, 8]), [7]], [[(7, 8)], [[7]]])
    self.assertEqual(rates.wer, 0.0)

  @parameterized.parameters(0, 1, 2)
  def test_more_references_never_make_it_worse(self, seed):
    rng = np.random.RandomState(seed)
    words = [random_word(rng) for _ in range(30)]
    few = [[random_word(rng)] for _ in words]
    more = [first + [random_word(rng)] for first in few]
    worst = metrics.error_rates(words, few)
    best = metrics.error_rates(words, more)
    self.assertLessEqual(best.wer, worst.wer)

  @parameterized.named_parameters(
    ("no_words", [], []),
    ("too_few_references", ["a", "b"], [["a"]]),
    ("too_many_references", ["a"], [["a"], ["b"]]),
  )
  def test_refuses(self, predictions, references):
    with self.assertRaisesRegex(errors.ArgumentError, "must be equally many"):
      metrics.error_rates(predictions, references)

  def test_a_word_without_references_is_named(self):
    with self.assertRaisesRegex(errors.DataError, r"references\[1\] is empty"):
      metrics.error_rates(["a", "b"], [["a"], []])

  def test_nothing_to_divide_by_is_refused(self):
    with self.assertRaisesRegex(errors.DataError, "no length to divide by"):
      metrics.error_rates(["a"], [[""]])


class PerplexityTest(parameterized.TestCase):
  def test_guessing_among_v_is_v(self):
    self.assertAlmostEqual(metrics.perplexity(10 * math.log(43.0), 10), 43.0)

  def test_no_loss_is_one(self):
    self.assertEqual(metrics.perplexity(0.0, 3), 1.0)

  def test_a_huge_loss_is_infinite(self):
    self.assertEqual(metrics.perplexity(1e6, 1), math.inf)

  def test_nan_stays_nan(self):
    self.assertTrue(math.isnan(metrics.perplexity(math.nan, 1)))

  def test_numpy_numbers_will_do(self):
    value = metrics.perplexity(np.float32(0.0), np.int64(2))
    self.assertEqual(value, 1.0)

  @parameterized.parameters(0, -1, math.nan)
  def test_no_symbols_are_refused(self, count):
    with self.assertRaisesRegex(errors.ArgumentError, "count must be positive"):
      metrics.perplexity(1.0, count)


def plain_bleu(hypotheses, references):
  """Returns BLEU by its formula, for one reference each and no zero counts."""

  def grams(text, n):
    words = text.split()
    return collections.Counter(
      tuple(words[k : k + n]) for k in range(len(words) - n + 1)
    )

  logs = []
  for n in range(1, 5):
    pairs = [(grams(h, n), grams(r, n)) for h, r in zip(hypotheses, references)]
    found = sum(sum((h & r).values()) for h, r in pairs)
    logs.append(math.log(found / sum(sum(h.values()) for h, _ in pairs)))
  ours, theirs = (
    sum(len(text.split()) for text in texts)
    for texts in (hypotheses, references)
  )
  brevity = min(0.0, 1.0 - theirs / ours)
  return 100.0 * math.exp(brevity + sum(logs) / 4)


class BleuTest(parameterized.TestCase):
  HYPOTHESES = (
    "two dogs run over the green grass .",
    "a man is on a bicycle",
    "the woman reads",
  )
  REFERENCES = (
    "two brown dogs run over the green grass .",
    "a man is riding on a bicycle",
    "the woman is reading a book",
  )

  def test_it_is_that_of_the_formula(self):
    score, signature = metrics.bleu(self.HYPOTHESES, self.REFERENCES)
    expected = plain_bleu(self.HYPOTHESES, self.REFERENCES)
    self.assertAlmostEqual(score, expected, places=8)
    self.assertBetween(score, 40.0, 60.0)
    for part in ("nrefs:1", "tok:none", "case:mixed"):
      self.assertIn(part, signature)

  def test_equal_texts_have_100_and_unlike_ones_0(self):
    same = metrics.bleu(self.REFERENCES, self.REFERENCES)
    self.assertAlmostEqual(same.score, 100.0, places=8)
    other = metrics.bleu(["x y z u v"], ["a b c d e"])
    self.assertEqual(other.score, 0.0)

  def test_any_of_several_references_counts(self):
    both = [[a, b] for a, b in zip(self.REFERENCES, self.HYPOTHESES)]
    score, signature = metrics.bleu(self.HYPOTHESES, both)
    self.assertAlmostEqual(score, 100.0, places=8)
    self.assertIn("nrefs:2", signature)

  def test_text_is_split_as_asked_for(self):
    joined = ["two dogs run over the grass."]
    apart = ["two dogs run over the grass ."]
    self.assertLess(metrics.bleu(joined, apart).score, 99.0)
    found = metrics.bleu(joined, apart, tokenize="13a")
    self.assertAlmostEqual(found.score, 100.0, places=8)
    self.assertIn("tok:13a", found.signature)

  @parameterized.named_parameters(
    ("nothing", [], [], errors.ArgumentError, "at least one"),
    ("too_few", ["a", "b"], ["a"], errors.ArgumentError, "2 and 1"),
    ("none", ["a"], [[]], errors.DataError, r"references\[0\]"),
    ("uneven", ["a", "b"], ["a", ["b", "c"]], errors.DataError, r"\[1\] has 2"),
  )
  def test_bleu_refuses(self, hypotheses, references, kind, message):
    with self.assertRaisesRegex(kind, message):
      metrics.bleu(hypotheses, references)

  def test_bleu_refuses_an_unknown_way_to_split(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'none'.*got 'words'"):
      metrics.bleu(["a"], ["a"], tokenize="words")

  def test_without_sacrebleu_the_message_says_what_to_install(self):
    with mock.patch.dict(sys.modules, {"sacrebleu": None}):
      with self.assertRaisesRegex(
        errors.MissingPackageError, r"pip install tangle-graph\[bleu\]"
      ):
        metrics.bleu(["a"], ["a"])


if __name__ == "__main__":
  absltest.main()

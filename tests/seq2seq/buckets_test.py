"""Tests for `tangle.seq2seq.buckets`."""

import collections
import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import buckets


def count_positions(length_counts, chosen):
  """Returns how many positions `chosen` needs, the slow and plain way."""
  return sum(
    number * min(bucket for bucket in chosen if bucket >= length)
    for length, number in length_counts.items()
  )


def random_counts(rng, most_lengths, longest):
  """Returns a histogram of up to `most_lengths` different lengths."""
  lengths = rng.choice(longest, rng.randint(1, most_lengths + 1), False) + 1
  return {int(length): int(rng.randint(1, 50)) for length in lengths}


class CheckTest(parameterized.TestCase):
  def test_buckets_become_a_tuple_of_ints(self):
    checked = buckets.check_buckets(np.array([5, 10], np.int32))
    self.assertEqual(checked, (5, 10))
    self.assertTrue(all(type(bucket) is int for bucket in checked))

  @parameterized.named_parameters(
    ("none", []),
    ("zero", [0, 5]),
    ("negative", [-5, 5]),
    ("equal", [5, 5]),
    ("decreasing", [10, 5]),
    ("a_float", [5.0]),
    ("a_bool", [True, 5]),
    ("a_string", "12"),
    ("pairs", [(5, 10), (10, 15)]),
    ("a_number", 10),
  )
  def test_buckets_are_refused(self, chosen):
    with self.assertRaisesRegex(
      errors.ArgumentError, "source_buckets must be positive .* got"
    ):
      buckets.check_buckets(chosen, "source_buckets")

  def test_an_int_in_range_is_returned(self):
    self.assertEqual(buckets.check_int("n", np.int64(3), 0, 3), 3)
    self.assertIs(type(buckets.check_int("n", np.int64(3), 0)), int)

  @parameterized.parameters(0, 4, 1.0, True, None, "1")
  def test_another_int_is_refused(self, value):
    with self.assertRaisesRegex(
      errors.ArgumentError, "n must be .* at least 1 and at most 3, got"
    ):
      buckets.check_int("n", value, 1, 3)


class ChoiceTest(parameterized.TestCase):
  @parameterized.parameters((0, 5), (1, 5), (5, 5), (6, 10), (20, 20))
  def test_the_smallest_that_holds_it_is_chosen(self, length, bucket):
    self.assertEqual(buckets.smallest_bucket([5, 10, 20], length), bucket)

  def test_a_long_sequence_is_named_with_length_bucket_and_remedy(self):
    with self.assertRaisesRegex(
      errors.BucketError,
      "'abcdef' has length 6.*largest bucket, 5.*Add a bucket of at least 6",
    ):
      buckets.smallest_bucket([3, 5], 6, "abcdef")

  def test_a_strict_bucket_is_said_to_be_so(self):
    error = buckets.too_long(5, 5, strict=True)
    self.assertIsInstance(error, errors.BucketError)
    self.assertRegex(
      str(error), "has length 5, not less than .*, 5. .* at least 6"
    )

  @parameterized.parameters(0, 1, 2)
  def test_indices_agree_with_one_by_one(self, seed):
    rng = np.random.RandomState(seed)
    chosen = np.unique(rng.randint(1, 40, 5))
    lengths = rng.randint(0, chosen[-1] + 1, 200)
    indices = buckets.bucket_indices(lengths, chosen)
    self.assertEqual(
      [chosen[index] for index in indices],
      [buckets.smallest_bucket(chosen, length) for length in lengths],
    )

  def test_indices_name_the_first_that_is_too_long(self):
    with self.assertRaisesRegex(
      errors.BucketError, "the line 1 has length 11.*; 2 are too long"
    ):
      buckets.bucket_indices([3, 11, 4, 12], [5, 10], "line")


class PaddingWasteTest(parameterized.TestCase):
  def test_it_is_the_share_of_padding(self):
    self.assertAlmostEqual(buckets.padding_waste([3, 5, 6], [5, 10]), 0.3)

  def test_exact_buckets_waste_nothing(self):
    self.assertEqual(buckets.padding_waste([3, 5], [3, 5]), 0.0)

  @parameterized.parameters(0, 1, 2)
  def test_another_bucket_never_wastes_more(self, seed):
    rng = np.random.RandomState(seed)
    lengths = rng.randint(1, 31, 100)
    few = buckets.padding_waste(lengths, [10, 30])
    self.assertLessEqual(buckets.padding_waste(lengths, [10, 20, 30]), few)

  def test_no_lengths_are_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "lengths is empty"):
      buckets.padding_waste([], [5])

  def test_bad_buckets_are_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "padding_waste: buckets"):
      buckets.padding_waste([1], [5, 5])

  def test_a_length_that_fits_no_bucket_is_refused(self):
    with self.assertRaisesRegex(errors.BucketError, "length 6"):
      buckets.padding_waste([1, 6], [5])


class ProposeBucketsTest(parameterized.TestCase):
  @parameterized.parameters(*range(8))
  def test_proposals_are_as_good_as_any(self, seed):
    rng = np.random.RandomState(seed)
    counts = random_counts(rng, most_lengths=8, longest=12)
    for count in range(1, 6):
      proposed = buckets.propose_buckets(counts, count)
      self.assertEqual(buckets.check_buckets(proposed), proposed)
      self.assertLen(proposed, min(count, len(counts)))
      longest = max(counts)
      # Any set at all, also of lengths that no sequence has.
      best = min(
        count_positions(counts, chosen + (longest,))
        for size in range(count)
        for chosen in itertools.combinations(range(1, longest), size)
      )
      self.assertEqual(count_positions(counts, proposed), best)

  def test_a_known_best_set_is_found(self):
    counts = {2: 1, 3: 10, 9: 1}
    self.assertEqual(buckets.propose_buckets(counts, 2), (3, 9))
    self.assertEqual(count_positions(counts, (3, 9)), 3 + 30 + 9)
    self.assertEqual(count_positions(counts, (2, 9)), 2 + 90 + 9)

  def test_fewer_lengths_than_buckets_get_one_each(self):
    self.assertEqual(buckets.propose_buckets({4: 2, 7: 1, 9: 0}, 5), (4, 7))

  def test_the_order_of_the_counts_does_not_matter(self):
    counts = random_counts(np.random.RandomState(0), 30, 60)
    backward = dict(reversed(list(counts.items())))
    self.assertEqual(
      buckets.propose_buckets(counts, 4), buckets.propose_buckets(backward, 4)
    )

  def test_large_histograms_are_planned(self):
    counts = dict.fromkeys(range(1, 401), 10**6)
    # A uniform histogram: the best buckets are evenly spaced.
    self.assertEqual(
      buckets.propose_buckets(counts, 5), (80, 160, 240, 320, 400)
    )

  def test_a_counter_of_numpy_lengths_is_planned(self):
    counts = collections.Counter(np.array([3, 3, 8]))
    self.assertEqual(buckets.propose_buckets(counts, 1), (8,))

  @parameterized.named_parameters(
    ("no_buckets", {3: 1}, 0, "count must be"),
    ("half_a_bucket", {3: 1}, 1.5, "count must be"),
    ("nothing", {}, 2, "counts no sequence"),
    ("only_zeros", {3: 0}, 2, "counts no sequence"),
    ("an_empty_sequence", {0: 4, 3: 1}, 2, "got 0: 4"),
    ("a_negative_count", {3: -1}, 2, "got 3: -1"),
    ("a_float_length", {2.5: 1}, 2, "got 2.5: 1"),
  )
  def test_refuses(self, counts, count, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      buckets.propose_buckets(counts, count)


if __name__ == "__main__":
  absltest.main()

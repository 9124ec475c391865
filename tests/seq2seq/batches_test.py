"""Tests for `tangle.seq2seq.batches`."""

import collections
import itertools
import zlib

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import batches, buckets, vocabulary

PAD, GO, EOS, UNK = range(4)

SOURCE_BUCKETS = (3, 6, 10)
TARGET_BUCKETS = (4, 8, 11)

SEEDS = (("seed_0", 0), ("seed_1", 1), ("seed_2", 2))


def random_examples(rng, count=203):
  """Returns examples of 1..10 source ids and 0..10 target ids."""
  return [
    (
      rng.randint(4, 30, rng.randint(1, 11)).tolist(),
      rng.randint(4, 30, rng.randint(0, 11)).tolist(),
    )
    for _ in range(count)
  ]


def make(examples, batch_size=8, **kwargs):
  """Returns batches of `examples` in the buckets of these tests."""
  return batches.PairBatches(
    examples, SOURCE_BUCKETS, TARGET_BUCKETS, batch_size, **kwargs
  )


def indices_of(drawn):
  """Returns the indices of the batches `drawn`, in order, as lists."""
  return [batch.indices.tolist() for batch in drawn]


class PairBatchesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)

  def assert_same(self, drawn, wanted):
    """Fails unless both are the same batches, in every array."""
    drawn, wanted = list(drawn), list(wanted)
    self.assertEqual(len(drawn), len(wanted))
    for one, other in zip(drawn, wanted):
      for field, left, right in zip(one._fields, one, other):
        np.testing.assert_array_equal(left, right, err_msg=field)

  def check_batch(self, batch, examples):
    """Fails unless each row of `batch` is its example, padded."""
    self.assertLen(batch.indices, batch.words)
    for row, index in enumerate(batch.indices):
      source, target = examples[index]
      pad = [PAD] * (batch.source_bucket - len(source))
      self.assertEqual(batch.source[row].tolist(), source + pad)
      self.assertEqual(batch.source_lengths[row], len(source))
      pad = [PAD] * (batch.target_bucket - len(target) - 1)
      inputs, targets = [GO] + target + pad, target + [EOS] + pad
      self.assertEqual(batch.decoder_inputs[row].tolist(), inputs)
      self.assertEqual(batch.targets[row].tolist(), targets)
      ones = [1.0] * (len(target) + 1) + [0.0] * len(pad)
      self.assertEqual(batch.weights[row].tolist(), ones)
    symbols = sum(len(examples[index][1]) + 1 for index in batch.indices)
    self.assertEqual(batch.symbols, symbols)

  @parameterized.named_parameters(*SEEDS)
  def test_every_example_is_seen_once_an_epoch(self, seed):
    rng = np.random.RandomState(seed)
    for count, size in ((1, 8), (8, 8), (9, 8), (203, 1), (203, 7), (50, 64)):
      drawn = make(random_examples(rng, count), size, seed=seed)
      for n in range(3):
        seen = itertools.chain(*indices_of(drawn.epoch(n)))
        self.assertEqual(sorted(seen), list(range(count)))

  @parameterized.named_parameters(*SEEDS)
  def test_all_batches_but_one_are_full(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    drawn = make(examples, 8)
    sizes = sorted(batch.words for batch in drawn.epoch(seed))
    self.assertEqual(sizes, [203 % 8] + [8] * (203 // 8))
    self.assertLen(drawn, len(sizes))

  @parameterized.named_parameters(*SEEDS)
  def test_rows_are_their_examples_padded_to_the_buckets(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    drawn = make(examples, seed=seed)
    for batch in itertools.chain(drawn.epoch(0), drawn.in_order()):
      self.check_batch(batch, examples)

  def test_arrays_have_the_shapes_and_types_of_their_feeds(self):
    drawn = make(random_examples(self.rng))
    for batch in drawn.epoch(0):
      b, s, t = batch.words, batch.source_bucket, batch.target_bucket
      self.assertIn(s, SOURCE_BUCKETS)
      self.assertIn(t, TARGET_BUCKETS)
      wanted = {
        "source": ((b, s), np.int32),
        "source_lengths": ((b,), np.int32),
        "decoder_inputs": ((b, t), np.int32),
        "targets": ((b, t), np.int32),
        "weights": ((b, t), np.float32),
        "indices": ((b,), np.int64),
      }
      for field, (shape, dtype) in wanted.items():
        array = getattr(batch, field)
        self.assertEqual((array.shape, array.dtype), (shape, dtype), field)
      for value in (s, t, batch.words, batch.symbols):
        self.assertIs(type(value), int)

  @parameterized.named_parameters(*SEEDS)
  def test_buckets_are_the_smallest_that_hold_the_batch(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    drawn = make(examples, seed=seed)
    for batch in drawn.epoch(0):
      longest_source = max(len(examples[index][0]) for index in batch.indices)
      longest_target = max(len(examples[index][1]) for index in batch.indices)
      self.assertEqual(
        (batch.source_bucket, batch.target_bucket),
        (
          buckets.smallest_bucket(SOURCE_BUCKETS, longest_source),
          buckets.smallest_bucket(TARGET_BUCKETS, longest_target + 1),
        ),
      )

  @parameterized.named_parameters(*SEEDS)
  def test_full_batches_of_a_cell_are_not_padded_beyond_it(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    drawn = make(examples, 8, seed=seed)
    pure = collections.Counter()
    for batch in drawn.epoch(0):
      cells = {
        (
          buckets.smallest_bucket(SOURCE_BUCKETS, len(examples[index][0])),
          buckets.smallest_bucket(TARGET_BUCKETS, len(examples[index][1]) + 1),
        )
        for index in batch.indices
      }
      if len(cells) == 1 and batch.words == 8:
        pure[cells.pop()] += 1
    for cell, count in drawn.cell_counts.items():
      self.assertGreaterEqual(pure[cell], count // 8)

  def test_source_and_target_buckets_are_independent(self):
    lengths = [(1, 0), (1, 10), (10, 0), (10, 10)]
    examples = [([5] * s, [6] * t) for s, t in lengths for _ in range(4)]
    drawn = make(examples, 4)
    shapes = {(b.source_bucket, b.target_bucket) for b in drawn.epoch(0)}
    self.assertEqual(shapes, {(3, 4), (3, 11), (10, 4), (10, 11)})

  def test_leftovers_are_pooled_in_the_larger_buckets(self):
    examples = [([5], [6] * 9), ([5] * 9, [6])]
    (batch,) = make(examples, 8).epoch(0)
    self.assertEqual((batch.source_bucket, batch.target_bucket), (10, 11))
    self.check_batch(batch, examples)

  def test_eos_counts_in_the_target_bucket(self):
    (fits,) = make([([5], [6] * 3)]).epoch(0)
    (next_one,) = make([([5], [6] * 4)]).epoch(0)
    self.assertEqual((fits.target_bucket, next_one.target_bucket), (4, 8))

  def test_reversing_turns_the_ids_and_leaves_the_padding(self):
    (batch,) = make([([5, 6, 7, 8], [9])], reverse_source=True).epoch(0)
    self.assertEqual(batch.source.tolist(), [[8, 7, 6, 5, PAD, PAD]])
    self.assertEqual(batch.source_lengths.tolist(), [4])
    self.assertEqual(batch.targets.tolist(), [[9, EOS, PAD, PAD]])

  @parameterized.named_parameters(*SEEDS)
  def test_reversing_changes_the_source_alone(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    turned = [(source[::-1], target) for source, target in examples]
    self.assert_same(
      make(examples, reverse_source=True).epoch(0), make(turned).epoch(0)
    )

  @parameterized.named_parameters(*SEEDS)
  def test_an_epoch_depends_on_seed_and_number_alone(self, seed):
    examples = random_examples(self.rng)
    drawn, again = make(examples, seed=seed), make(examples, seed=seed)
    for n in range(3):
      list(drawn.epoch(n))
    np.random.seed(1)
    half = drawn.epoch(5)
    next(half)
    self.assert_same(drawn.epoch(2), again.epoch(2))

  def test_epochs_and_seeds_differ(self):
    examples = random_examples(self.rng)
    orders = {
      str(indices_of(make(examples, seed=seed).epoch(n)))
      for seed in range(3)
      for n in range(3)
    }
    self.assertLen(orders, 9)

  def test_an_epoch_shuffles_batches_and_the_examples_in_them(self):
    drawn = make([([5], [6])] * 400, 8)
    first = [batch[0] for batch in indices_of(drawn.epoch(0))]
    self.assertNotEqual(first, sorted(first))
    apart = [max(rows) - min(rows) for rows in indices_of(drawn.epoch(0))]
    self.assertGreater(min(apart), 8)

  def test_each_version_of_numpy_draws_the_same(self):
    drawn = make(
      [([5] * (1 + n % 9), [6] * (n % 7)) for n in range(99)], seed=7
    )
    order = np.concatenate(indices_of(drawn.epoch(3)))
    # Not of a TensorFlow seed: numpy froze RandomState for good in 1.17.
    self.assertEqual(zlib.crc32(order.astype("<i8").tobytes()), 2252514040)

  @parameterized.named_parameters(*SEEDS)
  def test_a_run_goes_on_where_it_stopped(self, seed):
    examples = random_examples(self.rng)
    whole = list(make(examples, seed=seed).epoch(4))
    for start in (0, 1, len(whole) - 1, len(whole)):
      rest = make(examples, seed=seed).epoch(4, start=start)
      self.assert_same(rest, whole[start:])

  @parameterized.named_parameters(*SEEDS)
  def test_in_order_sees_every_example_once_cell_by_cell(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    drawn = make(examples, 8)
    indices = indices_of(drawn.in_order())
    self.assertEqual(sorted(itertools.chain(*indices)), list(range(203)))
    self.assertEqual(indices, indices_of(drawn.in_order()))
    full = sum(count // 8 for count in drawn.cell_counts.values())
    shapes = [(b.source_bucket, b.target_bucket) for b in drawn.in_order()]
    runs = [shape for shape, _ in itertools.groupby(shapes[:full])]
    self.assertLen(runs, len(set(runs)))

  def test_cells_count_their_examples(self):
    examples = [([5], [6] * 9)] * 3 + [([5] * 9, [6])] * 2 + [([5], [])]
    self.assertEqual(
      make(examples).cell_counts, {(3, 4): 1, (3, 11): 3, (10, 4): 2}
    )
    self.assertEqual(list(make(examples).cell_counts)[0], (3, 4))

  @parameterized.named_parameters(*SEEDS)
  def test_padding_waste_is_that_of_the_batches_drawn(self, seed):
    drawn = make(random_examples(np.random.RandomState(seed)))
    epoch = list(drawn.epoch(0))
    lengths = np.concatenate([batch.source_lengths for batch in epoch])
    source = 1 - lengths.sum() / sum(batch.source.size for batch in epoch)
    weights = sum(int(batch.weights.sum()) for batch in epoch)
    target = 1 - weights / sum(batch.weights.size for batch in epoch)
    np.testing.assert_allclose(drawn.padding_waste, [source, target])

  def test_batches_without_pooling_waste_what_their_buckets_do(self):
    lengths = [1, 2, 4, 5, 6, 9]
    drawn = make([([5] * n, [6]) for n in lengths], batch_size=1)
    self.assertAlmostEqual(
      drawn.padding_waste.source, buckets.padding_waste(lengths, SOURCE_BUCKETS)
    )

  def test_arrays_of_ids_will_do(self):
    examples = random_examples(self.rng, 20)
    arrays = [(np.array(s), tuple(t)) for s, t in examples]
    self.assert_same(make(arrays).epoch(0), make(examples).epoch(0))

  def test_a_changed_batch_does_not_change_the_next(self):
    examples = random_examples(self.rng, 20)
    drawn = make(examples)
    for batch in drawn.epoch(0):
      for array in (batch.source, batch.targets, batch.decoder_inputs):
        array[...] = UNK
      batch.source_lengths[...] = 0
      batch.indices[...] = 0
    self.assert_same(drawn.epoch(0), make(examples).epoch(0))

  @parameterized.named_parameters(
    ("no_examples", [], errors.ArgumentError, "examples is empty"),
    ("no_pair", [([5], [6]), [5]], errors.DataError, r"\[1\] must be a pair"),
    ("not_sequences", [(5, 6)], errors.DataError, r"\[0\] must be a pair"),
    ("empty_source", [([], [6])], errors.DataError, r"source of .*\[0\] is em"),
    ("symbols", [("ab", [6])], errors.DataError, r"source of .*got 'ab'"),
    ("floats", [([5], [6.5])], errors.DataError, r"target of .*got \[6\.5\]"),
    ("negative", [([5], [6]), ([-1], [])], errors.DataError, r"\[1\].*\[-1\]"),
    ("huge", [([2**31], [])], errors.DataError, r"source .*2147483648"),
    ("past_int64", [([2**70], [])], errors.DataError, "source"),
    (
      "long_source",
      [([5], [6]), ([5] * 11, [6])],
      errors.BucketError,
      r"source of example 1 \(1 such\) has length 11.* bucket, 10",
    ),
    (
      "long_target",
      [([5], [6] * 11)],
      errors.BucketError,
      "target, with EOS, of example 0 .* has length 12.* bucket, 11",
    ),
  )
  def test_refuses_examples(self, examples, error, message):
    with self.assertRaisesRegex(error, "PairBatches: .*" + message):
      make(examples)

  @parameterized.named_parameters(
    ("batch_size", ([3], [4], 0), "PairBatches: batch_size .* got 0"),
    ("seed", ([3], [4], 8, -1), "PairBatches: seed .* got -1"),
    ("large_seed", ([3], [4], 8, 2**32), "PairBatches: seed .* at most"),
    ("source", ([3, 3], [4], 8), "PairBatches: source_buckets must"),
    ("target", ([3], [], 8), "PairBatches: target_buckets must"),
  )
  def test_refuses_settings(self, settings, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      batches.PairBatches([([5], [6])], *settings)

  @parameterized.parameters((-1, 0), (0, -1), (0, 27), (0.5, 0), (2**32, 0))
  def test_epoch_refuses_at_once(self, n, start):
    drawn = make(random_examples(self.rng))
    self.assertLen(drawn, 26)
    with self.assertRaisesRegex(errors.ArgumentError, "PairBatches.epoch"):
      drawn.epoch(n, start)


class EncodePairsTest(parameterized.TestCase):
  def encode(self, pairs, **kwargs):
    return batches.encode_pairs(
      pairs,
      vocabulary.Vocabulary("abc"),
      vocabulary.Vocabulary(["K", "AE"]),
      source_buckets=[2, 4],
      target_buckets=[3],
      **kwargs,
    )

  def test_pairs_become_ids(self):
    examples, report = self.encode([("cab", ("K", "AE")), (["a"], ["AE"])])
    self.assertEqual(examples, [([6, 4, 5], [4, 5]), ([4], [5])])
    self.assertEqual((report.kept, report.dropped), (2, 0))

  @parameterized.named_parameters(
    ("empty_source", ("", ["K"]), "empty", "'' -> 'K' (no source)"),
    ("empty_target", ("a", []), "empty", "'a' -> '' (no target)"),
    (
      "long_source",
      ("abcab", ["K"]),
      "too_long",
      "'abcab' -> 'K' (source of 5, largest bucket 4)",
    ),
    (
      "long_target",
      ("a", ["K"] * 3),
      "too_long",
      "'a' -> 'KKK' (target of 4 with EOS, largest bucket 3)",
    ),
    (
      "unknown_source",
      ("axy", ["K"]),
      "unknown",
      "'axy' -> 'K' (source has unknown 'x', 'y')",
    ),
    (
      "unknown_target",
      ("a", ["K", "Q"]),
      "unknown",
      "'a' -> 'KQ' (target has unknown 'Q')",
    ),
    (
      "empty_and_long",
      ("abcab", []),
      "empty",
      "'abcab' -> '' (no target)",
    ),
    (
      "long_and_unknown",
      ("xxxxx", ["K"]),
      "too_long",
      "'xxxxx' -> 'K' (source of 5, largest bucket 4)",
    ),
  )
  def test_what_cannot_be_used_is_counted_and_shown(self, pair, kind, shown):
    examples, report = self.encode([("ab", ["K"]), pair, ("c", ["AE"])])
    self.assertEqual(examples, [([4, 5], [4]), ([6], [5])])
    counts = {kind: getattr(report, kind) for kind in report.KINDS}
    wanted = dict.fromkeys(report.KINDS, 0)
    wanted.update({"kept": 2, kind: 1})
    self.assertEqual(counts, wanted)
    self.assertEqual(report.examples[kind], (shown,))

  def test_what_just_fits_is_kept(self):
    examples, report = self.encode([("abca", ["K", "K"])])
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
    examples, report = self.encode([pair, ("a", ["K"])], unknown="unk")
    self.assertEqual(examples, [example, ([4], [4])])
    self.assertEqual((report.kept, report.replaced), (2, 1))
    self.assertEqual((report.unknown, report.dropped), (0, 0))

  def test_an_iterator_of_pairs_will_do(self):
    examples, _ = self.encode(iter([("a", ["K"])]))
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
    examples, report = self.encode(pairs)
    self.assertLen(examples, report.kept)
    self.assertEqual(report.kept + report.dropped, 300)
    for kind in report.DROPPED:
      self.assertGreater(getattr(report, kind), 0)
    drawn = batches.PairBatches(examples, [2, 4], [3], 16)
    self.assertEqual(sum(b.words for b in drawn.epoch(0)), report.kept)

  def test_another_way_with_unknown_symbols_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "got 'raise'"):
      self.encode([], unknown="raise")

  def test_bad_buckets_are_refused_by_name(self):
    vocab = vocabulary.Vocabulary("a")
    with self.assertRaisesRegex(
      errors.ArgumentError, "encode_pairs: target_buckets"
    ):
      batches.encode_pairs([], vocab, vocab, [3], [0])


if __name__ == "__main__":
  absltest.main()

"""Tests for `tangle.seq2seq.batches`."""

import collections
import itertools
import zlib

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import batches, bucketing, buckets, rows
from tests.seq2seq import comparing

PAD, GO, EOS, UNK = range(4)

SOURCE_BUCKETS = (3, 6, 10)
TARGET_BUCKETS = (4, 8, 11)
INDEPENDENT = bucketing.IndependentBuckets(SOURCE_BUCKETS, TARGET_BUCKETS)
JOINT = bucketing.JointBuckets(zip(SOURCE_BUCKETS, TARGET_BUCKETS))
KINDS = (("independent", INDEPENDENT), ("joint", JOINT))
REVERSED = rows.PLAIN._replace(reverse_source=True)

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


def make(examples, batch_size=8, kind=INDEPENDENT, **kwargs):
  """Returns batches of `examples` in the buckets of these tests."""
  return batches.PairBatches(examples, kind, batch_size, **kwargs)


def cell_of(batch):
  """Returns the pair of buckets that `batch` is padded to."""
  return batch.source_bucket, batch.target_bucket


def own_cells(batch, examples, kind=INDEPENDENT):
  """Returns the cells that the examples of `batch` belong to, one for each."""
  chosen = [examples[index] for index in batch.indices]
  assigned = kind.assign(
    [len(source) for source, _ in chosen],
    [len(target) + 1 for _, target in chosen],
  )
  return [kind.cells[index] for index in assigned]


def indices_of(drawn):
  """Returns the indices of the batches `drawn`, in order, as lists."""
  return [batch.indices.tolist() for batch in drawn]


class BatchesTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)

  def assert_same(self, drawn, wanted):
    """Fails unless both are the same batches, in every array."""
    drawn, wanted = list(drawn), list(wanted)
    self.assertEqual(len(drawn), len(wanted))
    for one, other in zip(drawn, wanted):
      comparing.assert_same(one, other)


class PairBatchesTest(BatchesTestCase):
  def check_batch(self, batch, examples):
    """Fails unless each row of `batch` is its example, padded."""
    self.assertLen(batch.indices, batch.examples)
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
    sizes = sorted(batch.examples for batch in drawn.epoch(seed))
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
      b, s, t = batch.examples, batch.source_bucket, batch.target_bucket
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
      for value in (s, t, batch.examples, batch.symbols):
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
      if len(cells) == 1 and batch.examples == 8:
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
    (batch,) = make([([5, 6, 7, 8], [9])], layout=REVERSED).epoch(0)
    self.assertEqual(batch.source.tolist(), [[8, 7, 6, 5, PAD, PAD]])
    self.assertEqual(batch.source_lengths.tolist(), [4])
    self.assertEqual(batch.targets.tolist(), [[9, EOS, PAD, PAD]])

  @parameterized.named_parameters(*SEEDS)
  def test_reversing_changes_the_source_alone(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    turned = [(source[::-1], target) for source, target in examples]
    self.assert_same(
      make(examples, layout=REVERSED).epoch(0), make(turned).epoch(0)
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
      "source of example 1 has length 11.* bucket, 10. Add",
    ),
    (
      "long_target",
      [([5], [6] * 11)],
      errors.BucketError,
      "target, with EOS, of example 0 has length 12.* bucket, 11",
    ),
  )
  def test_refuses_examples(self, examples, error, message):
    with self.assertRaisesRegex(error, "PairBatches: .*" + message):
      make(examples)

  @parameterized.named_parameters(
    ("batch_size", (INDEPENDENT, 0), "PairBatches: batch_size .* got 0"),
    ("seed", (INDEPENDENT, 8, -1), "PairBatches: seed .* got -1"),
    ("large_seed", (INDEPENDENT, 8, 2**32), "PairBatches: seed .* at most"),
    ("lists", ([3], 8), "PairBatches: buckets must be Indep.* got .*Pass Ind"),
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

  @parameterized.named_parameters(*KINDS)
  def test_the_tutorials_layout_pads_left_and_feeds_eos(self, kind):
    (batch,) = make(
      [([5, 6, 7, 8], [9, 10])], kind=kind, layout=rows.TUTORIAL
    ).epoch(0)
    self.assertEqual(batch.source.tolist(), [[PAD, PAD, 8, 7, 6, 5]])
    width = batch.target_bucket
    inputs = [GO, 9, 10, EOS] + [PAD] * (width - 4)
    self.assertEqual(batch.decoder_inputs.tolist(), [inputs])
    self.assertEqual(batch.targets.tolist(), [inputs[1:] + [PAD]])
    self.assertEqual(batch.weights.tolist(), [[1.0] * 3 + [0.0] * (width - 3)])


class JointBatchesTest(BatchesTestCase):
  @parameterized.named_parameters(*SEEDS)
  def test_every_example_is_seen_once_in_a_bucket_that_holds_it(self, seed):
    examples = random_examples(np.random.RandomState(seed))
    drawn = make(examples, 8, JOINT, seed=seed)
    seen = []
    for batch in drawn.epoch(seed):
      self.assertIn(cell_of(batch), JOINT.cells)
      self.assertEqual(cell_of(batch), max(own_cells(batch, examples, JOINT)))
      seen += batch.indices.tolist()
    self.assertEqual(sorted(seen), list(range(203)))
    self.assertLen(drawn, -(-203 // 8))

  def test_the_first_pair_that_fits_both_sides_is_taken(self):
    lengths = {
      (1, 0): (3, 4),
      (1, 9): (10, 11),
      (5, 0): (6, 8),
      (9, 1): (10, 11),
    }
    for (source, target), cell in lengths.items():
      (batch,) = make([([5] * source, [6] * target)], kind=JOINT).epoch(0)
      self.assertEqual(cell_of(batch), cell)

  def test_a_joint_epoch_wastes_at_least_what_an_independent_does(self):
    examples = random_examples(self.rng, 600)
    waste = {
      name: make(examples, 4, kind, pool=False).padding_waste
      for name, kind in KINDS
    }
    self.assertGreater(waste["joint"].source, waste["independent"].source)
    self.assertGreater(waste["joint"].target, waste["independent"].target)

  @parameterized.named_parameters(
    ("source", ([5] * 10, [6]), "source of example 1 .* length 10, not less"),
    ("target", ([5], [6] * 10), "target, with EOS, of example 1 .* length 11"),
  )
  def test_strict_buckets_refuse_what_fills_them(self, example, message):
    strict = bucketing.JointBuckets(JOINT.cells, strict=True)
    with self.assertRaisesRegex(errors.BucketError, message):
      make([([5], [6]), example], kind=strict)
    make([example], kind=JOINT)


class BatchSizeTest(BatchesTestCase):
  def sizes(self, kind):
    """Returns a size for each cell, as a dict."""
    return {cell: 1 + self.rng.randint(12) for cell in kind.cells}

  @parameterized.named_parameters(
    *[
      (f"{name}_{seed}{suffix}", kind, seed, pool)
      for name, kind in KINDS
      for seed in range(3)
      for suffix, pool in (("", True), ("_not_pooled", False))
    ]
  )
  def test_sizes_of_cells_keep_the_guarantees(self, kind, seed, pool):
    self.rng.seed(seed)
    examples, sizes = random_examples(self.rng), self.sizes(kind)
    drawn = make(examples, sizes, kind, seed=seed, pool=pool)
    whole = list(drawn.epoch(seed))
    self.assertLen(drawn, len(whole))
    seen = itertools.chain(*indices_of(whole))
    self.assertEqual(sorted(seen), list(range(203)))
    self.assert_same(drawn.epoch(seed, start=5), whole[5:])
    full = collections.Counter()
    for batch in whole:
      self.assertLessEqual(batch.examples, sizes[cell_of(batch)])
      own = set(own_cells(batch, examples, kind))
      if own == {cell_of(batch)} and batch.examples == sizes[cell_of(batch)]:
        full[cell_of(batch)] += 1
    for cell, count in drawn.cell_counts.items():
      self.assertGreaterEqual(full[cell], count // sizes[cell])

  @parameterized.named_parameters(*KINDS)
  def test_a_pooled_batch_is_ended_only_where_the_next_does_not_fit(self, kind):
    examples, sizes = random_examples(self.rng), self.sizes(kind)
    drawn = list(make(examples, sizes, kind).in_order())
    counts = make(examples, sizes, kind).cell_counts
    pooled = drawn[sum(count // sizes[c] for c, count in counts.items()) :]
    index = {cell: n for n, cell in enumerate(kind.cells)}
    for batch, following in zip(pooled, pooled[1:]):
      first = index[own_cells(following, examples, kind)[0]]
      joined = kind.cells[kind.join(index[cell_of(batch)], first)]
      self.assertGreaterEqual(batch.examples, sizes[joined])

  def test_a_mapping_a_callable_and_an_int_can_say_the_same(self):
    examples = random_examples(self.rng)
    wanted = list(make(examples, 8).epoch(1))
    self.assert_same(
      make(examples, dict.fromkeys(INDEPENDENT.cells, 8)).epoch(1), wanted
    )
    self.assert_same(make(examples, lambda s, t: 8).epoch(1), wanted)

  @parameterized.named_parameters(*KINDS)
  def test_a_budget_bounds_the_positions_of_every_batch(self, kind):
    budget = bucketing.TokenBudget(50)
    drawn = list(make(random_examples(self.rng), budget, kind).epoch(0))
    positions = [batch.source.size + batch.targets.size for batch in drawn]
    self.assertLessEqual(max(positions), 50)
    self.assertGreater(max(batch.examples for batch in drawn), 5)

  @parameterized.named_parameters(*KINDS)
  def test_without_pooling_every_batch_is_of_one_cell(self, kind):
    examples = random_examples(self.rng)
    drawn = make(examples, 8, kind, pool=False)
    short = collections.Counter()
    for batch in drawn.epoch(0):
      self.assertEqual(set(own_cells(batch, examples, kind)), {cell_of(batch)})
      short[cell_of(batch)] += batch.examples < 8
    self.assertLessEqual(max(short.values()), 1)
    counts = drawn.cell_counts.values()
    self.assertLen(drawn, sum(-(-count // 8) for count in counts))

  def test_without_pooling_in_order_is_cell_by_cell(self):
    drawn = make(random_examples(self.rng), 8, pool=False).in_order()
    runs = [cell for cell, _ in itertools.groupby(drawn, cell_of)]
    self.assertLen(runs, len(set(runs)))

  def test_only_the_cells_that_have_examples_need_a_size(self):
    examples = [([5], [6]), ([5] * 9, [6])]
    sizes = {(3, 4): 2, (10, 4): 2}
    self.assertLen(make(examples, sizes, pool=False), 2)
    self.assertLen(make(examples, sizes), 1)

  def test_a_pooled_batch_without_a_size_is_refused_with_the_remedy(self):
    examples, sizes = [([5], [6] * 9), ([5] * 9, [6])], {(3, 11): 2, (10, 4): 2}
    with self.assertRaisesRegex(
      errors.ArgumentError, r"no entry for the cell \(10, 11\).*pool=False"
    ):
      make(examples, sizes)
    self.assertLen(make(examples, sizes, pool=False), 2)

  @parameterized.parameters(0, 1.5, None, "8")
  def test_a_size_that_is_none_is_refused_with_its_cell(self, size):
    with self.assertRaisesRegex(
      errors.ArgumentError, r"PairBatches: batch_size at the cell \(3, 4\) must"
    ):
      make([([5], [6])], lambda source, target: size)


class DigestTest(BatchesTestCase):
  def test_other_batches_have_another_checksum(self):
    examples = random_examples(self.rng)
    drawn = {
      "same": make(examples),
      "examples": make(examples[:-1] + [([5], [7])]),
      "size": make(examples, 7),
      "seed": make(examples, seed=1),
      "buckets": make(examples, kind=JOINT),
      "pool": make(examples, pool=False),
      "layout": make(examples, layout=REVERSED),
    }
    digests = {name: one.digest() for name, one in drawn.items()}
    self.assertLen(set(digests.values()), len(drawn))
    self.assertEqual(make(examples).digest(), digests["same"])


if __name__ == "__main__":
  absltest.main()

"""Tests for `tangle.seq2seq.multi_source`."""

import collections
import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import batches, bucketing, grids, multi_source, rows
from tangle.training import sources as sources_lib

PAD, GO, EOS, UNK = range(4)

SIDES = (3, 6), (2, 5, 9), (4, 8)
BUCKETS = grids.GridBuckets(SIDES)


def random_examples(rng, count=203):
  """Returns examples of two sources of 1..6 and 1..9 ids, and 0..7 targets."""
  return [
    tuple(
      rng.randint(4, 30, rng.randint(low, high)).tolist()
      for low, high in ((1, 7), (1, 10), (0, 8))
    )
    for _ in range(count)
  ]


def make(examples, batch_size=8, buckets=BUCKETS, **kwargs):
  return multi_source.MultiSourceBatches(
    examples, buckets, batch_size, **kwargs
  )


def cell_of(batch):
  return batch.source_buckets + (batch.target_bucket,)


def own_cell(example):
  lengths = [len(example[0]), len(example[1]), len(example[2]) + 1]
  return tuple(
    min(bucket for bucket in side if bucket >= length)
    for side, length in zip(SIDES, lengths)
  )


def same(one, other):
  """Returns whether two batches are equal in every array."""
  return all(
    len(left) == len(right) and all(map(np.array_equal, left, right))
    if isinstance(left, tuple)
    else np.array_equal(left, right)
    for left, right in zip(one, other)
  )


class MultiSourceBatchesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)

  def check_batch(self, batch, examples):
    """Fails unless each row of `batch` is its example, padded."""
    self.assertLen(batch.indices, batch.examples)
    for row, index in enumerate(batch.indices):
      *sources, target = examples[index]
      for k, source in enumerate(sources):
        pad = [PAD] * (batch.source_buckets[k] - len(source))
        self.assertEqual(batch.sources[k][row].tolist(), source + pad)
        self.assertEqual(batch.source_lengths[k][row], len(source))
      pad = [PAD] * (batch.target_bucket - len(target) - 1)
      inputs, targets = [GO] + target + pad, target + [EOS] + pad
      self.assertEqual(batch.decoder_inputs[row].tolist(), inputs)
      self.assertEqual(batch.targets[row].tolist(), targets)
      ones = [1.0] * (len(target) + 1) + [0.0] * len(pad)
      self.assertEqual(batch.weights[row].tolist(), ones)
    self.assertEqual(batch.symbols, int(batch.weights.sum()))

  @parameterized.parameters(0, 1, 2)
  def test_every_example_is_seen_once_an_epoch_whole(self, seed):
    rng = np.random.RandomState(seed)
    for count, size in ((1, 8), (8, 8), (203, 8), (203, 1), (50, 64)):
      examples = random_examples(rng, count)
      drawn = make(examples, size, seed=seed)
      for n in range(2):
        seen = []
        for batch in drawn.epoch(n):
          self.check_batch(batch, examples)
          self.assertIn(cell_of(batch), BUCKETS.cells)
          seen += batch.indices.tolist()
        self.assertEqual(sorted(seen), list(range(count)))
      self.assertLen(drawn, -(-count // size))

  def test_arrays_have_the_types_of_their_feeds(self):
    batch = next(make(random_examples(self.rng)).epoch(0))
    for array in batch.sources + batch.source_lengths:
      self.assertEqual(array.dtype, np.int32)
    types = [batch.decoder_inputs.dtype, batch.targets.dtype]
    self.assertEqual(types, [np.int32] * 2)
    self.assertEqual(batch.weights.dtype, np.float32)
    self.assertEqual(batch.indices.dtype, np.int64)
    for value in cell_of(batch) + (batch.examples, batch.symbols):
      self.assertIs(type(value), int)

  def test_sides_are_padded_independently(self):
    lengths = list(itertools.product((1, 6), (1, 9), (0, 7)))
    examples = [([5] * a, [6] * b, [7] * c) for a, b, c in lengths] * 4
    shapes = {cell_of(batch) for batch in make(examples, 4).epoch(0)}
    self.assertCountEqual(shapes, itertools.product((3, 6), (2, 9), (4, 8)))

  def test_full_batches_are_padded_to_the_cell_of_their_examples(self):
    examples = random_examples(self.rng)
    drawn = make(examples, 8, pool=False)
    for batch in drawn.epoch(0):
      cells = {own_cell(examples[index]) for index in batch.indices}
      self.assertEqual(cells, {cell_of(batch)})
    counts = collections.Counter(map(own_cell, examples))
    self.assertEqual(drawn.cell_counts, counts)

  @parameterized.parameters(0, 1, 2)
  def test_a_run_goes_on_where_it_stopped(self, seed):
    examples = random_examples(self.rng)
    whole = list(make(examples, seed=seed).epoch(4))
    for start in (0, 1, len(whole) - 1, len(whole)):
      rest = list(make(examples, seed=seed).epoch(4, start=start))
      self.assertLen(rest, len(whole) - start)
      self.assertTrue(all(map(same, rest, whole[start:])))

  def test_epochs_of_training_go_on_across_their_ends(self):
    examples = random_examples(self.rng, 40)
    stream = sources_lib.Epochs(make(examples), epochs=3).at()
    positions, found = [], []
    positions.append(stream.position)
    for batch in stream:
      found.append(batch)
      positions.append(stream.position)
    self.assertLen(found, 15)
    for count in (0, 4, 5, 11, 15):
      again = sources_lib.Epochs(make(examples), epochs=3)
      rest = list(again.at(positions[count]))
      self.assertLen(rest, 15 - count)
      self.assertTrue(all(map(same, rest, found[count:])))
    with self.assertRaisesRegex(errors.DataError, "one of other batches"):
      sources_lib.Epochs(make(examples, 7)).at(positions[1])

  def test_in_order_sees_every_example_once(self):
    drawn = make(random_examples(self.rng))
    seen = [batch.indices.tolist() for batch in drawn.in_order()]
    self.assertEqual(sorted(itertools.chain(*seen)), list(range(203)))
    again = [batch.indices.tolist() for batch in drawn.in_order()]
    self.assertEqual(seen, again)

  def test_padding_waste_is_that_of_the_batches_drawn(self):
    drawn = make(random_examples(self.rng))
    epoch = list(drawn.epoch(0))
    wanted = []
    for k in range(2):
      real = sum(batch.source_lengths[k].sum() for batch in epoch)
      wanted.append(1 - real / sum(batch.sources[k].size for batch in epoch))
    self.assertLen(drawn.padding_waste.sources, 2)
    np.testing.assert_allclose(drawn.padding_waste.sources, wanted)
    real = sum(batch.symbols for batch in epoch)
    target = 1 - real / sum(batch.weights.size for batch in epoch)
    self.assertAlmostEqual(drawn.padding_waste.target, target)

  def test_a_budget_is_of_the_positions_of_all_sides(self):
    budget = bucketing.TokenBudget(60)
    drawn = list(make(random_examples(self.rng), budget).epoch(0))
    positions = [batch.examples * sum(cell_of(batch)) for batch in drawn]
    self.assertLessEqual(max(positions), 60)
    self.assertGreater(max(batch.examples for batch in drawn), 4)

  def test_one_source_is_as_pairs_are(self):
    examples = random_examples(self.rng)
    pairs = [example[1:] for example in examples]
    several = make(pairs, buckets=grids.GridBuckets(SIDES[1:]), seed=3)
    one = batches.PairBatches(
      pairs, bucketing.IndependentBuckets(*SIDES[1:]), 8, seed=3
    )
    self.assertLen(several, len(one))
    for found, wanted in zip(several.epoch(2), one.epoch(2)):
      np.testing.assert_array_equal(found.sources[0], wanted.source)
      np.testing.assert_array_equal(found.targets, wanted.targets)
      np.testing.assert_array_equal(found.indices, wanted.indices)

  def test_the_tutorials_layout_holds_for_every_source(self):
    batch = next(
      make([([5, 6], [7, 8, 9], [10])], layout=rows.TUTORIAL).epoch(0)
    )
    self.assertEqual(batch.sources[0].tolist(), [[PAD, 6, 5]])
    self.assertEqual(batch.sources[1].tolist(), [[PAD, PAD, 9, 8, 7]])
    self.assertEqual(batch.decoder_inputs.tolist(), [[GO, 10, EOS, PAD]])

  def test_other_batches_have_another_checksum(self):
    examples = random_examples(self.rng)
    swapped = [(b, a, c) for a, b, c in examples]
    wide = grids.GridBuckets([(3, 9), (2, 5, 9), (4, 8)])
    digests = {
      "same": make(examples).digest(),
      "size": make(examples, 7).digest(),
      "seed": make(examples, seed=1).digest(),
      "pool": make(examples, pool=False).digest(),
      "buckets": make(examples, buckets=wide).digest(),
      "swapped": make(
        swapped, buckets=grids.GridBuckets([(3, 9), (3, 9), (8,)])
      ).digest(),
    }
    self.assertLen(set(digests.values()), len(digests))
    self.assertEqual(make(examples).digest(), digests["same"])

  @parameterized.named_parameters(
    ("none", [], errors.ArgumentError, "examples is empty"),
    (
      "a_pair",
      [([5], [6], []), ([5], [6])],
      errors.DataError,
      r"\[1\] must be 3 sequences \(source 0 ids, source 1 ids, target ids\)",
    ),
    ("no_tuple", [5], errors.DataError, r"\[0\] must be 3 sequences"),
    ("ids", [(5, 6, 7)], errors.DataError, r"\[0\] must be 3 sequences"),
    (
      "empty",
      [([5], [], [7])],
      errors.DataError,
      r"source 1 of examples\[0\] is empty",
    ),
    ("symbols", [([5], "ab", [])], errors.DataError, "source 1 .* got 'ab'"),
    (
      "long_source",
      [([5], [6] * 10, [])],
      errors.BucketError,
      "source 1 of example 0 has length 10.* bucket, 9. Add",
    ),
    (
      "long_target",
      [([5], [6], [7] * 8)],
      errors.BucketError,
      "target, with EOS, of example 0 has length 9.* bucket, 8",
    ),
  )
  def test_refuses_examples(self, examples, error, message):
    with self.assertRaisesRegex(error, "MultiSourceBatches: .*" + message):
      make(examples)

  @parameterized.named_parameters(
    ("list", [3], "buckets must be GridBuckets of several"),
    ("one_side", grids.GridBuckets([[3]]), "buckets must be GridBuckets"),
  )
  def test_refuses_buckets(self, buckets, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      make([([5], [6], [7])], buckets=buckets)

  def test_pairs_refuse_the_buckets_of_tuples(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "PairBatches: buckets must be Independent.*got Grid"
    ):
      batches.PairBatches([([5], [6])], BUCKETS, 8)


class MultiSourceExamplesTest(parameterized.TestCase):
  def test_what_is_collected_is_what_was_given(self):
    given = random_examples(np.random.RandomState(0), 20)
    examples = multi_source.collect(iter(given), 2)
    self.assertEqual(list(examples), given)
    self.assertEqual(examples[3:9:2], given[3:9:2])
    self.assertEqual(examples[-1], given[-1])
    self.assertIs(multi_source.collect(examples, 2), examples)
    with self.assertRaisesRegex(errors.ArgumentError, "have 3 .* got 2"):
      multi_source.collect(examples, 3)

  def test_lengths_count_eos_where_it_is_added(self):
    examples = multi_source.collect([([5], [6, 7], [8])], 2)
    lengths = examples.side_lengths()
    self.assertEqual([n.tolist() for n in lengths.values()], [[1], [2], [2]])
    bare = examples.side_lengths(rows.PLAIN._replace(add_eos=False))
    self.assertEqual([n.tolist() for n in bare.values()], [[1], [2], [1]])

  def test_sides_that_change_places_have_another_checksum(self):
    digests = {
      multi_source.collect(
        list(itertools.permutations(sides))[n : n + 1], 2
      ).digest()
      for sides in [([5], [6], [7])]
      for n in range(6)
    }
    self.assertLen(digests, 6)

  def test_feeds_are_those_of_each_sub_model(self):
    batch = next(make([([5], [6, 7], [8])]).epoch(0))
    feeds = multi_source.feeds(batch, ["one", "two"], "decoder")
    self.assertEqual(list(feeds), ["one", "two", "decoder"])
    self.assertIs(feeds["two"]["source"], batch.sources[1])
    self.assertIs(feeds["one"]["lengths"], batch.source_lengths[0])
    self.assertEqual(set(feeds["decoder"]), {"inputs", "targets", "weights"})
    self.assertIs(feeds["decoder"]["inputs"], batch.decoder_inputs)
    self.assertNotIn("decoder", multi_source.feeds(batch, ["one", "two"]))


if __name__ == "__main__":
  absltest.main()

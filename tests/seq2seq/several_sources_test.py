"""Tests of batches of examples with several sources."""

import collections
import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import batches, bucketing, rows
from tangle.training import sources as sources_lib
from tests.seq2seq import comparing

PAD, GO, EOS, UNK = range(4)

SIDES = (3, 6), (2, 5, 9), (4, 8)
BUCKETS = bucketing.IndependentBuckets(*SIDES)


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
  return batches.PairBatches(examples, buckets, batch_size, **kwargs)


def cell_of(batch):
  return (*[source.bucket for source in batch.sources], batch.target_bucket)


def own_cell(example):
  lengths = [len(example[0]), len(example[1]), len(example[2]) + 1]
  return tuple(
    min(bucket for bucket in side if bucket >= length)
    for side, length in zip(SIDES, lengths)
  )


class SeveralSourcesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)

  def check_batch(self, batch, examples):
    """Fails unless each row of `batch` is its example, padded."""
    self.assertLen(batch.indices, batch.examples)
    for row, index in enumerate(batch.indices):
      *sources, target = examples[index]
      for k, source in enumerate(sources):
        ids, lengths, bucket = batch.sources[k]
        pad = [PAD] * (bucket - len(source))
        self.assertEqual(ids[row].tolist(), source + pad)
        self.assertEqual(lengths[row], len(source))
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
    for source in batch.sources:
      self.assertEqual(source.ids.dtype, np.int32)
      self.assertEqual(source.lengths.dtype, np.int32)
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
      for one, other in zip(rest, found[count:]):
        comparing.assert_same(one, other)
    with self.assertRaisesRegex(errors.DataError, "one of other batches"):
      sources_lib.Epochs(make(examples, 7)).at(positions[1])

  def test_padding_waste_is_that_of_the_batches_drawn(self):
    drawn = make(random_examples(self.rng))
    epoch = list(drawn.epoch(0))
    wanted = []
    for k in range(2):
      real = sum(batch.sources[k].lengths.sum() for batch in epoch)
      size = sum(batch.sources[k].ids.size for batch in epoch)
      wanted.append(1 - real / size)
    np.testing.assert_allclose(drawn.padding_waste.source, wanted)
    real = sum(batch.symbols for batch in epoch)
    target = 1 - real / sum(batch.weights.size for batch in epoch)
    self.assertAlmostEqual(drawn.padding_waste.target, target)

  def test_a_budget_is_of_the_positions_of_all_sides(self):
    budget = bucketing.TokenBudget(60)
    drawn = list(make(random_examples(self.rng), budget).epoch(0))
    positions = [batch.examples * sum(cell_of(batch)) for batch in drawn]
    self.assertLessEqual(max(positions), 60)
    self.assertGreater(max(batch.examples for batch in drawn), 4)

  def test_the_tutorials_layout_holds_for_every_source(self):
    batch = next(
      make([([5, 6], [7, 8, 9], [10])], layout=rows.TUTORIAL).epoch(0)
    )
    self.assertEqual(batch.sources[0].ids.tolist(), [[PAD, 6, 5]])
    self.assertEqual(batch.sources[1].ids.tolist(), [[PAD, PAD, 9, 8, 7]])
    self.assertEqual(batch.decoder_inputs.tolist(), [[GO, 10, EOS, PAD]])

  def test_other_batches_have_another_checksum(self):
    examples = random_examples(self.rng)
    swapped = [(b, a, c) for a, b, c in examples]
    wide = bucketing.IndependentBuckets((3, 9), (2, 5, 9), (4, 8))
    digests = {
      "same": make(examples).digest(),
      "size": make(examples, 7).digest(),
      "seed": make(examples, seed=1).digest(),
      "pool": make(examples, pool=False).digest(),
      "buckets": make(examples, buckets=wide).digest(),
      "swapped": make(
        swapped, buckets=bucketing.IndependentBuckets((3, 9), (3, 9), (8,))
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
    with self.assertRaisesRegex(error, "PairBatches: .*" + message):
      make(examples)

  @parameterized.named_parameters(
    ("list", [3], "buckets must be Independent"),
    (
      "a_pair",
      bucketing.IndependentBuckets([3], [4]),
      r"\[0\] must be a pair",
    ),
  )
  def test_refuses_buckets(self, buckets, message):
    with self.assertRaisesRegex(errors.TangleError, message):
      make([([5], [6], [7])], buckets=buckets)

  def test_what_is_collected_is_what_was_given(self):
    given = random_examples(np.random.RandomState(0), 20)
    examples = rows.collect(iter(given), sides=3)
    self.assertEqual(list(examples), given)
    self.assertEqual(examples[3:9:2], given[3:9:2])
    self.assertEqual(examples[-1], given[-1])
    self.assertIs(rows.collect(examples, sides=3), examples)
    with self.assertRaisesRegex(errors.ArgumentError, "have 4 .* got 3"):
      rows.collect(examples, sides=4)

  def test_lengths_count_eos_where_it_is_added(self):
    examples = rows.collect([([5], [6, 7], [8])], sides=3)
    lengths = examples.side_lengths()
    self.assertEqual([n.tolist() for n in lengths], [[1], [2], [2]])
    bare = examples.side_lengths(rows.PLAIN._replace(add_eos=False))
    self.assertEqual([n.tolist() for n in bare], [[1], [2], [1]])


if __name__ == "__main__":
  absltest.main()

"""Tests for `tangle.seq2seq.rows`."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import rows

PAD, GO, EOS, UNK = range(4)


def random_pairs(rng, count=50):
  """Returns pairs of 1..9 source ids and 0..9 target ids, lists."""
  return [
    (
      rng.randint(4, 2**31 - 1, rng.randint(1, 10)).tolist(),
      rng.randint(4, 2**31 - 1, rng.randint(0, 10)).tolist(),
    )
    for _ in range(count)
  ]


class RowsTest(parameterized.TestCase):
  @parameterized.parameters(*itertools.product((False, True), repeat=2))
  def test_taken_rows_are_padded_as_asked(self, reverse, pad_left):
    rng = np.random.RandomState(0)
    wanted = [row for _, row in random_pairs(rng)]
    ids = np.array(list(itertools.chain(*wanted)), np.int32)
    laid = rows.Rows(ids, list(map(len, wanted)))
    chosen = rng.randint(0, len(wanted), 20)
    for width in (9, 13):
      taken = laid.take(chosen, width, reverse, pad_left)
      self.assertEqual((taken.shape, taken.dtype), ((20, width), np.int32))
      for index, got in zip(chosen, taken.tolist()):
        row = wanted[index][::-1] if reverse else wanted[index]
        pad = [PAD] * (width - len(row))
        self.assertEqual(got, pad + row if pad_left else row + pad)

  def test_it_is_a_sequence_of_lists(self):
    laid = rows.Rows([5, 6, 7], [2, 0, 1])
    self.assertEqual(list(laid), [[5, 6], [], [7]])
    self.assertEqual((len(laid), laid[-1], laid[0:2]), (3, [7], [[5, 6], []]))
    with self.assertRaises(IndexError):
      laid[3]

  def test_a_checksum_tells_rows_apart(self):
    digests = {
      rows.Rows(*arrays).digest()
      for arrays in (
        ([5, 6], [2]),
        ([6, 5], [2]),
        ([5, 6], [1, 1]),
        ([5, 6], [2, 0]),
        ([], []),
      )
    }
    self.assertLen(digests, 5)
    self.assertEqual(
      rows.Rows([5, 6], [2]).digest(),
      rows.Rows(np.array([5, 6], np.int64), np.array([2], np.int16)).digest(),
    )


class ExamplesTest(parameterized.TestCase):
  def batch(self, target_bucket=6, **changes):
    examples = rows.collect([([7], []), ([5, 6], [8, 9])])
    layout = rows.PLAIN._replace(**changes)
    return examples.batch([1, 0], (3, target_bucket), layout)

  def test_the_plain_layout(self):
    batch = self.batch()
    self.assertEqual(batch.source.tolist(), [[5, 6, PAD], [7, PAD, PAD]])
    self.assertEqual(
      batch.decoder_inputs.tolist(),
      [[GO, 8, 9, PAD, PAD, PAD], [GO] + [PAD] * 5],
    )
    self.assertEqual(
      batch.targets.tolist(), [[8, 9, EOS, PAD, PAD, PAD], [EOS] + [PAD] * 5]
    )
    self.assertEqual(
      batch.weights.tolist(), [[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    )
    self.assertEqual(batch.source_lengths.tolist(), [2, 1])
    self.assertEqual(batch.indices.tolist(), [1, 0])
    self.assertEqual((batch.source_bucket, *batch[1:2], *batch[3:4]), (3, 6, 2))
    self.assertEqual(batch.symbols, 4)

  def test_the_tutorials_layout(self):
    self.assertEqual(rows.TUTORIAL, (True, True, True, True))
    batch = self.batch(**rows.TUTORIAL._asdict())
    self.assertEqual(batch.source.tolist(), [[PAD, 6, 5], [PAD, PAD, 7]])
    self.assertEqual(
      batch.decoder_inputs.tolist(),
      [[GO, 8, 9, EOS, PAD, PAD], [GO, EOS, PAD, PAD, PAD, PAD]],
    )
    np.testing.assert_array_equal(batch.targets, self.batch().targets)
    np.testing.assert_array_equal(batch.weights, self.batch().weights)

  def test_eos_is_not_fed_where_there_is_no_room(self):
    self.assertEqual(
      self.batch(3, feed_eos=True).decoder_inputs.tolist(),
      [[GO, 8, 9], [GO, EOS, PAD]],
    )

  def test_targets_can_be_taken_as_they_are(self):
    batch = self.batch(3, add_eos=False, feed_eos=True)
    self.assertEqual(batch.targets.tolist(), [[8, 9, PAD], [PAD] * 3])
    self.assertEqual(
      batch.decoder_inputs.tolist(), [[GO, 8, 9], [GO, PAD, PAD]]
    )
    self.assertEqual(batch.weights.tolist(), [[1, 1, 0], [0, 0, 0]])
    self.assertEqual(batch.symbols, 2)

  def test_target_lengths_count_eos_where_it_is_added(self):
    examples = rows.collect([([7], []), ([5, 6], [8, 9])])
    self.assertEqual(examples.side_lengths()[-1].tolist(), [1, 3])
    bare = rows.PLAIN._replace(add_eos=False)
    self.assertEqual(examples.side_lengths(bare)[-1].tolist(), [0, 2])

  @parameterized.parameters(0, 1, 2)
  def test_what_is_collected_is_what_was_given(self, seed):
    pairs = random_pairs(np.random.RandomState(seed))
    examples = rows.collect(pairs)
    self.assertEqual(list(examples), pairs)
    self.assertEqual(examples[3:9:2], pairs[3:9:2])
    self.assertEqual(examples[-1], pairs[-1])
    self.assertIs(rows.collect(examples), examples)

  def test_a_collector_gathers_the_same(self):
    pairs = random_pairs(np.random.RandomState(0))
    collector = rows.Collector()
    for source, target in pairs:
      collector.add(source, tuple(target))
    examples = collector.examples()
    self.assertEqual(list(examples), pairs)
    self.assertEqual(examples.digest(), rows.collect(pairs).digest())
    collector.add([9], [9])
    self.assertLen(examples, len(pairs))

  def test_a_collector_gathers_any_number_of_sides(self):
    collector = rows.Collector(3)
    collector.add([5], (), [6, 7])
    collector.add([8], [9], [])
    found = [list(side) for side in collector.examples().sides]
    self.assertEqual(found, [[[5], [8]], [[], [9]], [[6, 7], []]])

  def test_lengths_are_of_each_side(self):
    examples = rows.collect([([7], []), ([5, 6], [8, 9])])
    lengths = [found.tolist() for found in examples.side_lengths()]
    self.assertEqual(lengths, [[1, 2], [1, 3]])

  def test_sides_that_change_places_have_another_checksum(self):
    for ids in ([5], [6]), ([5], [6], [7]):
      orders = list(itertools.permutations(ids))
      digests = {rows.collect([o], sides=len(ids)).digest() for o in orders}
      self.assertLen(digests, len(orders))

  @parameterized.named_parameters(
    ("none", [], errors.ArgumentError, "examples is empty"),
    ("nothing_collected", None, errors.ArgumentError, "examples is empty"),
    ("no_pair", [[5]], errors.DataError, r"examples\[0\] must be a pair"),
    ("empty", [([], [5])], errors.DataError, r"the source of examples\[0\]"),
    ("symbols", [("a", [5])], errors.DataError, "the source .* got 'a'"),
    ("large", [([5], [2**31])], errors.DataError, "the target .*2147483648"),
  )
  def test_refuses(self, pairs, error, message):
    if pairs is None:
      pairs = rows.Collector().examples()
    with self.assertRaisesRegex(error, message):
      rows.collect(pairs)

  def test_refuses_examples_with_other_sides(self):
    examples = rows.collect([([5], [6], [7])], sides=3)
    self.assertEqual(list(examples), [([5], [6], [7])])
    with self.assertRaisesRegex(errors.ArgumentError, "have 2 sides.* got 3"):
      rows.collect(examples)


if __name__ == "__main__":
  absltest.main()

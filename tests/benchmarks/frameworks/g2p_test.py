"""Tests of the task of g2p training."""

import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.frameworks import g2p
from tangle.seq2seq import vocabulary
from tests.benchmarks.frameworks import g2p_tiny

SIZES = g2p.Sizes(batch=4, units=2, layers=1, longest=4, buckets=2, batches=3)


def entries(count):
  """Returns words of one to six letters, and their phonemes."""
  rng = np.random.RandomState(0)
  found = []
  for k in range(count):
    letters = rng.choice(list("abc"), 1 + k % 6)
    found.append(("".join(letters), [f"{c.upper()}1" for c in letters[:4]]))
  return found


class G2pTest(absltest.TestCase):
  def test_what_is_saved_is_what_is_made(self):
    task = g2p_tiny.make()
    self.assertEqual(task.symbols, g2p_tiny.SYMBOLS)
    self.assertEqual(task.words, 2 * len(g2p_tiny.PAIRS))
    self.assertEqual(task.pairs, [(2, 3), (3, 2)])
    expected = g2p_tiny.draw_batches(2)
    self.assertLen(task.batches, len(expected))
    for found, batch in zip(task.batches, expected):
      for array, other in zip(found, batch):
        np.testing.assert_array_equal(array, other)
        self.assertEqual(array.dtype, other.dtype)

  def test_weights_depend_on_name_shape_and_seed_alone(self):
    shapes = {"a": [3, 4], "b": [4]}
    first = g2p_tiny.make().draw(shapes)
    again = g2p_tiny.make().draw({"b": [4]})
    other = g2p_tiny.make(seed=1).draw(shapes)
    np.testing.assert_array_equal(first["b"], again["b"])
    self.assertFalse(np.array_equal(first["b"], other["b"]))
    self.assertEqual(first["a"].dtype, np.float32)
    self.assertTrue(np.all(first["b"]))

  def test_arithmetic_is_that_of_the_products_by_hand(self):
    sizes = g2p.Sizes(units=2, layers=1)
    # A step of a layer: [2 + 2] x [4, 8]; its keys: [2] x [2, 2].
    encoder = 3 * (4 * 8 + 2 * 2)
    # Input and context, query of c and h, scores and contexts of 3 steps, both
    # maps to 5 symbols.
    decoder = 4 * 8 + 4 * 2 + 4 * 2 + 2 * 3 * 2 + 2 * 5 + (5 + 2) * 5
    by_hand = 3 * 2 * (encoder + decoder)
    self.assertEqual(g2p.count_flops(sizes, 5, (3, 1)), by_hand)

  def test_a_cycle_counts_all_its_batches(self):
    task = g2p_tiny.make()
    expected = sum(
      2 * g2p.count_flops(task.sizes, g2p_tiny.SYMBOLS[1], pair)
      for pair in g2p_tiny.PAIRS
    )
    self.assertEqual(task.flops, expected)

  def test_a_file_that_is_not_there_is_named(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "nowhere.npz")
      with self.assertRaisesRegex(errors.DataError, "nowhere.*g2p.write"):
        g2p.make("g2p", g2p.SIZES["g2p"]["tiny"], 0, path)


class WriteTest(absltest.TestCase):
  def write(self, seed=0, count=60):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "batches.npz")
      g2p.write(path, "g2p", SIZES, seed, entries=entries(count))
      return g2p.make("g2p", SIZES, seed, path)

  def test_a_cycle_is_of_full_batches_in_the_tutorials_layout(self):
    task = self.write()
    self.assertLen(task.batches, 3)
    self.assertEqual(task.words, 12)
    self.assertEqual(task.symbols, (4 + 3, 4 + 3))
    for batch in task.batches:
      self.assertTrue(np.all(batch.inputs[:, 0] == vocabulary.GO_ID))
      self.assertTrue(np.all(batch.source[:, -1] != vocabulary.PAD_ID))
      padding = batch.targets == vocabulary.PAD_ID
      np.testing.assert_array_equal(batch.weights == 0, padding)
      # What contrib relies on: targets are the inputs one further on.
      np.testing.assert_array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])

  def test_longer_words_are_left_out(self):
    for batch in self.write().batches:
      self.assertLessEqual(np.sum(batch.source != 0, 1).max(), 4)

  def test_the_seed_draws_the_words(self):
    first, again, other = self.write(), self.write(), self.write(seed=1)
    np.testing.assert_array_equal(
      first.batches[0].source, again.batches[0].source
    )
    self.assertFalse(
      all(
        np.array_equal(a.source, b.source)
        for a, b in zip(first.batches, other.batches)
      )
    )

  def test_too_few_words_raise(self):
    with self.assertRaisesRegex(errors.DataError, "takes 12 words"):
      self.write(count=12)


if __name__ == "__main__":
  absltest.main()

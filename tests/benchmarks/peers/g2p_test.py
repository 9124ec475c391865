"""Tests of the task of g2p training."""

import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import g2p
from tests.benchmarks.peers import g2p_tiny


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
      with self.assertRaisesRegex(errors.DataError, "nowhere.*g2p_data.write"):
        g2p.make(g2p.SIZES["tiny"], 0, path)


if __name__ == "__main__":
  absltest.main()

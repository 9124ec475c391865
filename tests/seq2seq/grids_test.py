"""Tests for `tangle.seq2seq.grids`."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import bucketing, grids

SIDES = [3, 7], [4, 5, 9], [2, 6, 8]


class GridBucketsTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_each_side_has_the_smallest_bucket_that_fits(self, strict):
    buckets = grids.GridBuckets(SIDES, strict=strict)
    lengths = np.array(list(itertools.product(range(11), repeat=3))).T
    found = buckets.assign(*lengths)
    for example, index in zip(lengths.T, found):
      wanted = tuple(
        next((b for b in side if length + int(strict) <= b), None)
        for length, side in zip(example, SIDES)
      )
      got = buckets.cells[index] if index >= 0 else None
      self.assertEqual(got, None if None in wanted else wanted)

  def test_next_in_order_is_next_in_the_grid(self):
    cells = grids.GridBuckets(SIDES).cells
    self.assertCountEqual(cells, itertools.product(*SIDES))
    self.assertTrue(all(type(n) is int for cell in cells for n in cell))
    for one, other in zip(cells, cells[1:]):
      steps = [
        abs(side.index(a) - side.index(b))
        for side, a, b in zip(SIDES, one, other)
      ]
      self.assertEqual(sum(steps), 1)

  def test_joined_cells_are_the_smallest_that_hold_both(self):
    buckets = grids.GridBuckets(SIDES)
    cells = buckets.cells
    for one, other in itertools.product(range(len(cells)), repeat=2):
      joined = buckets.join(one, other)
      self.assertIs(type(joined), int)
      self.assertEqual(cells[joined], tuple(map(max, cells[one], cells[other])))

  def test_two_sides_are_independent_buckets(self):
    grid = grids.GridBuckets(SIDES[:2])
    pairs = bucketing.IndependentBuckets(*SIDES[:2])
    self.assertEqual(grid.cells, pairs.cells)
    self.assertEqual(grid.sides, (pairs.source_buckets, pairs.target_buckets))

  def test_the_longest_that_fit_are_of_each_side(self):
    self.assertEqual(grids.GridBuckets(SIDES).longest, (7, 9, 8))
    self.assertEqual(grids.GridBuckets(SIDES, strict=True).longest, (6, 8, 7))

  def test_they_are_equal_if_made_alike_and_print_so(self):
    one, other = grids.GridBuckets(SIDES), grids.GridBuckets(SIDES)
    self.assertEqual(one, other)
    self.assertEqual(hash(one), hash(other))
    self.assertNotEqual(one, grids.GridBuckets(SIDES, strict=True))
    self.assertNotEqual(one, grids.GridBuckets(SIDES[::-1]))
    self.assertEqual(
      repr(grids.GridBuckets([(3, 4), [5]], strict=True)),
      "GridBuckets([[3, 4], [5]], strict=True)",
    )

  @parameterized.named_parameters(
    ("none", [], "sides is empty"),
    ("falling", [[3], [5, 4]], r"sides\[1\] must be"),
    ("a_list", [3, 5], r"sides\[0\] must be"),
  )
  def test_refuses(self, sides, message):
    with self.assertRaisesRegex(
      errors.ArgumentError, "GridBuckets: " + message
    ):
      grids.GridBuckets(sides)

  def test_lengths_of_another_number_of_sides_are_refused(self):
    with self.assertRaisesRegex(
      errors.ArgumentError,
      "assign: must have .* of 3 sides .*, got 2 ",
    ):
      grids.GridBuckets(SIDES).assign([1], [1])


if __name__ == "__main__":
  absltest.main()

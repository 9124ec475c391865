"""Tests for `tangle.seq2seq.bucketing`."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import bucketing

TUTORIAL = [(5, 10), (10, 15), (20, 25), (40, 50)]

STRICT = (("strict", True), ("not_strict", False))


def fits(lengths, cell, strict):
  """Returns whether both lengths fit a cell, the plain way."""
  return all(
    length < bucket or (length == bucket and not strict)
    for length, bucket in zip(lengths, cell)
  )


def every_length(longest):
  """Returns all pairs of lengths up to `longest`, as two arrays."""
  return np.array(list(itertools.product(range(1, longest + 1), repeat=2))).T


class JointBucketsTest(parameterized.TestCase):
  @parameterized.named_parameters(*STRICT)
  def test_an_example_is_in_the_first_pair_that_fits(self, strict):
    buckets = bucketing.JointBuckets(TUTORIAL, strict)
    sources, targets = every_length(60)
    found = buckets.assign(sources, targets)
    for source, target, index in zip(sources, targets, found):
      wanted = [
        n
        for n, cell in enumerate(TUTORIAL)
        if fits((source, target), cell, strict)
      ]
      self.assertEqual(index, wanted[0] if wanted else -1, (source, target))

  @parameterized.parameters(
    (4, 9, 0), (5, 9, 1), (4, 10, 1), (9, 14, 1), (10, 2, 2), (1, 15, 2),
    (39, 49, 3), (40, 49, -1), (39, 50, -1), (1, 1, 0),
  )  # fmt: skip
  def test_the_strict_rule_is_the_tutorials(self, source, target, index):
    buckets = bucketing.JointBuckets(TUTORIAL, strict=True)
    self.assertEqual(buckets.assign([source], [target]).tolist(), [index])

  def test_pairs_may_grow_on_one_side_alone(self):
    buckets = bucketing.JointBuckets([(5, 5), (5, 9), (8, 9)])
    self.assertEqual(buckets.assign([5, 5, 6], [5, 6, 1]).tolist(), [0, 1, 2])

  def test_numpys_ints_become_ints(self):
    buckets = bucketing.JointBuckets(np.array(TUTORIAL))
    self.assertEqual(buckets.cells, tuple(TUTORIAL))
    self.assertTrue(all(type(n) is int for cell in buckets.cells for n in cell))

  @parameterized.named_parameters(
    ("none", []),
    ("one_pair", (5, 10)),
    ("lengths", [5, 10]),
    ("triples", [(5, 10, 15)]),
    ("zero", [(0, 5)]),
    ("floats", [(5.0, 10)]),
    ("twice", [(5, 10), (5, 10)]),
    ("smaller_source", [(5, 10), (4, 12)]),
    ("smaller_target", [(5, 10), (8, 9)]),
    ("a_number", 5),
  )
  def test_pairs_are_refused(self, pairs):
    with self.assertRaisesRegex(
      errors.ArgumentError, "JointBuckets: pairs must be .* got .* Sort them"
    ):
      bucketing.JointBuckets(pairs)


class IndependentBucketsTest(parameterized.TestCase):
  @parameterized.product(
    sides=([[3, 7, 20], [4, 5, 9, 30]], [[3, 7], [4, 5, 9], [2, 6, 8]]),
    strict=[False, True],
  )
  def test_each_side_has_the_smallest_bucket_that_fits(self, sides, strict):
    buckets = bucketing.IndependentBuckets(*sides, strict=strict)
    lengths = list(itertools.product(range(11), repeat=len(sides)))
    lengths += [(n,) * len(sides) for n in range(35)]
    found = buckets.assign(*np.array(lengths).T)
    for example, index in zip(lengths, found):
      wanted = tuple(
        next((b for b in side if fits([length], [b], strict)), None)
        for length, side in zip(example, sides)
      )
      got = buckets.cells[index] if index >= 0 else None
      self.assertEqual(got, None if None in wanted else wanted)

  @parameterized.parameters(
    ([3, 7, 20], [4, 5, 9, 30]), ([3, 7], [4, 5, 9], [2, 6, 8])
  )
  def test_next_in_order_is_next_in_the_grid(self, *sides):
    buckets = bucketing.IndependentBuckets(*sides)
    cells = buckets.cells
    self.assertEqual(buckets.sides, tuple(map(tuple, sides)))
    self.assertEqual(buckets.source_buckets, tuple(sides[0]))
    self.assertEqual(buckets.target_buckets, tuple(sides[-1]))
    self.assertCountEqual(cells, itertools.product(*sides))
    self.assertTrue(all(type(n) is int for cell in cells for n in cell))
    for one, other in zip(cells, cells[1:]):
      steps = [
        abs(side.index(a) - side.index(b))
        for side, a, b in zip(sides, one, other)
      ]
      self.assertEqual(sum(steps), 1)

  @parameterized.named_parameters(
    ("source", [[5, 5], [4]], "source buckets must"),
    ("target", [[5], []], "target buckets must"),
    ("second_source", [[3], [5, 4], [3]], "source 1 buckets must"),
    ("lengths", [3, 5], "source buckets must"),
    ("one_side", [[3]], "expected the buckets of a source and of the target"),
    ("rule_without_its_name", [[3], [5], True], "target buckets .* got True"),
  )
  def test_buckets_are_refused_by_name(self, sides, message):
    with self.assertRaisesRegex(
      errors.ArgumentError, f"IndependentBuckets: {message}"
    ):
      bucketing.IndependentBuckets(*sides)

  def test_lengths_of_another_number_of_sides_are_refused(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "assign: must have .* of 3 sides .*, got 2 "
    ):
      bucketing.IndependentBuckets([3], [4], [5]).assign([1], [1])


class LengthsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("fewer", [5, 6, 7], [1, 2]),
    ("one", [5, 6, 7], [1]),
    ("floats", [5.9], [1]),
    ("texts", ["5"], ["1"]),
    ("negative", [5, 6], [1, -2]),
  )
  def test_lengths_that_are_no_ints_or_not_as_many_are_refused(self, *sides):
    for made in (
      bucketing.JointBuckets([(5, 10), (10, 15)]),
      bucketing.IndependentBuckets([5, 10], [10, 15]),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, "assign: lengths must"):
        made.assign(*sides)
    self.assertEqual(made.assign([], []).tolist(), [])


class BothKindsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("joint", bucketing.JointBuckets([(3, 3), (3, 5), (8, 9)])),
    ("independent", bucketing.IndependentBuckets([3, 8, 9], [2, 4, 7, 8])),
    ("one_cell", bucketing.IndependentBuckets([3], [4])),
    ("three_sides", bucketing.IndependentBuckets([3, 8], [4, 5, 9], [6, 8])),
  )
  def test_joined_cells_are_the_smallest_that_hold_both(self, buckets):
    cells = buckets.cells
    for one, other in itertools.product(range(len(cells)), repeat=2):
      joined = cells[buckets.join(one, other)]
      both = [max(sides) for sides in zip(cells[one], cells[other])]
      holding = [cell for cell in cells if fits(both, cell, False)]
      self.assertEqual(joined, min(holding, key=sum))
      self.assertIs(type(buckets.join(one, other)), int)

  def test_the_longest_is_what_just_fits(self):
    for make, cells in (
      (bucketing.JointBuckets, ([(5, 10), (40, 50)],)),
      (bucketing.IndependentBuckets, ([5, 40], [10, 50])),
    ):
      self.assertEqual(make(*cells).longest, (40, 50))
      self.assertEqual(make(*cells, strict=True).longest, (39, 49))

  def test_equal_are_those_with_the_same_cells_and_rule(self):
    joint, independent = bucketing.JointBuckets, bucketing.IndependentBuckets
    self.assertEqual(joint([(5, 10)]), joint(((5, 10),)))
    self.assertNotEqual(joint([(5, 10)]), joint([(5, 10)], strict=True))
    self.assertNotEqual(joint([(5, 10)]), independent([5], [10]))
    self.assertLen({independent([5], [10]), independent((5,), (10,))}, 1)

  @parameterized.parameters(
    bucketing.JointBuckets([(5, 10), (6, 10)], strict=True),
    bucketing.IndependentBuckets([5, 6], [10]),
    bucketing.IndependentBuckets([5, 6], [10], [3, 4], strict=True),
  )
  def test_they_print_as_they_are_made(self, buckets):
    names = {
      kind.__name__: kind
      for kind in (bucketing.JointBuckets, bucketing.IndependentBuckets)
    }
    self.assertEqual(eval(repr(buckets), names), buckets)

  @parameterized.parameters(([3, 4],), (None,), ([(5, 10)],))
  def test_another_thing_is_refused(self, buckets):
    with self.assertRaisesRegex(errors.ArgumentError, "buckets must be"):
      bucketing.check_bucketing(buckets)

  def test_all_have_to_fit_or_the_first_that_does_not_is_named(self):
    buckets = bucketing.IndependentBuckets([3], [5])
    self.assertEqual(
      bucketing.assign_all(buckets, [[1, 3], [5, 1]]).tolist(), [0, 0]
    )
    for sources, targets, message in (
      (
        [3, 4, 9],
        [1, 1, 9],
        "the source of example 1 .*, 3; 2 are too",
      ),
      ([3, 3], [1, 6], r"the target, with EOS, of example 1 .* 6.*, 5"),
    ):
      with self.assertRaisesRegex(errors.BucketError, message):
        bucketing.assign_all(buckets, [sources, targets])


class BatchSizeTest(parameterized.TestCase):
  def test_a_budget_gives_as_many_as_it_allows(self):
    budget = bucketing.TokenBudget(100)
    self.assertEqual([budget(10, 10), budget(33, 1), budget(50, 50)], [5, 2, 1])
    self.assertEqual(bucketing.TokenBudget(100, most=3)(10, 10), 3)

  def test_a_cell_beyond_the_budget_is_refused(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, r"cell \(50, 51\) has 101 tokens.* 100. Raise"
    ):
      bucketing.TokenBudget(100)(50, 51)

  @parameterized.parameters((0, None), (1.5, None), (10, 0))
  def test_a_budget_has_to_be_positive(self, max_tokens, most):
    with self.assertRaisesRegex(errors.ArgumentError, "TokenBudget: "):
      bucketing.TokenBudget(max_tokens, most)

  def test_sizes_may_be_one_for_all_or_one_each(self):
    cell = (3, 4)
    for batch_size in (
      np.int64(7),
      {cell: 7},
      lambda source, target: source + target,
    ):
      size = bucketing.size_of(batch_size, cell)
      self.assertEqual((size, type(size)), (7, int))

  @parameterized.named_parameters(
    ("missing", {(5, 5): 8}, r" no entry for the cell \(3, 4\).*\(5, 5\)"),
    ("zero", 0, "batch_size must .* got 0"),
    ("zero_there", {(3, 4): 0}, r"batch_size at the cell \(3, 4\) must"),
    ("float", lambda s, t: 8.0, r"batch_size at the cell \(3, 4\) .*8.0"),
    ("text", "8", "batch_size must .* got '8'"),
  )
  def test_refuses(self, batch_size, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      bucketing.size_of(batch_size, (3, 4))


class SeveralSidesTest(parameterized.TestCase):
  def test_a_budget_is_of_all_sides(self):
    budget = bucketing.TokenBudget(100)
    self.assertEqual(budget(10, 10, 30), 2)
    with self.assertRaisesRegex(
      errors.ArgumentError, r"the cell \(50, 50, 1\) has 101 tokens"
    ):
      budget(50, 50, 1)

  def test_sides_are_counted(self):
    grid = bucketing.IndependentBuckets([3], [4], [5])
    self.assertIs(bucketing.check_bucketing(grid, sides=3), grid)
    self.assertIs(bucketing.check_bucketing(grid, sides=None), grid)
    for sides, kinds in ((2, "Independent"), (4, "IndependentBuckets of 4")):
      with self.assertRaisesRegex(
        errors.ArgumentError, f"buckets must be {kinds}.* got Ind.* Pass "
      ):
        bucketing.check_bucketing(grid, sides=sides)

  def test_what_fits_no_cell_is_told_with_its_side(self):
    grid = bucketing.IndependentBuckets([3], [4], [5])
    sides = [[1, 3], [4, 4], [5, 5]]
    self.assertEqual(bucketing.assign_all(grid, sides).tolist(), [0, 0])
    sides[1] = [4, 5]
    with self.assertRaisesRegex(
      errors.BucketError,
      "the source 1 of example 1 has length 5",
    ):
      bucketing.assign_all(grid, sides)


if __name__ == "__main__":
  absltest.main()

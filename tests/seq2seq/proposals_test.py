"""Tests for `tangle.seq2seq.proposals`."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import bucketing, buckets, proposals


def random_counts(rng, longest, most):
  """Returns a joint histogram of up to `most` pairs of lengths."""
  return {
    tuple(rng.randint(1, longest + 1, 2).tolist()): int(rng.randint(1, 30))
    for _ in range(rng.randint(1, most + 1))
  }


def positions(counts, cells, strict=False):
  """Returns the padded positions, the slow and plain way, or None.

  Each pair goes to the cell with the fewest positions that holds it; None if
  one has no cell.
  """
  total = 0
  for (source, target), number in counts.items():
    holding = [
      sum(cell)
      for cell in cells
      if source + strict <= cell[0] and target + strict <= cell[1]
    ]
    if not holding:
      return None
    total += number * min(holding)
  return total


def nested_sets(longest, count):
  """Yields all nested sets of at most `count` pairs of lengths."""
  points = list(itertools.product(range(1, longest + 1), repeat=2))
  for size in range(1, count + 1):
    for chosen in itertools.combinations(points, size):
      if all(a[1] <= b[1] for a, b in zip(chosen, chosen[1:])):
        yield chosen


class ProposeJointTest(parameterized.TestCase):
  @parameterized.parameters(*itertools.product(range(6), (1, 2, 3)))
  def test_proposals_are_as_good_as_any(self, seed, count):
    counts = random_counts(np.random.RandomState(seed), 5, 9)
    proposed = proposals.propose_joint(counts, count)
    self.assertLessEqual(len(proposed.cells), count)
    found = [positions(counts, cells) for cells in nested_sets(5, count)]
    best = min(total for total in found if total is not None)
    self.assertEqual(positions(counts, proposed.cells), best)

  def test_a_known_best_set_is_found(self):
    counts = {(2, 2): 10, (2, 9): 1, (9, 2): 1}
    self.assertEqual(proposals.propose_joint(counts, 2).cells, ((2, 2), (9, 9)))
    # Nested pairs cannot have both (2, 9) and (9, 2).
    three = proposals.propose_joint(counts, 5)
    self.assertEqual(positions(counts, three.cells), 40 + 11 + 18)
    self.assertLen(three.cells, 3)

  def test_a_bucket_that_saves_nothing_is_not_proposed(self):
    self.assertLen(proposals.propose_joint({(3, 4): 5}, 4).cells, 1)

  @parameterized.parameters(*range(4))
  def test_strict_proposals_are_one_longer(self, seed):
    counts = random_counts(np.random.RandomState(seed), 9, 20)
    plain = proposals.propose_joint(counts, 3)
    strict = proposals.propose_joint(counts, 3, strict=True)
    wanted = [(source + 1, target + 1) for source, target in plain.cells]
    self.assertEqual(strict, bucketing.JointBuckets(wanted, strict=True))
    self.assertIsNotNone(positions(counts, strict.cells, strict=True))

  @parameterized.parameters(*range(8))
  def test_no_move_betters_what_a_thin_grid_gave(self, seed):
    counts = random_counts(np.random.RandomState(seed), 12, 60)
    exact = proposals.propose_joint(counts, 3)
    thin = proposals.propose_joint(counts, 3, most_lengths=3)
    total = positions(counts, thin.cells)
    self.assertGreaterEqual(total, positions(counts, exact.cells))
    self.assertLessEqual(total, 1.1 * positions(counts, exact.cells))
    for k, side, length in itertools.product(
      range(len(thin.cells) - 1), range(2), range(1, 13)
    ):
      cells = [list(cell) for cell in thin.cells]
      cells[k][side] = length
      nested = all(
        one[s] <= other[s]
        for one, other in zip(cells, cells[1:])
        for s in range(2)
      )
      if nested:
        self.assertGreaterEqual(positions(counts, cells), total)

  def test_many_lengths_are_planned_in_time(self):
    rng = np.random.RandomState(0)
    lengths = rng.randint(1, 301, [3000, 1]) + rng.randint(0, 30, [3000, 2])
    counts = {tuple(pair): 1 for pair in lengths.tolist()}
    proposed = proposals.propose_joint(counts, 4, most_lengths=40)
    self.assertLen(proposed.cells, 4)
    self.assertEqual(proposed.cells[-1], tuple(lengths.max(axis=0).tolist()))

  def test_it_does_not_depend_on_the_order_of_the_counts(self):
    counts = random_counts(np.random.RandomState(0), 20, 90)
    backward = dict(reversed(list(counts.items())))
    self.assertEqual(
      proposals.propose_joint(counts, 4), proposals.propose_joint(backward, 4)
    )

  @parameterized.parameters(
    (0, 100, "count"), (1.5, 9, "count"), (2, 0, "most")
  )
  def test_refuses_settings(self, count, most_lengths, name):
    with self.assertRaisesRegex(
      errors.ArgumentError, f"propose_joint: {name}.* must be"
    ):
      proposals.propose_joint({(1, 1): 1}, count, most_lengths=most_lengths)


class ProposeIndependentTest(parameterized.TestCase):
  @parameterized.parameters(*range(6))
  def test_proposals_are_as_good_as_any(self, seed):
    rng = np.random.RandomState(seed)
    counts = random_counts(rng, 5, 9)
    sides = [
      [
        s
        for size in range(1, n + 1)
        for s in itertools.combinations(range(1, 6), size)
      ]
      for n in (2, 3)
    ]
    proposed = proposals.propose_independent(counts, 2, 3)
    found = [
      positions(counts, list(itertools.product(*both)))
      for both in itertools.product(*sides)
    ]
    best = min(total for total in found if total is not None)
    self.assertEqual(positions(counts, proposed.cells), best)

  def test_each_side_is_planned_by_its_own_lengths(self):
    counts = {(2, 7): 5, (2, 3): 1, (8, 7): 2}
    self.assertEqual(
      proposals.propose_independent(counts, 2, 1),
      bucketing.IndependentBuckets(
        buckets.propose_buckets({2: 6, 8: 2}, 2), [7]
      ),
    )

  def test_strict_proposals_are_one_longer(self):
    self.assertEqual(
      proposals.propose_independent({(2, 7): 5}, 1, 1, strict=True),
      bucketing.IndependentBuckets([3], [8], strict=True),
    )

  @parameterized.parameters(*range(4))
  def test_as_many_buckets_of_each_side_never_waste_more_than_pairs(self, seed):
    counts = random_counts(np.random.RandomState(seed), 15, 80)
    for count in range(1, 5):
      independent = proposals.propose_independent(counts, count, count)
      joint = proposals.propose_joint(counts, count)
      self.assertLessEqual(
        positions(counts, independent.cells), positions(counts, joint.cells)
      )


class CheckCountsTest(parameterized.TestCase):
  def test_entries_of_nothing_are_left_out(self):
    counts = {(np.int64(3), 4): np.int64(2), (5, 5): 0}
    self.assertEqual(proposals.check_counts(counts), {(3, 4): 2})

  @parameterized.named_parameters(
    ("lengths", {3: 1}, "got 3: 1. planner.count_lengths"),
    ("empty_source", {(0, 1): 1}, r"got \(0, 1\): 1"),
    ("triple", {(1, 2, 3): 1}, "must map pairs"),
    ("negative", {(1, 1): -1}, r"got \(1, 1\): -1"),
    ("half", {(1, 1): 0.5}, "must map pairs"),
    ("nothing", {}, "counts no pair"),
    ("zeros", {(1, 1): 0}, "counts no pair"),
  )
  def test_refuses(self, counts, message):
    for propose, caller in (
      (lambda: proposals.propose_joint(counts, 1), "propose_joint"),
      (
        lambda: proposals.propose_independent(counts, 1, 1),
        "propose_independent",
      ),
    ):
      with self.assertRaisesRegex(
        errors.ArgumentError, f"{caller}: .*{message}"
      ):
        propose()


if __name__ == "__main__":
  absltest.main()

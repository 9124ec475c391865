"""Tests for `tangle.seq2seq.planner`."""

import collections

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import batches, bucketing, planner, proposals

TUTORIAL = bucketing.JointBuckets(
  [(5, 10), (10, 15), (20, 25), (40, 50)], strict=True
)


def random_pairs(rng, count=300):
  """Returns pairs of ids, 1..30 in the source and 1..30 in the target."""
  lengths = rng.randint(1, 31, [count, 2])
  return [([5] * s, [6] * t) for s, t in lengths.tolist()]


class CountLengthsTest(parameterized.TestCase):
  def test_targets_count_eos_and_empty_sides_do_not_count(self):
    pairs = iter(
      [("ab", "c"), ("xy", ["K"]), ("", "c"), ("a", ()), ("a", "bc")]
    )
    self.assertEqual(planner.count_lengths(pairs), {(2, 2): 2, (1, 3): 1})


class PaddingCostTest(parameterized.TestCase):
  def test_symbols_positions_and_shares(self):
    counts = {(3, 4): 2, (6, 2): 1, (9, 2): 5}
    cost = planner.padding_cost(
      counts, bucketing.IndependentBuckets([5, 8], [4, 9])
    )
    self.assertEqual((cost.kept, cost.left_out), (3, 5))
    self.assertEqual(cost.symbols, (12, 10))
    self.assertEqual(cost.positions, (18, 12))
    self.assertAlmostEqual(cost.source_waste, 1 - 12 / 18)
    self.assertAlmostEqual(cost.target_waste, 1 - 10 / 12)
    self.assertAlmostEqual(cost.waste, 1 - 22 / 30)
    self.assertEqual(
      cost.cell_counts, {(5, 4): 2, (5, 9): 0, (8, 4): 1, (8, 9): 0}
    )

  @parameterized.named_parameters(
    ("joint", bucketing.JointBuckets([(8, 9), (16, 15), (30, 31)])),
    ("strict", bucketing.JointBuckets([(8, 9), (31, 32)], strict=True)),
    ("independent", bucketing.IndependentBuckets([9, 30], [3, 8, 31])),
  )
  def test_it_agrees_with_batches_that_are_not_pooled(self, buckets):
    pairs = random_pairs(np.random.RandomState(0))
    cost = planner.padding_cost(planner.count_lengths(pairs), buckets)
    drawn = batches.PairBatches(pairs, buckets, 8, pool=False)
    np.testing.assert_allclose(
      (cost.source_waste, cost.target_waste), drawn.padding_waste
    )
    kept = {cell: n for cell, n in cost.cell_counts.items() if n}
    self.assertEqual(kept, drawn.cell_counts)

  def test_the_strict_rule_leaves_out_what_fills_the_last_bucket(self):
    counts = {(39, 49): 1, (40, 49): 2, (39, 50): 3, (4, 9): 4, (5, 9): 5}
    cost = planner.padding_cost(counts, TUTORIAL)
    self.assertEqual(cost.left_out, 5)
    self.assertEqual(
      cost.cell_counts,
      {(5, 10): 4, (10, 15): 5, (20, 25): 0, (40, 50): 1},
    )
    loose = planner.padding_cost(counts, bucketing.JointBuckets(TUTORIAL.cells))
    self.assertEqual(loose.left_out, 0)

  def test_refuses(self):
    for counts, buckets, error, message in (
      (
        {(3, 4): 1},
        [(5, 10)],
        errors.ArgumentError,
        "padding_cost: buckets must be",
      ),
      (
        {},
        TUTORIAL,
        errors.ArgumentError,
        "padding_cost: length_counts counts no",
      ),
      (
        {(50, 4): 2, (60, 3): 1},
        TUTORIAL,
        errors.BucketError,
        r"none of 3 pairs fits JointBuckets.* \[50, 3\]: take larger",
      ),
    ):
      with self.assertRaisesRegex(error, message):
        planner.padding_cost(counts, buckets)


class PlanTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    pairs = random_pairs(np.random.RandomState(0), 2000)
    self.counts = planner.count_lengths(pairs)

  def test_it_proposes_both_kinds_and_judges_them(self):
    plan = planner.plan(self.counts, 2, 3, 4, compare={"tutorial": TUTORIAL})
    self.assertEqual(
      plan.independent, proposals.propose_independent(self.counts, 2, 3)
    )
    self.assertEqual(plan.joint, proposals.propose_joint(self.counts, 4))
    self.assertEqual(
      plan.costs,
      {
        "independent": planner.padding_cost(self.counts, plan.independent),
        "joint": planner.padding_cost(self.counts, plan.joint),
        "tutorial": planner.padding_cost(self.counts, TUTORIAL),
      },
    )
    self.assertEqual(plan.costs["joint"].left_out, 0)

  def test_a_strict_plan_holds_every_pair(self):
    plan = planner.plan(self.counts, strict=True)
    self.assertTrue(plan.joint.strict and plan.independent.strict)
    for cost in plan.costs.values():
      self.assertEqual(cost.left_out, 0)

  def test_long_pairs_can_be_left_out_and_are_counted(self):
    plan = planner.plan(self.counts, longest=(20, 25))
    long = sum(n for (s, t), n in self.counts.items() if s > 20 or t > 25)
    self.assertGreater(long, 0)
    for cost in plan.costs.values():
      self.assertEqual(cost.left_out, long)
    self.assertEqual(plan.joint.longest, (20, 25))
    with self.assertRaisesRegex(errors.ArgumentError, "counts no pair"):
      planner.plan(self.counts, longest=(0, 0))

  def test_it_prints_as_a_table(self):
    counts = collections.Counter({(3, 4): 1000, (6, 2): 500, (45, 2): 1})
    plan = planner.plan(
      counts, 1, 1, 2, longest=(6, 9), compare={"tutorial": TUTORIAL}
    )
    self.assertEqual(
      str(plan),
      "buckets      graphs  left out  positions  source waste  target waste"
      "  waste\n"
      "independent     1+1         1     15,000         33.3%         16.7%"
      "  26.7%\n"
      "joint             2         1     12,000          0.0%         16.7%"
      "   8.3%\n"
      "tutorial          4         1     27,500         40.0%         71.4%"
      "  60.0%\n"
      "independent: IndependentBuckets([6], [4])\n"
      "joint: JointBuckets([(3, 4), (6, 4)])\n"
      "tutorial: JointBuckets([(5, 10), (10, 15), (20, 25), (40, 50)], "
      "strict=True)",
    )

  def test_a_table_may_be_of_any_buckets(self):
    cost = planner.padding_cost({(3, 4): 1}, bucketing.JointBuckets([(3, 4)]))
    lines = planner.table({"exact": cost}).split("\n")
    self.assertRegex(lines[1], r"^exact +1 +0 +7 +0.0% +0.0% +0.0%$")


if __name__ == "__main__":
  absltest.main()

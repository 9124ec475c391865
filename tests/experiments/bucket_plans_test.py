"""Tests of bucket_plans."""

import json

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import bucket_plans, directions
from tangle.seq2seq import bucketing, planner

PAIR = directions.PAIR


class BucketPlansTest(parameterized.TestCase):
  def test_bucketing_of_no_kind_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'both'"):
      bucket_plans.make_buckets({PAIR: {(1, 2): 3}}, "both", 1)

  def test_planned_buckets_hold_what_they_are_planned_for(self):
    counts = planner.count_lengths([("ab", "c"), ("a" * 9, "c" * 20)])
    for kind in bucket_plans.KINDS:
      (found,) = bucket_plans.make_buckets(
        {PAIR: counts}, kind, 2, longest=[5, 5]
      ).values()
      self.assertEqual(found.longest, (2, 2))
      (found,) = bucket_plans.make_buckets(
        {PAIR: counts}, kind, 2, strict=True, longest_source=30
      ).values()
      self.assertEqual(found.longest, (30, 21))

  def test_several_sources_are_planned_each_alone(self):
    lengths = [(1, 9, 2), (1, 9, 2), (5, 4, 2), (0, 30, 30)]
    tuples = [tuple("a" * n for n in sides) for sides in lengths]
    one = directions.Direction(("a", "b"), "c")
    counts = {one: planner.count_lengths(tuples)}
    self.assertEqual(
      bucket_plans.choose_buckets(counts, "independent", count=2),
      {one: bucketing.IndependentBuckets([1, 5], [4, 9], [3])},
    )
    self.assertEqual(
      bucket_plans.choose_buckets(
        counts, "independent", count=2, longest=["5", "3"]
      ),
      {one: bucketing.IndependentBuckets([5], [4], [3])},
    )

  def test_directions_share_the_buckets_of_an_encoder_and_a_decoder(self):
    trained, _ = directions.parse("abc", "abc", ["a-b", "a-c", "c-b"])
    counts = {
      one: {(n, m): 1} for one, n, m in zip(trained, (3, 7, 2), (5, 6, 9))
    }
    found = bucket_plans.make_buckets(counts, "independent", 2)
    self.assertEqual(
      [buckets.sides for buckets in found.values()],
      [((3, 7), (5, 9)), ((3, 7), (6,)), ((2,), (5, 9))],
    )

  def test_what_is_held_out_has_the_buckets_of_others(self):
    trained, held_out = directions.parse("ab", "bc", ["a-b", "b-c"], ["a-c"])
    counts = {one: {(n, 9): 1} for one, n in zip(trained, (3, 7))}
    found = bucket_plans.choose_buckets(
      counts, "independent", held_out=held_out
    )
    self.assertEqual(found[held_out[0]].sides, ((3,), (9,)))

  def test_written_lengths_are_those_of_every_source(self):
    one = directions.Direction(("a", "b"), "c")
    found = bucket_plans.choose_buckets(
      {one: {}}, "independent", (None, ["5", "9"], ["4"]), strict=True
    )
    self.assertEqual(
      found[one],
      bucketing.IndependentBuckets([5, 9], [5, 9], [4], strict=True),
    )

  def test_nothing_to_plan_for_is_refused(self):
    for tuples in ([], [("a", "")]):
      counts = {PAIR: planner.count_lengths(tuples)}
      with self.assertRaisesRegex(errors.DataError, "source-target has no exa"):
        bucket_plans.make_buckets(counts, "independent", 2)

  @parameterized.parameters((["5"],), (["5", "6", "7"],), (["5", "x"],))
  def test_the_longest_are_two_numbers(self, longest):
    with self.assertRaisesRegex(errors.ArgumentError, "longest must be two"):
      bucket_plans.choose_buckets(
        {PAIR: {(1, 2): 1}}, "independent", longest=longest
      )

  @parameterized.parameters(
    [[directions.Direction(("a", "b"), "c")]],
    [directions.parse("ab", "ab")[0]],
  )
  def test_joint_buckets_are_for_one_direction_from_one_source(self, given):
    for planned in ({}, {"written": (["3:4"], None, None)}):
      with self.assertRaisesRegex(
        errors.ArgumentError, "'joint' is for one .* got a.*Use 'independent'"
      ):
        bucket_plans.choose_buckets(
          dict.fromkeys(given, {}), "joint", **planned
        )

  @parameterized.parameters(
    bucketing.IndependentBuckets([2, 5], [3, 9]),
    bucketing.IndependentBuckets([2, 5], [3, 9], [4], strict=True),
    bucketing.JointBuckets([(2, 3), (5, 9)], strict=True),
  )
  def test_described_buckets_are_restored(self, buckets):
    described = json.loads(json.dumps(bucket_plans.describe(buckets)))
    self.assertEqual(bucket_plans.restore(**described), buckets)

  @parameterized.named_parameters(
    ("pairs_of_independent", ("independent", ["5:6"], None, None), "takes"),
    ("no_target", ("independent", None, ["5"], None), "takes"),
    ("sides_of_joint", ("joint", None, ["5"], ["6"]), "takes pairs"),
    ("no_number", ("joint", ["5-6"], None, None), "such as 5:10"),
    ("no_length", ("independent", None, ["a"], ["6"]), "such as 5:10"),
    ("no_kind", ("both", None, ["5"], ["6"]), "'both'"),
  )
  def test_parse_buckets_refuses(self, arguments, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      bucket_plans.parse_buckets(*arguments)


if __name__ == "__main__":
  absltest.main()

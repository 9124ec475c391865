"""Tests of bucket_plans."""

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import bucket_plans
from tangle.seq2seq import bucketing, planner


class BucketPlansTest(parameterized.TestCase):
  def test_bucketing_of_no_kind_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'both'"):
      bucket_plans.make_buckets({(1, 2): 3}, "both", 1)

  def test_planned_buckets_hold_what_they_are_planned_for(self):
    counts = planner.count_lengths([("ab", "c"), ("a" * 9, "c" * 20)])
    for kind in ("independent", "joint"):
      found = bucket_plans.make_buckets(counts, kind, 2, longest=[5, 5])
      self.assertEqual(found.longest, (2, 2))
      found = bucket_plans.make_buckets(
        counts, kind, 2, strict=True, longest_source=30
      )
      self.assertEqual(found.longest, (30, 21))

  @parameterized.parameters(
    bucketing.IndependentBuckets([2, 5], [3, 9]),
    bucketing.JointBuckets([(2, 3), (5, 9)], strict=True),
  )
  def test_described_buckets_are_parsed_to_the_same(self, buckets):
    described = bucket_plans.describe_buckets(buckets)
    self.assertEqual(bucket_plans.parse_buckets(**described), buckets)

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

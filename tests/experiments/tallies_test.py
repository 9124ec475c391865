"""Tests of tallies."""

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import tallies


class CheckCountsTest(parameterized.TestCase):
  def test_texts_become_numbers(self):
    found = tallies.check_counts(["1", 20], seeds=1, steps=2)
    self.assertEqual(found, [1, 20])

  @parameterized.parameters(
    (([1], 0), r"seeds, steps and each .* 1, got 0, 5 and .1.\.$"),
    (([3, 0], 1), r"got 1, 5 and .3, 0.\.$"),
    (([], 1), "at least 1"),
    ((["few"], 1), "per_class must be whole numbers, got .'few'"),
  )
  def test_refuses(self, given, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      tallies.check_counts(given[0], seeds=given[1], steps=5)


class TallyTest(absltest.TestCase):
  def test_collects_and_tells_of_each_training(self):
    records, done = [], []
    tally = tallies.Tally(
      ("series", "mode", "images"),
      ("all", "some"),
      ("old", "new"),
      3,
      lambda *counts: done.append(counts),
      lambda **record: records.append(record),
    )
    for seed, accuracy in enumerate((0.5, 1.0)):
      tally.add("all", "new", 5, seed, accuracy)
    expected = {"all": {"old": {}, "new": {5: [0.5, 1.0]}}}
    expected["some"] = {"old": {}, "new": {}}
    self.assertEqual(tally.accuracies, expected)
    self.assertEqual(tally.reduce(max)["all"], {"old": {}, "new": {5: 1.0}})
    self.assertEqual(done, [(1, 3), (2, 3)])
    self.assertEqual(list(records[1]), list(records[0]))
    labels = {"series": "all", "mode": "new", "images": 5}
    self.assertEqual(records[1], dict(labels, seed=1, accuracy=1.0))


if __name__ == "__main__":
  absltest.main()

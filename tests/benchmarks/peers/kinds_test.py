"""Tests of the kinds of tasks."""

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import g2p, jobs, kinds, tasks


class KindsTest(absltest.TestCase):
  def test_every_task_is_of_one_kind(self):
    self.assertEqual(kinds.NAMES, tasks.NAMES + ("g2p",) + jobs.NAMES)
    self.assertEqual(kinds.find("lstm"), "networks")
    self.assertEqual(kinds.find("g2p"), "g2p")
    self.assertEqual(kinds.find("multi30k"), "multi30k")

  def test_every_kind_has_the_same_names_of_sizes(self):
    for kind in kinds.KINDS.values():
      self.assertEqual(set(kind.sizes), {"tiny", "small", "design"})
      for sizes in kind.sizes.values():
        self.assertIsInstance(sizes, kind.sizes_type)
    self.assertEqual(kinds.choose_sizes("g2p", "tiny"), g2p.SIZES["tiny"])
    self.assertEqual(kinds.choose_sizes("mlp", "tiny"), tasks.SIZES["tiny"])

  def test_sizes_may_come_as_a_list(self):
    task = kinds.make("mlp", list(tasks.SIZES["tiny"]), seed=1)
    self.assertEqual(task.sizes, tasks.SIZES["tiny"])
    self.assertEqual((task.name, task.words), ("mlp", 0))

  def test_unknown_names_name_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "lstm.*g2p.*'x'"):
      kinds.make("x", [])
    with self.assertRaisesRegex(errors.ArgumentError, "design.*'huge'"):
      kinds.choose_sizes("g2p", "huge")


if __name__ == "__main__":
  absltest.main()

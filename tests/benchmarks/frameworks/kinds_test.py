"""Tests of the kinds of tasks."""

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.frameworks import jobs, kinds, networks


class KindsTest(absltest.TestCase):
  def test_every_task_is_of_one_kind(self):
    self.assertEqual(kinds.NAMES, networks.NAMES + ("g2p",) + jobs.NAMES)
    self.assertLen(set(kinds.NAMES), len(kinds.NAMES))
    self.assertEqual(kinds.find("lstm"), "networks")
    self.assertEqual(kinds.find("g2p"), "g2p")
    self.assertEqual(kinds.find("multi30k"), "jobs")

  def test_every_task_has_the_same_names_of_sizes(self):
    for task in kinds.NAMES:
      module = kinds.KINDS[kinds.find(task)]
      self.assertEqual(tuple(module.SIZES[task]), networks.SIZE_NAMES)
      for size in networks.SIZE_NAMES:
        self.assertIsInstance(kinds.find_sizes(task, size), module.Sizes)

  def test_sizes_may_come_as_a_list(self):
    sizes = networks.SIZES["mlp"]["tiny"]
    task = kinds.make("mlp", list(sizes), seed=1)
    self.assertEqual(task.sizes, sizes)
    self.assertEqual((task.name, task.words), ("mlp", 0))

  def test_unknown_names_name_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "lstm.*g2p.*'x'"):
      kinds.make("x", [])


if __name__ == "__main__":
  absltest.main()

"""Tests of steps as they ran."""

import os
import tempfile

from absl.testing import absltest

from tangle.benchmarks import timelines
from tangle.pipeline import micro_batches


def ran(name, is_backward, part, begin_s):
  return micro_batches.Ran(name, is_backward, part, begin_s, begin_s + 0.5)


TIMELINE = [
  ran("b", False, 0, 1),  # out of order, as runs end
  ran("a", False, 1, 1),
  ran("a", False, 0, 0),
  ran("a", True, 0, 2),
  ran("a", False, 2, 3),
  ran("a", True, 1, 4),
  ran("a", True, 2, 5),
  ran(None, False, 0, 6),
]


class TimelinesTest(absltest.TestCase):
  def test_sets_are_held_from_forward_to_backward(self):
    self.assertEqual(timelines.held_sets(TIMELINE, "a"), 2)
    self.assertEqual(timelines.held_sets(TIMELINE, "b"), 0)

  def test_plot(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "gantt.png")
      timelines.plot(TIMELINE, "A step", path)
      self.assertGreater(os.path.getsize(path), 5000)


if __name__ == "__main__":
  absltest.main()

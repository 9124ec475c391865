"""Tests of tasks."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.peers import tasks

TINY = tasks.SIZES["tiny"]


class TasksTest(parameterized.TestCase):
  @parameterized.named_parameters((name, name) for name in tasks.NAMES)
  def test_weights_and_batch_are_the_same_each_time(self, name):
    first, second = tasks.make(name, TINY), tasks.make(name, TINY)
    for part in ("weights", "lower_feeds", "upper_feeds"):
      self.assertEqual(list(getattr(first, part)), list(getattr(second, part)))
      for key, array in getattr(first, part).items():
        np.testing.assert_array_equal(array, getattr(second, part)[key])
    other = tasks.make(name, TINY, seed=1)
    self.assertTrue(np.any(other.weights["logits/bias"]))
    self.assertFalse(
      np.array_equal(other.weights["logits/bias"], first.weights["logits/bias"])
    )

  @parameterized.named_parameters((name, name) for name in tasks.NAMES)
  def test_layers_are_in_one_part_each(self, name):
    task = tasks.make(name, TINY)
    self.assertNotEmpty(task.lower_layers)
    self.assertIn("logits", task.upper_layers)
    self.assertEmpty(set(task.lower_layers) & set(task.upper_layers))
    self.assertEqual(task.weights["logits/kernel"].dtype, np.float32)

  def test_arithmetic_grows_with_the_batch(self):
    double = TINY._replace(batch=2 * TINY.batch)
    for name in tasks.NAMES:
      single = tasks.make(name, TINY).flops
      self.assertEqual(tasks.make(name, double).flops, 2 * single)

  def test_an_unknown_task_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "lstm.*'x'"):
      tasks.make("x", TINY)


if __name__ == "__main__":
  absltest.main()

"""Tests of multi_task."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import multi_task


class MultiTaskTest(parameterized.TestCase):
  @parameterized.parameters("sum", "mgda", "gradnorm", "average", "turns")
  def test_training_changes_every_network(self, method):
    with tf1.Graph().as_default():
      found = multi_task.MultiTaskModel(method, 1000.0, 4, 8, 0.005)
      with tf1.Session() as sess:
        found.start(sess, np.random.RandomState(0))
        before = found.weights.read(sess)
        found.step(sess)
        after = found.weights.read(sess)
        self.assertEqual(set(found.test(sess)), {"binary", "decimal"})
        for name in before:
          self.assertGreater(np.max(np.abs(after[name] - before[name])), 0)
        found.start(sess, np.random.RandomState(0))
        again = found.weights.read(sess)
    for name in before:
      np.testing.assert_array_equal(again[name], before[name])

  def test_curves_have_a_share_for_each_seed(self):
    figures = multi_task.compare(("sum", "mgda"), 2, 4, 2, units=4, hidden=8)
    curve = figures["curves"]["binary"]["mgda"]
    self.assertEqual(list(curve), [2, 4])
    self.assertLen(curve[4], 2)
    self.assertAlmostEqual(
      figures["final"]["mgda"]["binary"], np.mean(curve[4])
    )
    self.assertAlmostEqual(
      figures["mean"]["mgda"]["binary"], np.mean([curve[2], curve[4]])
    )
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "calculator.png")
      multi_task.plot(figures, path)
      self.assertGreater(os.path.getsize(path), 5000)

  def test_refuses_bad_arguments(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'best'"):
      multi_task.compare(("best",))
    with self.assertRaisesRegex(errors.ArgumentError, "scale"):
      multi_task.compare(scale=0.0)
    with self.assertRaisesRegex(errors.ArgumentError, "seeds"):
      multi_task.compare(seeds=0)
    with self.assertRaisesRegex(errors.ArgumentError, "learning_rate"):
      multi_task.compare(learning_rate=-1.0)
    with self.assertRaisesRegex(errors.ArgumentError, "at most 2 steps, got 3"):
      multi_task.compare(steps=2, every=3)


if __name__ == "__main__":
  absltest.main()

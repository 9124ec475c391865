"""Tests of weights."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.experiments import weights
from tests import case


class WeightsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    for name, shape in (("kernel", (3, 5)), ("bias", (5,))):
      self.variable(name, self.normal(*shape, dtype=np.float32))
    kernel, bias = tf1.trainable_variables()
    loss = tf1.reduce_sum(tf1.square(kernel + bias - 1.0))
    self.update_op = tf1.train.AdamOptimizer(0.1).minimize(loss)
    self.weights = weights.Weights([kernel, bias])
    self.sess = self.session()

  def test_what_is_set_is_read_bit_by_bit(self):
    values = {
      "kernel": self.normal(3, 5, dtype=np.float32),
      "bias": np.array([0.0, -0.0, 1e-42, 1e38, 1.0], np.float32),
    }
    self.weights.load(self.sess, values)
    found = self.weights.read(self.sess)
    self.assertEqual(set(found), {"kernel", "bias"})
    self.assertEqual(weights.count_changed(values, found), 0)

  def test_optimizers_begin_anew(self):
    start, ends = self.weights.draw(self.rng), []
    for _ in range(2):
      self.weights.load(self.sess, start)
      for _ in range(3):
        self.sess.run(self.update_op)
      ends.append(self.weights.read(self.sess))
    self.assertEqual(weights.count_changed(*ends), 0)
    self.assertEqual(weights.count_changed(start, ends[0]), 20)

  def test_kernels_are_drawn_within_their_limit_and_biases_are_zero(self):
    found = self.weights.draw(np.random.RandomState(0))
    limit = np.sqrt(6 / (3 + 5))
    self.assertBetween(np.abs(found["kernel"]).max(), 0.5 * limit, limit)
    self.assertFalse(np.any(found["bias"]))
    again, other = (
      self.weights.draw(np.random.RandomState(seed)) for seed in (0, 1)
    )
    self.assertEqual(weights.count_changed(found, again), 0)
    self.assertEqual(weights.count_changed(found, other), 15)


class CountChangedTest(absltest.TestCase):
  def test_a_bit_is_a_change(self):
    before = {"x": np.array([0.0, 1.0], np.float32), "y": np.zeros(1, "f")}
    after = {"x": np.array([-0.0, 1.0], np.float32), "y": np.ones(1, "f")}
    self.assertEqual(weights.count_changed(before, after, ["x"]), 1)
    self.assertEqual(weights.count_changed(before, after), 2)
    self.assertEqual(weights.count_changed(before, before), 0)


if __name__ == "__main__":
  absltest.main()

"""Tests of updates."""

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.branches import updates
from tangle.compat import tf1
from tests import case


class OptimizersTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.a = self.variable("a", np.zeros(2))
    self.b = self.variable("b", np.zeros(2))
    self.owners = {self.a.name: "first", self.b.name: "second"}

  def make(self, optimizer=None, make=None):
    return updates.Optimizers(optimizer, make, self.owners, "update/")

  def gradients(self, *variables):
    return [(tf1.constant([1.0, 2.0], tf1.float64), v) for v in variables]

  def test_a_part_that_comes_late_begins_as_in_its_first_step(self):
    optimizers = self.make(
      make=lambda: tf1.train.AdamOptimizer(0.1, epsilon=0.0)
    )
    both = optimizers.apply_gradients(self.gradients(self.a, self.b))
    one = optimizers.apply_gradients(self.gradients(self.a))
    sess = self.session()
    for _ in range(9):
      sess.run(one)
    sess.run(both)
    # Adam's first step is the rate, whatever the gradient.
    self.assert_close(sess.run(self.b), np.array([-0.1, -0.1]), 1e-6)

  def test_one_optimizer_counts_all_steps(self):
    optimizers = self.make(tf1.train.AdamOptimizer(0.1, epsilon=0.0))
    both = optimizers.apply_gradients(self.gradients(self.a, self.b))
    one = optimizers.apply_gradients(self.gradients(self.a))
    sess = self.session()
    for _ in range(9):
      sess.run(one)
    sess.run(both)
    factor = np.sqrt(1 - 0.999**10) / (1 - 0.9**10)
    step = 0.1 * factor * 0.1 / np.sqrt(0.001)
    self.assert_close(sess.run(self.b), np.array([-step, -step]), 1e-5)
    names = [v.op.name for v in tf1.global_variables()]
    self.assertContainsSubset(["update/all/beta1_power"], names)
    self.assertLen([name for name in names if "beta1_power" in name], 1)

  def test_the_step_is_counted_once(self):
    step = self.variable("step", np.int64(0), trainable=False)
    optimizers = self.make(make=lambda: tf1.train.GradientDescentOptimizer(0.5))
    op = optimizers.apply_gradients(self.gradients(self.a, self.b), step)
    sess = self.session()
    sess.run(op)
    self.assertEqual(sess.run(step), 1)
    self.assert_close(sess.run(self.a), np.array([-0.5, -1.0]))

  def test_what_is_no_optimizer_is_refused(self):
    adam = tf1.train.AdamOptimizer
    for optimizer, make, message in (
      ("adam", None, "optimizer must be an optimizer, got 'adam'"),
      (adam, None, "got the class AdamOptimizer.*make_optimizer=AdamOptimizer"),
      (lambda: adam(), None, r"got the function make.*optimizer=make\(\), for"),
      (None, None, "Pass optimizer=.*, or make_optimizer="),
      (adam(), adam, "not both"),
      (None, adam(), "must be a function without arguments.*Pass optimizer="),
      (None, lambda: None, "optimizer must be an optimizer, got None"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        self.make(optimizer, make)

  def test_a_function_must_make_new_optimizers(self):
    one = tf1.train.GradientDescentOptimizer(0.1)
    with self.assertRaisesRegex(errors.ArgumentError, "twice"):
      self.make(make=lambda: one)


class ApplyTest(case.GraphTestCase):
  def test_gradients_are_clipped_by_their_global_norm(self):
    a, b = self.variable("a", np.zeros(1)), self.variable("b", np.zeros(1))
    found = [tf1.constant([v], tf1.float64) for v in (3.0, 4.0)]
    op, norm = updates.apply(
      tf1.train.GradientDescentOptimizer(1.0),
      found,
      [a, b],
      tf1.constant(0.0),
      2.5,
      None,
    )
    sess = self.session()
    self.assertAlmostEqual(sess.run([norm, op])[0], 5.0)
    self.assert_close(sess.run(a), np.array([-1.5]))
    self.assert_close(sess.run(b), np.array([-2.0]))

  def test_the_loss_is_of_the_weights_before(self):
    a = self.variable("a", np.zeros(1000), use_resource=False)
    loss = tf1.reduce_sum(a)
    op, _ = updates.apply(
      tf1.train.GradientDescentOptimizer(1.0),
      [tf1.ones([1000], tf1.float64)],
      [a],
      loss,
      None,
      None,
    )
    sess = self.session()
    for k in range(20):
      self.assertEqual(sess.run([loss, op])[0], -1000.0 * k)


if __name__ == "__main__":
  absltest.main()

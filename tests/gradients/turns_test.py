"""Tests of turns."""

import numpy as np
from absl.testing import absltest

from tangle import errors, gradients
from tangle.compat import tf1
from tests import case


class TurnsTest(case.GraphTestCase):
  def test_each_loss_sees_what_the_one_before_has_changed(self):
    start = self.normal(3)
    x = self.variable("x", start)
    other = self.variable("other", start)
    losses = [tf1.reduce_sum(x**2), tf1.reduce_sum(x**3 + other)]
    optimizers = [tf1.train.GradientDescentOptimizer(r) for r in (0.1, 0.01)]
    first_op, second_op = gradients.take_turns(losses, optimizers)
    sess = self.session()
    sess.run(first_op)
    expected = start - 0.1 * 2 * start
    found, untouched = sess.run([x, other])
    # The optimizer keeps its rate in float32.
    self.assert_close(found, expected, 1e-7)
    self.assert_close(untouched, start)
    sess.run(second_op)
    found, moved = sess.run([x, other])
    self.assert_close(found, expected - 0.01 * 3 * expected**2, 1e-7)
    self.assert_close(moved, start - 0.01, 1e-7)

  def test_changes_only_the_variables_that_are_named(self):
    x, y = (self.variable(name, self.normal(2)) for name in "xy")
    losses = [tf1.reduce_sum(x * y)]
    (op,) = gradients.take_turns(
      losses, [tf1.train.AdamOptimizer()], variables=[x]
    )
    sess = self.session()
    before = sess.run(y)
    sess.run(op)
    np.testing.assert_array_equal(sess.run(y), before)

  def test_refuses_one_optimizer_for_two_losses(self):
    x = self.variable("x", self.normal(2))
    losses = [tf1.reduce_sum(x), tf1.reduce_mean(x)]
    optimizer = tf1.train.AdamOptimizer()
    for optimizers in ([optimizer], [optimizer, optimizer]):
      with self.assertRaisesRegex(errors.ArgumentError, "a separate optimizer"):
        gradients.take_turns(losses, optimizers)

  def test_refuses_what_is_no_optimizer(self):
    loss = tf1.reduce_sum(self.variable("x", self.normal(2)))
    for given in (tf1.keras.optimizers.SGD(0.1), "adam"):
      with self.assertRaisesRegex(errors.ArgumentError, "optimizer must be an"):
        gradients.take_turns([loss], [given])

  def test_refuses_a_graph_without_variables(self):
    with self.assertRaisesRegex(errors.DisconnectedError, "no variables"):
      gradients.take_turns([tf1.ones([])], [tf1.train.AdamOptimizer()])

  def test_refuses_a_loss_that_reaches_nothing(self):
    self.variable("x", self.normal(2))
    loss = tf1.reduce_sum(tf1.ones([2]))
    with self.assertRaisesRegex(errors.DisconnectedError, "none of the"):
      gradients.take_turns([loss], [tf1.train.AdamOptimizer()])


if __name__ == "__main__":
  absltest.main()

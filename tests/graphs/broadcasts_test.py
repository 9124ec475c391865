"""Tests of broadcasts."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import broadcasts, walk
from tests import case


class BypassTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 3], "x")
    self.y = tf1.placeholder(tf1.float64, [None, 3], "y")
    self.w = self.variable("w", self.normal(3, 3))

  def gradients(self, build, given=frozenset()):
    """Differentiates `build(x, y)`, once as it is and once with sums bypassed.

    Returns:
      The gradients of both ways, and how many sums the second has.
    """
    end = build(self.x, self.y)
    upstream = tf1.sin(tf1.stop_gradient(end))
    sources = [self.x, self.y, self.w]
    ops = walk.ancestors([end])
    found = []
    for bypassed in (False, True):
      before = len(self.graph.get_operations())
      targets = tf1.gradients(end, sources, upstream)
      targets = [t for t in targets if t is not None]
      made = self.graph.get_operations()[before:]
      if bypassed:
        alike = [(end, upstream)]
        targets = broadcasts.bypass(ops, made, targets, given, alike)
      found.append(targets)
    sums = [op for op in walk.ancestors(targets) if op in set(made)]
    return found[0], found[1], sum(op.type == "Sum" for op in sums)

  def check(self, build, sums, batches=(4, 1), **options):
    plain, bypassed, count = self.gradients(build, **options)
    self.assertEqual(count, sums)
    with self.session() as sess:
      for batch in batches:
        feed_dict = {
          self.x: self.normal(batch, 3),
          self.y: self.normal(batch, 3),
        }
        for a, b in zip(*sess.run([plain, bypassed], feed_dict)):
          np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)

  def test_gates_of_a_cell_sum_nothing(self):
    def build(x, y):
      h = tf1.tanh(tf1.matmul(tf1.concat([x, y], 1), tf1.tile(self.w, [2, 1])))
      return x * tf1.sigmoid(h) + (1.0 - h) * y

    self.check(build, sums=1)  # of the number that is subtracted from

  def test_what_is_broadcast_is_summed(self):
    self.check(lambda x, y: tf1.tanh(x * self.w[0]) + x, sums=1)

  def test_a_column_is_summed(self):
    self.check(lambda x, y: tf1.tanh(x) * x[:, :1] + y[:, None, 0], sums=3)

  def test_sizes_that_may_differ_are_summed(self):
    # One of them may have a single row.
    plain, bypassed, count = self.gradients(
      lambda x, y: tf1.tanh(x) * tf1.sin(y)
    )
    self.assertEqual(count, 2)
    with self.session() as sess:
      for rows in ((1, 4), (4, 1), (2, 2)):
        feed_dict = dict(
          zip((self.x, self.y), [self.normal(n, 3) for n in rows])
        )
        for a, b in zip(*sess.run([plain, bypassed], feed_dict)):
          np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)

  def test_what_is_fed_has_the_shape_of_what_is_fed(self):
    h = tf1.tanh(self.x, name="h")
    _, _, count = self.gradients(lambda x, y: h * x, given={"h:0"})
    self.assertEqual(count, 2)
    _, _, count = self.gradients(lambda x, y: h * x)
    self.assertEqual(count, 0)

  def test_gradients_of_gradients(self):
    def build(x, y):
      h = tf1.square(tf1.tanh(tf1.matmul(x, self.w)) * x)
      return tf1.gradients(h, x)[0] * x

    plain, bypassed, _ = self.gradients(build)
    with self.session() as sess:
      feed_dict = {self.x: self.normal(2, 3), self.y: self.normal(2, 3)}
      for a, b in zip(*sess.run([plain, bypassed], feed_dict)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)

  @parameterized.parameters(False, True)
  def test_loops_are_left_alone(self, v2):
    def build(x, y):
      with compat.control_flow(v2=v2):
        h = tf1.while_loop(
          lambda k, _: k < 3,
          lambda k, h: (k + 1, tf1.tanh(h) * tf1.sigmoid(h) + x),
          [0, x],
        )[1]
      return tf1.tanh(h) * x

    plain, bypassed, _ = self.gradients(build)
    with self.session() as sess:
      feed_dict = {self.x: self.normal(2, 3), self.y: self.normal(2, 3)}
      for a, b in zip(*sess.run([plain, bypassed], feed_dict)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)

  def test_targets_without_sums_are_returned(self):
    targets = tf1.gradients(tf1.tanh(self.x), [self.x])
    self.assertIs(broadcasts.bypass([], [targets[0].op], targets), targets)


if __name__ == "__main__":
  absltest.main()

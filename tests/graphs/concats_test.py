"""Tests of concats."""

import numpy as np
from absl.testing import absltest

import tangle
from tangle.compat import tf1
from tangle.graphs import concats, walk
from tests import case


class FixSlicesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 3], "x")
    self.y = tf1.placeholder(tf1.float64, [None, 2], "y")

  def check(self, build, sources, fixed):
    """Checks gradients, and the count of slices whose places are constants."""
    end = build()
    plain = tf1.gradients(tf1.square(end), sources)
    before = len(self.graph.get_operations())
    found = tf1.gradients(tf1.square(end), sources)
    made = self.graph.get_operations()[before:]
    concats.fix_slices(made)
    slices = [op for op in walk.ancestors(found) if op.type == "Slice"]
    slices = [op for op in slices if op in made]
    self.assertNotEmpty(slices)
    at_constants = [op for op in slices if op.inputs[1].op.type == "Const"]
    self.assertLen(at_constants, fixed)
    with self.session() as sess:
      for rows in (4, 1):
        feed_dict = {self.x: self.normal(rows, 3), self.y: self.normal(rows, 2)}
        for a, b in zip(*sess.run([plain, found], feed_dict)):
          np.testing.assert_array_equal(a, b)

  def test_sizes_of_features_are_known(self):
    def build():
      return tf1.tanh(tf1.concat([self.x, self.y, self.x], 1))

    self.check(build, [self.x, self.y], fixed=3)

  def test_the_axis_may_count_from_the_end(self):
    def build():
      parts = [self.x[:, None], self.y[:, None]]
      return tf1.tanh(tf1.concat(parts, -1))

    self.check(build, [self.x, self.y], fixed=2)

  def test_what_comes_before_an_unknown_size_is_known(self):
    def build():
      rows = tf1.ones([2, 3], tf1.float64) * self.x[0]
      return tf1.tanh(tf1.concat([rows, self.x, rows], 0))

    # The part of unknown size, and what comes after, are where they are found.
    self.check(build, [self.x], fixed=1)

  def test_an_axis_of_the_run_is_left_to_it(self):
    axis_ph = tf1.placeholder_with_default(1, [])

    def build():
      return tf1.tanh(tf1.concat([self.x, self.y], axis_ph))

    self.check(build, [self.x, self.y], fixed=0)

  def test_constants_are_made_once(self):
    end = tf1.concat([self.x, self.y], 1)
    for _ in range(3):
      end = tf1.concat([tf1.tanh(end[:, :3]), self.y], 1)
    before = len(self.graph.get_operations())
    tf1.gradients(end, [self.x, self.y])
    made = self.graph.get_operations()[before:]
    count = len(self.graph.get_operations())
    added = concats.fix_slices(made)
    # Begin and size, of the first and of the second part.
    self.assertEqual(len(self.graph.get_operations()) - count, 4)
    self.assertEqual(added, self.graph.get_operations()[count:])

  def test_no_shape_is_kept(self):
    h = tf1.tanh(self.x)
    end = tf1.concat([h, tf1.sin(self.y)], 1)
    end = tf1.matmul(end, self.variable("w", self.normal(5, 2)))
    model = tangle.SubModel([self.x, self.y], [end])
    self.assertNotIn(tf1.int32, [t.dtype for t in model.residuals])


if __name__ == "__main__":
  absltest.main()

"""Tests of selection."""

import numpy as np
from absl.testing import absltest

from tangle import errors, mux
from tangle.compat import tf1
from tests import case


class SelectionTest(case.GraphTestCase):
  def test_chooses_rows_and_gives_each_branch_their_gradient(self):
    a = tf1.constant(self.normal(3, 2))
    b = tf1.constant(self.normal(3, 2))
    outputs = mux.select([1, 0, 1], {"a": {"x": a}, "b": {"x": b}})["x"]
    gradients = tf1.gradients(outputs, [a, b])
    found, a_np, b_np, *slopes = self.session().run([outputs, a, b, *gradients])
    self.assert_close(found, np.stack([b_np[0], a_np[1], b_np[2]]))
    self.assertEqual(slopes[0].tolist(), [[0, 0], [1, 1], [0, 0]])
    self.assertEqual(slopes[1].tolist(), [[1, 1], [0, 0], [1, 1]])

  def test_keeps_a_nan_from_values_but_not_from_gradients(self):
    x = tf1.constant([0.0, 2.0])
    outputs = mux.select([1, 0], [1 / x, x])
    found, slope = self.session().run([outputs, tf1.gradients(outputs, x)[0]])
    self.assertEqual(found.tolist(), [0.0, 0.5])
    self.assertFalse(np.isfinite(slope[0]))

  def test_one_branch_still_reads_the_selector(self):
    selector_ph = tf1.placeholder(tf1.int64, [None])
    value = tf1.constant([1.0, 2.0])
    outputs = mux.select(selector_ph, [value])
    gradient = tf1.gradients(outputs, value)
    sess = self.session()
    found = sess.run([outputs, *gradient], {selector_ph: [0, 0]})
    self.assertEqual([v.tolist() for v in found], [[1.0, 2.0], [1.0, 1.0]])
    for fetch in (outputs, gradient):
      with self.assertRaisesRegex(
        tf1.errors.InvalidArgumentError, r"got\] \[3 -2\]"
      ):
        sess.run(fetch, {selector_ph: [3, -2]})
      with self.assertRaisesRegex(
        tf1.errors.InvalidArgumentError,
        "select: selector must have as many rows as",
      ):
        sess.run(fetch, {selector_ph: [0]})

  def test_ops_are_in_the_scope(self):
    selector_ph = tf1.placeholder(tf1.int32, [None])
    values = [tf1.zeros([2]), tf1.ones([2])]
    before = self.count_ops()
    mux.select(selector_ph, values, name="pick")
    for op in self.graph.get_operations()[before:]:
      self.assertEqual(op.name.split("/")[0], "pick")

  def test_wrong_arguments(self):
    x = tf1.zeros([2, 3])
    with tf1.Graph().as_default():
      foreign = tf1.zeros([2, 3])
    for error, arguments, message in (
      (errors.ArgumentError, ([0, 0], []), "branches must have at least one"),
      (errors.ArgumentError, ([0, 2], [x, x]), "[0, 2), got 2"),
      (errors.ArgumentError, ([0, 0], [x, [x]]), "the same structure"),
      (errors.ArgumentError, ([0, 0], [x, None]), "branch 1 must be dense"),
      (errors.DtypeError, ([0, 0], [x, tf1.cast(x, tf1.int32)]), "types"),
      (errors.DtypeError, ([0.0, 0.0], [x]), "int32 or int64"),
      (errors.GraphError, ([0, 0], [foreign]), "another graph"),
      (errors.ShapeError, ([0, 0], [x, x[:, :1]]), "the same shapes"),
      (errors.ShapeError, ([0, 0, 0], [x]), "selector has 3 rows"),
    ):
      with self.assertRaises(error) as caught:
        mux.select(*arguments)
      self.assert_message(caught.exception, "mux.select: ", message)


if __name__ == "__main__":
  absltest.main()

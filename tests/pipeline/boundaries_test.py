"""Tests of boundaries."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import boundaries, nodes
from tests.pipeline import support


class BoundaryTest(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.key = tf1.placeholder(tf1.int64, [])

  @parameterized.named_parameters(
    ("float64", np.array([1.5, -0.0, np.inf])),
    ("float16", np.array([1.5, 2.0], np.float16)),
    ("complex128", np.array([1.5 + 2j])),
    ("int32", np.array([[3, -1]], np.int32)),
    ("bool", np.array([True, False])),
    ("string", np.array([b"a", b"", b"ccc"], object)),
    ("empty", np.zeros([0, 3])),
  )
  def test_value_comes_through_and_stays_until_it_is_dropped(self, value):
    x_ph = tf1.placeholder(tf1.as_dtype(value.dtype), value.shape)
    boundary = boundaries.Boundary(x_ph.dtype, x_ph.shape, "value")
    put, read = boundary.put(x_ph, self.key), boundary.peek(self.key)
    drop = boundary.drop(self.key)
    sess = self.session()
    sess.run(put, {self.key: 5, x_ph: value})
    for _ in range(2):
      found = sess.run(read, {self.key: 5})
      self.assertEqual(found.dtype, value.dtype)
      np.testing.assert_array_equal(found, value)
    self.assertEqual(read.shape.as_list(), list(value.shape))
    sess.run(drop, {self.key: 5})
    self.assert_nothing_waits(sess)

  def test_keys_keep_steps_apart(self):
    x_ph = tf1.placeholder(tf1.float64, [])
    boundary = boundaries.Boundary(x_ph.dtype, x_ph.shape, "value")
    put, read = boundary.put(x_ph, self.key), boundary.peek(self.key)
    sess = self.session()
    for key in (5, 6):
      sess.run(put, {self.key: key, x_ph: 10.0 * key})
    for key in (6, 5):
      self.assertEqual(sess.run(read, {self.key: key}), 10.0 * key)
    sess.run(boundary.drop(self.key), {self.key: 5})
    self.assertEqual(sess.run(read, {self.key: 6}), 60.0)

  def test_drop_of_what_is_not_there_returns_at_once(self):
    boundary = boundaries.Boundary(tf1.float64, tf1.TensorShape([2]), "value")
    drop = boundary.drop(self.key)
    sess = self.session()
    for key in (5, 5, 6):
      sess.run(drop, {self.key: key})
    self.assert_nothing_waits(sess)

  def test_gradients_of_all_readers_are_summed(self):
    shape = tf1.TensorShape([None])
    boundary = boundaries.Boundary(tf1.float64, shape, "value")
    boundary.readers = 3
    given_ph = tf1.placeholder(tf1.float64, [None])
    first, later = boundary.put_gradient(given_ph, self.key)
    taken = boundary.take_gradient(tf1.TensorShape([2]), self.key)
    self.assertEqual(taken.shape.as_list(), [2])
    sess = self.session()
    for op, value in (
      (first, [1.0, 2.0]),
      (later, [3.0, 4.0]),
      (later, [5, 6]),
    ):
      sess.run(op, {self.key: 5, given_ph: value})
    np.testing.assert_array_equal(sess.run(taken, {self.key: 5}), [9.0, 12.0])
    self.assert_nothing_waits(sess)

  def test_only_reader_has_nothing_to_add_to(self):
    boundary = boundaries.Boundary(tf1.float64, tf1.TensorShape([]), "value")
    boundary.readers = 1
    _, later = boundary.put_gradient(tf1.ones([], tf1.float64), self.key)
    self.assertIsNone(later)

  def test_outputs_of_two_dtypes_cannot_share_a_boundary(self):
    boundary = boundaries.Boundary(tf1.float64, tf1.TensorShape([]), "value")
    source = nodes.Source("b", "out")
    boundaries.check_dtype(source, tf1.float64, boundary)
    message = "'b.out' is float32, .*outputs that are float64. Cast it"
    with self.assertRaisesRegex(errors.DtypeError, message):
      boundaries.check_dtype(source, tf1.float32, boundary)


if __name__ == "__main__":
  absltest.main()

from concurrent import futures

import numpy as np
from absl.testing import absltest, parameterized

from tangle import combine, compat, errors, nets
from tangle.compat import tf1
from tangle.nets import checks
from tests.nets import support


class ChecksTest(support.NetTestCase):
  def test_outermost_of_a_loop_body_is_the_graph_around_it(self):
    seen = []

    def body(k):
      seen.append(checks.outermost(tf1.get_default_graph()))
      return k + 1

    tf1.while_loop(lambda k: k < 3, body, [0])
    self.assertIs(seen[0], self.graph)

  def test_describes_name_type_and_shape(self):
    x = tf1.placeholder(tf1.float32, [None, 3], name="features")
    text = checks.describe(x)
    self.assertEqual(text, "'features:0' (float32, shape [None, 3])")
    unknown = tf1.placeholder(tf1.int32, name="ids")
    text = checks.describe(unknown)
    self.assertEqual(text, "'ids:0' (int32, shape unknown)")

  def test_tensor_of_another_graph_raises(self):
    with tf1.Graph().as_default():
      x = tf1.zeros([2], name="elsewhere")
    with self.assertRaisesRegex(
      errors.GraphError, "inputs 'elsewhere:0' belongs to another graph"
    ):
      checks.check_graph("inputs", x)

  def test_arrays_belong_to_any_graph(self):
    checks.check_graph("inputs", np.zeros(3))
    checks.check_graph("inputs", [1, 2])

  def test_numbers_take_the_float_type_and_arrays_keep_theirs(self):
    for value in ([1, 2], 0.5, np.zeros(2), self.variable("v", np.zeros(2))):
      tensor = checks.convert_floats("x", value, tf1.float64)
      self.assertEqual(tensor.dtype, tf1.float64)
    with self.assertRaisesRegex(errors.DtypeError, "x must be float32"):
      checks.convert_floats("x", np.zeros(2), tf1.float32)

  def test_ints_are_taken_and_floats_are_not_cut_to_ints(self):
    for value in ([1, 2], 3, np.array([1, 2], np.int64), tf1.constant([1])):
      self.assertTrue(checks.convert_ints("ids", value).dtype.is_integer)
    for value in (np.array([1.5]), [1.5], True, np.array([1], np.int8)):
      with self.assertRaisesRegex(errors.DtypeError, "ids must be int32"):
        checks.convert_ints("ids", value)

  def test_known_rank_is_enough_for_no_ranks(self):
    checks.check_rank("inputs", tf1.zeros([2, 3]), None)
    with self.assertRaisesRegex(errors.ShapeError, "known rank.*set_shape"):
      checks.check_rank("inputs", tf1.placeholder(tf1.float32), None)

  def test_rank_that_is_not_listed_raises(self):
    checks.check_rank("query", tf1.zeros([2, 3]), (2, 3))
    with self.assertRaisesRegex(errors.ShapeError, "rank 2 or 3.*Const|zeros"):
      checks.check_rank("query", tf1.zeros([2]), (2, 3))

  def test_positive_integers_of_numpy_become_ints(self):
    self.assertIs(type(checks.check_positive("units", np.int64(3))), int)

  @parameterized.parameters(0, -1, 2.0, "3", None)
  def test_what_is_no_positive_integer_raises(self, value):
    with self.assertRaisesRegex(errors.ArgumentError, "units must be"):
      checks.check_positive("units", value)

  def test_no_lengths_stay_none(self):
    self.assertIsNone(checks.check_lengths(None))

  def test_lengths_keep_their_int_type(self):
    for dtype in (tf1.int32, tf1.int64):
      lengths = checks.check_lengths(tf1.constant([1, 2], dtype))
      self.assertEqual(lengths.dtype, dtype)

  def test_lengths_that_are_no_vector_raise(self):
    with self.assertRaisesRegex(errors.ShapeError, "lengths must have rank 1"):
      checks.check_lengths(3)

  def test_lengths_that_are_no_integers_raise(self):
    with self.assertRaisesRegex(errors.DtypeError, "lengths.*with tf.cast"):
      checks.check_lengths(tf1.constant([1.0]))

  def test_lengths_of_another_graph_raise(self):
    with tf1.Graph().as_default():
      lengths = tf1.constant([1])
    with self.assertRaisesRegex(errors.GraphError, "lengths"):
      checks.check_lengths(lengths)


class MissingTest(support.NetTestCase):
  def test_none_is_refused(self):
    for convert in (
      lambda value: checks.convert_floats("inputs", value, tf1.float32),
      lambda value: checks.convert_ints("inputs", value),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, "inputs.*got None"):
        convert(None)

  def test_an_eager_tensor_is_refused(self):
    if compat.IS_TF1:
      self.skipTest("1.15 makes eager tensors only after a global switch")
    with futures.ThreadPoolExecutor(1) as pool:  # outside of the test's graph
      eager = pool.submit(tf1.constant, [1.0]).result()
    with self.assertRaisesRegex(errors.GraphError, r"inputs\.numpy\(\)"):
      checks.convert_floats("inputs", eager, tf1.float32)

  def test_a_type_that_there_is_not_is_refused(self):
    self.assertEqual(checks.to_dtype("dtype", np.float32), tf1.float32)
    with self.assertRaisesRegex(errors.DtypeError, "^d: dtype must .*'flot'"):
      nets.Dense(3, dtype="flot", name="d")
    with self.assertRaisesRegex(errors.DtypeError, "input_dtype must"):
      combine.Part(tf1.sin, input_dtype="flot")


if __name__ == "__main__":
  absltest.main()

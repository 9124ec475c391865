"""Tests of scopes."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import scopes
from tests import case
from tests.seq2seq.legacy import support


class ScopesTest(case.GraphTestCase):
  def test_opened_opens_a_name_scope_inner_does_not(self):
    with scopes.opened(None, "outer", tf1.float64) as found:
      with scopes.inner("below"):
        variable = scopes.make_variable("v", [2], found.dtype)
        op = tf1.no_op("op")
    self.assertEqual(variable.op.name, "outer/below/v")
    self.assertEqual(variable.dtype, tf1.float64)
    self.assertEqual(op.name, "outer/op")

  def test_opened_goes_back_to_a_scope(self):
    with tf1.variable_scope("there") as place:
      pass
    with tf1.variable_scope("here"), scopes.opened(place, "default"):
      variable = scopes.make_variable("v", [2], tf1.float32)
    self.assertEqual(variable.op.name, "there/v")

  def test_reusing_makes_once_and_finds_from_then_on(self):
    made = []
    for _ in range(2):
      with scopes.reusing("mine"):
        made.append(scopes.make_variable("v", [2], tf1.float32))
    self.assertIs(made[0], made[1])

  def test_reusing_makes_nothing_where_reuse_is_a_must(self):
    with tf1.variable_scope("around", reuse=True):
      with scopes.reusing():
        with self.assertRaisesRegex(errors.ArgumentError, "does not exist"):
          scopes.make_variable("v", [2], tf1.float32)

  @parameterized.named_parameters(("again", [2]), ("otherwise", [3]))
  def test_a_variable_that_is_there_raises(self, shape):
    scopes.make_variable("v", [2], tf1.float32)
    with self.assertRaisesRegex(errors.ArgumentError, "'v'.*AUTO_REUSE"):
      scopes.make_variable("v", shape, tf1.float32)

  def test_a_variable_of_another_shape_raises(self):
    scopes.make_variable("v", [2], tf1.float32)
    with scopes.reusing():
      with self.assertRaisesRegex(errors.ArgumentError, r"shape \[3\]"):
        scopes.make_variable("v", [3], tf1.float32)

  def test_variables_are_resources(self):
    with tf1.variable_scope("around", use_resource=False):
      variable = scopes.make_variable("v", [2], tf1.float32)
    self.assertTrue(compat.is_resource_variable(variable))

  def test_linear_is_the_formula_and_starts_with_a_zero_bias(self):
    x, y = self.normal(2, 3), self.normal(2, 4)
    apply = scopes.linear([3, 4], 5, tf1.float64)
    result = apply([tf1.constant(x), tf1.constant(y)])
    found = support.by_name(tf1.global_variables())
    self.assertEqual(list(found), ["kernel", "bias"])
    sess = self.session()
    kernel, bias, result = sess.run([found["kernel"], found["bias"], result])
    np.testing.assert_array_equal(bias, np.zeros(5))
    self.assert_close(result, np.concatenate([x, y], 1) @ kernel)

  def test_linear_does_not_cut_its_bias(self):
    parts = tf1.fixed_size_partitioner(2)
    with tf1.variable_scope("around", partitioner=parts):
      scopes.linear([4], 6, tf1.float32)
      after = scopes.make_variable("after", [4, 2], tf1.float32)
    names = list(support.by_name(tf1.global_variables()))
    self.assertEqual(
      names[:3], ["around/kernel/part_0", "around/kernel/part_1", "around/bias"]
    )
    self.assertLen(list(after), 2)  # the scope's own partitioner is kept

  def test_check_ids_takes_lists_of_vectors_only(self):
    ids = tf1.placeholder(tf1.int64, [None])
    self.assertEqual(scopes.check_ids("ids", (ids,)), [ids])
    for bad, error, message in (
      ([], errors.ArgumentError, "ids must be a list"),
      (ids, errors.ArgumentError, "unstack"),
      ([tf1.zeros([2])], errors.DtypeError, r"ids\[0\]"),
      ([ids, ids[:, None]], errors.ShapeError, r"ids\[1\].*rank 1"),
    ):
      with self.assertRaisesRegex(error, message):
        scopes.check_ids("ids", bad)

  def test_check_vectors_takes_lists_of_one_depth_only(self):
    x = tf1.placeholder(tf1.float32, [None, 3])
    found, depth = scopes.check_vectors("x", [x, x])
    self.assertEqual((found, depth), ([x, x], 3))
    unknown = tf1.placeholder(tf1.float32, [2, None])
    for bad, error, message in (
      ([], errors.ArgumentError, "x must be a list"),
      ([tf1.zeros([2, 3], tf1.int32)], errors.DtypeError, "embedding_"),
      ([tf1.zeros([2])], errors.ShapeError, "rank 2"),
      ([unknown], errors.ShapeError, "set_shape"),
      ([x, tf1.zeros([2, 4])], errors.ShapeError, r"x\[1\] must be \[B, 3\]"),
    ):
      with self.assertRaisesRegex(error, message):
        scopes.check_vectors("x", bad)

  def test_tensors_of_another_graph_raise(self):
    with tf1.Graph().as_default():
      x, ids = tf1.zeros([2, 3]), tf1.zeros([2], tf1.int32)
    with self.assertRaisesRegex(errors.GraphError, r"x\[0\]"):
      scopes.check_vectors("x", [x])
    with self.assertRaisesRegex(errors.GraphError, r"ids\[0\]"):
      scopes.check_ids("ids", [ids])


if __name__ == "__main__":
  absltest.main()

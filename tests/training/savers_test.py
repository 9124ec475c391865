"""Tests of savers: whose files, and what is in them."""

import os
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.training import savers
from tests import case
from tests.pipeline import placement_test


class SaversTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.prefix = os.path.join(folder.name, "model")

  def make(self, *, use_resource):
    """Returns variables on two tasks; two of them begin with one tensor."""
    first = tf1.constant(np.arange(6.0).reshape([2, 3]))
    with tf1.device(placement_test.TASKS[1]):
      one = tf1.get_variable(
        "a/one", initializer=first, use_resource=use_resource
      )
      two = tf1.get_variable(
        "two", initializer=first, use_resource=use_resource
      )
    with tf1.device(placement_test.TASKS[2]):
      step = tf1.get_variable("step", initializer=3, use_resource=use_resource)
    return [one, two, step]

  @parameterized.parameters(True, False)
  def test_a_variable_without_a_value_is_no_error_of_files(self, use_resource):
    variable = tf1.get_variable("v", [2], use_resource=use_resource)
    saver = savers.Saver([variable])
    with tf1.Session() as sess:
      with self.assertRaisesRegex(
        errors.SessionError, "variable 'v' has no value.*global_variables_init"
      ):
        saver.save(sess, self.prefix)
      sess.run(variable.initializer)
      saver.save(sess, self.prefix)
      self.assertTrue(os.path.exists(self.prefix + ".index"))

  @parameterized.parameters(True, False)
  def test_values_of_a_cluster_go_through_this_process(self, use_resource):
    variables = self.make(use_resource=use_resource)
    saver = savers.Saver(variables)
    change = tf1.assign_add(variables[0], np.ones([2, 3]))
    clear = [tf1.assign(v, tf1.zeros_like(v)) for v in variables]
    count = len(self.graph.get_operations())
    config = tf1.ConfigProto(operation_timeout_in_ms=60000)
    with tf1.Session(placement_test.target(), config=config) as sess:
      sess.run([v.initializer for v in variables])
      sess.run(change)
      expected = sess.run(variables)
      fail = AssertionError("a task would write the file")
      with mock.patch.object(tf1.train.Saver, "save", side_effect=fail):
        saver.save(sess, self.prefix)
      reader = tf1.train.load_checkpoint(self.prefix)
      for v, value in zip(variables, expected):
        np.testing.assert_array_equal(reader.get_tensor(v.op.name), value)
      sess.run(clear)
      with mock.patch.object(tf1.train.Saver, "restore", side_effect=fail):
        saver.restore(sess, self.prefix)
      for value, other in zip(expected, sess.run(variables)):
        np.testing.assert_array_equal(value, other)
        self.assertEqual(np.asarray(value).dtype, np.asarray(other).dtype)
      self.assertFalse(np.array_equal(expected[0], expected[1]))
      sess.run(clear)
      tf1.train.Saver.restore(saver._saver, sess, self.prefix)  # same files
      for value, other in zip(expected, sess.run(variables)):
        np.testing.assert_array_equal(value, other)
    self.assertLen(self.graph.get_operations(), count)

  @parameterized.parameters("plain", "partitioned")
  def test_else_it_is_a_saver_of_tensorflow(self, kind):
    settings = {}
    if kind == "partitioned":
      settings["partitioner"] = tf1.fixed_size_partitioner(2)
    with tf1.variable_scope("", **settings):
      tf1.get_variable("w", [4], initializer=tf1.zeros_initializer())
    variables = tf1.global_variables()
    self.assertLen(variables, 2 if settings else 1)
    saver = savers.Saver(variables)
    address = placement_test.target() if settings else ""
    with tf1.Session(address) as sess:
      sess.run(tf1.global_variables_initializer())
      saver.save(sess, self.prefix)
      saver.restore(sess, self.prefix)
    reader = tf1.train.load_checkpoint(self.prefix)
    self.assertEqual(reader.get_variable_to_shape_map(), {"w": [4]})


if __name__ == "__main__":
  absltest.main()

"""Tests of what a sub-model is given."""

import numpy as np
from absl.testing import absltest

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import arguments
from tests import case


class ArgumentsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2, 3], name="x")
    self.w = self.variable("w", self.normal(3, 3))
    self.h = tf1.tanh(tf1.matmul(self.x, self.w), name="h")
    self.shown = tf1.reshape(self.h, [3, 2], name="shown")
    self.y = tf1.reduce_sum(tf1.square(self.h), name="y")

  def ops(self, *inputs):
    return walk.ancestors([self.y], stop=inputs)

  def test_an_input_that_no_output_reads_is_named_with_what_to_cut_at(self):
    ops = self.ops(self.shown)
    with self.assertRaises(errors.DisconnectedError) as caught:
      arguments.check_alive([self.shown], [self.y], ops)
    self.assert_message(caught.exception, "'shown:0'", "Cut at 'h:0'")
    arguments.check_alive([self.h], [self.y], self.ops(self.h))
    arguments.check_alive([self.y], [self.y], self.ops(self.y))

  def test_an_input_beside_a_live_one_counts_too(self):
    other = tf1.placeholder(tf1.float64, [], name="other")
    with self.assertRaises(errors.DisconnectedError) as caught:
      arguments.check_alive([self.x, other], [self.y], self.ops())
    self.assert_message(caught.exception, "'other:0'", "tangle.cut_points")

  def test_an_output_must_depend_on_an_input_or_a_variable(self):
    constant = tf1.constant(1.0, name="constant")
    reached = walk.names([self.y])
    arguments.check_connected([self.x], [self.y], reached)
    with self.assertRaises(errors.DisconnectedError) as caught:
      arguments.check_connected([self.x], [constant], reached)
    self.assert_message(caught.exception, "'constant:0'", "'x:0'")

  def test_all_floating_inputs_but_sparse_values_are_wanted(self):
    sparse = tf1.sparse_placeholder(tf1.float64, [2, 2])
    ids = tf1.placeholder(tf1.int32, [2])
    product = tf1.sparse_tensor_dense_matmul(sparse, self.h)
    ops = walk.ancestors([product])
    inputs = [sparse.values, self.h, ids]
    found = arguments.find_wanted(inputs, ops)
    self.assertEqual(found, [False, True, False])
    found = arguments.find_wanted(inputs, ops, [sparse.values])
    self.assertEqual(found, [True, False, False])
    for wrong in (ids, self.y):
      with self.assertRaises(errors.ArgumentError) as caught:
        arguments.find_wanted(inputs, ops, [wrong])
      self.assert_message(caught.exception, "input_gradients", wrong.name)

  def test_used_has_a_bool_for_each_output(self):
    number = tf1.size(self.h, name="number")
    outputs = [self.h, self.y]
    for used in ([True, False], (1, 0), np.array([True, False])):
      found = arguments.check_used(used, outputs)
      self.assertEqual(found, (True, False))
    for wrong in (True, None, 2, [True], [False, False], [True] * 3):
      with self.assertRaises(errors.ArgumentError) as caught:
        arguments.check_used(wrong, outputs)
      self.assert_message(
        caught.exception,
        f"'h:0', 'y:0'], at least one of them true, got {wrong}",
      )
      self.assert_message(caught.exception, "To use all, give [True, True].")
    with self.assertRaises(errors.DtypeError) as caught:
      arguments.check_used([True, True], [self.h, number])
    self.assert_message(caught.exception, "'number:0' (int32)", "must be False")

  def test_variables_are_found_or_named(self):
    frozen = self.variable("frozen", np.ones(3), trainable=False)
    y = tf1.reduce_sum(self.h * frozen)
    ops = walk.ancestors([y])
    found = arguments.find_variables(ops, self.graph)
    self.assertEqual([v.name for v in found], ["w:0"])
    found = arguments.find_variables(ops, self.graph, [frozen])
    self.assertEqual([v.name for v in found], ["frozen:0"])
    apart = self.variable("apart", np.ones(3))
    with self.assertRaises(errors.DisconnectedError) as caught:
      arguments.find_variables(ops, self.graph, [apart])
    self.assert_message(caught.exception, "'apart:0'")
    with self.assertRaises(errors.ArgumentError):
      arguments.find_variables(ops, self.graph, [3])

  def test_names_that_cannot_name_a_scope(self):
    for name in (np.ones(2), self.x, 3, "a b", "", None):
      with self.assertRaisesRegex(errors.ArgumentError, "^SubModel: name must"):
        tangle.SubModel([self.x], [self.y], name=name)

  def test_stores_that_do_not_exist(self):
    known = ("device", "host")
    self.assertEqual(arguments.check_store("host", known), "host")
    for store in (None, np.ones(2), "hosts", ["host"]):
      with self.assertRaises(errors.ArgumentError) as caught:
        arguments.check_store(store, known)
      self.assert_message(caught.exception, f"got {errors.show(store)}.")

  def test_what_a_session_can_fetch(self):
    sparse = tf1.SparseTensor([[0]], [1.0], [1])
    for fetches in ([], self.y.op, "y", "y:0", {"a": [self.w, (sparse,)]}):
      arguments.check_fetches(fetches, self.graph)

  def test_what_no_session_can_fetch(self):
    lists = [None, 3.0, np.ones(2), "nothing", "y:7"]
    for wrong in lists + [[self.y, value] for value in lists]:
      with self.assertRaises(errors.ArgumentError) as caught:
        arguments.check_fetches(wrong, self.graph)
      given = errors.show(wrong[1] if isinstance(wrong, list) else wrong)
      self.assert_message(caught.exception, f"got {given}. Give what")

  def test_a_fetch_of_another_graph(self):
    with tf1.Graph().as_default():
      other = tf1.zeros([], name="other")
    with self.assertRaisesRegex(errors.GraphError, "'other:0', which belongs"):
      arguments.check_fetches({"a": other}, self.graph)


if __name__ == "__main__":
  absltest.main()

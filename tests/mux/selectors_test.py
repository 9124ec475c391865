"""Tests of selectors."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.mux import selectors
from tests import case

THREE = selectors.list_branches("branches", {"a": 1, "b": 2, "ü": 3})


class SelectorsTest(case.GraphTestCase):
  def test_branches_keep_their_order_and_names(self):
    found = selectors.list_branches("branches", {"z": 1, "a": 2})
    self.assertEqual(found.labels, ("'z'", "'a'"))
    self.assertEqual(found.items, (1, 2))
    self.assertEqual(found.names, ("z", "a"))
    found = selectors.list_branches("branches", (5, 6))
    self.assertEqual(found, (("0", "1"), (5, 6), None))

  def test_branches_that_are_none(self):
    for wrong, message in (
      ([], "branches must have at least one branch"),
      ({}, "branches must have at least one branch"),
      (7, "branches must be a list, or a mapping"),
      (np.ones([5, 9]), "got an array of float64, shape (5, 9). Put each"),
      ({1: 2}, "the names of branches must be strings, got 1"),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        selectors.list_branches("branches", wrong)
      self.assert_message(caught.exception, message)
    with self.assertRaises(errors.ArgumentError) as caught:
      selectors.list_networks({"a": abs, "b": 3})
    self.assert_message(caught.exception, "network 'b'", "mux.select")

  @parameterized.named_parameters(
    ("list", [2, 0]),
    ("tuple_of_names", ("ü", "a")),
    ("array", np.array([2, 0])),
    ("bytes", np.array(["ü".encode(), b"a"])),
  )
  def test_known_selectors_become_constants(self, selector):
    found = selectors.to_indices(selector, THREE, 1)
    self.assertEqual(found.op.type, "Const")
    self.assertEqual(self.session().run(found).tolist(), [2, 0])

  def test_an_empty_list_selects_nothing(self):
    found = selectors.to_indices([], THREE, 1)
    self.assertEqual(found.shape.as_list(), [0])

  @parameterized.named_parameters(
    ("int32", tf1.int32, [1, 2], [1, 9, -3], r"\[0, 3\)\. .*; got\] \[9 -3\]"),
    ("int64", tf1.int64, [1, 2], [1, 2**32 + 1], r"got\] \[4294967297\]"),
    (
      "string",
      tf1.string,
      ["b", "ü"],
      ["a", "nobody"],
      r"names a, b, .* Feed such a name, or add a .*; got\] \[nobody\]",
    ),
  )
  def test_fed_selectors_are_checked_in_the_run(self, dtype, good, bad, text):
    ph = tf1.placeholder(dtype, [None])
    for optimize in (False, True):
      found = selectors.to_indices(ph, THREE, 1)
      sess = self.session(optimize=optimize)
      self.assertEqual(sess.run(found, {ph: good}).tolist(), [1, 2])
      self.assertEqual(sess.run(found, {ph: []}).shape, (0,))
      with self.assertRaisesRegex(tf1.errors.InvalidArgumentError, text):
        sess.run(found, {ph: bad})

  @parameterized.named_parameters(("v1", False), ("v2", True))
  def test_the_check_holds_inside_a_conditional(self, v2):
    self.use_control_flow(v2)
    ph = tf1.placeholder(tf1.int32, [])
    on_ph = tf1.placeholder(tf1.bool, [])
    found = tf1.cond(
      on_ph,
      lambda: selectors.to_indices(ph, THREE, 0) * 0,
      lambda: tf1.constant(5),
    )
    sess = self.session()
    self.assertEqual(sess.run(found, {ph: 7, on_ph: False}), 5)
    self.assertEqual(sess.run(found, {ph: 2, on_ph: True}), 0)
    with self.assertRaisesRegex(tf1.errors.InvalidArgumentError, r"\[7\]"):
      sess.run(found, {ph: 7, on_ph: True})

  def test_selectors_that_cannot_be(self):
    plain = selectors.list_branches("branches", [1, 2])
    with tf1.Graph().as_default():
      foreign = tf1.placeholder(tf1.int32, [None])
    for error, selector, branches, text in (
      (errors.ArgumentError, [0, 3, -1], THREE, "in [0, 3), got 3, -1. There"),
      (
        errors.ArgumentError,
        [7],
        THREE,
        "There are 3 branches, counted fr",
      ),
      (errors.ArgumentError, ["a", "x"], THREE, "b, ü, got 'x'. Correct the n"),
      (errors.ArgumentError, ["x"] * 9, THREE, "'x' and 1 more. Correct the n"),
      (errors.ArgumentError, ["aa"], THREE, "got 'aa'. Perhaps 'a' is meant."),
      (errors.ArgumentError, ["a"], plain, "Pass a mapping from name"),
      (errors.DtypeError, [True], plain, "int32 or int64"),
      (errors.DtypeError, np.array([1], np.uint8), plain, "with tf.cast"),
      (errors.GraphError, foreign, plain, "another graph"),
      (errors.ShapeError, 1, plain, "rank 1"),
      (errors.ShapeError, tf1.placeholder(tf1.int32), plain, "known"),
    ):
      with self.assertRaises(error) as caught:
        selectors.to_indices(selector, branches, 1)
      self.assert_message(caught.exception, "selector", text)

  def test_rows_are_checked_when_they_are_known(self):
    ph = tf1.placeholder(tf1.int32, [None])
    tensor_ph = tf1.placeholder(tf1.float32, [None, 2])
    found = selectors.check_rows(ph, [tensor_ph])
    sess = self.session()
    feed = {ph: [0, 0], tensor_ph: np.zeros([2, 2])}
    self.assertEqual(sess.run(found, feed).tolist(), [0, 0])
    feed[ph] = [0]
    with self.assertRaisesRegex(
      tf1.errors.InvalidArgumentError, r"got\] \[1\] \[and\] \[2\]"
    ):
      sess.run(found, feed)
    found = selectors.check_rows(ph, [tf1.zeros([4])])
    self.assertEqual(found.shape.as_list(), [4])
    self.assertIsNone(tf1.dimension_value(tensor_ph.shape[0]))

  def test_rows_that_cannot_be(self):
    for tensor in (tf1.zeros([3]), tf1.zeros([]), tf1.placeholder(tf1.int32)):
      with self.assertRaises(errors.ShapeError) as caught:
        selectors.check_rows(tf1.constant([0, 0]), [tensor])
      self.assert_message(caught.exception, tensor.name)

  def test_after_waits_for_the_checks(self):
    ph = tf1.placeholder(tf1.bool, [])
    found = selectors.after([tf1.Assert(ph, ["no"])], tf1.constant(3))
    sess = self.session()
    self.assertEqual(sess.run(found, {ph: True}), 3)
    with self.assertRaises(tf1.errors.InvalidArgumentError):
      sess.run(found, {ph: False})


if __name__ == "__main__":
  absltest.main()

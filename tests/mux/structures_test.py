"""Tests of structures."""

import collections

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.mux import structures
from tests import case

Pair = collections.namedtuple("Pair", ["left", "right"])


class StructuresTest(case.GraphTestCase):
  def test_leaves_become_tensors(self):
    variable = self.variable("v", np.array([1.0]))
    nest = {"a": Pair(variable, [1, 2]), "b": (np.array(3.0),)}
    found = structures.to_tensors("it", nest)
    self.assertIsInstance(found["a"], Pair)
    for leaf in tf1.nest.flatten(found):
      self.assertIsInstance(leaf, tf1.Tensor)
    self.assertEqual(found["b"][0].dtype, tf1.float64)

  def test_leaves_that_are_no_dense_tensors(self):
    sparse = tf1.SparseTensor([[0]], [1.0], [2])
    slices = tf1.IndexedSlices(tf1.zeros([1, 2]), tf1.constant([0]))
    for leaf in (None, sparse, slices, object()):
      with self.assertRaises(errors.ArgumentError) as caught:
        structures.to_tensors("it", [tf1.zeros([2]), leaf])
      self.assert_message(caught.exception, "it must be dense tensors")
      self.assertRegex(str(caught.exception), r"got .+(Leave|Give) .*\.$")
    for nest in ([], {}, ()):
      with self.assertRaises(errors.ArgumentError) as caught:
        structures.to_tensors("it", nest)
      self.assert_message(
        caught.exception,
        "it must have at least one tensor",
        f"got {nest}. Give a tensor, or",
      )
    with tf1.Graph().as_default():
      foreign = tf1.zeros([2])
    with self.assertRaises(errors.GraphError):
      structures.to_tensors("it", [foreign])

  def test_shapes_are_merged_beyond_the_rows(self):
    a = tf1.placeholder(tf1.float32, [3, None, 2])
    b = tf1.placeholder(tf1.float32, [4, 5, None])
    found = structures.check_alike("ab", [{"x": a}, {"x": b}])
    self.assertEqual([shape.as_list() for shape in found], [[5, 2]])

  def test_all_dimensions_are_merged_if_asked(self):
    a = tf1.placeholder(tf1.float32, [3, None])
    b = tf1.placeholder(tf1.float32, [None, 5])
    found = structures.check_alike("ab", [a, b], first_row=0)
    self.assertEqual(found[0].as_list(), [3, 5])
    with self.assertRaises(errors.ShapeError):
      structures.check_alike("ab", [a, tf1.zeros([4, 5])], first_row=0)

  def test_branches_that_differ_are_both_named(self):
    x = tf1.zeros([2, 3])
    labels = ("'one'", "'two'", "'three'")
    for error, other in (
      (errors.ArgumentError, (x, x)),
      (errors.ArgumentError, Pair(x, x)),
      (errors.ArgumentError, [x]),
      (errors.DtypeError, [x, tf1.cast(x, tf1.int32)]),
      (errors.ShapeError, [x, x[:, :2]]),
      (errors.ShapeError, [x, x[:, 0]]),
    ):
      with self.assertRaises(error) as caught:
        structures.check_alike(labels, [[x, x], [x, x], other])
      self.assert_message(
        caught.exception, "branches 'one' and 'three' must give the same"
      )

  def test_values_without_rows(self):
    structures.check_rows("'a'", {"x": tf1.zeros([2])})
    for leaf in (tf1.zeros([]), tf1.placeholder(tf1.float32)):
      with self.assertRaises(errors.ShapeError) as caught:
        structures.check_rows("'a'", [leaf])
      self.assert_message(caught.exception, "branch 'a' must give one row")


if __name__ == "__main__":
  absltest.main()

"""Tests of combining: any number of variables, dense, sparse and missing."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, gradients
from tangle.compat import tf1
from tests import case


class CombiningTest(case.GraphTestCase):
  def mixed(self):
    """Returns 2 lists of 5 gradients, and the same as dense arrays."""
    shapes = ([3, 2], [5, 2], [5, 2], [2], [])
    arrays = [[np.zeros(shape) for shape in shapes] for _ in range(2)]
    rows = [[None] * 5 for _ in range(2)]
    for k in range(2):
      arrays[k][0] = self.normal(3, 2)
      rows[k][0] = tf1.constant(arrays[k][0])
      values, ids = self.normal(3, 2), [4, k, 4]  # a row twice
      np.add.at(arrays[k][1], ids, values)
      rows[k][1] = tf1.IndexedSlices(
        tf1.constant(values), tf1.constant(ids), tf1.constant([5, 2])
      )
      if k == 0:
        arrays[k][2] = arrays[k][1]
        rows[k][2] = rows[k][1]
    arrays[1][2] = self.normal(5, 2)
    rows[1][2] = tf1.constant(arrays[1][2])
    arrays[1][3] = self.normal(2)
    rows[1][3] = tf1.constant(arrays[1][3])  # missing in the first loss
    return rows, arrays

  @parameterized.parameters(
    *(method for method in gradients.METHODS if method != "graddrop")
  )
  def test_dense_sparse_and_missing_are_as_one_vector(self, method):
    options = {"weights": [0.25, 2.0]} if method == "weighted" else {}
    rows, arrays = self.mixed()
    found = gradients.combine(rows, method, **options)
    flat = [np.concatenate([a.ravel() for a in array]) for array in arrays]
    expected = gradients.combine(
      [[tf1.constant(vector)] for vector in flat], method, **options
    )
    self.assertIsNone(found[4])
    self.assertEqual(
      [isinstance(g, tf1.IndexedSlices) for g in found[:4]],
      [False, True, False, False],
    )
    found, expected = self.session().run([found[:4], expected[0]])
    found = np.concatenate([case.dense(g).ravel() for g in found])
    self.assert_close(found, expected[:-1], 1e-9)

  def test_graddrop_keeps_sparse_gradients_sparse(self):
    rows, arrays = self.mixed()
    found = gradients.combine(rows, "graddrop", leak=[1.0, 1.0])
    self.assertIsNone(found[4])
    found = self.session().run(found[:4])
    self.assertTrue(case.is_sparse(found[1]))
    for gradient, first, second in zip(found, *arrays):
      self.assert_close(gradient, first + second)

  def test_weights_change_from_run_to_run(self):
    ph = tf1.placeholder(tf1.float32, [2])
    rows = [[tf1.constant([1.0])], [tf1.constant([10.0])]]
    found = gradients.combine(rows, "weighted", weights=ph)
    sess = self.session()
    for weights, expected in (([1, 1], [11]), ([0, 0.5], [5])):
      np.testing.assert_allclose(sess.run(found[0], {ph: weights}), expected)

  def test_shapes_need_not_be_known(self):
    phs = [tf1.placeholder(tf1.float64, None) for _ in range(2)]
    found = gradients.combine([[ph] for ph in phs], "mgda")[0]
    sess = self.session()
    for size in (2, 5):
      values = [np.ones([size, 3]), -np.ones([size, 3])]
      array = sess.run(found, dict(zip(phs, values)))
      np.testing.assert_allclose(array, np.zeros([size, 3]), atol=1e-9)

  @parameterized.parameters(np.float16, np.float32, np.float64)
  def test_types_are_kept(self, dtype):
    rows = [[tf1.constant(self.normal(4), dtype)] for _ in range(2)]
    for method in ("mean", "upgrad", "graddrop"):
      (found,) = gradients.combine(rows, method)
      self.assertEqual(found.dtype.as_numpy_dtype, dtype)

  def test_explain_gives_what_combine_gives_and_more(self):
    rows = [[tf1.constant(self.normal(4))] for _ in range(3)]
    for method in ("sum", "cagrad"):
      explained = gradients.explain(rows, method)
      found, (d,), weights, gram = self.session().run(
        [gradients.combine(rows, method)[0], *explained]
      )
      self.assert_close(d, found)
      stacked = self.session().run([row[0] for row in rows])
      self.assert_close(weights @ np.stack(stacked), found, 1e-9)
      self.assert_close(gram, np.stack(stacked) @ np.stack(stacked).T)
    self.assertIsNone(gradients.explain(rows, "graddrop").weights)

  @parameterized.parameters(*gradients.METHODS)
  def test_the_docstring_names_it(self, method):
    self.assertRegex(gradients.combine.__doc__, rf"\| .*`{method}`.* \|")

  @parameterized.parameters(*gradients.METHODS)
  def test_ops_land_in_the_scope(self, method):
    rows = [[tf1.ones([2])], [tf1.ones([2])]]
    options = {"weights": [1.0, 2.0]} if method == "weighted" else {}
    before = self.count_ops()
    gradients.combine(rows, method, name="joined", **options)
    made = self.graph.get_operations()[before:]
    self.assertNotEmpty(made)
    self.assertEqual([op.name for op in made if op.name[:7] != "joined/"], [])

  @parameterized.named_parameters(
    ("method", "nothing", {}, "method must be one of"),
    ("misspelt", "pcgard", {}, "Perhaps 'pcgrad' is meant"),
    ("option", "mean", {"weights": [1, 1]}, "no option 'weights'"),
    ("few", "weighted", {"weights": [1]}, "2 numbers"),
    ("negative", "weighted", {"weights": [1, -1]}, "at least 0"),
    ("leak", "graddrop", {"leak": [0.5, 1.5]}, "at most 1"),
  )
  def test_refuses_before_it_adds_ops(self, method, options, text):
    rows = [[tf1.ones([2])], [tf1.ones([2])]]
    before = self.count_ops()
    for function in (gradients.combine, gradients.explain):
      with self.assertRaises(errors.ArgumentError) as caught:
        function(rows, method, **options)
      self.assert_message(
        caught.exception, f"gradients.{function.__name__}", text
      )
    self.assertEqual(self.count_ops(), before)

  def test_refuses_lists_of_other_lengths_and_integers(self):
    with self.assertRaisesRegex(errors.ArgumentError, "lengths"):
      gradients.combine([[None], []], "sum")
    with self.assertRaisesRegex(errors.DtypeError, "floating"):
      gradients.combine([[tf1.ones([], tf1.int32)]], "sum")


if __name__ == "__main__":
  absltest.main()

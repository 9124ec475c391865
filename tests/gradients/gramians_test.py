"""Tests of gramians."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, gradients
from tangle.compat import tf1
from tangle.gradients import gramians
from tests import case


class GramiansTest(case.GraphTestCase):
  def slices(self, rows, ids, dtype=np.int32):
    """Returns an `IndexedSlices` and the same as an array `[5, 2]`."""
    values = self.normal(len(ids), 2)
    array = np.zeros([5, 2])
    np.add.at(array, ids, values)
    return tf1.IndexedSlices(
      tf1.constant(values), tf1.constant(ids, dtype), tf1.constant([rows, 2])
    ), array

  def test_is_that_of_the_dense_gradients(self):
    first, first_np = self.slices(5, [4, 0, 4])
    second, second_np = self.slices(5, [0, 0, 3, 4], np.int64)
    dense = [self.normal(3, 2) for _ in range(3)]
    beside = self.normal(5, 2)
    rows = [
      [tf1.constant(dense[0]), first, first, None],
      [tf1.constant(dense[1]), second, tf1.constant(beside), None],
      [tf1.constant(dense[2]), None, None, None],
    ]
    flat = np.stack(
      [
        np.concatenate([d.ravel(), a.ravel(), b.ravel()])
        for d, a, b in zip(
          dense,
          [first_np, second_np, np.zeros([5, 2])],
          [first_np, beside, np.zeros([5, 2])],
        )
      ]
    )
    found = self.session().run(gradients.gramian(rows))
    self.assert_close(found, flat @ flat.T)

  def test_nothing_gives_zeros(self):
    found = self.session().run(gradients.gramian([[None], [None]]))
    self.assert_close(found, np.zeros([2, 2]))

  def test_half_precision_is_multiplied_in_single(self):
    values = np.full([1000], 10.0, np.float16)  # its square is beyond float16
    found = self.session().run(gradients.gramian([[tf1.constant(values)]]))
    self.assert_close(found, np.array([[1e5]]))

  def test_aligned_rows_are_there_once(self):
    first, first_np = self.slices(5, [4, 0, 4])
    second, second_np = self.slices(5, [0, 3])
    part = gramians.align([first, None, second])
    total = gramians.weigh(part, tf1.constant([2.0, 0.0, -1.0], tf1.float64))
    found, rows = self.session().run([total, part.indices])
    self.assertCountEqual(rows, [0, 3, 4])
    self.assertTrue(case.is_sparse(found))
    self.assert_close(found, 2 * first_np - second_np)

  def test_precision_is_that_of_the_coarsest_type(self):
    fine = gramians.align([tf1.zeros([1], tf1.float64)] * 2)
    coarse = gramians.align([tf1.zeros([1], tf1.float32)] * 2)
    self.assertLess(gramians.precision([fine]), 1e-15)
    self.assertGreater(gramians.precision([fine, coarse]), 2e-7)

  @parameterized.named_parameters(
    ("a_tensor", lambda: tf1.zeros([2, 2]), "list of lists"),
    ("flat", lambda: [tf1.zeros([2])], "gradients[0]"),
    ("none", list, "[]"),
    ("unequal", lambda: [[None], [None, None]], "[1, 2]"),
    ("text", lambda: [["x"]], "'x'"),
  )
  def test_refuses_what_is_no_list_of_lists(self, make, text):
    with self.assertRaises(errors.ArgumentError) as caught:
      gradients.gramian(make())
    self.assert_message(caught.exception, "gradients.gramian", text)

  def test_refuses_integers(self):
    with self.assertRaises(errors.DtypeError) as caught:
      gradients.gramian([[tf1.zeros([2], tf1.int32)]])
    self.assert_message(caught.exception, "int32", "floating")


if __name__ == "__main__":
  absltest.main()

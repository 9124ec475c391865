"""Tests of merges."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.combine import merging
from tangle.compat import tf1
from tests import case

BY_HAND = {
  "concat": lambda a, b, c: np.concatenate([a, b, c], -1),
  "sum": lambda a, b, c: a + b + c,
  "mean": lambda a, b, c: (a + b + c) / 3,
  "max": lambda a, b, c: np.max([a, b, c], 0),
  "product": lambda a, b, c: a * b * c,
}
LABELS = ["a", "b", "c"]


class MergingTest(case.GraphTestCase):
  @parameterized.named_parameters(*((name, name) for name in BY_HAND))
  def test_equals_numpy(self, kind):
    values = [self.normal(2, 3) for _ in range(3)]
    tensors = [tf1.constant(value) for value in values]
    merged = merging.merge(LABELS, tensors, kind)
    self.assert_close(self.session().run(merged), BY_HAND[kind](*values))

  def test_every_merge_with_a_name_is_tested(self):
    self.assertEqual(set(BY_HAND), set(merging.MERGES))

  def test_concat_joins_along_any_axis(self):
    x = tf1.placeholder(tf1.float32, [None, 2])
    y = tf1.placeholder(tf1.float32, [3, 2])
    merged = merging.merge(LABELS, [x, y], "concat", axis=0)
    self.assertEqual(merged.shape[1:].as_list(), [2])
    with self.assertRaisesRegex(errors.ShapeError, "no axis 2"):
      merging.merge(LABELS, [x, y], "concat", axis=2)

  def test_a_callable_gets_the_list(self):
    found = merging.merge(LABELS, [1, [2]], lambda values: values[1])
    self.assertEqual(found, [2])

  @parameterized.named_parameters(*((name, name) for name in BY_HAND))
  def test_unequal_shapes_raise_before_there_are_ops(self, kind):
    a, b = tf1.zeros([2, 3], name="x"), tf1.zeros([4, 5], name="y")
    before = self.count_ops()
    with self.assertRaises(errors.ShapeError) as caught:
      merging.merge(LABELS, [a, a, b], kind)
    self.assert_message(
      caught.exception, kind, "'a' and 'c'", "[2, 3]", "[4, 5]", "Dense"
    )
    self.assertEqual(self.count_ops(), before)

  def test_wrong_types_ranks_and_values_raise(self):
    x = tf1.zeros([2, 3])
    for other, error, message in (
      (tf1.zeros([2, 3], tf1.int32), errors.DtypeError, "tf.cast"),
      (tf1.placeholder(tf1.float32), errors.ShapeError, "set_shape"),
      ([x], errors.ArgumentError, "'b' must give one tensor"),
    ):
      with self.assertRaisesRegex(error, message):
        merging.merge(LABELS, [x, other], "sum")

  def test_an_unknown_merge_raises(self):
    merging.check_merge(tf1.add_n)
    with self.assertRaisesRegex(errors.ArgumentError, "merge .* 'glue'"):
      merging.check_merge("glue")


if __name__ == "__main__":
  absltest.main()

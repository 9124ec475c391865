"""Tests of totals."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import gradients
from tangle.compat import tf1
from tests import case


def uses(table, *kinds):
  """Returns one loss for each way to use `table` `[5, 2]`."""
  losses = []
  for k, kind in enumerate(kinds):
    factor = np.array([[1.0, -2.0]]) + k
    if kind == "dense":
      used = tf1.tanh(table * factor)
    elif kind == "none":
      used = tf1.stop_gradient(table)
    else:
      ids = tf1.constant([4, k, 4], kind)
      used = tf1.tanh(tf1.gather(table, ids) * factor)
    losses.append(tf1.reduce_sum(tf1.square(used)))
  return losses


class TotalTest(case.GraphTestCase):
  @parameterized.named_parameters(
    ("one_dense", ["dense"], "dense"),
    ("one_sparse", ["int32"], "sparse"),
    ("dense", ["dense"] * 3, "dense"),
    ("sparse", ["int32"] * 3, "sparse"),
    ("mixed", ["dense", "int32"], "dense"),
    ("mixed_the_other_way", ["int64", "int32", "dense"], "dense"),
    ("both_integers", ["int32", "int64", "int32"], "sparse"),
    ("long_integers", ["int64", "int64"], "sparse"),
    ("some_none", ["none", "int32", "none", "int32"], "sparse"),
    ("one_of_several", ["none", "dense", "none"], "dense"),
  )
  def test_sum_is_that_of_tensorflow(self, kinds, expected):
    table = self.variable("table", self.normal(5, 2))
    losses = uses(table, *kinds)
    parts = [tf1.gradients(loss, table)[0] for loss in losses]
    self.assertEqual(
      [part is None for part in parts], [k == "none" for k in kinds]
    )
    total = gradients.total(parts)
    joint = tf1.gradients(tf1.add_n(losses), table)[0]
    for gradient in (total, joint):
      is_sparse = isinstance(gradient, tf1.IndexedSlices)
      self.assertEqual("sparse" if is_sparse else "dense", expected)
    # One value for each use, so that a global norm comes out the same.
    norms = [tf1.global_norm([gradient]) for gradient in (total, joint)]
    dense = [tf1.convert_to_tensor(gradient) for gradient in (total, joint)]
    (total_np, joint_np), (norm, joint_norm) = self.session().run(
      [dense, norms]
    )
    self.assertEqual(total_np.shape, (5, 2))
    np.testing.assert_allclose(total_np, joint_np, rtol=1e-14)
    np.testing.assert_allclose(norm, joint_norm, rtol=1e-14)

  def test_nothing_has_no_sum(self):
    self.assertIsNone(gradients.total([None, None]))
    self.assertIsNone(gradients.total([]))

  def test_one_gradient_is_its_own_sum(self):
    gradient = tf1.ones([2])
    size = len(self.graph.get_operations())
    self.assertIs(gradients.total([None, gradient]), gradient)
    self.assertLen(self.graph.get_operations(), size)

  @parameterized.named_parameters(
    ("sparse", ["int32", "int64"]), ("mixed", ["int32", "dense"])
  )
  def test_ops_land_in_the_scope(self, kinds):
    table = self.variable("table", self.normal(5, 2))
    parts = [tf1.gradients(loss, table)[0] for loss in uses(table, *kinds)]
    before = len(self.graph.get_operations())
    gradients.total(parts, name="joined")
    made = self.graph.get_operations()[before:]
    self.assertNotEmpty(made)
    self.assertEqual([op.name for op in made if op.name[:7] != "joined/"], [])


if __name__ == "__main__":
  absltest.main()

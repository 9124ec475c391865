import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.partial import split
from tests import case
from tests.partial import checks, zoo


class _Judged(case.GraphTestCase):
  """A test without subtests of its own, to see what a check says of it."""

  def runTest(self):
    pass

  def subTest(self, *unused, **also_unused):
    return np.errstate()  # any context that does nothing


class ChecksTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.model = zoo.mlp(self)
    self.joint = checks.Joint(self.model)
    self.sess = self.session()
    self.judged = _Judged()
    self.judged.rng = self.rng
    outputs = self.sess.run(self.model.outputs, self.model.feed_dict)
    self.upstream = checks.upstream_like(self, outputs, self.model.used)
    self.right = self.joint.run(self.sess, self.model.feed_dict, self.upstream)

  def wrong(self, part, k, change):
    """Returns the right gradients but for one, which `change` makes wrong."""
    lists = {
      "inputs": self.right.inputs[:],
      "variables": self.right.variables[:],
    }
    lists[part][k] = change(lists[part][k])
    return split.Gradients(**lists)

  def numeric(self, gradients):
    checks.assert_numeric(
      self.judged,
      self.sess,
      self.model,
      self.joint.variables,
      gradients,
      self.upstream,
      {},
    )

  def test_right_gradients_pass(self):
    checks.assert_same(self.judged, self.right, self.right)
    self.numeric(self.right)

  @parameterized.product(
    place=[("inputs", 0), ("variables", 0), ("variables", 2)],
    change=[
      lambda g: 1.0001 * g,
      lambda g: -g,
      lambda g: g + 1e-4,
      np.zeros_like,
      lambda g: g * np.nan,
      lambda g: None,
    ],
  )
  def test_wrong_gradients_fail(self, place, change):
    wrong = self.wrong(*place, change)
    with self.assertRaises(AssertionError):
      checks.assert_same(self.judged, wrong, self.right)
    with self.assertRaises(AssertionError):
      self.numeric(wrong)

  def test_tiny_errors_fail_against_the_joint_graph(self):
    wrong = self.wrong("variables", 1, lambda g: g * (1 + 1e-11))
    with self.assertRaises(AssertionError):
      checks.assert_same(self.judged, wrong, self.right)

  def test_wrong_dtype_and_shape_fail(self):
    for change in (lambda g: g.astype(np.float32), lambda g: g[:-1]):
      wrong = self.wrong("inputs", 0, change)
      with self.assertRaises(AssertionError):
        checks.assert_same(self.judged, wrong, self.right)

  def test_one_gradient_too_few_fails(self):
    short = split.Gradients(self.right.inputs, self.right.variables[:-1])
    with self.assertRaises(AssertionError):
      checks.assert_same(self.judged, short, self.right)

  def test_variables_are_back_after_a_numeric_check(self):
    before = self.sess.run(self.joint.variables)
    self.numeric(self.right)
    for old, new in zip(before, self.sess.run(self.joint.variables)):
      np.testing.assert_array_equal(old, new)


class ShelvesTest(case.GraphTestCase):
  def test_counts_what_is_put_and_not_taken(self):
    key = tf1.placeholder(tf1.int64, [])
    options = {"key": key, "indices": [0], "shared_name": "here"}
    options["dtypes"] = [tf1.float64]
    put = tf1.raw_ops.MapStage(values=[np.float64(1.0)], **options)
    take = tf1.raw_ops.MapUnstage(**options)
    areas = checks.StagingAreas(self.graph)
    sess = self.session()
    self.assertEqual(areas.count(sess), 0)
    for k in range(3):
      sess.run(put, {key: k})
    self.assertEqual(areas.count(sess), 3)
    sess.run(take, {key: 1})
    self.assertEqual(areas.count(sess), 2)


if __name__ == "__main__":
  absltest.main()

"""Tests of ops that load variables."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.combine import restoring
from tangle.compat import tf1
from tests.combine import support


class RestoringTest(support.CombineTestCase):
  @parameterized.named_parameters(("resource", True), ("reference", False))
  def test_arrays_are_loaded_anew_each_time(self, use_resource):
    v = self.variable("v", np.zeros(2), use_resource=use_resource)
    arrays = []
    loader = restoring.Arrays([v], lambda: arrays)
    sess = self.session()
    self.graph.finalize()
    for value in ([1.0, np.nan], [-0.0, 2.0]):
      arrays[:] = [np.array(value)]
      loader.restore(sess)
      self.assertEqual(sess.run(v).tobytes(), arrays[0].tobytes())

  def test_several_variables_get_the_same_value(self):
    value = self.normal(2)
    saved = self.variable("saved", value)
    sess = self.session()
    prefix = tf1.train.Saver([saved]).save(sess, self.folder() + "/model")
    variables = [self.variable(name, np.zeros(2)) for name in "abc"]
    found = restoring.checkpoints(prefix, variables, ["saved"] * 3)
    self.assertLen(found, 3)
    sess.run(tf1.global_variables_initializer())
    for loader in found:
      loader.restore(sess)
    for variable in variables:
      np.testing.assert_array_equal(sess.run(variable), value)

  def test_a_checkpoint_is_restored(self):
    v = self.variable("v", self.normal(2))
    sess = self.session()
    prefix = tf1.train.Saver([v]).save(sess, self.folder() + "/model")
    loader = restoring.Checkpoint(prefix, {"v": v})
    before = sess.run(v)
    sess.run(v.assign(np.zeros(2)))
    loader.restore(sess)
    np.testing.assert_array_equal(sess.run(v), before)

  @parameterized.product(
    use_resource=(True, False),
    value=(np.zeros([3, 2]), np.zeros([6]), np.zeros([2, 3], np.float32)),
  )
  def test_another_shape_or_type_is_refused(self, use_resource, value):
    saved = self.variable("saved", value)
    sess = self.session()
    prefix = tf1.train.Saver([saved]).save(sess, self.folder() + "/model")
    v = self.variable("v", np.ones([2, 3]), use_resource=use_resource)
    sess.run(v.initializer)
    loader = restoring.Checkpoint(prefix, {"saved": v})
    with self.assertRaises(errors.DataError) as caught:
      loader.restore(sess)
    self.assert_message(
      caught.exception, "'saved'", "'v'", str(list(value.shape)), "pretrained"
    )
    np.testing.assert_array_equal(sess.run(v), np.ones([2, 3]))


if __name__ == "__main__":
  absltest.main()

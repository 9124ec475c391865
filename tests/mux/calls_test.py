"""Tests of calls."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.mux import calls
from tests import case
from tests.mux import probes


class CallsTest(case.GraphTestCase):
  def test_a_call_is_in_its_scope(self):
    result = calls.call("'a'", tf1.sin, tf1.zeros([2]), "branch")
    self.assertEqual(result.leaves[0].op.name.split("/")[0], "branch")

  @parameterized.named_parameters(("v1", False), ("v2", True))
  def test_a_branch_that_does_not_run_gives_zeros(self, v2):
    self.use_control_flow(v2)
    probe = probes.Probe(1)
    runs_ph = tf1.placeholder(tf1.bool, [])
    x_ph = tf1.placeholder(tf1.float32, [None, 2])
    y_ph = tf1.placeholder(tf1.float32, [None, None])

    def network(nest):
      return [probe.networks[0](nest[0]) + 1, nest[1], tf1.shape(nest[1])]

    result = calls.call_if(
      runs_ph, "'a'", network, [x_ph, y_ph], "branch", skipped_rows=4
    )
    self.assertEqual(result.leaves[0].shape.as_list(), [None, 2])
    feed = {x_ph: np.ones([3, 2]), y_ph: np.ones([3, 5])}
    sess = self.session()
    found = sess.run(result.leaves, {**feed, runs_ph: False})
    self.assertEqual([v.shape for v in found], [(4, 2), (0, 0), (4,)])
    self.assertEqual(np.max(np.abs(found[0])), 0)
    self.assertEqual(dict(probe.rows), {})
    found = sess.run(result.leaves, {**feed, runs_ph: True})
    self.assertEqual([v.shape for v in found], [(3, 2), (3, 5), (2,)])
    self.assertEqual(dict(probe.rows), {0: [3]})

  def test_empty_values_get_the_dimensions_of_the_others(self):
    ragged_ph = tf1.placeholder(tf1.float32, [None, None, 2])
    ragged = [ragged_ph, tf1.ones([4, 5, 2])]
    known = [tf1.zeros([0, 3]), tf1.ones([4, 3])]
    self.assertIs(calls.restore_shape(known, tf1.TensorShape([3])), known)
    column = calls.restore_shape(ragged, tf1.TensorShape([5, 2]))
    found = self.session().run(column, {ragged_ph: np.zeros([0, 0, 2])})
    self.assertEqual([v.shape for v in found], [(0, 5, 2), (4, 5, 2)])
    self.assertEqual(column[0].shape.as_list(), [None, 5, 2])

  def test_what_a_network_must_not_give(self):
    x = tf1.zeros([2])
    for error, network in (
      (errors.ArgumentError, lambda v: [None]),
      (errors.ShapeError, tf1.reduce_sum),
    ):
      with self.assertRaises(error) as caught:
        calls.call("'a'", network, x, "branch")
      self.assert_message(caught.exception, "branch 'a'")
      with self.assertRaises(error):
        calls.call_if(tf1.constant(True), "'a'", network, x, "branch")


if __name__ == "__main__":
  absltest.main()

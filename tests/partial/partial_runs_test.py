"""Tests of runs in two parts."""

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.partial import partial_runs
from tests import case


class PartialRunTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [])
    self.late = tf1.placeholder(tf1.float64, [])
    self.count = self.variable("count", np.float64(0), trainable=False)
    with tf1.control_dependencies([self.count.assign_add(1.0)]):
      self.y = 2 * self.x
    self.run = partial_runs.PartialRun(
      [self.x], [self.y], [self.late], [self.y * self.late]
    )

  def test_the_second_part_goes_on_where_the_first_ended(self):
    sess = self.session()
    handle, found = self.run.begin(sess, [3.0])
    self.assertEqual(found, [6.0])
    self.assertEqual(self.run.finish(sess, handle, [5.0]), [30.0])
    self.assertEqual(sess.run(self.count), 1.0)

  def test_several_are_open_at_once(self):
    sess = self.session()
    handles = [self.run.begin(sess, [k])[0] for k in (1.0, 2.0)]
    found = [self.run.finish(sess, h, [1.0])[0] for h in handles]
    self.assertEqual(found, [2.0, 4.0])

  def test_the_session_within_a_monitored_one_is_used(self):
    with tf1.train.MonitoredSession() as sess:
      handle, found = self.run.begin(sess, [3.0])
      self.assertEqual(found, [6.0])
      self.assertEqual(self.run.finish(sess, handle, [1.0]), [6.0])

  def test_another_object_is_refused(self):
    with self.assertRaises(errors.CallError) as caught:
      self.run.begin(object(), [3.0])
    self.assert_message(caught.exception, "object", "partial_run", "Session")


if __name__ == "__main__":
  absltest.main()

"""Tests of partial_runs."""

import os
import signal
import time
from unittest import mock

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.partial import partial_runs
from tests import case


class PartialRunTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2])
    self.upstream = tf1.placeholder(tf1.float64, [2])
    self.count = self.variable("count", np.float64(0))
    with tf1.control_dependencies([self.count.assign_add(1.0)]):
      self.y = tf1.square(self.x)
    self.slope = 2 * self.y * self.upstream
    self.run_ = partial_runs.PartialRun(
      [self.x], [self.y], [self.upstream], [self.slope]
    )

  def test_adds_nothing_to_the_graph(self):
    before = self.count_ops()
    partial_runs.PartialRun([self.x], [self.y], [self.upstream], [self.slope])
    self.assertEqual(self.count_ops(), before)

  def test_the_second_part_reads_what_the_first_has_computed(self):
    sess = self.session()
    handles = []
    for value in (1.0, 2.0):  # two at once
      handle, found = self.run_.begin(sess, [np.full(2, value)])
      np.testing.assert_array_equal(found, [np.full(2, value**2)])
      handles.append((value, handle))
    self.assertEqual(sess.run(self.count), 2)
    for value, handle in handles[::-1]:
      found = self.run_.finish(sess, handle, [np.array([1.0, 3.0])])
      expected = 2 * value**2 * np.array([1.0, 3.0])
      np.testing.assert_array_equal(found, [expected])
    self.assertEqual(sess.run(self.count), 2)

  def test_a_second_part_is_made_once(self):
    sess = self.session()
    handle, _ = self.run_.begin(sess, [np.ones(2)])
    self.run_.finish(sess, handle, [np.ones(2)])
    with self.assertRaises((tf1.errors.OpError, RuntimeError, ValueError)):
      self.run_.finish(sess, handle, [np.ones(2)])

  def test_a_monitored_session_has_partial_runs(self):
    with tf1.train.MonitoredSession() as sess:
      handle, found = self.run_.begin(sess, [np.full(2, 3.0)])
      np.testing.assert_array_equal(found, [np.full(2, 9.0)])
      found = self.run_.finish(sess, handle, [np.ones(2)])
      np.testing.assert_array_equal(found, [np.full(2, 18.0)])


class RawSessionTest(case.GraphTestCase):
  def test_of_a_session_it_is_the_session(self):
    sess = self.session()
    self.assertIs(partial_runs.raw_session(sess), sess)

  def test_of_a_monitored_session_it_is_the_session_within(self):
    self.variable("w", np.float64(3))
    calls = []

    class Hook(tf1.train.SessionRunHook):
      def before_run(self, run_context):
        calls.append(run_context)

    with tf1.train.MonitoredTrainingSession(hooks=[Hook()]) as sess:
      found = partial_runs.raw_session(sess)
      self.assertIs(found.graph, self.graph)
      self.assertTrue(hasattr(found, "partial_run"))
    self.assertEmpty(calls)

  def test_says_what_has_none(self):
    other = mock.Mock(spec=["run", "graph"])
    with self.assertRaises(errors.CallError) as caught:
      partial_runs.raw_session(other)
    self.assert_message(
      caught.exception, "Mock", "partial_run", "tf.compat.v1.Session"
    )


class InterruptsTest(absltest.TestCase):
  def test_gives_what_the_function_gives_or_raises(self):
    self.assertEqual(partial_runs.without_interrupts(lambda: 3), 3)
    with self.assertRaises(ZeroDivisionError):
      partial_runs.without_interrupts(lambda: 1 // 0)

  def test_a_key_press_waits_until_the_function_has_ended(self):
    done = []

    def work():
      os.kill(os.getpid(), signal.SIGINT)
      time.sleep(0.2)
      done.append(True)

    # A process that was started in the background ignores it, and so would we.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    self.addCleanup(signal.signal, signal.SIGINT, before)
    with self.assertRaises(KeyboardInterrupt):
      partial_runs.without_interrupts(work)
    self.assertEqual(done, [True])


if __name__ == "__main__":
  absltest.main()

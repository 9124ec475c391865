"""Tests of runs that are prepared once."""

import gc
import threading
import weakref
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.partial import prepared
from tests import case


class RunsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x_ph = tf1.placeholder(tf1.float32, [None], "x")
    self.n_ph = tf1.placeholder(tf1.int64, [], "n")
    self.double = 2.0 * self.x_ph
    self.sum = tf1.reduce_sum(self.double) + tf1.cast(self.n_ph, tf1.float32)
    self.count = tf1.get_variable(
      "count", [], initializer=tf1.zeros_initializer(), use_resource=True
    )
    self.count_op = self.count.assign_add(1.0).op
    self.runs = prepared.Runs()
    self.feed_dict = {self.x_ph: np.ones(3, np.float32), self.n_ph: 4}

  def open_session(self):
    sess = tf1.Session(graph=self.graph)
    sess.run(tf1.global_variables_initializer())
    return sess

  def test_gives_what_the_session_gives_as_it_was_asked_for(self):
    fetches = {
      "a": [self.double, {"b": self.sum}],
      "none": [],
      "op": self.count_op,
      "pair": (self.count_op, self.sum),
    }
    with self.open_session() as sess:
      expected = sess.run(fetches, self.feed_dict)
      found = self.runs.run(sess, fetches, self.feed_dict)
      self.assertEqual(sess.run(self.count), 2.0)
    self.assertEqual(list(found), list(expected))
    np.testing.assert_array_equal(found["a"][0], expected["a"][0])
    self.assertEqual(found["a"][1], expected["a"][1])
    self.assertEqual(found["none"], [])
    self.assertIsNone(found["op"])
    self.assertEqual(found["pair"], expected["pair"])

  def test_prepares_once_and_never_calls_run_of_the_session(self):
    with self.open_session() as sess:
      with mock.patch.object(
        sess,
        "_make_callable_from_options",
        wraps=sess._make_callable_from_options,
      ) as make:
        for _ in range(3):
          self.runs.run(sess, [self.sum], self.feed_dict)
        self.assertEqual(make.call_count, 1)
        self.runs.run(sess, [self.double], self.feed_dict)
        self.runs.run(sess, [self.double], {self.x_ph: np.ones(3)})
        self.assertEqual(make.call_count, 3)

  def test_casts_what_is_fed_as_a_session_does(self):
    with self.open_session() as sess:
      feed_dict = {self.x_ph: [1, 2], self.n_ph: np.int32(3)}
      self.assertEqual(self.runs.run(sess, self.sum, feed_dict), 9.0)

  @parameterized.parameters((2**70,), ("word",), ([[1], [2, 3]],))
  def test_what_cannot_be_fed_is_refused_as_by_a_session(self, value):
    feed_dict = dict(self.feed_dict)
    feed_dict[self.n_ph] = value
    with self.open_session() as sess:
      with self.assertRaises(Exception) as expected:
        sess.run(self.sum, feed_dict)
      with self.assertRaises(type(expected.exception)) as caught:
        self.runs.run(sess, self.sum, feed_dict)
    self.assertEqual(str(caught.exception), str(expected.exception))

  def test_strings_pass(self):
    text_ph = tf1.placeholder(tf1.string, [None])
    joined = tf1.strings.reduce_join(text_ph)
    with self.open_session() as sess:
      found = self.runs.run(sess, joined, {text_ph: ["a", "bc"]})
    self.assertEqual(found, b"abc")

  def test_what_is_no_tensor_is_left_to_the_session(self):
    slices = tf1.IndexedSlices(self.double, tf1.range(3))
    with self.open_session() as sess:
      found = self.runs.run(sess, [slices, self.count], self.feed_dict)
    np.testing.assert_array_equal(found[0].values, [2.0, 2.0, 2.0])
    self.assertEqual(found[1], 0.0)

  def test_what_is_fed_is_fetched_as_it_was_fed(self):
    with self.open_session() as sess:
      found = self.runs.run(sess, [self.n_ph, self.sum], self.feed_dict)
    self.assertEqual(found, [4, 10.0])

  def test_what_is_fetched_twice_comes_as_one_array(self):
    with self.open_session() as sess:
      fetches = [self.double, {"again": self.double}]
      found = self.runs.run(sess, fetches, self.feed_dict)
    self.assertIs(found[0], found[1]["again"])

  def test_nothing_to_run_gives_nothing(self):
    with self.open_session() as sess:
      self.assertEqual(self.runs.run(sess, {"a": []}, {}), {"a": []})

  def test_ops_added_later_do_not_disturb(self):
    with self.open_session() as sess:
      first = self.runs.run(sess, self.sum, self.feed_dict)
      more = self.sum * 2.0
      self.assertEqual(self.runs.run(sess, more, self.feed_dict), 2.0 * first)
      self.assertEqual(self.runs.run(sess, self.sum, self.feed_dict), first)

  def test_sessions_do_not_share_what_is_prepared(self):
    with self.open_session() as one, self.open_session() as two:
      for sess in (one, two, one):
        self.runs.run(sess, self.count_op, {})
      self.assertEqual([s.run(self.count) for s in (one, two)], [2.0, 1.0])

  def test_a_session_that_is_gone_is_not_kept(self):
    sess = self.open_session()
    self.runs.run(sess, self.sum, self.feed_dict)
    seen = weakref.ref(sess)
    sess.close()
    del sess
    gc.collect()
    self.assertIsNone(seen())

  def test_a_closed_session_says_so(self):
    sess = self.open_session()
    self.runs.run(sess, self.sum, self.feed_dict)
    sess.close()
    with self.assertRaisesRegex(RuntimeError, "closed Session"):
      self.runs.run(sess, self.sum, self.feed_dict)

  def test_an_error_is_the_error_of_the_session(self):
    checked = tf1.debugging.check_numerics(self.double, "bad", name="guard")
    feed_dict = {self.x_ph: [np.nan]}
    with self.open_session() as sess:
      with self.assertRaises(tf1.errors.InvalidArgumentError) as expected:
        sess.run(checked, feed_dict)
      with self.assertRaises(tf1.errors.InvalidArgumentError) as caught:
        self.runs.run(sess, checked, feed_dict)
    self.assertEqual(caught.exception.op.name, "guard")
    self.assertEqual(caught.exception.message, expected.exception.message)

  def test_a_wrapped_session_is_run_itself(self):
    with self.open_session() as sess:
      self.runs.run(sess, self.sum, self.feed_dict)
      with mock.patch.object(sess, "run", wraps=sess.run) as run:
        self.runs.run(sess, self.sum, self.feed_dict)
        run.assert_called_once()

  def test_a_monitored_session_runs_its_hooks(self):
    steps = []

    class Hook(tf1.train.SessionRunHook):
      def after_run(self, unused_context, unused_values):
        steps.append(1)

    with tf1.train.MonitoredSession(hooks=[Hook()]) as sess:
      found = self.runs.run(sess, self.sum, self.feed_dict)
    self.assertEqual(found, 10.0)
    self.assertLen(steps, 1)


class ThreadsTest(case.GraphTestCase):
  """In which threads the ops of a run are run."""

  def test_each_run_flushes_denormal_numbers_as_a_session_does(self):
    x_ph = tf1.placeholder(tf1.float32, [4])
    y = x_ph * 1e30
    runs, feed_dict = prepared.Runs(), {x_ph: np.full(4, 1e-40, np.float32)}
    with tf1.Session(graph=self.graph) as sess:
      expected = sess.run(y, feed_dict)
      for _ in range(100):  # however long the process has been running
        found = runs.run(sess, y, feed_dict)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(expected, np.zeros(4, np.float32))
    # The calling thread keeps denormal numbers, so that the test can fail.
    self.assertNotEqual(feed_dict[x_ph][0] * np.float32(1e30), 0.0)

  def test_threads_that_share_a_run_agree(self):
    x_ph = tf1.placeholder(tf1.float32, [])
    runs, twice = prepared.Runs(), 2.0 * x_ph
    wrong = []

    def work(sess, k):
      for n in range(50):
        value = runs.run(sess, twice, {x_ph: 100.0 * k + n})
        if value != 2 * (100.0 * k + n):
          wrong.append((k, n, value))

    with tf1.Session(graph=self.graph) as sess:
      threads = [
        threading.Thread(target=work, args=(sess, k)) for k in range(4)
      ]
      for thread in threads:
        thread.start()
      for thread in threads:
        thread.join()
    self.assertEqual(wrong, [])


class ReferencesTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_variables_of_both_kinds_are_read_anew(self, use_resource):
    with tf1.Graph().as_default():
      variable = tf1.get_variable(
        "v", [2], initializer=tf1.zeros_initializer(), use_resource=use_resource
      )
      value = tf1.identity(variable)
      add_op = variable.assign_add([1.0, 2.0]).op
      runs = prepared.Runs()
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        for step in range(1, 4):
          runs.run(sess, add_op, {})
          np.testing.assert_array_equal(
            runs.run(sess, value, {}), [step, 2 * step]
          )


if __name__ == "__main__":
  absltest.main()

"""Tests for `tangle.pipeline.faults`: tasks that are lost."""

import time

import numpy as np
from absl.testing import absltest

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import clusters, faults
from tests import case
from tests.pipeline import kill_tasks

TIMEOUT_S = 3.0
SLOW_S = 12.0  # `kill_tasks` holds 2 s, on a machine with nothing else to do
CLUSTER = []


def setUpModule():
  CLUSTER.append(clusters.LocalCluster(3, threads=1))


def tearDownModule():
  CLUSTER.pop().close()


class FaultsTest(case.GraphTestCase):
  def test_goes_on_to_the_same_bits_after_tasks_were_lost(self):
    how = [(1, "kill"), (2, "stop"), (0, "kill")]
    # A cluster of its own, as a task may stay halted if this fails.
    with clusters.LocalCluster(3, threads=1) as cluster:
      figures, messages = kill_tasks.compare(cluster, 3, 1, TIMEOUT_S, how)
    self.assertEqual(figures["kills"], 3)
    self.assertLen(figures["moments"], 3)
    self.assertLess(figures["slowest_s"], TIMEOUT_S + SLOW_S)
    self.assertEqual(figures["waiting_after_step"], 0)
    self.assertTrue(figures["is_identical"])
    for message, (task, _) in zip(messages, how):
      self.assertIn(f"/job:worker/task:{task}", message)
      self.assertIn("restore all variables from the last checkpoint", message)

  def test_micro_batches_go_on_to_the_same_bits(self):
    how = [(2, "kill")]
    with clusters.LocalCluster(3, threads=1) as cluster:
      figures, messages = kill_tasks.compare(
        cluster, 1, 2, TIMEOUT_S, how, micro_batches=2
      )
    self.assertIn("/job:worker/task:2", messages[0])
    self.assertLess(figures["slowest_s"], TIMEOUT_S + SLOW_S)
    self.assertEqual(figures["waiting_after_step"], 0)
    self.assertTrue(figures["is_identical"])

  def pipeline(self, work, timeout_s=faults.TIMEOUT_S):
    """Returns a pipeline of one sub-model, on a task, that calls `work`."""
    pipeline = tangle.Pipeline(timeout_s=timeout_s)

    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None])
      with tf1.device("/job:worker/task:0"):
        w = self.variable("w", np.ones([]))
        loss = tf1.reduce_mean(work(w * x_ph))
      return tangle.Piece({"x": x_ph}, loss=loss)

    pipeline.add("only", build)
    pipeline.build()
    return pipeline

  def test_a_run_that_is_too_slow_is_said_to_be(self):
    def wait(x):
      queue = tf1.FIFOQueue(1, [tf1.float64], shapes=[[]], shared_name="slow")
      return x + queue.dequeue()

    pipeline = self.pipeline(wait, timeout_s=1.0)
    with tf1.Session(CLUSTER[0].target) as sess:
      sess.run(tf1.global_variables_initializer())
      begin = time.monotonic()
      with self.assertRaisesRegex(
        errors.TaskLostError,
        r"longer than timeout_s=1, though all tasks .* a longer timeout_s",
      ) as caught:
        pipeline.forward(sess, {"only": {"x": [1.0]}})
      self.assertBetween(time.monotonic() - begin, 0.9, 1.0 + SLOW_S)
      self.assertIsInstance(
        caught.exception.__cause__, tf1.errors.DeadlineExceededError
      )
      with self.assertRaisesRegex(RuntimeError, "closed"):
        pipeline.forward(sess, {"only": {"x": [1.0]}})

  def test_errors_of_ops_pass_as_they_are(self):
    def refuse(x):
      return tf1.debugging.check_numerics(x, "refused")

    pipeline = self.pipeline(refuse)
    with tf1.Session(CLUSTER[0].target) as sess:
      sess.run(tf1.global_variables_initializer())
      with self.assertRaisesRegex(tf1.errors.InvalidArgumentError, "refused"):
        pipeline.forward(sess, {"only": {"x": [np.nan]}})
      result = pipeline.forward(sess, {"only": {"x": [2.0]}})
      self.assertEqual(result.loss, 2.0)

  def test_cancelled_by_an_op_passes_where_all_tasks_answer(self):
    def enqueue(x):
      queue = tf1.FIFOQueue(1, [tf1.float64], shapes=[[]], shared_name="shut")
      with tf1.control_dependencies([queue.close()]):
        put = queue.enqueue([tf1.reduce_mean(x)])
      with tf1.control_dependencies([put]):
        return tf1.identity(x)

    pipeline = self.pipeline(enqueue)
    with tf1.Session(CLUSTER[0].target) as sess:
      sess.run(tf1.global_variables_initializer())
      with self.assertRaisesRegex(tf1.errors.CancelledError, "closed"):
        pipeline.forward(sess, {"only": {"x": [1.0]}})

  def test_a_time_limit_that_is_none_is_refused(self):
    for limit in (0, -1.0, None, "3"):
      with self.assertRaisesRegex(errors.ArgumentError, "timeout_s must be"):
        tangle.Pipeline(timeout_s=limit)

  def test_local_sessions_have_no_limit(self):
    pipeline = self.pipeline(tf1.identity)
    sess = self.session(initialize=False)
    self.assertIs(faults.call(pipeline, sess, lambda to: to), sess)
    self.assertEqual(faults.address_of(sess), "")

  def test_sweep_removes_what_lies_under_a_key_and_names_no_task(self):
    with tf1.device("/job:worker/task:1"):
      key = tf1.constant(7, tf1.int64)
      options = {"dtypes": [tf1.float32], "shared_name": self.id()}
      put = tf1.raw_ops.MapStage(
        key=key, indices=[0], values=[tf1.constant(1.0)], **options
      )
      size = tf1.raw_ops.MapSize(**options)
    with tf1.Session(CLUSTER[0].target) as sess:
      sess.run(put)
      self.assertEqual(faults.sweep(self.graph, CLUSTER[0].target, [6]), [])
      self.assertEqual(sess.run(size), 1)
      self.assertEqual(faults.sweep(self.graph, CLUSTER[0].target, [7]), [])
      self.assertEqual(sess.run(size), 0)


if __name__ == "__main__":
  absltest.main()

"""Tests of runs that go on when a task of the cluster is lost."""

import os
import tempfile
import threading
import time
import types
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import clusters, faults
from tangle.training import loop, recovery
from tests import case
from tests.training import kill, loop_test

SILENT = types.SimpleNamespace(received=None)


class RecoveryTest(case.GraphTestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.cluster = clusters.LocalCluster(2, threads=1)

  @classmethod
  def tearDownClass(cls):
    cls.cluster.close()
    super().tearDownClass()

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder, self.said = folder.name, []

  def open(self):
    """Opens a session whose runs end."""
    config = tf1.ConfigProto(operation_timeout_in_ms=5000)
    sess = tf1.Session(self.cluster.target, graph=self.graph, config=config)
    self.addCleanup(faults.close, sess)
    return sess

  def build(self, timeout_s=2.0):
    """Builds a pipeline of two tasks."""

    def build_encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      w = tf1.get_variable("w", initializer=np.ones([3, 2]), use_resource=True)
      return tangle.Piece({"x": x_ph}, {"h": tf1.tanh(x_ph @ w)})

    def build_decoder(bucket, reads):
      del bucket
      v = tf1.get_variable("v", initializer=np.ones([2, 1]), use_resource=True)
      return tangle.Piece({}, loss=tf1.reduce_mean((reads["h"] @ v - 1) ** 2))

    pipeline = tangle.Pipeline(timeout_s=timeout_s)
    pipeline.add("encoder", build_encoder, device=clusters.device(0))
    pipeline.add(
      "decoder",
      build_decoder,
      reads={"h": "encoder.h"},
      device=clusters.device(1),
    )
    self.trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.1))

  def kill_at_2(self, step):
    """Kills task 1 before the third step."""
    if step == 2:
      self.cluster.kill(1)

  def train(self, name, steps, before=None, validate=None, **settings):
    """Trains in a folder; `before` is called with the number of the step."""

    def feeds(batch, step):
      if before is not None:
        before(step)
      x = np.random.RandomState(batch["x"]).standard_normal([4, 3])
      return {"encoder": {"x": x}, "decoder": {}}

    sess = self.open()
    with self.graph.as_default():
      initialize = tf1.variables_initializer(tf1.global_variables())
      run = loop.Loop(
        sess,
        self.trainer,
        loop_test.Numbers(),
        os.path.join(self.folder, name),
        steps,
        feeds=feeds,
        checkpoint_every=3,
        report_every=2,
        validate=validate,
        validate_every=None if validate is None else 4,
        report=self.said.append,
        **settings,
      )
      sess.run(initialize)
      outcome = run.run()
      return outcome, run.sess.run(tf1.global_variables())

  @parameterized.parameters((0, "step", 4), (1, "validation", 3))
  def test_goes_on_to_the_same_end(self, task, moment, goes_on_at):
    self.build()
    lost = []

    def lose(now):
      if now == moment and not lost:
        lost.append(now)
        self.cluster.kill(task)
        back = threading.Timer(1.0, self.cluster.restart, [task])
        back.start()
        self.addCleanup(back.join)

    def validate(sess):
      lose("validation")
      return {"validation_loss": sess.run(self.trainer.variables[0]).sum()}

    def before(step):
      if step == 5:
        lose("step")

    found, values = self.train(
      "disturbed", 10, before, validate, reopen=self.open, reopen_s=60
    )
    self.assertLen(lost, 1)
    said = f"Resuming from the checkpoint of step {goes_on_at}."
    self.assertIn(said, self.said)
    desired, wanted = self.train("whole", 10, None, validate)
    self.assertEqual(found.loss, desired.loss)
    self.assertEqual(found.best_score, desired.best_score)
    for value, other in zip(values, wanted):
      np.testing.assert_array_equal(value, other)
    records = [
      kill.read_figures(os.path.join(self.folder, name))
      for name in ("disturbed", "whole")
    ]
    self.assertEqual(*records)

  def test_without_a_way_to_open_sessions_the_loss_ends_the_run(self):
    self.build()
    self.addCleanup(self.cluster.restart, 1)
    with self.assertRaisesRegex(errors.TaskLostError, "task:1"):
      self.train("run", 5, self.kill_at_2)

  def test_a_task_that_does_not_come_back_in_time_ends_the_run(self):
    self.build()
    self.addCleanup(self.cluster.restart, 1)
    begin = time.monotonic()
    with self.assertRaisesRegex(errors.TaskLostError, "task:1"):
      self.train("run", 5, self.kill_at_2, reopen=self.open, reopen_s=5.0)
    self.assertLess(time.monotonic() - begin, 20)
    self.assertIn("Waiting for /job:worker/task:1", self.said[-1])

  def test_a_signal_ends_the_waiting(self):
    found = recovery.Recovery(self.open, 60, self.said.append)
    error = errors.TaskLostError("lost")
    signals = types.SimpleNamespace(received="SIGTERM")
    with self.assertRaises(errors.TaskLostError):
      found.session(self.open(), error, 3, signals)

  def test_the_limit_is_from_a_loss_to_the_next_step(self):
    found = recovery.Recovery(self.open, 0.5, self.said.append)
    error, sess = errors.TaskLostError("lost"), self.open()
    found.session(sess, error, 3, SILENT)
    found.session(sess, error, 4, SILENT)
    lost = {"return_value": ["/job:worker/task:1"]}
    with mock.patch.object(faults, "sweep", **lost):
      time.sleep(0.6)
      with self.assertRaises(errors.TaskLostError):
        found.session(sess, error, 5, SILENT)
    found.has_stepped = True  # a limit of its own
    found.session(sess, error, 6, SILENT)

  def test_a_step_that_loses_tasks_again_and_again_ends_the_run(self):
    found = recovery.Recovery(self.open, 60, self.said.append)
    error, sess = errors.TaskLostError("lost"), self.open()
    for _ in range(recovery.ATTEMPTS):
      found.has_stepped = True  # those before it
      found.session(sess, error, 3, SILENT)
    with self.assertRaises(errors.TaskLostError):
      found.session(sess, error, 3, SILENT)

  def test_a_loss_in_a_run_of_the_loop_names_the_task(self):
    self.build()
    self.addCleanup(self.cluster.restart, 1)

    def validate(sess):
      self.cluster.kill(1)
      return {"validation_loss": sess.run(self.trainer.variables[1]).sum()}

    message = "after step 4, /job:worker/task:1 .* in the same folder"
    with self.assertRaisesRegex(errors.TaskLostError, message):
      self.train("run", 5, None, validate)

  def test_a_loss_before_the_first_checkpoint_says_so(self):
    error = tf1.errors.UnavailableError(None, None, "failed to connect")
    found = recovery.Recovery(self.open, 60, self.said.append)
    with self.assertRaisesRegex(errors.TaskLostError, "Nothing has been saved"):
      found.session(self.open(), error, 0, SILENT, is_saved=False)

  def test_another_error_stays_as_it_is(self):
    error = tf1.errors.CancelledError(None, None, "a queue was closed")
    found = recovery.Recovery(None, 60, self.said.append)
    with self.assertRaisesRegex(tf1.errors.CancelledError, "queue"):
      found.session(self.open(), error, 3, SILENT)

  def test_a_local_session_has_no_tasks(self):
    error = tf1.errors.CancelledError(None, None, "a queue was closed")
    found = recovery.Recovery(self.open, 60, self.said.append)
    with self.assertRaisesRegex(tf1.errors.CancelledError, "queue"):
      found.session(self.session(), error, 3, SILENT)


if __name__ == "__main__":
  absltest.main()

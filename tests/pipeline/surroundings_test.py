"""Pipelines in monitored sessions that are replaced, and under strategies."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests import case

BATCH = {"encoder": {"x": np.ones([2, 3])}, "decoder": {}}


class Abort(tf1.train.SessionRunHook):
  """Aborts the run of a certain number, as the loss of a worker does."""

  def __init__(self):
    self.runs, self.at = 0, None

  def before_run(self, run_context):
    del run_context
    self.runs += 1
    if self.runs == self.at:
      self.at = None
      raise tf1.errors.AbortedError(None, None, "lost")


class SurroundingsTest(case.GraphTestCase):
  def make(self):
    """Makes a pipeline of an encoder and a decoder."""
    w = tf1.get_variable("w", initializer=np.eye(3), use_resource=True)
    v = tf1.get_variable("v", initializer=np.ones([3, 2]), use_resource=True)

    def encode(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      return tangle.Piece({"x": x_ph}, {"h": tf1.tanh(tf1.matmul(x_ph, w))})

    def decode(bucket, reads):
      del bucket
      loss = tf1.reduce_mean(tf1.square(tf1.matmul(reads["h"], v)))
      return tangle.Piece({}, loss=loss)

    pipeline = tangle.Pipeline()
    pipeline.add("encoder", encode)
    pipeline.add("decoder", decode, reads={"h": "encoder.h"})
    return pipeline

  def test_a_step_whose_session_is_lost_ends_and_can_be_repeated(self):
    trainer = self.make().minimize(tf1.train.GradientDescentOptimizer(0.1))
    hook = Abort()
    # A run that waits for what is lost fails here.
    config = tf1.ConfigProto(operation_timeout_in_ms=20000)
    with tf1.train.MonitoredTrainingSession(
      hooks=[hook], config=config
    ) as sess:
      hook.runs = 0
      trainer.step(sess, BATCH)
      runs = hook.runs
      self.assertGreater(runs, 1)
      for at in range(1, runs + 1):
        hook.runs, hook.at = 0, at
        with self.assertRaises(errors.CallError):
          trainer.step(sess, BATCH)
        self.assertIsNone(hook.at)
        self.assertGreater(trainer.step(sess, BATCH).loss, 0)

  def losses(self, trainer):
    with tf1.Session() as sess:
      sess.run(tf1.global_variables_initializer())
      return [trainer.step(sess, BATCH).loss for _ in range(3)]

  @parameterized.parameters(False, True)
  def test_a_strategy_of_one_device_trains_alike(self, inside):
    plain = self.make().minimize(tf1.train.AdamOptimizer(0.1))
    expected = self.losses(plain)
    with tf1.Graph().as_default():
      strategy = tf1.distribute.MirroredStrategy(["/cpu:0"])
      with strategy.scope():
        pipeline = self.make()
        if inside:
          trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.1))
      if not inside:
        trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.1))
      found = self.losses(trainer)
    self.assertLess(found[2], found[0])
    self.assert_close(np.array(found), np.array(expected))


if __name__ == "__main__":
  absltest.main()

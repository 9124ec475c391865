"""Loops and sessions of other kinds train on tasks as in one process."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat
from tangle.compat import tf1
from tests import case
from tests.pipeline import placement_test


class ClusterKindsTest(case.GraphTestCase):
  def train(self, target="", monitored=False):
    """Returns losses of a TensorFlow 1 style loop over reference variables."""

    def build_encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      w = tf1.get_variable("w", initializer=np.eye(3) * 0.5, use_resource=False)
      _, h = tf1.while_loop(
        lambda k, h: k < 4, lambda k, h: (k + 1, h + tf1.tanh(h @ w)), [0, x_ph]
      )
      return tangle.Piece({"x": x_ph}, {"h": h})

    def build_head(bucket, reads):
      del bucket
      v = tf1.get_variable("v", initializer=np.ones([3, 1]), use_resource=False)
      return tangle.Piece({}, loss=tf1.reduce_mean((reads["h"] @ v) ** 2))

    devices = placement_test.TASKS if target else [None, None]
    config = tf1.ConfigProto(operation_timeout_in_ms=60000)
    with tf1.Graph().as_default(), compat.control_flow(False):
      pipeline = tangle.Pipeline(timeout_s=60)
      pipeline.add("encoder", build_encoder, device=devices[0])
      pipeline.add(
        "head", build_head, reads={"h": "encoder.h"}, device=devices[1]
      )
      trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.1))
      if monitored:
        opened = tf1.train.MonitoredTrainingSession(target, config=config)
      else:
        opened = tf1.Session(target, config=config)
      x = np.random.RandomState(0).standard_normal([5, 4, 3])
      with opened as sess:
        if not monitored:
          sess.run(tf1.global_variables_initializer())
        return [
          trainer.step(sess, {"encoder": {"x": each}, "head": {}}).loss
          for each in x
        ]

  @parameterized.parameters(False, True)
  def test_a_loop_trains_on_tasks_as_in_one_process(self, monitored):
    found = self.train(placement_test.target(), monitored)
    self.assertEqual(found, self.train())
    self.assertLen(set(found), 5)


if __name__ == "__main__":
  absltest.main()

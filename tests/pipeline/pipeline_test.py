"""Tests of pipeline."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import case
from tests.pipeline import networks

BUCKETS = [2, 3, 4]


def seq2seq(weights):
  pipeline = tangle.Pipeline()
  pipeline.add("encoder", networks.encoder_builder(weights), buckets=BUCKETS)
  pipeline.add(
    "decoder",
    networks.decoder_builder(weights),
    buckets=BUCKETS,
    reads={"memory": "encoder.memory", "state": "encoder.state"},
  )
  return pipeline


def joint_loss(weights, source_ph, target_ph):
  memory, state = networks.encode(weights, source_ph)
  logits = networks.decode(weights, memory, state, target_ph)
  return networks.cross_entropy(logits, target_ph)


class PipelineTest(case.GraphTestCase):
  @parameterized.named_parameters(
    ("double", np.float64, 1e-12), ("single", np.float32, 1e-6)
  )
  def test_twenty_steps_of_adam_equal_the_joint_graph(self, dtype, tolerance):
    weights = networks.Weights(self.rng, dtype)
    variables = list(vars(weights).values())
    pipeline = seq2seq(weights)
    trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.01), clip_norm=0.5)
    joint = {}
    optimizer = tf1.train.AdamOptimizer(0.01)
    for s in BUCKETS:
      for t in BUCKETS:
        source_ph = tf1.placeholder(tf1.int32, [None, s])
        target_ph = tf1.placeholder(tf1.int32, [None, t])
        loss = joint_loss(weights, source_ph, target_ph)
        found = tf1.gradients(loss, variables)
        clipped, norm = tf1.clip_by_global_norm(found, 0.5)
        train_op = optimizer.apply_gradients(zip(clipped, variables))
        joint[s, t] = (source_ph, target_ph, loss, norm, train_op)
    split_sess, joint_sess = self.session(), self.session()
    for variable in variables:  # the same start, whatever the initial values
      variable.load(split_sess.run(variable), joint_sess)
    for step in range(20):
      s, t = BUCKETS[step % 3], BUCKETS[step // 3 % 3]
      source, target = (
        networks.ids(self.rng, 6, s),
        networks.ids(self.rng, 6, t),
      )
      batch = {"encoder": {"source": source}, "decoder": {"target": target}}
      result = trainer.step(split_sess, batch)
      source_ph, target_ph, loss, norm, train_op = joint[s, t]
      feed_dict = {source_ph: source, target_ph: target}
      loss_np, norm_np = joint_sess.run([loss, norm], feed_dict)
      joint_sess.run(train_op, feed_dict)
      self.assertEqual(result.buckets, {"encoder": s, "decoder": t})
      np.testing.assert_allclose(result.loss, loss_np, rtol=10 * tolerance)
      np.testing.assert_allclose(
        result.global_norm, norm_np, rtol=10 * tolerance
      )
    for variable in variables:
      np.testing.assert_allclose(
        split_sess.run(variable),
        joint_sess.run(variable),
        atol=tolerance,
        rtol=0,
      )


if __name__ == "__main__":
  absltest.main()

"""Tests of joint."""

import time

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import joint
from tests import case
from tests.pipeline import networks

READS = {"memory": "encoder.memory", "state": "encoder.state"}


def _wait(value):
  time.sleep(0.2)
  return value


def seq2seq(weights, buckets=(2, 3)):
  pipeline = tangle.Pipeline()
  pipeline.add(
    "encoder",
    networks.encoder_builder(weights),
    buckets=buckets,
    pad={"source": 0},
  )
  pipeline.add(
    "decoder",
    networks.decoder_builder(weights),
    buckets=buckets,
    reads=READS,
  )
  return pipeline


class JointTrainerTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.pipeline = seq2seq(networks.Weights(self.rng))

  def batch(self, s, t):
    return {
      "encoder": {"source": networks.ids(self.rng, 4, s)},
      "decoder": {"target": networks.ids(self.rng, 4, t)},
    }

  def test_trains_as_the_pipeline_does(self):
    optimizer = tf1.train.AdamOptimizer(0.01)
    found = joint.JointTrainer(self.pipeline, optimizer, clip_norm=0.5)
    trainer = self.pipeline.minimize(
      tf1.train.AdamOptimizer(0.01), clip_norm=0.5
    )
    self.assertEqual(
      [v.name for v in found.variables], [v.name for v in trainer.variables]
    )
    self.assertLen(found.combinations, 4)
    joint_sess, split_sess = self.session(), self.session()
    for _ in range(2):
      for s, t in ((2, 2), (2, 3), (3, 2), (3, 3)):
        batch = self.batch(s, t)
        ours = found.step(joint_sess, batch)
        theirs = trainer.step(split_sess, batch)
        self.assertEqual(ours.buckets, theirs.buckets)
        self.assertEqual(ours.metrics, theirs.metrics)
        self.assertAlmostEqual(ours.loss, theirs.loss, places=12)
        self.assertAlmostEqual(ours.global_norm, theirs.global_norm, places=11)
    for variable in found.variables:
      self.assert_close(
        joint_sess.run(variable), split_sess.run(variable), rtol=1e-11
      )

  def test_what_a_step_returns_is_of_before_its_update(self):
    w = self.variable("w", np.float64(3))

    def build(bucket, reads):
      slow = tf1.py_func(_wait, [w.read_value()], tf1.float64)
      slow.set_shape([])
      # Read once more, late, off the way of the gradient.
      with tf1.control_dependencies([slow]):
        late = tf1.stop_gradient(w.read_value())
      return tangle.Piece(feeds={}, loss=w * w + late, metrics={"w": late})

    pipeline = tangle.Pipeline("late")
    pipeline.add("one", build)
    trainer = joint.JointTrainer(
      pipeline, tf1.train.GradientDescentOptimizer(0.5)
    )
    sess = self.session()
    result = trainer.step(sess, {"one": {}})
    self.assertEqual((result.loss, result.metrics["one"]["w"]), (12.0, 3.0))
    self.assertEqual(sess.run(w), 0.0)

  def test_takes_the_first_combination_that_all_feeds_fit(self):
    pairs = [{"encoder": 2, "decoder": 3}, {"encoder": 3, "decoder": 3}]
    found = joint.JointTrainer(
      self.pipeline, tf1.train.AdamOptimizer(), combinations=pairs
    )
    sess = self.session()
    for s in (2, 3):
      result = found.forward(sess, self.batch(s, 3), ["decoder.logits"])
      self.assertEqual(result.buckets, {"encoder": s, "decoder": 3})
      shape = result.outputs["decoder.logits"].shape
      self.assertEqual(shape, (4, 3, networks.VOCABULARY))
    with self.assertRaisesRegex(
      errors.BucketError, r"decoder.*target.*\(4, 2\).*are not padded"
    ):
      found.step(sess, self.batch(2, 2))

  def test_forward_changes_no_weight(self):
    found = joint.JointTrainer(self.pipeline, tf1.train.AdamOptimizer(1.0))
    sess = self.session()
    before = sess.run(found.variables)
    result = found.forward(sess, self.batch(2, 3))
    self.assertIsNone(result.global_norm)
    for old, new in zip(before, sess.run(found.variables)):
      np.testing.assert_array_equal(old, new)

  def test_losses_are_weighted(self):
    found = joint.JointTrainer(
      self.pipeline,
      tf1.train.GradientDescentOptimizer(0.0),
      loss_weights={"decoder": 3.0},
    )
    sess = self.session()
    result = found.step(sess, self.batch(2, 2))
    self.assertAlmostEqual(result.loss, 3.0 * result.losses["decoder"])

  @parameterized.named_parameters(
    ("bucket", {"encoder": 7, "decoder": 2}, "bucket 7 is not one of"),
    ("name", {"coder": 2}, "'coder'"),
    ("source", {"decoder": 2}, "'memory'"),
    ("loss", {"encoder": 2}, "no sub-model has a loss"),
  )
  def test_refuses_a_combination(self, buckets, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      joint.JointTrainer(
        self.pipeline, tf1.train.AdamOptimizer(), combinations=[buckets]
      )

  def test_refuses_a_batch_without_a_graph(self):
    found = joint.JointTrainer(self.pipeline, tf1.train.AdamOptimizer())
    sess = self.session()
    with self.assertRaisesRegex(errors.ArgumentError, "no joint graph"):
      found.step(sess, {"encoder": {"source": networks.ids(self.rng, 4, 2)}})
    with self.assertRaisesRegex(errors.ArgumentError, "fetch has 'x.y'"):
      found.forward(sess, self.batch(2, 2), ["x.y"])


if __name__ == "__main__":
  absltest.main()

"""Tests that losses split over sub-models give the joint graph's gradients."""

import numpy as np
from absl.testing import absltest

import tangle
from tangle import gradients
from tangle.compat import tf1
from tests.pipeline import support


class PipelineTest(support.PipelineTestCase):
  def wiring(self, coupled):
    """Returns trunk → two heads, and what couples their outputs."""
    wiring = support.Wiring()
    wiring.add("trunk", support.layer(self.weight("t", 3, 2), ["x"]))
    for name in ("one", "two"):
      weight = self.weight(name, 2, 2)
      wiring.add(name, self.head(weight, not coupled), reads={"x": "trunk.out"})
    if coupled:
      reads = {"a": "one.out", "b": "two.out"}
      wiring.add("coupled", self.couple, reads=reads)
    return wiring

  def head(self, weight, has_loss):
    def build(bucket, reads):
      del bucket
      out = tf1.tanh(tf1.matmul(reads["x"], weight))
      loss = tf1.reduce_mean((out - 0.5) ** 2) if has_loss else None
      return tangle.Piece(feeds={}, outputs={"out": out}, loss=loss)

    return build

  def couple(self, bucket, reads):
    del bucket
    far = tf1.reduce_mean((reads["a"] - reads["b"]) ** 2)
    loss = far * tf1.reduce_mean(tf1.exp(reads["a"] * reads["b"]))
    return tangle.Piece(feeds={}, outputs={}, loss=loss)

  def batch(self, coupled):
    batch = {"trunk": {"x": self.normal(4, 3)}, "one": {}, "two": {}}
    return dict(batch, coupled={}) if coupled else batch

  def check(self, coupled, method, loss_weights=None, **options):
    """Fails unless a pipeline's gradients are those of the joint graph."""
    wiring, batch = self.wiring(coupled), self.batch(coupled)
    recorder = support.Recorder()
    trainer = wiring.pipeline().minimize(recorder, loss_weights=loss_weights)
    joint = wiring.join(dict.fromkeys(batch))
    losses = [p.loss for p in joint.pieces.values() if p.loss is not None]
    variables = tf1.trainable_variables()
    found = gradients.of_losses(losses, variables, method, **options)
    sess = self.session()
    trainer.step(sess, batch)
    x_ph = joint.feeds["trunk", "x"]
    expected = sess.run(found.gradients, {x_ph: batch["trunk"]["x"]})
    for variable, gradient in zip(variables, expected):
      self.assertGreater(np.max(np.abs(gradient)), 0)
      self.assert_close(recorder.gradient(sess, variable), gradient)

  def test_sum_of_losses(self):
    self.check(False, "sum")

  def test_weighted_losses(self):
    weights = {"one": 0.25, "two": 4.0}
    self.check(False, "weighted", weights, weights=[0.25, 4.0])

  def test_mean_of_losses(self):
    self.check(False, "mean", {"one": 0.5, "two": 0.5})

  def test_coupled_loss(self):
    self.check(True, "sum")

  def test_weighted_coupled_loss(self):
    self.check(True, "weighted", {"coupled": 3.0}, weights=[3.0])

  def test_each_is_the_joint_graphs_gradient(self):
    for coupled in (False, True):
      with tf1.variable_scope(f"coupled_{coupled}"):
        wiring, batch = self.wiring(coupled), self.batch(coupled)
      joint = wiring.join(dict.fromkeys(batch))
      losses = [p.loss for p in joint.pieces.values() if p.loss is not None]
      variables = tf1.trainable_variables()[-3:]
      found = gradients.of_losses(losses, variables).gradients
      expected = tf1.gradients(joint.loss, variables)
      feed = {joint.feeds["trunk", "x"]: batch["trunk"]["x"]}
      pairs = self.session().run([found, expected], feed)
      for one, other in zip(*pairs):
        self.assert_close(one, other)


if __name__ == "__main__":
  absltest.main()

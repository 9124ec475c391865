"""Tests of steps and evaluations that fail: nothing stays, nothing changes."""

import time

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests.pipeline import support

RATE = 0.5  # exact in float32, as which optimizers hold it


class Checking(tf1.train.GradientDescentOptimizer):
  """Gradient descent that fails, and changes nothing, at a large gradient."""

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    checks = [
      tf1.debugging.Assert(tf1.reduce_all(tf1.abs(gradient) < 1e6), ["update"])
      for gradient, _ in grads_and_vars
    ]
    with tf1.control_dependencies(checks):
      same = [(tf1.identity(g), v) for g, v in grads_and_vars]
    return super().apply_gradients(same, global_step, name)


@tf1.custom_gradient
def guard(tensor, factor):
  """Returns `tensor`; its gradient is times `factor`, and must be finite."""

  def gradient(upstream):
    scaled = upstream * factor
    return tf1.debugging.check_numerics(scaled, "backward"), None

  return tf1.identity(tensor), gradient


def fail_late(flag):
  """Raises if `flag` is NaN, when everything else has run."""
  if np.isnan(flag):
    time.sleep(0.1)
    raise ValueError("late")
  return flag


PLACES = {
  "encoder": "early",
  "encoder_late": "late",
  "decoder": "early",
  "decoder_late": "late",
  "encoder_backward": "backward",
  "update": "update",
}
"""What can fail → a part of the message."""


class FailuresTest(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.w, self.v = self.weight("w", 3, 2), self.weight("v", 2, 2)
    wiring = support.Wiring().add("encoder", self.build_encoder)
    reads = {"out": "encoder.out", "early": "encoder.early"}
    wiring.add("decoder", self.build_decoder, reads=reads)
    self.pipeline = wiring.pipeline()
    self.trainer = self.pipeline.minimize(Checking(RATE))
    self.joint = wiring.join({"encoder": None, "decoder": None})
    self.gradients = tf1.gradients(self.joint.loss, [self.w, self.v])
    self.sess = self.session()

  def fragile(self, tensor, name, feeds):
    """Returns `tensor` times a feed that must be finite, and a late failure."""
    feeds[name] = tf1.placeholder_with_default(np.float64(1.0), [])
    late = feeds[name + "_late"] = tf1.placeholder_with_default(
      np.float64(1.0), []
    )
    checked = tf1.debugging.check_numerics(tensor * feeds[name], "early")
    return checked, tf1.py_func(fail_late, [late], tf1.float64)

  def build_encoder(self, bucket, reads):
    del bucket, reads
    feeds = {"x": tf1.placeholder(tf1.float64, [None, 3])}
    h = tf1.matmul(feeds["x"], self.w)
    out, late = self.fragile(h, "encoder", feeds)
    factor = tf1.placeholder_with_default(np.float64(1.0), [])
    feeds["encoder_backward"] = factor
    outputs = {"early": h, "out": tf1.tanh(guard(out, factor))}
    return tangle.Piece(feeds, outputs, metrics={"late": late})

  def build_decoder(self, bucket, reads):
    del bucket
    feeds = {}
    h = tf1.matmul(reads["out"] + 0.1 * reads["early"], self.v)
    z, late = self.fragile(h, "decoder", feeds)
    feeds["update"] = tf1.placeholder_with_default(np.float64(1.0), [])
    loss = feeds["update"] * tf1.reduce_sum(tf1.square(z))
    return tangle.Piece(feeds, loss=loss, metrics={"late": late})

  def batch(self, broken=None):
    batch = {"encoder": {"x": self.normal(4, 3)}, "decoder": {}}
    if broken:
      value = 1e9 if broken == "update" else np.nan
      owner = "encoder" if broken.startswith("encoder") else "decoder"
      batch[owner][broken] = value
    return batch

  def values(self):
    return self.sess.run([self.w, self.v])

  def assert_next_step_is_right(self):
    batch = self.batch()
    feed_dict = {self.joint.feeds["encoder", "x"]: batch["encoder"]["x"]}
    before = self.values()
    found = self.sess.run(self.gradients, feed_dict)
    self.trainer.step(self.sess, batch)
    self.assert_nothing_waits(self.sess)
    for value, gradient, now in zip(before, found, self.values()):
      self.assertGreater(np.max(np.abs(gradient)), 0)
      self.assert_close(now, value - RATE * gradient)

  @parameterized.named_parameters((place, place) for place in PLACES)
  def test_step_that_fails_leaves_nothing_and_changes_nothing(self, place):
    before = self.values()
    for _ in range(2):
      with self.assertRaisesRegex(tf1.errors.OpError, PLACES[place]):
        self.trainer.step(self.sess, self.batch(place))
      self.assert_nothing_waits(self.sess)
    for value, now in zip(before, self.values()):
      np.testing.assert_array_equal(value, now)
    self.assert_next_step_is_right()

  @parameterized.named_parameters(
    (f"{'before' if before else 'after'}_run_{at}", at, before)
    for at in (1, 2, 3)
    for before in (True, False)
  )
  def test_step_that_is_interrupted_leaves_nothing(self, at, before):
    values = self.values()
    interrupted = support.Interrupted(self.sess, at, before)
    with self.assertRaises(KeyboardInterrupt):
      self.trainer.step(interrupted, self.batch())
    self.assert_nothing_waits(self.sess)
    self.assertEqual(interrupted.count, at + 1)  # one run that cleans up
    updated = at == 3 and not before
    for value, now in zip(values, self.values()):
      self.assertEqual(np.any(value != now), updated)
    self.assert_next_step_is_right()

  @parameterized.named_parameters(
    (place, place) for place in PLACES if place.partition("_")[2] != "backward"
  )
  def test_evaluation_that_fails_leaves_nothing(self, place):
    batch = self.batch(place)
    if place == "update":
      self.pipeline.forward(self.sess, batch)  # there is none
    else:
      with self.assertRaisesRegex(tf1.errors.OpError, PLACES[place]):
        self.pipeline.forward(self.sess, batch)
    self.assert_nothing_waits(self.sess)
    self.assert_next_step_is_right()

  @parameterized.named_parameters(
    (f"{'before' if before else 'after'}_run_{at}", at, before)
    for at in (1, 2)
    for before in (True, False)
  )
  def test_evaluation_that_is_interrupted_leaves_nothing(self, at, before):
    interrupted = support.Interrupted(self.sess, at, before)
    with self.assertRaises(KeyboardInterrupt):
      self.pipeline.forward(interrupted, self.batch())
    self.assert_nothing_waits(self.sess)

  def test_closed_session_raises_its_own_error(self):
    sess = tf1.Session(graph=self.graph)
    sess.close()
    for run in (self.trainer.step, self.pipeline.forward):
      with self.assertRaisesRegex(RuntimeError, "closed"):
        run(sess, self.batch())


class LookingTest(support.PipelineTestCase):
  """What the tests look with sees what is there."""

  def test_waiting_sees_what_is_left(self):
    wiring = support.Wiring()
    wiring.add("encoder", support.layer(self.weight("w", 3, 2), ["x"]))
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    pipeline = wiring.pipeline()
    pipeline.minimize(support.Recorder())
    sess = self.session()
    node = pipeline.nodes["encoder"]
    graph = node.graphs[None]
    feed_dict = {node.key: 7, graph.piece.feeds["x"]: self.normal(4, 3)}
    sess.run(graph.puts["out"], feed_dict)
    self.assertEqual(sum(self.waiting(sess).values()), 1)
    with self.assertRaises(AssertionError):
      self.assert_nothing_waits(sess)

  def test_wrong_gradient_is_seen(self):
    weight, last = self.weight("w", 3, 2), self.weight("v", 2, 2)
    turns = []

    def decoder(bucket, reads):
      turns.append(bucket)
      scale = 1.0 if len(turns) == 1 else 1.0 + 1e-9
      x = tf1.stop_gradient(reads["x"]) + scale * (
        reads["x"] - tf1.stop_gradient(reads["x"])
      )
      return support.head(last)(bucket, {"x": x})

    wiring = support.Wiring().add("encoder", support.layer(weight, ["x"]))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.normal(4, 3)}, "decoder": {}}
    with self.assertRaises(AssertionError):
      self.assert_steps_are_joint(wiring, [batch])

  def test_gradient_that_is_not_applied_is_seen(self):
    weight, last = self.weight("w", 3, 2), self.weight("v", 2, 2)
    turns = []

    def decoder(bucket, reads):
      turns.append(bucket)
      x = tf1.stop_gradient(reads["x"]) if len(turns) == 1 else reads["x"]
      return support.head(last)(bucket, {"x": x})

    wiring = support.Wiring().add("encoder", support.layer(weight, ["x"]))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.normal(4, 3)}, "decoder": {}}
    with self.assertRaises(AssertionError):
      self.assert_steps_are_joint(wiring, [batch])


if __name__ == "__main__":
  absltest.main()

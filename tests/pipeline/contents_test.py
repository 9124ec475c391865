"""Tests of what sub-models may hold: each step is the joint graph's step."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests.pipeline import support


class ContentsTest(support.PipelineTestCase):
  def x(self, batch=4):
    return self.normal(batch, 3)

  def test_gather_from_a_boundary(self):
    weight = self.weight("v", 2, 2)

    def decoder(bucket, reads):
      picked = tf1.gather(reads["x"], [0, 2, 2])
      return support.head(weight)(bucket, {"x": picked})

    wiring = support.Wiring()
    wiring.add("encoder", support.layer(self.weight("w", 3, 2), ["x"]))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.x()}, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_an_update_that_a_constant_waits_for_runs_once(self):
    count = self.variable("count", np.float64(0.0), trainable=False)
    layer = support.layer(self.weight("w", 3, 2), ["x"])

    def encoder(bucket, reads):
      piece = layer(bucket, reads)
      with tf1.control_dependencies([count.assign_add(1.0)]):
        out = tf1.square(0.5 * piece.outputs["out"])
      return piece._replace(outputs={"out": out})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    trainer = wiring.pipeline().minimize(support.Recorder())
    sess = self.session()
    for step in range(1, 4):
      trainer.step(sess, {"encoder": {"x": self.x()}, "decoder": {}})
      self.assertEqual(sess.run(count), step)

  def test_complex_boundary(self):
    weight, last = self.weight("w", 3, 8), self.weight("v", 16, 2)

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      h = tf1.matmul(x_ph, weight)
      spectrum = tf1.fft(tf1.complex(h, tf1.zeros_like(h)))
      return tangle.Piece(feeds={"x": x_ph}, outputs={"spectrum": spectrum})

    def decoder(bucket, reads):
      spectrum = reads["spectrum"]
      parts = {"re": tf1.real(spectrum), "im": tf1.imag(spectrum)}
      return support.head(last)(bucket, parts)

    wiring = support.Wiring().add("encoder", encoder)
    wiring.add("decoder", decoder, reads={"spectrum": "encoder.spectrum"})
    batch = {"encoder": {"x": self.x()}, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])

  @parameterized.named_parameters(
    ("all", "all"), ("none", "none"), ("some", lambda t: t.op.type == "Tanh")
  )
  def test_residual_policies_give_the_same_gradients(self, residuals):
    wiring = support.Wiring()
    first = support.layer(self.weight("f", 3, 2), ["x"])
    wiring.add("first", first, residuals=residuals)
    middle = support.layer(self.weight("m", 2, 2))
    reads = {"x": "first.out"}
    wiring.add("middle", middle, reads=reads, residuals=residuals)
    last = support.head(self.weight("l", 2, 2))
    wiring.add("last", last, reads={"x": "middle.out"})
    batch = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    self.assert_steps_are_joint(wiring, [batch])

  def test_sub_models_on_two_devices(self):
    first, second = self.weight("f", 3, 2), self.weight("m", 2, 2)

    def on(device, build):
      def placed(bucket, reads):
        with tf1.device(device):
          return build(bucket, reads)

      return placed

    wiring = support.Wiring()
    wiring.add("first", on("/cpu:1", support.layer(first, ["x"])))
    middle = on("/cpu:0", support.layer(second))
    wiring.add("middle", middle, reads={"x": "first.out"})
    last = on("/cpu:1", support.head(self.weight("l", 2, 2)))
    wiring.add("last", last, reads={"x": "middle.out"})
    batch = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    self.assert_steps_are_joint(wiring, [batch], cpus=2)

  def test_all_that_is_kept_on_a_device_is_taken_though_nothing_reads_it(self):
    weight = self.weight("m", 2, 2)

    def middle(bucket, reads):
      with tf1.device("/cpu:1"):
        x = reads["x"] + 1.0  # whose value no gradient needs
      return support.layer(weight)(
        bucket, {"x": tf1.reduce_sum(x, 1)[:, None] * [[1.0, 2.0]]}
      )

    wiring = support.Wiring()
    wiring.add("first", support.layer(self.weight("f", 3, 2), ["x"]))
    reads = {"x": "first.out"}
    wiring.add("middle", middle, reads=reads, residuals="all")
    last = support.head(self.weight("l", 2, 2))
    wiring.add("last", last, reads={"x": "middle.out"})
    batch = {"first": {"x": self.x()}, "middle": {}, "last": {}}
    self.assert_steps_are_joint(wiring, [batch], cpus=2)

  def test_dropout_mask_is_that_of_the_forward_run(self):
    weight = self.weight("w", 3, 50)

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      uniform = tf1.random.uniform([tf1.shape(x_ph)[0], 50])
      mask = tf1.cast(uniform < 0.5, tf1.float64)
      h = tf1.sinh(tf1.matmul(x_ph, weight)) * mask
      return tangle.Piece({"x": x_ph}, {"out": h}, metrics={"mask": mask})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(self.weight("v", 50, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    recorder = support.Recorder()
    trainer = wiring.pipeline().minimize(recorder)
    batch = {"encoder": {"x": self.x()}, "decoder": {}}
    sess = self.session()
    joint = wiring.join({"encoder": None, "decoder": None})
    masks = []
    for _ in range(2):
      result = trainer.step(sess, batch)
      mask = result.metrics["encoder"]["mask"]
      masks.append(mask)
      fed = {joint.pieces["encoder"].metrics["mask"]: mask}
      self.assert_gradients_are_joint(sess, recorder, joint, batch, result, fed)
    self.assertGreater(abs(masks[0] - masks[1]).sum(), 10)

  def test_while_loop_of_the_second_kind_in_an_encoder(self):
    weight = self.weight("w", 3, 3)
    self.use_control_flow(v2=True)

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      steps_ph = tf1.placeholder(tf1.int32, [])

      def body(k, h):
        return k + 1, tf1.tanh(tf1.matmul(h, weight))

      _, h = tf1.while_loop(lambda k, _: k < steps_ph, body, [0, x_ph])
      return tangle.Piece({"x": x_ph, "steps": steps_ph}, {"out": h})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(self.weight("v", 3, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batches = [
      {"encoder": {"x": self.x(), "steps": steps}, "decoder": {}}
      for steps in (3, 1)
    ]
    self.assert_steps_are_joint(wiring, batches)

  def test_data_from_an_iterator_is_drawn_once_a_step(self):
    weight = self.weight("w", 3, 2)
    data = self.normal(3, 4, 3)
    dataset = tf1.data.Dataset.from_tensor_slices(data)
    drawn = tf1.data.make_one_shot_iterator(dataset).get_next()

    def encoder(bucket, reads):
      del bucket, reads
      h = tf1.tanh(tf1.matmul(drawn, weight))
      return tangle.Piece({}, {"out": h}, metrics={"x": drawn})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    recorder = support.Recorder()
    trainer = wiring.pipeline().minimize(recorder)
    sess = self.session()
    batch = {"encoder": {}, "decoder": {}}
    joint = wiring.join({"encoder": None, "decoder": None})
    for x in data:
      result = trainer.step(sess, batch)
      self.assert_close(result.metrics["encoder"]["x"], x)
      fed = {drawn: x}
      self.assert_gradients_are_joint(sess, recorder, joint, batch, result, fed)
    with self.assertRaises(tf1.errors.OutOfRangeError):
      trainer.step(sess, batch)
    self.assert_nothing_waits(sess)


if __name__ == "__main__":
  absltest.main()

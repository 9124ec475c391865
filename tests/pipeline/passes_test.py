"""Tests of passes."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import passes
from tests.pipeline import support

SCOPE = "passes/"


class PassTest(support.PipelineTestCase):
  def built(self, build=None, **options):
    """Returns the `BucketGraph` of an encoder that a decoder reads."""
    wiring = support.Wiring()
    build = build or support.layer(self.weight("w", 3, 2), ["x"], ["a", "b"])
    wiring.add("encoder", build, **options)
    decoder = support.head(self.weight("v", 4, 2))
    reads = {"a": "encoder.a", "b": "encoder.b"}
    wiring.add("decoder", decoder, reads=reads)
    self.pipeline = wiring.pipeline()
    self.pipeline.build()
    return self.pipeline.nodes["encoder"].graphs[None]

  def make(self, graph, outputs, weight=None, **options):
    pattern = passes.Pattern(frozenset(outputs), weight, **options)
    return graph.training_pass(pattern, SCOPE)

  def test_pass_keeps_what_the_backward_ops_read(self):
    found = self.make(self.built(), ["a"])
    types = {tensor.op.type for tensor in found.residuals}
    # The activation's gradient reads its output, the weight's reads the input;
    # the gradient of the input is not asked for, so that the weight is not.
    # TensorFlow 1.15 wants the shape of what is multiplied by a scalar too.
    self.assertEqual(types - {"Shape"}, {"Identity", "Tanh"})

  def test_last_sub_model_keeps_nothing_and_has_no_backward_run(self):
    self.built()
    graph = self.pipeline.nodes["decoder"].graphs[None]
    found = self.make(graph, [], 1.0)
    self.assertIsNone(found.backward)
    self.assertEmpty(found.residuals)
    self.assertEqual(list(found.reads), ["a", "b"])

  def test_drops_remove_what_a_pass_has_put_and_what_it_has_not(self):
    graph = self.built()
    found = self.make(graph, ["a", "b"])
    key = self.pipeline.nodes["encoder"].key
    x_ph = graph.piece.feeds["x"]
    sess = self.session()
    sess.run(found.drops, {key: 5})
    self.assert_nothing_waits(sess)
    sess.run(found.forward, {key: 5, x_ph: self.normal(4, 3)})
    self.assertLen(self.waiting(sess), 1)
    sess.run(found.drops, {key: 5})
    self.assert_nothing_waits(sess)

  def test_signature_tells_dense_from_sparse(self):
    table, weight = self.weight("table", 5, 3), self.weight("w", 3, 2)

    def build(bucket, reads):
      del bucket, reads
      ids_ph = tf1.placeholder(tf1.int64, [None])
      h = tf1.matmul(tf1.gather(table, ids_ph), weight)
      return tangle.Piece({"ids": ids_ph}, {"a": h, "b": tf1.tanh(h)})

    variables = self.make(self.built(build), ["a", "b"]).variables
    self.assertEqual(variables.signature, (("table:0", "int64"), ("w:0", None)))
    shapes = [tf1.TensorShape(shape).as_list() for shape in variables.shapes]
    self.assertEqual(shapes, [[None, 3], [None], [3, 2]])


class LoopsOfTheFirstKindTest(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=False)
    self.w = self.weight("w", 3, 3)

  def loop(self, x):
    def body(k, h):
      return k + 1, tf1.tanh(tf1.matmul(h, self.w))

    return tf1.while_loop(lambda k, _: k < 3, body, [0, x])[1]

  def encoder(self, bucket, reads):
    del bucket, reads
    x_ph = tf1.placeholder(tf1.float64, [None, 3])
    return tangle.Piece({"x": x_ph}, {"out": self.loop(x_ph)})

  def test_loop_in_an_encoder_trains(self):
    wiring = support.Wiring().add("encoder", self.encoder)
    decoder = support.head(self.weight("v", 3, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batches = [
      {"encoder": {"x": self.normal(size, 3)}, "decoder": {}}
      for size in (4, 2, 4)
    ]
    _, changed = self.assert_steps_are_joint(wiring, batches)
    self.assertEqual(changed, [["w", "v"]] * 3)

  def test_loop_runs_forward_without_a_gradient(self):
    wiring = support.Wiring().add("encoder", self.encoder)
    decoder = support.head(self.weight("v", 3, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    pipeline = wiring.pipeline()
    pipeline.minimize(support.Recorder())
    batch = {"encoder": {"x": self.normal(4, 3)}, "decoder": {}}
    sess = self.session()
    result = pipeline.forward(sess, batch, fetch=["encoder.out"])
    expected = batch["encoder"]["x"]
    for _ in range(3):
      expected = np.tanh(expected @ sess.run(self.w))
    self.assert_close(result.outputs["encoder.out"], expected)
    self.assert_nothing_waits(sess)

  @parameterized.parameters(True, False)
  def test_a_planned_policy_refuses_a_loop(self, use_resource):
    value = self.normal(3, 3)
    self.w = self.variable("kernel", value, use_resource=use_resource)
    wiring = support.Wiring()
    wiring.add("encoder", self.encoder, residuals="min_cut")
    decoder = support.head(self.weight("v", 3, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    message = "'encoder': .*TensorFlow 1.*Leave out residuals='min_cut'"
    with self.assertRaisesRegex(errors.CutError, message):
      wiring.pipeline().minimize(support.Recorder())

  def test_loop_in_the_last_sub_model_trains(self):
    head = support.head(self.weight("v", 3, 2))

    def decoder(bucket, reads):
      return head(bucket, {"x": self.loop(reads["x"])})

    wiring = support.Wiring()
    wiring.add("encoder", support.layer(self.weight("u", 3, 3), ["x"]))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.normal(4, 3)}, "decoder": {}}
    _, changed = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(changed, [["w", "v", "u"]])

  def test_loop_that_no_gradient_flows_through_is_carried(self):
    weight = self.weight("u", 3, 2)

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      h = tf1.stop_gradient(self.loop(x_ph))
      return tangle.Piece({"x": x_ph}, {"out": tf1.tanh(tf1.matmul(h, weight))})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"x": self.normal(4, 3)}, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])


class ReferencesTest(support.PipelineTestCase):
  @parameterized.named_parameters(
    ("forth", ["a", "b"]), ("back", ["b", "a"]), ("one", ["a"])
  )
  def test_reference_variable_at_a_boundary(self, outputs):
    def make(name, *shape):
      value = 0.5 * self.normal(*shape)
      return self.variable(name, value, use_resource=False)

    table = make("table", 4, 2)

    def encoder(bucket, reads):
      del bucket, reads
      made = {"a": tf1.identity(table), "b": tf1.tanh(table)}
      return tangle.Piece({}, {name: made[name] for name in outputs})

    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(make("v", 2 * len(outputs), 2))
    reads = {name: f"encoder.{name}" for name in outputs}
    wiring.add("decoder", decoder, reads=reads)
    trainer = wiring.pipeline().minimize(
      tf1.train.GradientDescentOptimizer(0.5)
    )
    joint = wiring.join({"encoder": None, "decoder": None})
    variables = tf1.trainable_variables()
    gradients = tf1.gradients(joint.loss, variables)
    sess = self.session()
    for _ in range(2):
      before = [np.array(value) for value in sess.run(variables)]
      found = sess.run(gradients)
      trainer.step(sess, {"encoder": {}, "decoder": {}})
      for variable, value, gradient in zip(variables, before, found):
        self.assert_close(sess.run(variable), value - 0.5 * gradient)


if __name__ == "__main__":
  absltest.main()

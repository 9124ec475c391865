"""Tests of a pipeline with several optimizers and kinds of variables."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tests import case
from tests.pipeline import networks, support


class OptimizersTest(support.PipelineTestCase):
  @parameterized.named_parameters(
    ("gradient_descent", lambda: tf1.train.GradientDescentOptimizer(0.1)),
    ("momentum", lambda: tf1.train.MomentumOptimizer(0.1, 0.9)),
    ("adagrad", lambda: tf1.train.AdagradOptimizer(0.1)),
    ("adam", lambda: tf1.train.AdamOptimizer(0.1)),
  )
  def test_untied_embedding_trains_as_in_the_joint_graph(self, make):
    weights = networks.Weights(self.rng, tied=False)
    pipeline = networks.seq2seq(weights, [3], [2])
    trainer = pipeline.minimize(make(), clip_norm=0.5)
    joint = networks.joint_step(weights, 3, 2, make(), 0.5)
    split_sess, joint_sess = self.session(), self.session()
    for _ in range(5):
      source, target = (networks.ids(self.rng, 4, length) for length in (3, 2))
      batch = networks.batch(source, target)
      result = trainer.step(split_sess, batch)
      loss, norm = joint.run(joint_sess, source, target)
      self.assertGreater(norm, 0.5)
      np.testing.assert_allclose(result.loss, loss, rtol=1e-12)
      np.testing.assert_allclose(result.global_norm, norm, rtol=1e-12)
    for variable in tf1.trainable_variables():
      expected = joint_sess.run(variable)
      self.assert_close(split_sess.run(variable), expected)

  def test_a_checkpoint_of_the_joint_graph_continues_in_the_pipeline(self):
    """The way that docs/migration.md describes, there and back."""

    def build(split):
      """Returns a step, a saver and a session, in a new graph."""
      with tf1.Graph().as_default():
        weights = networks.Weights(np.random.RandomState(3))
        optimizer = tf1.train.AdamOptimizer(0.1)
        if split:
          trainer = networks.seq2seq(weights, [3], [2]).minimize(optimizer)

          def step(sess, *ids):
            trainer.step(sess, networks.batch(*ids))

        else:
          step = networks.joint_step(weights, 3, 2, optimizer, 1e9).run
        scope = "pipeline/training/update/"
        found = tf1.global_variables()
        self.assertEqual(
          [v.op.name for v in found if v.op.name.endswith("beta1_power")],
          [(scope if split else "") + "beta1_power"],
        )
        names = {v.op.name.replace(scope, ""): v for v in found}
        saver = tf1.train.Saver(names if split else None)
        sess = tf1.Session()
        self.addCleanup(sess.close)
        sess.run(tf1.global_variables_initializer())
        return step, saver, sess, names

    programs = [build(split) for split in (False, True, False)]
    ids = [networks.ids(self.rng, 4, length) for length in (3, 2)]
    whole_step, _, whole_sess, whole = build(split=False)
    for _ in range(6):
      whole_step(whole_sess, *ids)
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    prefix = os.path.join(folder.name, "model")
    for k, (step, saver, sess, _) in enumerate(programs):
      if k:
        saver.restore(sess, prefix)
      for _ in range(2):
        step(sess, *ids)
      saver.save(sess, prefix)
    _, _, sess, names = programs[-1]
    self.assertCountEqual(names, whole)
    for name, variable in names.items():
      self.assert_close(sess.run(variable), whole_sess.run(whole[name]), 1e-9)

  @parameterized.named_parameters(("untied", False), ("tied", True))
  def test_sparse_gradients_stay_sparse_where_the_joint_ones_do(self, tied):
    weights = networks.Weights(self.rng, tied=tied)
    recorder = support.Recorder()
    trainer = networks.seq2seq(weights, [3], [2]).minimize(recorder)
    source_ph, target_ph, loss = networks.joint_loss(weights, 3, 2)
    variables = tf1.trainable_variables()
    gradients = tf1.gradients(loss, variables)
    kinds = {
      variable.op.name: "sparse" if hasattr(gradient, "indices") else "dense"
      for variable, gradient in zip(variables, gradients)
    }
    self.assertEqual(recorder.kinds, kinds)
    self.assertEqual("sparse" in kinds.values(), not tied)
    sess = self.session()
    source, target = (networks.ids(self.rng, 4, length) for length in (3, 2))
    trainer.step(sess, networks.batch(source, target))
    found = sess.run(gradients, {source_ph: source, target_ph: target})
    for variable, gradient in zip(variables, found):
      recorded = recorder.gradient(sess, variable)
      self.assert_close(recorded, case.dense(gradient))

  def test_table_read_by_two_sub_models_gets_one_sparse_sum(self):
    table = self.weight("table", 5, 3)

    def embed(build, dtype):
      def made(bucket, reads):
        ids_ph = tf1.placeholder(dtype, [None])
        rows = {"rows": tf1.gather(table, ids_ph)}
        piece = build(bucket, dict(rows, **reads))
        return piece._replace(feeds={"ids": ids_ph})

      return made

    wiring = support.Wiring()
    encoder = embed(support.layer(self.weight("w", 3, 2)), tf1.int32)
    wiring.add("encoder", encoder)
    decoder = embed(support.head(self.weight("v", 5, 2)), tf1.int64)
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    batch = {"encoder": {"ids": [0, 3, 3]}, "decoder": {"ids": [3, 1, 1]}}
    recorder, _ = self.assert_steps_are_joint(wiring, [batch])
    self.assertEqual(recorder.kinds["table"], "sparse")

  def test_reference_variables_train_as_in_the_joint_graph(self):
    def make(name, *shape):
      value = 0.5 * self.normal(*shape)
      return tf1.get_variable(name, initializer=value, use_resource=False)

    wiring = support.Wiring()
    wiring.add("encoder", support.layer(make("w", 3, 2), ["x"]))
    decoder = support.head(make("v", 2, 2))
    wiring.add("decoder", decoder, reads={"x": "encoder.out"})
    optimizer = tf1.train.GradientDescentOptimizer(0.5)
    trainer = wiring.pipeline().minimize(optimizer)
    joint = wiring.join({"encoder": None, "decoder": None})
    variables = tf1.trainable_variables()
    gradients = tf1.gradients(joint.loss, variables)
    sess = self.session()
    for _ in range(3):
      x = self.normal(4, 3)
      feed_dict = {joint.feeds["encoder", "x"]: x}
      before, found = sess.run([variables, gradients], feed_dict)
      before = [np.array(value) for value in before]
      trainer.step(sess, {"encoder": {"x": x}, "decoder": {}})
      for variable, value, gradient in zip(variables, before, found):
        self.assert_close(sess.run(variable), value - 0.5 * gradient)


if __name__ == "__main__":
  absltest.main()

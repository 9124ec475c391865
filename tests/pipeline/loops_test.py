"""Pipelines of sub-models with loops and conditionals of TensorFlow 1."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.experiments import constructs
from tangle.partial import partial_runs
from tests.pipeline import support

RATE = 0.5  # exact in float32, as which optimizers hold it


class LoopsTestCase(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=False)

  def reference(self, name, *shape, use_resource=False):
    value = 0.5 * self.normal(*shape)
    return self.variable(name, value, use_resource=use_resource)

  def looped(self, weight, name="while_loop"):
    """Returns the builder of a construct of what is fed or read, `[3, 4]`."""

    def build(bucket, reads):
      del bucket
      feeds = {} if reads else {"x": tf1.placeholder(tf1.float64, [3, 4])}
      x = tf1.add_n(list(reads.values()) or list(feeds.values()))
      x.set_shape([3, 4])
      y = constructs.ALL[name].build(x, weight)
      return tangle.Piece(feeds, {"out": y})

    return build

  def chain(self, encoder, *weights):
    """Returns an encoder and a decoder that reads its output."""
    wiring = support.Wiring().add("encoder", encoder)
    decoder = support.head(*weights)
    return wiring.add("decoder", decoder, reads={"x": "encoder.out"})

  def batch(self, *names, sign=1):
    """Returns a batch whose first sub-models, `names`, are fed."""
    return {name: {"x": sign * np.abs(self.normal(3, 4))} for name in names}

  def check(self, wiring, encoders, others, signs=(1, -1), **options):
    """Fails unless steps are joint; returns the variables that changed."""
    batches = [
      {**self.batch(*encoders, sign=s), **{name: {} for name in others}}
      for s in signs
    ]
    return self.assert_steps_are_joint(wiring, batches, **options)[1][0]


class StepsTest(LoopsTestCase):
  @parameterized.product(
    name=["dynamic_rnn", "case", "while_loop in cond"],
    use_resource=[False, True],
  )
  def test_control_flow_in_an_encoder(self, name, use_resource):
    w = self.reference("w", 4, 4, use_resource=use_resource)
    v = self.reference("v", 4, 2, use_resource=use_resource)
    wiring = self.chain(self.looped(w, name), v)
    # In the other branch that loop is not met, nor the weight.
    signs = (1, 1) if name == "while_loop in cond" else (1, -1)
    changed = self.check(wiring, ["encoder"], ["decoder"], signs)
    self.assertEqual(changed, ["w", "v"])

  def test_of_two_encoders_one_has_a_loop(self):
    w, u = self.reference("w", 4, 4), self.reference("u", 4, 4)
    wiring = support.Wiring().add("looped", self.looped(w))
    wiring.add("plain", self.plain(u))
    reads = {"x": "looped.out", "y": "plain.out"}
    wiring.add("decoder", support.head(self.reference("h", 8, 2)), reads=reads)
    changed = self.check(wiring, ["looped", "plain"], ["decoder"])
    self.assertCountEqual(changed, ["w", "u", "h"])

  def plain(self, weight):
    def build(bucket, reads):
      del bucket
      feeds = {} if reads else {"x": tf1.placeholder(tf1.float64, [3, 4])}
      x = tf1.add_n(list(reads.values()) or list(feeds.values()))
      return tangle.Piece(feeds, {"out": tf1.tanh(tf1.matmul(x, weight))})

    return build

  @parameterized.parameters(
    ("looped", "looped", "plain"),
    ("looped", "plain", "looped"),
    ("plain", "looped", "plain"),
  )
  def test_a_chain(self, *kinds):
    wiring, names = support.Wiring(), ["a", "b", "c"]
    for k, (name, kind) in enumerate(zip(names, kinds)):
      build = getattr(self, kind)(self.reference(f"w{name}", 4, 4))
      reads = {"x": f"{names[k - 1]}.out"} if k else {}
      wiring.add(name, build, reads)
    wiring.add("d", support.head(self.reference("v", 4, 2)), {"x": "c.out"})
    changed = self.check(wiring, ["a"], ["b", "c", "d"])
    self.assertCountEqual(changed, ["wa", "wb", "wc", "v"])

  @parameterized.parameters(False, True)
  def test_several_readers_add_up(self, overlap):
    wiring = support.Wiring()
    wiring.add("encoder", self.plain(self.reference("w", 4, 4)))
    for name in ("one", "two"):
      build = self.looped(self.reference(name, 4, 4))
      wiring.add(name, build, {"x": "encoder.out"})
    reads = {"x": "one.out", "y": "two.out", "z": "encoder.out"}
    wiring.add("decoder", support.head(self.reference("v", 12, 2)), reads)
    changed = self.check(
      wiring, ["encoder"], ["one", "two", "decoder"], overlap=overlap
    )
    self.assertCountEqual(changed, ["w", "one", "two", "v"])

  def test_several_readers_of_a_loop(self):
    wiring = support.Wiring()
    wiring.add("encoder", self.looped(self.reference("w", 4, 4)))
    for name in ("one", "two", "three"):
      head = support.head(self.reference(name, 4, 2))
      wiring.add(name, head, {"x": "encoder.out"})
    self.check(wiring, ["encoder"], ["one", "two", "three"])

  @parameterized.parameters(False, True)
  def test_a_variable_of_two_sub_models_gets_the_sum(self, use_resource):
    w = self.reference("w", 4, 4, use_resource=use_resource)
    changed = self.check(
      self.chain(self.looped(w), w), ["encoder"], ["decoder"]
    )
    self.assertEqual(changed, ["w"])

  def test_rows_of_a_table_stay_sparse(self):
    table, w = self.reference("table", 5, 4), self.reference("w", 4, 4)

    def encoder(bucket, reads):
      del bucket, reads
      ids_ph = tf1.placeholder(tf1.int32, [3])
      y = constructs.ALL["while_loop"].build(tf1.gather(table, ids_ph), w)
      return tangle.Piece({"ids": ids_ph}, {"out": y})

    wiring = self.chain(encoder, self.reference("v", 4, 2))
    ids = np.array([1, 1, 3], np.int32)
    recorder, _ = self.assert_steps_are_joint(
      wiring, [{"encoder": {"ids": ids}, "decoder": {}}]
    )
    self.assertEqual(recorder.kinds["table"], "sparse")

  def test_buckets_and_sources_to_choose_from(self):
    w, v = self.reference("w", 4, 4), self.reference("v", 4, 2)

    def encoder(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float64, [bucket, 4])
      y = tf1.while_loop(
        lambda n, _: n < 3,
        lambda n, y: (n + 1, tf1.tanh(tf1.matmul(y, w))),
        [0, x_ph],
      )[1]
      return tangle.Piece({"x": x_ph}, {"out": y})

    wiring = support.Wiring().add("a", encoder, buckets=[2, 3])
    wiring.add("b", support.layer(self.reference("u", 3, 4), ["x"]))
    reads = {"x": ["a.out", "b.out"]}
    wiring.add("decoder", support.head(v), reads=reads)
    batches = [
      {"a": {"x": self.normal(2, 4)}, "decoder": {}},
      {"b": {"x": self.normal(5, 3)}, "decoder": {}},
      {"a": {"x": self.normal(3, 4)}, "decoder": {}},
    ]
    _, changed = self.assert_steps_are_joint(wiring, batches)
    self.assertEqual(
      [sorted(c) for c in changed], [["v", "w"], ["u", "v"], ["v", "w"]]
    )

  def test_two_encoders_with_loops_at_once(self):
    wiring = support.Wiring()
    for name in ("left", "right"):
      wiring.add(name, self.looped(self.reference(name, 4, 4)))
    reads = {"x": "left.out", "y": "right.out"}
    wiring.add("decoder", support.head(self.reference("v", 8, 2)), reads)
    self.check(wiring, ["left", "right"], ["decoder"], overlap=True)


class UpdatesTest(LoopsTestCase):
  def test_a_step_clips_and_applies_as_the_joint_graph(self):
    w, v = self.reference("w", 4, 4), self.reference("v", 4, 2)
    wiring = self.chain(self.looped(w, "dynamic_rnn"), v)
    optimizer = tf1.train.GradientDescentOptimizer(RATE)
    trainer = wiring.pipeline().minimize(optimizer, clip_norm=1e-3)
    joint = wiring.join({"encoder": None, "decoder": None})
    clipped, norm = tf1.clip_by_global_norm(
      tf1.gradients(joint.loss, [w, v]), 1e-3
    )
    sess = self.session()
    for _ in range(2):
      batch = {**self.batch("encoder"), "decoder": {}}
      feed_dict = {joint.feeds["encoder", "x"]: batch["encoder"]["x"]}
      before = [np.array(value) for value in sess.run([w, v])]
      gradients, size = sess.run([clipped, norm], feed_dict)
      result = trainer.step(sess, batch)
      self.assertAlmostEqual(result.global_norm, size, places=12)
      for value, gradient, now in zip(before, gradients, sess.run([w, v])):
        self.assert_close(now, value - RATE * gradient)

  def counting(self, weight):
    """Returns the builder of an encoder that counts, and has metrics."""
    self.moving = self.variable(
      "moving", np.zeros(4), trainable=False, use_resource=False
    )

    def build(bucket, reads):
      piece = self.looped(weight)(bucket, reads)
      y = piece.outputs["out"]
      update = tf1.assign_add(self.moving, tf1.reduce_mean(y, 0))
      metrics = {"mean": tf1.reduce_mean(y), "read": tf1.identity(weight)}
      return piece._replace(updates=[update.op], metrics=metrics)

    return build

  def test_updates_are_made_once_and_metrics_are_right(self):
    w = self.reference("w", 4, 4)
    encoder = self.counting(w)
    pipeline = self.chain(encoder, self.reference("v", 4, 2)).pipeline()
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(RATE))
    sess = self.session()
    expected = np.zeros(4)
    for _ in range(3):
      batch = {**self.batch("encoder"), "decoder": {}}
      given = np.array(sess.run(w))
      y = batch["encoder"]["x"]
      for _ in range(constructs.STEPS):
        y = np.tanh(np.matmul(y, given))
      result = trainer.step(sess, batch)
      expected += np.mean(y, 0)
      self.assert_close(result.metrics["encoder"]["mean"], np.mean(y))
      self.assert_close(result.metrics["encoder"]["read"], given)
      self.assert_close(sess.run(self.moving), expected)
      self.assertTrue(np.any(sess.run(w) != given))

  def test_no_variable_is_copied_if_none_changes(self):
    for unchanged in (False, True):
      with self.subTest(unchanged), tf1.Graph().as_default() as self.graph:
        self._sizes = {}
        w, v = self.reference("w", 4, 4), self.reference("v", 4, 2)
        wiring = self.chain(self.looped(w), v)
        optimizer = tf1.train.GradientDescentOptimizer(RATE)
        trainer = wiring.pipeline().minimize(
          optimizer, weights_unchanged=unchanged
        )
        types = [op.type for op in self.graph.get_operations()]
        # That of the encoder's weight; the decoder runs back at once.
        self.assertEqual(types.count("DeepCopy"), 0 if unchanged else 1)
        joint = wiring.join({"encoder": None, "decoder": None})
        gradients = tf1.gradients(joint.loss, [w, v])
        sess = self.session()
        batch = {**self.batch("encoder"), "decoder": {}}
        feed_dict = {joint.feeds["encoder", "x"]: batch["encoder"]["x"]}
        before = [np.array(value) for value in sess.run([w, v])]
        found = sess.run(gradients, feed_dict)
        trainer.step(sess, batch)
        for value, gradient, now in zip(before, found, sess.run([w, v])):
          self.assert_close(now, value - RATE * gradient)

  def test_a_weight_that_changes_meanwhile_does_not_matter(self):
    w, v = self.reference("w", 4, 4), self.reference("v", 4, 2)
    wiring = self.chain(self.looped(w), v)
    recorder = support.Recorder()
    trainer = wiring.pipeline().minimize(recorder)
    joint = wiring.join({"encoder": None, "decoder": None})
    change = w.assign(3 * w)
    begin, sess = partial_runs.PartialRun.begin, self.session()

    def begin_and_change(run, *args):
      found = begin(run, *args)
      sess.run(change.op)
      return found

    batch = {**self.batch("encoder"), "decoder": {}}
    with mock.patch.object(partial_runs.PartialRun, "begin", begin_and_change):
      result = trainer.step(sess, batch)
    sess.run(w.initializer)
    self.assert_gradients_are_joint(sess, recorder, joint, batch, result)


class StatesTest(LoopsTestCase):
  """Encoders that begin from a state, which they overwrite."""

  def advance(self, x, state, weight, kind):
    """Returns what follows from a state, `[3, 4]`."""
    if kind == "layer":
      return tf1.tanh(tf1.matmul(x + state * state, weight))
    cell = constructs.Cell(weight)
    return tf1.nn.dynamic_rnn(
      cell, tf1.stack([x, 2 * x], 1), initial_state=state
    )[1]

  @parameterized.product(kind=["layer", "loop"], as_update=[False, True])
  def test_gradients_are_those_of_the_state_before(self, kind, as_update):
    w, v = self.reference("w", 4, 4), self.reference("v", 4, 2)
    state = self.variable(
      "state", self.normal(3, 4), trainable=False, use_resource=False
    )
    x_ph = tf1.placeholder(tf1.float64, [3, 4])
    state_ph = tf1.placeholder(tf1.float64, [3, 4])

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [3, 4])
      y = self.advance(x_ph, state, w, kind)
      change = tf1.assign(state, y)
      if as_update:
        return tangle.Piece({"x": x_ph}, {"out": y}, updates=[change.op])
      with tf1.control_dependencies([change]):
        return tangle.Piece({"x": x_ph}, {"out": tf1.identity(y)})

    wiring = self.chain(encoder, v)
    trainer = wiring.pipeline().minimize(
      tf1.train.GradientDescentOptimizer(RATE)
    )
    after = self.advance(x_ph, state_ph, w, kind)
    loss = support.head(v)(None, {"x": after}).loss
    gradients = tf1.gradients(loss, [w, v])
    sess = self.session()
    for _ in range(3):
      batch = {**self.batch("encoder"), "decoder": {}}
      feed_dict = {
        x_ph: batch["encoder"]["x"],
        state_ph: np.array(sess.run(state)),
      }
      before = [np.array(value) for value in sess.run([w, v])]
      found, expected = sess.run([gradients, after], feed_dict)
      trainer.step(sess, batch)
      self.assert_close(sess.run(state), expected)
      for value, gradient, now in zip(before, found, sess.run([w, v])):
        self.assert_close(now, value - RATE * gradient)
      self.assert_nothing_waits(sess)


class SessionsTest(LoopsTestCase):
  def setUp(self):
    super().setUp()
    self.w, self.v = self.reference("w", 4, 4), self.reference("v", 4, 2)
    self.wiring = support.Wiring().add("encoder", self.guarded(self.w))
    self.wiring.add("decoder", self.fragile, {"x": "encoder.out"})

  def guarded(self, weight):
    looped = self.looped(weight)

    def build(bucket, reads):
      piece = looped(bucket, reads)
      out = tf1.debugging.check_numerics(piece.outputs["out"], "first part")
      return piece._replace(outputs={"out": out})

    return build

  def fragile(self, bucket, reads):
    """Builds a decoder that fails if it is fed a NaN."""
    piece = support.head(self.v)(bucket, reads)
    factor = tf1.placeholder_with_default(np.float64(1), [])
    checked = tf1.debugging.check_numerics(factor, "later stage")
    return piece._replace(feeds={"factor": factor}, loss=piece.loss * checked)

  def joint_step(self, sess, trainer, joint, gradients):
    """Fails unless a step changes the weights as the joint graph's would."""
    batch = {**self.batch("encoder"), "decoder": {}}
    feed_dict = {joint.feeds["encoder", "x"]: batch["encoder"]["x"]}
    before = [np.array(value) for value in sess.run([self.w, self.v])]
    found = sess.run(gradients, feed_dict)
    trainer.step(sess, batch)
    for value, gradient, now in zip(before, found, sess.run([self.w, self.v])):
      self.assert_close(now, value - RATE * gradient)

  def prepare(self, **options):
    pipeline = self.wiring.pipeline()
    optimizer = tf1.train.GradientDescentOptimizer(RATE)
    trainer = pipeline.minimize(optimizer, **options)
    joint = self.wiring.join({"encoder": None, "decoder": None})
    return trainer, joint, tf1.gradients(joint.loss, [self.w, self.v])

  @parameterized.parameters(False, True)
  def test_a_later_stage_that_fails_leaves_nothing(self, overlap):
    trainer, joint, gradients = self.prepare(overlap=overlap)
    sess = self.session()
    before = [np.array(value) for value in sess.run([self.w, self.v])]
    calls = {"begin": 0, "finish": 0}

    def counted(name):
      method = getattr(partial_runs.PartialRun, name)

      def call(*args):
        calls[name] += 1
        return method(*args)

      return mock.patch.object(partial_runs.PartialRun, name, call)

    with counted("begin"), counted("finish"):
      for n in (1, 2):
        batch = {**self.batch("encoder"), "decoder": {"factor": np.nan}}
        with self.assertRaisesRegex(tf1.errors.OpError, "later stage"):
          trainer.step(sess, batch)
        self.assert_nothing_waits(sess)
        self.assertEqual(calls, {"begin": n, "finish": n})
    for value, now in zip(before, sess.run([self.w, self.v])):
      np.testing.assert_array_equal(value, now)
    self.joint_step(sess, trainer, joint, gradients)
    self.assert_nothing_waits(sess)

  def test_a_first_part_that_fails_says_so(self):
    trainer, joint, gradients = self.prepare()
    sess = self.session()
    batch = {"encoder": {"x": np.full([3, 4], np.nan)}, "decoder": {}}
    with self.assertRaisesRegex(tf1.errors.OpError, "first part"):
      trainer.step(sess, batch)
    # TensorFlow has cancelled that session for good.
    self.joint_step(self.session(), trainer, joint, gradients)

  def test_a_monitored_session(self):
    tf1.train.get_or_create_global_step()
    trainer, joint, gradients = self.prepare()
    self.count_waiting()
    with tf1.train.MonitoredTrainingSession() as sess:
      for _ in range(2):
        self.joint_step(sess, trainer, joint, gradients)
      self.assert_nothing_waits(sess)

  def test_a_finalized_graph(self):
    trainer, joint, gradients = self.prepare()
    self.count_waiting()
    sess = self.session()
    self.graph.finalize()
    for _ in range(2):
      self.joint_step(sess, trainer, joint, gradients)
    self.assert_nothing_waits(sess)

  def test_evaluation_is_as_without_loops(self):
    trainer, joint, _ = self.prepare()
    sess = self.session()
    batch = {**self.batch("encoder"), "decoder": {}}
    before = sess.run(
      joint.loss, {joint.feeds["encoder", "x"]: batch["encoder"]["x"]}
    )
    with mock.patch.object(partial_runs.PartialRun, "begin") as begin:
      found = trainer.pipeline.forward(sess, batch, fetch=["encoder.out"])
    begin.assert_not_called()
    self.assert_close(np.float64(found.loss), before)
    self.assertEqual(found.outputs["encoder.out"].shape, (3, 4))
    self.assert_nothing_waits(sess)

  def test_after_the_first_step_the_graph_does_not_grow(self):
    trainer, joint, gradients = self.prepare()
    sess = self.session()
    sizes = []
    for _ in range(3):
      self.joint_step(sess, trainer, joint, gradients)
      sizes.append(self.count_ops())
    self.assertEqual(sizes[0], sizes[2])


if __name__ == "__main__":
  absltest.main()

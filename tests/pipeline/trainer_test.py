"""Tests of trainer."""

import tempfile

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests.pipeline import support


def encoder_and_decoder(case, encoder=None, **options):
  """Returns a `Wiring` of an encoder `w` and a decoder `v`."""
  wiring = support.Wiring()
  build = encoder or support.layer(case.weight("w", 3, 2), ["x"])
  wiring.add("encoder", build, **options)
  decoder = support.head(case.weight("v", 2, 2))
  return wiring.add("decoder", decoder, reads={"x": "encoder.out"})


def trunk_and_heads(case):
  """Returns a `Wiring` of a trunk and the heads `one` and `two`."""
  wiring = support.Wiring()
  wiring.add("trunk", support.layer(case.weight("t", 3, 2), ["x"]))
  for name in ("one", "two"):
    build = support.head(case.weight(name, 2, 2))
    wiring.add(name, build, reads={"x": "trunk.out"})
  return wiring


class StepTest(support.PipelineTestCase):
  def test_head_that_takes_no_part_keeps_weights_and_slots(self):
    optimizer = tf1.train.AdamOptimizer(0.1)
    trainer = trunk_and_heads(self).pipeline().minimize(optimizer)
    sess = self.session()
    x = self.normal(4, 3)
    trainer.step(sess, {"trunk": {"x": x}, "one": {}, "two": {}})
    kept, moved = [], []
    for variable in trainer.variables:
      state = [variable] + [optimizer.get_slot(variable, s) for s in ("m", "v")]
      (kept if variable.op.name == "two" else moved).extend(state)
    before_kept, before_moved = sess.run([kept, moved])
    for _ in range(3):
      trainer.step(sess, {"trunk": {"x": x}, "one": {}})
    after_kept, after_moved = sess.run([kept, moved])
    for before, after in zip(before_kept, after_kept):
      np.testing.assert_array_equal(before, after)
    for before, after in zip(before_moved, after_moved):
      self.assertGreater(np.max(np.abs(before - after)), 0)

  def test_global_step_counts_steps(self):
    global_step = tf1.train.get_or_create_global_step()
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    pipeline = trunk_and_heads(self).pipeline()
    trainer = pipeline.minimize(optimizer, global_step=global_step)
    sess = self.session()
    for heads in (["one", "two"], ["one"], ["two"]):
      batch = {"trunk": {"x": self.normal(4, 3)}}
      batch.update({name: {} for name in heads})
      trainer.step(sess, batch)
    self.assertEqual(sess.run(global_step), 3)

  def test_two_trainers_of_one_pipeline_weigh_losses_on_their_own(self):
    pipeline = encoder_and_decoder(self).pipeline()
    norms = []
    optimizer = tf1.train.GradientDescentOptimizer(0.0)
    trainers = [
      pipeline.minimize(optimizer, 1.0, loss_weights={"decoder": weight})
      for weight in (1.0, 10.0)
    ]
    sess = self.session()
    x = self.normal(4, 3)
    for trainer in trainers:
      result = trainer.step(sess, {"encoder": {"x": x}, "decoder": {}})
      norms.append(result.global_norm)
    np.testing.assert_allclose(norms[1], 10.0 * norms[0], rtol=1e-12)


class RunsOfAStepTest(support.PipelineTestCase):
  def test_each_forward_op_runs_once_and_none_in_the_backward_run(self):
    made = {}

    def noting(name, build):
      def noted(bucket, reads):
        before = len(self.graph.get_operations())
        piece = build(bucket, reads)
        made[name] = self.graph.get_operations()[before:]
        return piece

      return noted

    layer = support.layer(self.weight("w", 3, 2), ["x"])

    def encoder(bucket, reads):
      piece = layer(bucket, reads)
      out = piece.outputs["out"]
      noise = tf1.random.uniform(tf1.shape(out), dtype=tf1.float64)
      return piece._replace(outputs={"out": out * noise})

    wiring = support.Wiring().add("encoder", noting("encoder", encoder))
    middle = noting("middle", support.layer(self.weight("m", 2, 2)))
    wiring.add("middle", middle, reads={"x": "encoder.out"})
    decoder = noting("decoder", support.head(self.weight("v", 2, 2)))
    wiring.add("decoder", decoder, reads={"x": "middle.out"})
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    trainer = wiring.pipeline().minimize(optimizer)
    traced = support.Traced(self.session(optimize=False))
    batch = {"encoder": {"x": self.normal(4, 3)}, "middle": {}, "decoder": {}}
    trainer.step(traced, batch)
    free = ("Const", "VarHandleOp", "Placeholder")
    # Three forward and two backward, the last of them with the update.
    self.assertLen(traced.runs, 5)
    for turn, name in enumerate(["encoder", "middle", "decoder"]):
      for op in made[name]:
        if op.type not in free:
          counts = [run[op.name] for run in traced.runs]
          self.assertEqual(counts[turn], 1, op.name)
          self.assertEqual(sum(counts), 1, op.name)

  def test_only_losses_and_metrics_come_into_python(self):
    trainer = trunk_and_heads(self).pipeline().minimize(support.Recorder())
    sess = self.session()
    fetched, fed = [], []

    class Watched:
      graph = sess.graph

      def run(self, fetches, feed_dict):
        found = sess.run(fetches, feed_dict)
        values = [v for v in tf1.nest.flatten(found) if v is not None]
        fetched.extend(np.shape(value) for value in values)
        fed.extend(np.shape(value) for value in feed_dict.values())
        return found

    batch = {"trunk": {"x": self.normal(4, 3)}, "one": {}, "two": {}}
    trainer.step(Watched(), batch)
    self.assertEqual(fetched, [()] * 4)  # a loss and a metric for each head
    self.assertEqual([shape for shape in fed if shape], [(4, 3)])

  def test_step_adds_to_the_graph_only_once_for_a_choice(self):
    trainer = trunk_and_heads(self).pipeline().minimize(support.Recorder())
    sess = self.session()
    batch = {"trunk": {"x": self.normal(4, 3)}, "one": {}, "two": {}}
    sizes = [len(self.graph.get_operations())]
    for name in (None, "two", "two", None):
      chosen = {k: v for k, v in batch.items() if k != name}
      trainer.step(sess, chosen)
      sizes.append(len(self.graph.get_operations()))
    self.assertEqual(sizes[0], sizes[1])
    self.assertLess(sizes[1], sizes[2])
    self.assertLen(set(sizes[2:]), 1)

  @parameterized.named_parameters(("trained", False), ("frozen", True))
  def test_batch_norm_updates_run_once_a_training_step(self, frozen):
    weight = self.weight("w", 3, 2)
    mean = self.variable("mean", np.zeros(2), trainable=False)
    count = self.variable("count", np.int64(0), trainable=False)

    def encoder(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None, 3])
      h = tf1.matmul(x_ph, weight)
      batch_mean, variance = tf1.nn.moments(h, 0)
      out = (h - batch_mean) * tf1.math.rsqrt(variance + 1e-3)
      out = tf1.stop_gradient(out) if frozen else out
      updates = [
        mean.assign_sub(0.1 * (mean - batch_mean)),
        count.assign_add(1),
      ]
      return tangle.Piece({"x": x_ph}, {"out": out}, updates=updates)

    wiring = encoder_and_decoder(self, encoder)
    x = self.normal(4, 3)
    batch = {"encoder": {"x": x}, "decoder": {}}
    self.assert_steps_are_joint(wiring, [batch])
    pipeline = wiring.pipeline()
    trainer = pipeline.minimize(support.Recorder())
    sess = self.session()
    for step in range(3):
      self.assertEqual(sess.run(count), step)
      pipeline.forward(sess, batch)
      trainer.step(sess, batch)
    expected = (1 - 0.9**3) * (x @ sess.run(weight)).mean(0)
    self.assert_close(sess.run(mean), expected)


class FinalizedTest(support.PipelineTestCase):
  def test_monitored_session_steps_with_what_is_prepared(self):
    global_step = tf1.train.get_or_create_global_step()
    pipeline = trunk_and_heads(self).pipeline()
    optimizer = tf1.train.AdamOptimizer(0.1)
    trainer = pipeline.minimize(optimizer, 1.0, global_step=global_step)
    trainer.prepare(["trunk", "one"])
    self.count_waiting()
    both = {"trunk": {"x": self.normal(4, 3)}, "one": {}, "two": {}}
    one = {name: both[name] for name in ("trunk", "one")}
    two = {name: both[name] for name in ("trunk", "two")}
    hook = tf1.train.StopAtStepHook(last_step=4)
    steps = 0
    with tempfile.TemporaryDirectory() as folder:
      with tf1.train.MonitoredTrainingSession(
        checkpoint_dir=folder, hooks=[hook], save_checkpoint_steps=2
      ) as sess:
        with self.assertRaisesRegex(errors.GraphError, r"prepare\(\)"):
          trainer.step(sess, two)
        self.assertEqual(self.waiting(sess), {})
        while not sess.should_stop():
          self.assertEqual(self.waiting(sess), {})
          trainer.step(sess, one if steps % 2 else both)
          steps += 1
      names = tf1.train.list_variables(folder)
    self.assertEqual(steps, 4)
    self.assertContainsSubset(["one/Adam", "two/Adam"], [n for n, _ in names])

  def test_alternatives_can_be_prepared(self):
    wiring = support.Wiring()
    for name in "ab":
      wiring.add(name, support.layer(self.weight(name, 3, 2), ["x"]))
    decoder = support.head(self.weight("c", 2, 2))
    wiring.add("c", decoder, reads={"x": ["a.out", "b.out"]})
    trainer = wiring.pipeline().minimize(tf1.train.AdamOptimizer(0.1))
    for name in "ab":
      trainer.prepare([name, "c"])
    sess = self.session()
    self.graph.finalize()
    for name in "ab":
      trainer.step(sess, {name: {"x": self.normal(4, 3)}, "c": {}})

  def test_prepare_refuses_choices_that_no_batch_can_make(self):
    trainer = trunk_and_heads(self).pipeline().minimize(support.Recorder())
    with self.assertRaisesRegex(errors.ArgumentError, "names 'three'"):
      trainer.prepare(["trunk", "three"])
    with self.assertRaisesRegex(errors.ArgumentError, "not name 'trunk'"):
      trainer.prepare(["one"])
    with self.assertRaisesRegex(errors.ArgumentError, "no trainable variable"):
      trainer.prepare(["trunk"])

  def test_step_of_a_new_choice_runs_nothing_in_a_finalized_graph(self):
    count = self.variable("count", np.int64(0), trainable=False)
    layer = support.layer(self.weight("w", 3, 2), ["x"])

    def encoder(bucket, reads):
      updates = [count.assign_add(1)]
      return layer(bucket, reads)._replace(updates=updates)

    wiring = support.Wiring()
    wiring.add("a", encoder).add("b", encoder)
    decoder = support.head(self.weight("v", 2, 2))
    wiring.add("c", decoder, reads={"x": ["a.out", "b.out"]})
    trainer = wiring.pipeline().minimize(support.Recorder())
    sess = self.session()
    self.graph.finalize()
    with self.assertRaisesRegex(errors.GraphError, "finalized"):
      trainer.step(sess, {"b": {"x": self.normal(4, 3)}, "c": {}})
    self.assertEqual(sess.run(count), 0)


class ErrorsTest(support.PipelineTestCase):
  def test_batch_without_a_loss(self):
    trainer = trunk_and_heads(self).pipeline().minimize(support.Recorder())
    sess = self.session()
    size = len(self.graph.get_operations())
    with self.assertRaisesRegex(
      errors.ArgumentError, r"\['trunk'\] has a loss"
    ):
      trainer.step(sess, {"trunk": {"x": self.normal(4, 3)}})
    self.assertLen(self.graph.get_operations(), size)

  def test_pipeline_without_a_loss(self):
    wiring = support.Wiring()
    wiring.add("encoder", support.layer(self.weight("w", 3, 2), ["x"]))
    with self.assertRaisesRegex(
      errors.ArgumentError, "no sub-model has a loss"
    ):
      wiring.pipeline().minimize(support.Recorder())

  def test_pipeline_whose_loss_reaches_no_variable(self):
    def build(bucket, reads):
      del bucket, reads
      x_ph = tf1.placeholder(tf1.float64, [None])
      return tangle.Piece({"x": x_ph}, loss=tf1.reduce_sum(x_ph))

    pipeline = support.Wiring().add("alone", build).pipeline()
    with self.assertRaisesRegex(errors.ArgumentError, "no trainable variable"):
      pipeline.minimize(support.Recorder())

  def test_loss_weight_that_names_nothing(self):
    pipeline = encoder_and_decoder(self).pipeline()
    message = r"loss_weights has 'encoder'; .* are \['decoder'\]"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      pipeline.minimize(support.Recorder(), loss_weights={"encoder": 2.0})

  def test_loss_weight_that_is_no_number(self):
    pipeline = encoder_and_decoder(self).pipeline()
    message = "the loss weight of 'decoder' must be a number.*in the builder"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      weights = {"decoder": tf1.ones([])}
      pipeline.minimize(support.Recorder(), loss_weights=weights)

  @parameterized.parameters(0, -1.0, float("nan"), "5")
  def test_norm_that_nothing_can_be_clipped_to(self, norm):
    pipeline = encoder_and_decoder(self).pipeline()
    message = "clip_norm must be positive, got .* clip_norm=None"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      pipeline.minimize(support.Recorder(), clip_norm=norm)

  def test_update_that_needs_a_placeholder(self):
    rate_ph = tf1.placeholder(tf1.float32, [], name="rate")
    pipeline = encoder_and_decoder(self).pipeline()
    optimizer = tf1.train.GradientDescentOptimizer(rate_ph)
    message = "needs the placeholder 'rate:0', which no step feeds. Make it a"
    for _ in range(2):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        pipeline.minimize(optimizer)
    rate = tf1.placeholder_with_default(0.1, [])
    pipeline.minimize(tf1.train.GradientDescentOptimizer(rate))

  def test_buckets_that_differ_in_what_has_a_gradient(self):
    first, second = self.weight("w", 3, 2), self.weight("v", 2, 2)

    def build(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float64, [bucket, 3])
      weight = second if bucket == trained else tf1.stop_gradient(second)
      h = tf1.tanh(tf1.matmul(tf1.matmul(x_ph, first), weight))
      return tangle.Piece({"x": x_ph}, loss=tf1.reduce_sum(h))

    for trained in (1, 2):
      with self.subTest(trained):
        wiring = support.Wiring().add("alone", build, buckets=[1, 2])
        trainer = wiring.pipeline().minimize(tf1.train.AdamOptimizer(0.1))
        self.assertLen(trainer.variables, 2)
        sess = self.session()
        for bucket in (1, 2):
          before = sess.run(second)
          trainer.step(sess, {"alone": {"x": self.normal(bucket, 3)}})
          moved = np.any(sess.run(second) != before)
          self.assertEqual(moved, bucket == trained)

  def test_buckets_that_differ_in_the_dtype_of_sparse_indices(self):
    table = self.weight("table", 4, 2)

    def build(bucket, reads):
      del reads
      ids_ph = tf1.placeholder([tf1.int32, tf1.int64][bucket - 1], [bucket])
      loss = tf1.reduce_sum(tf1.square(tf1.gather(table, ids_ph)))
      return tangle.Piece({"ids": ids_ph}, loss=loss)

    wiring = support.Wiring().add("alone", build, buckets=[1, 2])
    batches = [{"alone": {"ids": [3]}}, {"alone": {"ids": [1, 1]}}]
    self.assert_steps_are_joint(wiring, batches)


if __name__ == "__main__":
  absltest.main()

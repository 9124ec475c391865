"""Tests of pipeline."""

import collections

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests.pipeline import networks, support

BUCKETS = [1, 2, 3]


class TrainingTest(support.PipelineTestCase):
  @parameterized.named_parameters(
    ("double", np.float64, 1e-12), ("single", np.float32, 1e-6)
  )
  def test_twenty_steps_of_adam_equal_the_joint_graph(self, dtype, tolerance):
    weights = networks.Weights(self.rng, dtype)
    pipeline = networks.seq2seq(weights, BUCKETS, BUCKETS)
    trainer = pipeline.minimize(tf1.train.AdamOptimizer(0.01), clip_norm=0.5)
    optimizer = tf1.train.AdamOptimizer(0.01)
    joint = {
      (s, t): networks.joint_step(weights, s, t, optimizer, 0.5)
      for s in BUCKETS
      for t in BUCKETS
    }
    split_sess, joint_sess = self.session(), self.session(optimize=False)
    seen = collections.Counter()
    for step in range(20):
      s, t = BUCKETS[step % 3], BUCKETS[step // 3 % 3]
      source, target = (networks.ids(self.rng, 6, length) for length in (s, t))
      result = trainer.step(split_sess, networks.batch(source, target))
      loss, norm = joint[s, t].run(joint_sess, source, target)
      self.assertEqual(result.buckets, {"encoder": s, "decoder": t})
      np.testing.assert_allclose(result.loss, loss, rtol=10 * tolerance)
      np.testing.assert_allclose(result.global_norm, norm, rtol=10 * tolerance)
      seen["clipped"] += norm > 0.5
      seen[s, t] += 1
    self.assertLen(seen, 10)  # nine pairs of buckets, and clipping
    for variable in tf1.trainable_variables():
      np.testing.assert_allclose(
        split_sess.run(variable),
        joint_sess.run(variable),
        atol=tolerance,
        rtol=0,
      )

  def test_padded_batch_equals_the_masked_one_without_padding(self):
    table, weight = self.weight("table", 6, 3), self.weight("v", 3, 6)

    def encoder(bucket, reads):
      del reads
      ids_ph = tf1.placeholder(tf1.int32, [None, bucket])
      mask = tf1.cast(tf1.not_equal(ids_ph, 0), tf1.float64)
      rows = tf1.tanh(tf1.gather(table, ids_ph)) * mask[..., None]
      return tangle.Piece({"ids": ids_ph}, {"out": tf1.reduce_sum(rows, 1)})

    def decoder(bucket, reads):
      ids_ph = tf1.placeholder(tf1.int32, [None, bucket])
      mask = tf1.cast(tf1.not_equal(ids_ph, 0), tf1.float64)
      logits = tf1.matmul(reads["x"], weight)[:, None] * tf1.ones(
        [bucket, 1], tf1.float64
      )
      losses = tf1.nn.sparse_softmax_cross_entropy_with_logits(
        labels=ids_ph, logits=logits
      )
      loss = tf1.reduce_sum(losses * mask) / tf1.reduce_sum(mask)
      return tangle.Piece({"ids": ids_ph}, loss=loss)

    wiring = support.Wiring()
    pad = {"ids": 0}
    wiring.add("encoder", encoder, buckets=[3, 6], pad=pad)
    reads = {"x": "encoder.out"}
    wiring.add("decoder", decoder, reads, buckets=[2, 5], pad=pad)
    recorder = support.Recorder()
    trainer = wiring.pipeline().minimize(recorder)
    sess = self.session()
    for s, t, buckets in ((2, 3, (3, 5)), (4, 2, (6, 2)), (3, 5, (3, 5))):
      batch = {
        "encoder": {"ids": self.rng.randint(1, 6, (4, s))},
        "decoder": {"ids": self.rng.randint(1, 6, (4, t))},
      }
      result = trainer.step(sess, batch)
      self.assertEqual(tuple(result.buckets.values()), buckets)
      joint = wiring.join({"encoder": s, "decoder": t})
      self.assert_gradients_are_joint(sess, recorder, joint, batch, result)

  def test_buckets_may_be_tuples_chosen_by_a_function(self):
    weight = self.weight("w", 3, 2)

    def build(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float64, [None, bucket[0], bucket[1], 3])
      h = tf1.reduce_sum(tf1.tanh(x_ph), [1, 2])
      return tangle.Piece(
        {"x": x_ph}, loss=tf1.reduce_mean(tf1.tanh(tf1.matmul(h, weight)))
      )

    wiring = support.Wiring().add(
      "a model",
      build,
      buckets=[(1, 2), (2, 1), (2, 2)],
      bucket_of=lambda feeds: feeds["x"].shape[1:3],
    )
    batches = [
      {"a model": {"x": self.normal(4, *size, 3)}}
      for size in ((2, 1), (2, 2), (1, 2))
    ]
    self.assert_steps_are_joint(wiring, batches)


class GraphCountsTest(support.PipelineTestCase):
  def counts(self, buckets):
    """Returns the counts of N + N graphs, and all ops that they took."""
    with tf1.Graph().as_default() as graph:
      table = self.weight("table", 6, 3)

      def encoder(bucket, reads):
        del reads
        ids_ph = tf1.placeholder(tf1.int32, [None, bucket])
        rows = tf1.tanh(tf1.gather(table, ids_ph))
        return tangle.Piece({"ids": ids_ph}, {"out": tf1.reduce_sum(rows, 1)})

      def decoder(bucket, reads):
        ids_ph = tf1.placeholder(tf1.int32, [None, bucket])
        rows = tf1.gather(table, ids_ph) * reads["x"][:, None]
        return tangle.Piece({"ids": ids_ph}, loss=tf1.reduce_mean(rows))

      before = len(graph.get_operations())
      pipeline = tangle.Pipeline()
      pipeline.add("encoder", encoder, buckets=buckets)
      reads = {"x": "encoder.out"}
      pipeline.add("decoder", decoder, buckets=buckets, reads=reads)
      pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1), clip_norm=1.0)
      return pipeline.graph_counts(), len(graph.get_operations()) - before

  def test_graph_grows_by_sub_model_and_bucket_not_by_pair(self):
    small, small_ops = self.counts([1, 2])
    large, large_ops = self.counts([1, 2, 3, 4])
    pairs = [(count.sub_model, count.bucket) for count in large]
    names = ("encoder", "decoder")
    self.assertEqual(pairs, [(name, k) for name in names for k in (1, 2, 3, 4)])
    for counts in (small, large):
      for name in names:
        sizes = {count.ops for count in counts if count.sub_model == name}
        self.assertLen(sizes, 1)  # every bucket costs the same
    small_sum, large_sum = (
      sum(count.ops for count in counts) for counts in (small, large)
    )
    self.assertEqual(large_sum, 2 * small_sum)
    # What is there once, for keys, clean-up and update, whatever N and M are.
    self.assertEqual(large_ops - large_sum, small_ops - small_sum)
    self.assertLess(large_ops - large_sum, 0.5 * large_sum)

  def test_all_ops_land_in_the_scope(self):
    weights = networks.Weights(self.rng)
    before = self.count_ops()
    pipeline = networks.seq2seq(weights, [2], [2])
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(0.1))
    sess = self.session()
    first = self.count_ops()
    source, target = (networks.ids(self.rng, 4, 2) for _ in range(2))
    trainer.step(sess, networks.batch(source, target))
    self.assertEqual(self.count_ops(), first)
    made = [op.name for op in self.graph.get_operations()[before:]]
    odd = [name for name in made if not name.startswith("pipeline/")]
    self.assertEqual([name for name in odd if name != "init"], [])


class AddTest(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.pipeline = tangle.Pipeline()
    self.layer = support.layer(self.weight("w", 3, 2), ["x"])
    self.pipeline.add("encoder", self.layer)

  @parameterized.named_parameters(
    ("taken", {"name": "encoder"}, "a name of its own.*there are .'encoder'"),
    ("dotted", {"name": "a.b"}, "'a.b'.*without a dot"),
    ("order", {"buckets": [6, 3]}, r"from small to large.* got \[6, 3\]"),
    ("no_buckets", {"buckets": []}, r"at least one, got \[\]"),
    ("same_buckets", {"buckets": [3, 5, 3]}, r"different.*got \[3, 5, 3\]"),
    (
      "unknown_source",
      {"reads": {"x": "coder.out"}},
      r"'x' must come from .*\['encoder'\], got 'coder.out'. Perhaps",
    ),
    (
      "itself",
      {"reads": {"x": "decoder.out"}},
      "must come from .*got 'decoder.out'",
    ),
    (
      "read_twice",
      {"reads": {"x": "encoder.out", "y": "encoder.out"}},
      "'encoder.out' is read twice",
    ),
    ("no_alternative", {"reads": {"x": []}}, "at least one, got"),
    ("residuals", {"residuals": "some"}, "residuals must be .*got 'some'"),
  )
  def test_bad_argument_adds_nothing(self, options, message):
    options = dict({"name": "decoder", "build": self.layer}, **options)
    size = self.count_ops()
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.pipeline.add(**options)
    self.assertEqual(list(self.pipeline.nodes), ["encoder"])
    self.assertEqual(self.count_ops(), size)

  def test_nothing_is_added_to_what_is_built(self):
    self.pipeline.build()
    message = r"Pipeline 'pipeline': add: .* built already. Add 'decoder'"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      self.pipeline.add("decoder", self.layer)


class BuildTest(support.PipelineTestCase):
  def setUp(self):
    super().setUp()
    self.pipeline = tangle.Pipeline()
    self.layer = support.layer(self.weight("w", 3, 2), ["x"])
    self.pipeline.add("encoder", self.layer)

  def assert_build_raises(self, error, message):
    """Fails unless all ways to build raise, again and again."""
    optimizer = support.Recorder()
    sess = self.session()
    for _ in range(2):
      with self.assertRaisesRegex(error, message):
        self.pipeline.build()
      with self.assertRaisesRegex(error, message):
        self.pipeline.minimize(optimizer)
      with self.assertRaisesRegex(error, message):
        self.pipeline.forward(sess, {"encoder": {"x": self.normal(4, 3)}})

  def test_piece_is_checked(self):
    self.pipeline.add("decoder", lambda bucket, reads: None)
    message = "'decoder': the builder must return a tangle.Piece, got NoneType"
    self.assert_build_raises(errors.ArgumentError, message)

  def test_builder_that_raises_is_heard_each_time(self):
    def build(bucket, reads):
      raise KeyError("no such thing")

    self.pipeline.add("decoder", build)
    self.assert_build_raises(KeyError, "no such thing")

  @parameterized.named_parameters(
    ("alone", "encoder.outt"),
    ("first", ["encoder.outt", "other.out"]),
    ("last", ["other.out", "encoder.outt"]),
  )
  def test_read_of_an_unknown_output(self, sources):
    self.pipeline.add("other", self.layer)
    reads = {"x": sources}
    decoder = support.head(self.weight("v", 2, 2))
    self.pipeline.add("decoder", decoder, reads=reads)
    message = r"'decoder': the read 'x' .*'encoder.outt', .*outputs \['out'\]"
    self.assert_build_raises(errors.ArgumentError, message)

  def test_alternatives_of_two_dtypes(self):
    def other(bucket, reads):
      piece = self.layer(bucket, reads)
      out = tf1.cast(piece.outputs["out"], tf1.float32)
      return piece._replace(outputs={"out": out})

    self.pipeline.add("other", other)
    decoder = support.head(self.weight("v", 2, 2))
    reads = {"x": ["encoder.out", "other.out"]}
    self.pipeline.add("decoder", decoder, reads=reads)
    message = "'other.out' is float32, .*float64. Cast it where it is made"
    self.assert_build_raises(errors.DtypeError, message)

  def test_buckets_that_do_not_share_variables(self):
    def build(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float64, [None, bucket])
      name = f"own_{self.count_ops()}"
      own = self.variable(name, np.ones([1, 2]))
      h = tf1.matmul(tf1.reduce_sum(x_ph, 1, keepdims=True), own)
      return tangle.Piece({"x": x_ph}, {"out": h})

    self.pipeline.add("decoder", build, buckets=[2, 4])
    message = "'decoder': bucket 4 and bucket 2 do not share .*own_.*builder"
    self.assert_build_raises(errors.ArgumentError, message)

  def test_buckets_that_are_not_alike(self):
    def build(bucket, reads):
      del reads
      x_ph = tf1.placeholder(tf1.float64, [None, bucket])
      return tangle.Piece({"x": x_ph}, {f"out_{bucket}": x_ph})

    self.pipeline.add("decoder", build, buckets=[2, 4])
    message = "'decoder': all buckets must have the same outputs; bucket 2 has"
    self.assert_build_raises(errors.ArgumentError, message)

  def test_pad_that_names_no_feed(self):
    self.pipeline.add("decoder", self.layer, pad={"y": 0})
    message = r"'decoder': pad has 'y'; the feeds are \['x'\]"
    self.assert_build_raises(errors.ArgumentError, message)

  def test_tensor_of_another_sub_model_that_goes_past_reads(self):
    taken = []

    def encoder(bucket, reads):
      piece = self.layer(bucket, reads)
      taken.append(piece.outputs["out"])
      return piece

    def decoder(bucket, reads):
      del bucket, reads
      return tangle.Piece({}, loss=tf1.reduce_sum(taken[0]))

    self.pipeline.add("other", encoder)
    self.pipeline.add("decoder", decoder)
    message = "'decoder': the placeholder 'pipeline/other/.*for the loss.*reads"
    self.assert_build_raises(errors.ArgumentError, message)

  def test_build_is_done_once(self):
    self.pipeline.build()
    size = self.count_ops()
    self.pipeline.build()
    self.assertEqual(self.count_ops(), size)


if __name__ == "__main__":
  absltest.main()

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
    pairs = [{"encoder": 2, "decoder": 2}]
    found = joint.JointTrainer(
      self.pipeline, tf1.train.AdamOptimizer(), combinations=pairs
    )
    sess = self.session()
    with self.assertRaisesRegex(errors.ArgumentError, "no joint graph"):
      found.step(sess, {"encoder": {"source": networks.ids(self.rng, 4, 2)}})
    with self.assertRaisesRegex(errors.ArgumentError, "fetch has 'x.y'"):
      found.forward(sess, self.batch(2, 2), ["x.y"])


def with_heads(weights, rng):
  """Returns a pipeline of a trunk with buckets and two heads."""
  pipeline = tangle.Pipeline("heads")
  kernels = {
    name: tf1.get_variable(
      f"kernel_{name}",
      initializer=rng.standard_normal((networks.DEPTH, 2)),
      use_resource=True,
    )
    for name in ("one", "two")
  }

  def build_head(name):
    def build(bucket, reads):
      default = tf1.zeros([tf1.shape(reads["state"])[0], 2], tf1.float64)
      label_ph = tf1.placeholder_with_default(default, [None, 2])
      found = tf1.matmul(reads["state"], kernels[name])
      loss = tf1.reduce_mean(tf1.square(found - label_ph))
      return tangle.Piece({"label": label_ph}, {"logits": found}, loss)

    return build

  pipeline.add(
    "trunk",
    networks.encoder_builder(weights),
    buckets=[2, 3, 5],
    pad={"source": 0},
    bucket_of=lambda feeds: 3 if feeds["source"].shape[1] == 2 else 5,
  )
  for name in kernels:
    pipeline.add(name, build_head(name), reads={"state": "trunk.state"})
  return pipeline


class SwapTest(case.GraphTestCase):
  """The same calls of a `Trainer` and of a `JointTrainer`."""

  def setUp(self):
    super().setUp()
    self.weights = networks.Weights(self.rng)
    self.pipeline = with_heads(self.weights, self.rng)

  def batches(self, *names):
    """Returns batches of the trunk and the named heads."""
    found = []
    for size in (2, 3, 4):
      ids = networks.ids(self.rng, 4, size)
      heads = {name: {"label": self.rng.randn(4, 2)} for name in names}
      found.append({"trunk": {"source": ids}, **heads})
    found[-1][names[0]] = {}  # its label has a default
    return found

  def trainers(self, **options):
    options.setdefault("clip_norm", 0.3)
    options.setdefault("loss_weights", {"two": 0.5})
    counts = [
      self.variable(f"count_{n}", np.int64(0), trainable=False) for n in "ab"
    ]
    return (
      self.pipeline.minimize(
        tf1.train.AdamOptimizer(0.1), global_step=counts[0], **options
      ),
      tangle.JointTrainer(
        self.pipeline,
        tf1.train.AdamOptimizer(0.1),
        global_step=counts[1],
        **options,
      ),
    ), counts

  @parameterized.named_parameters(
    ("all", ["trunk", "one", "two"], False, {}),
    ("not_clipped", ["trunk", "one", "two"], False, {"clip_norm": None}),
    ("one_head", ["trunk", "two"], False, {}),
    ("prepared", ["trunk", "one"], True, {}),
    ("not_weighted", ["trunk", "one"], True, {"loss_weights": None}),
  )
  def test_same_calls_give_the_same(self, names, is_prepared, options):
    trainers, counts = self.trainers(**options)
    batches = self.batches(*names[1:])
    sessions = [self.session() for _ in trainers]
    if is_prepared:
      for trainer in trainers:
        trainer.prepare(names)
      self.graph.finalize()
    results, weights = [], []
    for trainer, count, sess in zip(trainers, counts, sessions):
      steps = [trainer.step(sess, batch) for batch in batches]
      profile = trainer.profile(sess, batches[0], steps=1)
      self.assertIn("whole step", str(profile))
      results.append(steps + [profile.result])
      weights.append(sess.run(trainer.variables))
      self.assertEqual(sess.run(count), len(results[-1]))
    self.assertEqual(*([v.name for v in t.variables] for t in trainers))
    for ours, theirs in zip(*results):
      self.assertEqual(ours.buckets, theirs.buckets)
      self.assertEqual(set(ours.buckets), set(names))
      self.assertAlmostEqual(ours.loss, theirs.loss, places=12)
      self.assertEqual(ours.losses.keys(), theirs.losses.keys())
      if options.get("clip_norm", 1) is None:
        self.assertIsNone(theirs.global_norm)
      else:
        self.assertAlmostEqual(ours.global_norm, theirs.global_norm, places=11)
    for ours, theirs in zip(*weights):
      self.assert_close(ours, theirs, rtol=1e-10)

  def test_forward_without_loss_needs_no_label(self):
    found = tangle.JointTrainer(
      seq2seq(self.weights), tf1.train.AdamOptimizer()
    )
    sess = self.session()
    source = networks.ids(self.rng, 4, 3)
    given = {"encoder": {"source": source}, "decoder": {}}
    result = found.forward(sess, given, ["encoder.state"], with_loss=False)
    theirs = found.pipeline.forward(
      sess, {"encoder": {"source": source}}, ["encoder.state"], with_loss=False
    )
    self.assertIsNone(result.loss)
    self.assert_close(
      result.outputs["encoder.state"], theirs.outputs["encoder.state"]
    )
    with self.assertRaisesRegex(errors.ArgumentError, "no feed 'target'"):
      found.forward(sess, given, ["encoder.state"])

  def test_errors_are_the_same(self):
    trainers, _ = self.trainers()
    sess, (batch, *_) = self.session(), self.batches("one", "two")
    calls = {
      "is not one of the sub-models": lambda t: t.prepare(["tronk"]),
      "but the batch does not name 'trunk'": lambda t: t.prepare(["one"]),
      "no trainable variable gets": lambda t: t.prepare(["trunk"]),
      "none of the sub-models": lambda t: t.step(
        sess, {"trunk": batch["trunk"]}
      ),
      "the batch is empty": lambda t: t.step(sess, {}),
      "steps must be a positive int": lambda t: t.profile(sess, batch, 0),
      "record needs micro-batches": lambda t: t.record([]),
      "a feed 'labl'": lambda t: t.step(sess, {**batch, "one": {"labl": 1}}),
    }
    for message, call in calls.items():
      for trainer in trainers:
        with self.assertRaisesRegex(errors.ArgumentError, message):
          call(trainer)

  @parameterized.named_parameters(
    ("norm", {"clip_norm": -1}, "clip_norm must be positive"),
    ("step", {"global_step": 0}, "global_step must be a variable .* got 0"),
    ("weight", {"loss_weights": {"one": "x"}}, "must be a number, got 'x'"),
    ("name", {"loss_weights": {"trunk": 1.0}}, "loss_weights has 'trunk'"),
  )
  def test_settings_are_refused_alike(self, options, message):
    optimizer = tf1.train.AdamOptimizer()
    for make in (
      self.pipeline.minimize,
      lambda *a, **k: tangle.JointTrainer(self.pipeline, *a, **k),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        make(optimizer, **options)

  def test_a_finalized_graph(self):
    trainers, _ = self.trainers()
    (batch, *_) = self.batches("one")
    sess = self.session()
    self.graph.finalize()
    for trainer in trainers:
      with self.assertRaisesRegex(errors.GraphError, r"call prepare\(\)"):
        trainer.step(sess, batch)


if __name__ == "__main__":
  absltest.main()

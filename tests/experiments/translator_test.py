"""Tests of translator."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import (
  cmudict_data,
  directions,
  tasks,
  throughput,
  translator,
)
from tangle.pipeline import joint as joint_lib
from tangle.seq2seq import batches, bucketing, rows, vocabulary
from tests import case
from tests.experiments import babel, spelling

PAIR = directions.PAIR

NETWORKS = {
  "attention": {"units": 6, "embedding_dim": 5, "layers": 2},
  "legacy": {"model": "legacy", "units": 6, "layers": 2, "heads": 2},
  "legacy_gru": {"model": "legacy", "units": 6, "cell": "gru"},
  "sampled": {"model": "legacy", "units": 6, "num_sampled": 7},
}


def named(names):
  return parameterized.named_parameters(*((n, n) for n in names))


class TranslatorTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.data = cmudict_data.load(spelling.entries(200))
    self.task = tasks.cmudict(self.data, buckets=2)

  def losses(self, buckets, network, feed, steps, seed=3):
    """Trains in a graph of its own; returns the losses, and the graphs."""
    with tf1.Graph().as_default():
      model = translator.Translator(
        self.task.vocabularies, {PAIR: buckets}, **network
      )
      model.minimize(
        tf1.train.AdamOptimizer(0.01), 1.0, tf1.train.create_global_step()
      )
      rng = np.random.RandomState(seed)
      with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        variables = sorted(tf1.trainable_variables(), key=lambda v: v.name)
        for v in variables:
          v.load(rng.uniform(-0.5, 0.5, v.shape.as_list()), sess)
        found = [
          model.trainer.step(sess, model.feeds(batch)).loss
          for batch in feed(steps)
        ]
        held_out = model.loss(sess, feed(2))
      return found, held_out, model.count_graphs()

  def batches_of(self, buckets):
    """Returns a function that gives the first batches of two epochs."""
    pairs = batches.PairBatches(
      self.task.encoded["train"][PAIR].examples, buckets, 8, seed=1
    )

    def first(count):
      for epoch in range(100):
        for batch in pairs.epoch(epoch):
          if not count:
            return
          count -= 1
          yield batch

    return first

  @named(["attention", "legacy", "legacy_gru"])
  def test_joint_and_independent_have_the_same_losses(self, network):
    # Pairs that are cells of the grid, so that the batches are the same.
    joint = bucketing.JointBuckets([(3, 4), (3, 6), (5, 6)])
    independent = bucketing.IndependentBuckets([3, 5], [4, 6])
    feed = self.batches_of(joint)
    network = NETWORKS[network]
    one, loss, graphs = self.losses(joint, network, feed, 50)
    other, other_loss, others = self.losses(independent, network, feed, 50)
    self.assertLen(set(one), 50)
    np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(loss, other_loss, rtol=1e-5)
    self.assertLess(np.mean(one[-5:]), np.mean(one[:5]))
    self.assertEqual((graphs["graphs"], others["graphs"]), (3, 4))
    self.assertEqual(others["joint_graphs"], 4)

  @named(NETWORKS)
  def test_the_search_finds_what_the_decoder_predicts(self, network):
    model = translator.Translator(
      self.task.vocabularies, self.task.buckets, **NETWORKS[network]
    )
    model.minimize(
      tf1.train.AdamOptimizer(), 1.0, tf1.train.create_global_step()
    )
    sess = self.session()
    (batch,) = self.batches_of(self.task.buckets[PAIR])(1)
    found = model.converter(sess)(batch)
    steps = self.task.buckets[PAIR].longest[1]
    self.assertEqual(found.symbols.shape, (batch.examples, steps))
    self.assertEqual(found.lengths.shape, (batch.examples,))
    if network == "sampled":  # its loss is not the probability
      return
    source = batch.source, batch.source_lengths
    for row, length in enumerate(found.lengths):
      ids = found.symbols[row][:length]
      targets = np.full([1, steps], vocabulary.PAD_ID)
      targets[0, :length] = ids
      inputs = np.roll(targets, 1)
      inputs[0, 0] = vocabulary.GO_ID
      one = batch._replace(
        sources=(rows.Source(*[f[row : row + 1] for f in source], None),),
        decoder_inputs=inputs,
        targets=targets,
        weights=(np.arange(steps) < length)[np.newaxis].astype(np.float32),
      )
      loss = model.loss(sess, [one]) * length
      np.testing.assert_allclose(found.scores[row], -loss, rtol=1e-4)

  def test_dropout_goes_by_seed_and_step(self):
    model = translator.Translator(
      self.task.vocabularies, self.task.buckets, units=6
    )
    model.pipeline.build()
    sess = self.session()
    (batch,) = self.batches_of(self.task.buckets[PAIR])(1)
    noisy = model.noise(0.5, 7)

    def loss(step):
      turn = str(PAIR), batch
      return model.pipeline.forward(sess, noisy(turn, step)).loss

    self.assertEqual(loss(3), loss(3))
    self.assertNotEqual(loss(3), loss(4))
    self.assertNotEqual(loss(3), model.loss(sess, [batch]))

  def test_logits_can_start_at_the_frequencies(self):
    model = translator.Translator(
      self.task.vocabularies, self.task.buckets, units=6
    )
    model.pipeline.build()
    sess = self.session()
    given = self.task.encoded["train"][PAIR].examples.targets
    model.start_from_frequencies(sess, {"target": given})
    (batch,) = self.batches_of(self.task.buckets[PAIR])(1)
    loss = model.loss(sess, [batch])
    size = len(self.task.vocabularies["target"])
    self.assertLess(loss, np.log(size) - 0.4)
    legacy = translator.Translator(
      self.task.vocabularies, self.task.buckets, model="legacy", units=4
    )
    with self.assertRaisesRegex(errors.ArgumentError, "output_bias to zeros"):
      legacy.start_from_frequencies(sess, {"target": given})

  @parameterized.named_parameters(
    ("model", {"model": "transformer"}, "transformer"),
    ("cell", {"model": "legacy", "cell": "rnn"}, "rnn"),
    ("heads", {"heads": 2}, "heads=2"),
    ("num_sampled", {"num_sampled": 2}, "num_sampled=2"),
  )
  def test_refuses(self, network, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      translator.Translator(
        self.task.vocabularies, self.task.buckets, **network
      )

  def test_the_legacy_model_has_no_dropout(self):
    model = translator.Translator(
      self.task.vocabularies, self.task.buckets, model="legacy", units=4
    )
    (batch,) = self.batches_of(self.task.buckets[PAIR])(1)
    with self.assertRaisesRegex(errors.ArgumentError, "dropout_rate to 0"):
      model.feeds(batch, 0.5, [1, 2])


class SeveralTest(case.GraphTestCase):
  """Several directions, and several sources."""

  def setUp(self):
    super().setUp()
    self.folder = babel.write(self)

  def load(self, buckets, sources=babel.NAMES, targets=babel.NAMES, **settings):
    """Sets the task and the model, which adds few ops to the graph yet."""
    self.task = tasks.parallel(
      [f"{self.folder}/train.{{}}"],
      sources=sources,
      targets=targets,
      buckets=buckets,
    )
    self.model = translator.Translator(
      self.task.vocabularies,
      self.task.buckets,
      units=5,
      embedding_dim=4,
      **settings,
    )

  def batches(self, size):
    return [
      self.model.feeds(batch, direction=one)
      for one in self.task.directions
      for batch in self.task.batches("train", one, size).epoch(0)
    ]

  def test_six_networks_have_a_graph_for_each_bucket(self):
    self.load(buckets=2)
    self.model.pipeline.build()
    counts = self.model.count_graphs()
    self.assertEqual(counts["graphs"], 3 * 2 + 3 * 2)
    self.assertEqual(counts["joint_graphs"], 6 * 2 * 2)
    scopes = {v.op.name.split("/")[0] for v in tf1.trainable_variables()}
    self.assertEqual(scopes, set(babel.NAMES))

  @parameterized.named_parameters(
    ("six_directions", babel.NAMES, babel.NAMES),
    ("two_sources", ["bb+aa"], ["cc"]),
    ("shared_sources", ["bb+aa", "bb"], ["cc", "aa"]),
  )
  def test_every_direction_trains_as_in_a_joint_graph(self, sources, targets):
    # More buckets make many joint graphs; attention_pieces_test has every
    # combination of buckets.
    if sources == ["bb+aa", "bb"]:  # one decoder reads two, one reads one
      self.load(1, ["aa", "bb"], ["cc", "aa"])
      chosen = ["bb+aa-cc", "bb-aa"]
      self.task = tasks.parallel(
        [f"{self.folder}/train.{{}}"],
        sources=["aa", "bb"],
        targets=["cc", "aa"],
        directions=chosen,
        buckets=1,
      )
      self.model = translator.Translator(
        self.task.vocabularies, self.task.buckets, units=5, embedding_dim=4
      )
    else:
      self.load(1, sources, targets)
    pipeline = self.model.pipeline
    optimizer = tf1.train.GradientDescentOptimizer(0.1)
    batches = self.batches(32)
    lengths = {
      name: sub_model.buckets[0] for name, sub_model in pipeline.nodes.items()
    }
    combinations = {
      tuple(batch): {name: lengths[name] for name in batch} for batch in batches
    }
    self.assertLen(combinations, len(self.task.directions))
    trainers = [
      pipeline.minimize(optimizer, clip_norm=1.0),
      joint_lib.JointTrainer(
        pipeline, optimizer, 1.0, combinations=list(combinations.values())
      ),
    ]
    sess = self.session()
    variables = tf1.trainable_variables()
    first, found = sess.run(variables), []
    self.assertEqual(
      sum(map(throughput.count_examples, batches)),
      len(self.task.directions) * babel.LINES["train"],
    )
    for trainer in trainers:
      for variable, value in zip(variables, first):
        variable.load(value, sess)
      losses = [trainer.step(sess, batch).loss for batch in batches]
      found.append((losses, sess.run(variables)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for variable, *values in zip(variables, first, *(w for _, w in found)):
      start, one, other = values
      self.assertGreater(np.abs(one - start).max(), 1e-6, variable.name)
      np.testing.assert_allclose(
        one, other, rtol=1e-4, atol=1e-6, err_msg=variable.name
      )

  def test_a_step_leaves_the_other_networks_alone(self):
    self.load(buckets=2)
    trainer = self.model.pipeline.minimize(tf1.train.AdamOptimizer(0.1))
    sess = self.session()

    def step(source, target):
      one = directions.Direction((source,), target)
      (batch, *_) = self.task.batches("train", one, 96).epoch(0)
      trainer.step(sess, self.model.feeds(batch, direction=one))

    step("bb", "cc")
    before = sess.run(tf1.global_variables())
    step("aa", "bb")
    changed = {
      v.op.name
      for v, old, new in zip(
        tf1.global_variables(), before, sess.run(tf1.global_variables())
      )
      if np.any(old != new)
    }
    self.assertNotEmpty(changed)
    self.assertFalse([name for name in changed if name.startswith("cc/")])
    self.assertFalse([n for n in changed if n.startswith("bb/source_emb")])
    self.assertIn("bb/target_embedding/table", changed)

  @parameterized.parameters(1, 2)
  def test_micro_batches_train_as_the_whole_batch(self, sources):
    """And so do those of several directions, each with its sources."""
    names = ["aa+bb"] if sources == 2 else ["aa", "bb"]
    found = []
    for micro_batches in (1, 3):
      with tf1.Graph().as_default():
        self.load(1, names, ["cc"], micro_batches=micro_batches)
        self.model.minimize(
          tf1.train.AdamOptimizer(0.01),
          1.0,
          tf1.train.create_global_step(),
        )
        rng = np.random.RandomState(2)
        with tf1.Session() as sess:
          sess.run(tf1.global_variables_initializer())
          for v in tf1.trainable_variables():
            v.load(rng.uniform(-0.5, 0.5, v.shape.as_list()), sess)
          for batch in self.batches(32):
            self.model.trainer.step(sess, batch)
          found.append(sess.run(tf1.trainable_variables()))
    for one, other in zip(*found):
      np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)

  def test_the_search_reads_the_sources_of_its_direction(self):
    self.load(1, ["aa", "bb"], ["cc"])
    self.model.pipeline.build()
    sess = self.session()
    one, other = self.task.directions
    (batch, *_) = self.task.batches("train", one, 8).epoch(0)
    scores = [
      self.model.converter(sess, direction)(batch).scores
      for direction in (one, other, one)
    ]
    np.testing.assert_array_equal(scores[0], scores[2])
    self.assertTrue(np.all(scores[0] != scores[1]))

  def test_the_first_guess_is_of_the_frequencies(self):
    self.load(1, ["aa+bb"], ["cc"])
    self.model.pipeline.build()
    sess = self.session()
    (one,) = self.task.directions
    targets = self.task.encoded["train"][one].examples.targets

    def measure():
      drawn = self.task.batches("train", one, 32)
      return self.model.loss(sess, drawn.in_order(), one)

    before = measure()
    self.model.start_from_frequencies(sess, {"cc": targets})
    after = measure()
    ids = np.concatenate([[*row, vocabulary.EOS_ID] for row in targets])
    shares = np.bincount(ids) / len(ids)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-9)))
    self.assertLess(after, before)
    self.assertLess(abs(after - entropy), 0.3)

  def test_the_legacy_model_has_one_direction_from_one_source(self):
    for sources in (["aa+bb"], ["aa", "bb"]):
      with self.assertRaisesRegex(
        errors.ArgumentError, "one encoder and one decoder, got aa.*attention"
      ):
        self.load(1, sources, ["cc"], model="legacy")


if __name__ == "__main__":
  absltest.main()

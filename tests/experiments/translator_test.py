"""Tests of translator."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import cmudict_data, tasks, translator
from tangle.seq2seq import batches, bucketing, rows, vocabulary
from tests import case
from tests.experiments import spelling

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
      model = translator.Translator(self.task.vocabularies, buckets, **network)
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
      self.task.encoded["train"].examples, buckets, 8, seed=1
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
    (batch,) = self.batches_of(self.task.buckets)(1)
    found = model.converter(sess)(batch)
    steps = self.task.buckets.longest[1]
    self.assertEqual(found.symbols.shape, (batch.examples, steps))
    self.assertEqual(found.lengths.shape, (batch.examples,))
    if network == "sampled":  # its loss is not the probability
      return
    for row, length in enumerate(found.lengths):
      ids = found.symbols[row][:length]
      targets = np.full([1, steps], vocabulary.PAD_ID)
      targets[0, :length] = ids
      inputs = np.roll(targets, 1)
      inputs[0, 0] = vocabulary.GO_ID
      one = batch._replace(
        source=batch.source[row : row + 1],
        source_lengths=batch.source_lengths[row : row + 1],
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
    (batch,) = self.batches_of(self.task.buckets)(1)
    noisy = model.noise(0.5, 7)

    def loss(step):
      return model.pipeline.forward(sess, noisy(batch, step)).loss

    self.assertEqual(loss(3), loss(3))
    self.assertNotEqual(loss(3), loss(4))
    self.assertNotEqual(loss(3), model.loss(sess, [batch]))

  def test_logits_can_start_at_the_frequencies(self):
    targets = rows.collect([([4], [5, 5]), ([4], [6])]).targets
    shares = np.exp(translator.log_frequencies(targets, 8))
    np.testing.assert_allclose(
      shares * 5.8, [0.1, 0.1, 2.1, 0.1, 0.1, 2.1, 1.1, 0.1]
    )
    self.assertAlmostEqual(shares.sum(), 1.0)
    model = translator.Translator(
      self.task.vocabularies, self.task.buckets, units=6
    )
    model.pipeline.build()
    sess = self.session()
    given = self.task.encoded["train"].examples.targets
    model.start_from_frequencies(sess, given)
    (batch,) = self.batches_of(self.task.buckets)(1)
    loss = model.loss(sess, [batch])
    self.assertLess(loss, np.log(len(self.task.vocabularies.target)) - 0.4)
    legacy = translator.Translator(
      self.task.vocabularies, self.task.buckets, model="legacy", units=4
    )
    with self.assertRaisesRegex(errors.ArgumentError, "output_bias to zeros"):
      legacy.start_from_frequencies(sess, given)

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
    (batch,) = self.batches_of(self.task.buckets)(1)
    with self.assertRaisesRegex(errors.ArgumentError, "dropout_rate to 0"):
      model.feeds(batch, 0.5, [1, 2])


if __name__ == "__main__":
  absltest.main()

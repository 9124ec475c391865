"""Tests of what encoders and decoders are fed."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.seq2seq import attention_model, batches, bucketing, feeding
from tests import case


class FeedingTest(case.GraphTestCase):
  def feeds(self, rows):
    rng = np.random.RandomState(3)
    weights = np.ones([rows, 4], np.float32)
    for k in range(rows):
      weights[k, 1 + k % 4 :] = 0  # rows of 1 to 4 symbols
    encoder = {
      "source": rng.randint(1, 9, [rows, 5]),
      "lengths": rng.randint(1, 6, [rows]),
    }
    ids = rng.randint(1, 9, [2, rows, 4])
    decoder = {"inputs": ids[0], "targets": ids[1], "weights": weights}
    return encoder, decoder

  def test_feeds_are_those_of_each_sub_model(self):
    buckets = bucketing.IndependentBuckets([3], [4], [5])
    examples = [([5], [6, 7], [8])]
    (batch,) = batches.PairBatches(examples, buckets, 1).in_order()
    feeds = feeding.feed(batch, ["one", "two"], "decoder")
    self.assertEqual(list(feeds), ["one", "two", "decoder"])
    self.assertIs(feeds["two"]["source"], batch.sources[1].ids)
    self.assertIs(feeds["one"]["lengths"], batch.sources[0].lengths)
    self.assertEqual(set(feeds["decoder"]), {"inputs", "targets", "weights"})
    self.assertIs(feeds["decoder"]["inputs"], batch.decoder_inputs)
    found = feeding.feed(batch, ["one"], feeds=[("ids", "ids")])
    self.assertEqual(found, {"one": {"ids": batch.source}})

  def test_short_batches_get_rows_of_no_weight(self):
    encoder, decoder = self.feeds(3)
    seed = np.array([2**31 - 2, 7], np.int32)
    noise = {"dropout_rate": 0.5, "seed": seed}
    feeds = {"one": dict(encoder, **noise), "two": dict(decoder, **noise)}
    one, two = feeding.divide(feeds, "two", 5).values()
    self.assertEqual(one["source"].shape, (5, 5))
    np.testing.assert_array_equal(one["source"][3:], one["source"][[2, 2]])
    np.testing.assert_array_equal(two["weights"][3:], np.zeros([2, 4]))
    np.testing.assert_array_equal(two["weights"][:3], decoder["weights"])
    self.assertEqual(two["symbols_per_row"], 6 / 5)
    self.assertEqual(one["dropout_rate"], 0.5)
    for found in one, two:
      np.testing.assert_array_equal(found["seed"][0], seed)
      self.assertLen(set(map(tuple, found["seed"])), 5)
      self.assertGreaterEqual(found["seed"].min(), 0)

  @parameterized.parameters((7, 1), (7, 3), (2, 3))
  def test_the_parts_train_as_the_whole_batch(self, rows, count):
    """The loss is a mean over symbols, of which parts have unlike numbers."""

    def train(divided):
      with tf1.Graph().as_default():
        tf1.set_random_seed(1)
        model = attention_model.AttentionModel(
          9, 9, 4, embedding_dim=4, dtype=tf1.float64
        )
        pipeline = tangle.Pipeline()
        pipeline.add(
          "encoder",
          attention_model.encoder_builder(model, divided=divided),
          [5],
        )
        pipeline.add(
          "decoder",
          attention_model.decoder_builder(model, divided=divided),
          [4],
          reads=attention_model.reads_of("encoder"),
        )
        trainer = pipeline.minimize(
          tf1.train.AdamOptimizer(0.1),
          clip_norm=1.0,
          micro_batches=count if divided else 1,
        )
        batch = dict(zip(("encoder", "decoder"), self.feeds(rows)))
        if divided:
          batch = feeding.divide(batch, "decoder", least=count)
        with tf1.Session() as sess:
          sess.run(tf1.global_variables_initializer())
          rng = np.random.RandomState(5)
          for v in tf1.trainable_variables():  # 1.15 draws by the graph's size
            initial = rng.uniform(-1, 1, v.shape.as_list())
            sess.run(v.initializer, {v.initializer.inputs[1]: initial})
          results = [trainer.step(sess, batch) for _ in range(4)]
          return results, sess.run(tf1.trainable_variables())

    found, weights = train(True)
    desired, wanted = train(False)
    for a, b in zip(found, desired):
      self.assertAlmostEqual(a.loss, b.loss, places=12)
      for name in ("total_loss", "symbols"):
        ours, theirs = (r.metrics["decoder"][name] for r in (a, b))
        self.assertAlmostEqual(np.sum(ours), theirs, places=11)
    self.assertNotAlmostEqual(found[0].loss, found[3].loss, places=3)
    for a, b in zip(weights, wanted):
      np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


if __name__ == "__main__":
  absltest.main()

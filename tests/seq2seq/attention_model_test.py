"""Tests of attention_model."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.nets import losses
from tangle.seq2seq import attention_model, vocabulary
from tests import case

READS = {
  "memory": "encoder.memory",
  "lengths": "encoder.lengths",
  "summary": "encoder.summary",
}


def make(dtype=tf1.float64, layers=2):
  return attention_model.AttentionModel(
    9,
    8,
    units=5,
    layers=layers,
    depth=4,
    implementation="unrolled",
    dtype=dtype,
  )


def make_pipeline(model, sources=(3, 5), targets=(4, 6)):
  pipeline = tangle.Pipeline()
  pipeline.add(
    "encoder",
    attention_model.encoder_builder(model),
    buckets=sources,
    pad={"source": 0},
  )
  pipeline.add(
    "decoder",
    attention_model.decoder_builder(model),
    buckets=targets,
    reads=READS,
    pad={"inputs": 0, "targets": 0, "weights": 0.0},
  )
  pipeline.add(
    "greedy",
    attention_model.greedy_builder(model),
    buckets=[targets[-1]],
    reads=READS,
  )
  return pipeline


class AttentionModelTest(case.GraphTestCase):
  def batch(self, batch, steps, target_steps):
    lengths = self.rng.randint(1, steps + 1, batch).astype(np.int32)
    target_lengths = self.rng.randint(1, target_steps + 1, batch)
    weights = np.arange(target_steps) < target_lengths[:, np.newaxis]
    inputs = self.rng.randint(4, 8, (batch, target_steps)).astype(np.int32)
    inputs[:, 0] = vocabulary.GO_ID
    return {
      "encoder": {
        "source": self.rng.randint(4, 9, (batch, steps)).astype(np.int32),
        "lengths": lengths,
      },
      "decoder": {
        "inputs": inputs,
        "targets": np.roll(inputs, -1, 1),
        "weights": weights.astype(np.float64),
      },
    }

  @parameterized.parameters(1, 2)
  def test_the_pipeline_gives_the_joint_loss_and_gradients(self, layers):
    model = make(layers=layers)
    pipeline = make_pipeline(model)
    # With this rate the weights move by the gradient itself.
    trainer = pipeline.minimize(tf1.train.GradientDescentOptimizer(1.0))
    batch = self.batch(3, 5, 4)
    encoder, decoder = batch["encoder"], batch["decoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    logits = model.decode(encoded, decoder["inputs"])
    loss = tf1.reduce_sum(
      losses.masked_cross_entropy(
        logits, decoder["targets"], decoder["weights"]
      )
    ) / np.sum(decoder["weights"])
    variables = tf1.trainable_variables()
    gradients = [
      tf1.convert_to_tensor(g) for g in tf1.gradients(loss, variables)
    ]
    sess = self.session()
    before, expected, loss_np = sess.run([variables, gradients, loss])
    result = trainer.step(sess, batch)
    self.assertAlmostEqual(result.loss, loss_np, places=12)
    for old, new, gradient in zip(before, sess.run(variables), expected):
      self.assert_close(old - gradient, new, rtol=1e-12)

  def test_padding_changes_neither_loss_nor_words(self):
    model = make()
    pipeline = make_pipeline(model)
    batch = self.batch(4, 3, 4)
    wide = {
      name: {
        feed: np.pad(a, [(0, 0), (0, 2)], "constant") if a.ndim == 2 else a
        for feed, a in feeds.items()
      }
      for name, feeds in batch.items()
    }
    pipeline.build()
    sess = self.session()
    narrow_result = pipeline.forward(sess, batch)
    wide_result = pipeline.forward(sess, wide)
    self.assertEqual(narrow_result.buckets, {"encoder": 3, "decoder": 4})
    self.assertEqual(wide_result.buckets, {"encoder": 5, "decoder": 6})
    self.assertAlmostEqual(narrow_result.loss, wide_result.loss, places=12)

  def test_greedy_symbols_are_the_best_given_those_before(self):
    model = make()
    pipeline = make_pipeline(model)
    pipeline.build()
    sess = self.session()
    for variable in tf1.trainable_variables():  # larger, for varied symbols
      variable.load(self.normal(*variable.shape.as_list()), sess)
    batch = self.batch(6, 5, 6)
    result = pipeline.forward(
      sess, {"encoder": batch["encoder"], "greedy": {}}, ["greedy.symbols"]
    )
    symbols = result.outputs["greedy.symbols"]
    self.assertGreater(len(np.unique(symbols)), 1)
    go = np.full((6, 1), vocabulary.GO_ID, np.int32)
    inputs = np.concatenate([go, symbols[:, :-1]], 1)
    encoder = batch["encoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    best = np.argmax(sess.run(model.decode(encoded, inputs)), 2)
    ended = np.cumsum(inputs == vocabulary.EOS_ID, 1) > 0
    np.testing.assert_array_equal(
      np.where(ended, vocabulary.EOS_ID, best), symbols
    )

  def test_dropout_is_off_unless_it_is_fed(self):
    pipeline = make_pipeline(make())
    pipeline.build()
    sess = self.session()
    batch = self.batch(4, 5, 6)
    losses_np = {pipeline.forward(sess, batch).loss for _ in range(3)}
    self.assertLen(losses_np, 1)
    for feeds in batch.values():
      feeds["dropout_rate"] = 0.5
    losses_np = {pipeline.forward(sess, batch).loss for _ in range(3)}
    self.assertLen(losses_np, 3)


if __name__ == "__main__":
  absltest.main()

"""Tests of attention_model."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.nets import losses
from tangle.seq2seq import attention_model, search, vocabulary
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
    embedding_dim=4,
    dtype=dtype,
  )


def make_pipeline(model, names):
  """Returns a pipeline of encoders and the decoders of these names."""
  pipeline = tangle.Pipeline()
  pipeline.add(
    "encoder",
    attention_model.encoder_builder(model),
    buckets=(3, 5),
    pad={"source": 0},
  )
  if "decoder" in names:
    pipeline.add(
      "decoder",
      attention_model.decoder_builder(model),
      buckets=(4, 6),
      reads=READS,
      pad={"inputs": 0, "targets": 0, "weights": 0.0},
    )
  builders = {
    "greedy": attention_model.greedy_builder(model),
    "beam": attention_model.beam_builder(model, 4, 0.8, n_best=3),
  }
  for name, build in builders.items():
    if name in names:
      pipeline.add(name, build, buckets=[6], reads=READS)
  return pipeline


def search_with(pipeline, sess, encoder, name):
  """Returns what the sub-model `name` finds, as `search.Hypotheses`."""
  fields = search.Hypotheses._fields
  fetch = [f"{name}.{field}" for field in fields]
  result = pipeline.forward(sess, {"encoder": encoder, name: {}}, fetch)
  return search.Hypotheses(*[result.outputs[field] for field in fetch])


class AttentionModelTest(case.GraphTestCase):
  def enlarge(self, sess):
    """Gives the variables larger values, for varied symbols."""
    for variable in tf1.trainable_variables():
      variable.load(self.normal(*variable.shape.as_list()), sess)

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
    pipeline = make_pipeline(model, ["decoder"])
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
    pipeline = make_pipeline(model, ["decoder"])
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
    pipeline = make_pipeline(model, ["greedy"])
    pipeline.build()
    sess = self.session()
    self.enlarge(sess)
    batch = self.batch(40, 5, 6)
    result = pipeline.forward(
      sess, {"encoder": batch["encoder"], "greedy": {}}, ["greedy.symbols"]
    )
    symbols = result.outputs["greedy.symbols"]
    self.assertGreater(len(np.unique(symbols)), 1)
    go = np.full((40, 1), vocabulary.GO_ID, np.int32)
    inputs = np.concatenate([go, symbols[:, :-1]], 1)
    encoder = batch["encoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    best = np.argmax(sess.run(model.decode(encoded, inputs)), 2)
    ended = np.cumsum(inputs == vocabulary.EOS_ID, 1) > 0
    np.testing.assert_array_equal(
      np.where(ended, vocabulary.EOS_ID, best), symbols
    )

  @parameterized.parameters(False, True)
  def test_scores_are_those_of_the_trained_decoder(self, v2):
    self.use_control_flow(v2)
    model = make()
    encoder = self.batch(40, 5, 6)["encoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    found = [model.greedy(encoded, 6), model.beam(encoded, 6, 4, 0.8, 3)]
    inputs_ph = tf1.placeholder(tf1.int32, [None, 6])
    log_probs = tf1.nn.log_softmax(model.decode(encoded, inputs_ph))
    sess = self.session()
    self.enlarge(sess)

    def sums(symbols, lengths):
      inputs = np.roll(symbols, 1, 1)
      inputs[:, 0] = vocabulary.GO_ID
      found = sess.run(log_probs, {inputs_ph: inputs})
      taken = np.take_along_axis(found, symbols[..., np.newaxis], 2)[..., 0]
      inside = np.arange(6) < lengths[:, np.newaxis]
      return np.sum(taken * inside, 1)

    greedy, beam = sess.run(found)
    expected = sums(greedy.symbols, greedy.lengths)
    self.assert_close(greedy.scores, expected, rtol=1e-12)
    for rank in range(3):
      symbols, lengths = beam.symbols[:, rank], beam.lengths[:, rank]
      penalty = ((5.0 + lengths) / 6.0) ** 0.8
      expected = sums(symbols, lengths) / penalty
      self.assert_close(beam.scores[:, rank], expected, rtol=1e-12)
    self.assertTrue(np.all(np.diff(beam.scores, axis=1) <= 0))
    self.assertGreater(len(np.unique(beam.lengths)), 2)

  @parameterized.parameters(False, True)
  def test_a_word_is_found_alike_in_any_batch_and_bucket(self, v2):
    self.use_control_flow(v2)
    model = make(layers=1)
    pipeline = make_pipeline(model, ["greedy", "beam"])
    pipeline.build()
    sess = self.session()
    self.enlarge(sess)
    encoder = self.batch(5, 3, 6)["encoder"]
    together = search_with(pipeline, sess, encoder, "beam")
    for row in range(5):
      source = encoder["source"][row : row + 1]
      alone = {
        "source": np.pad(source, [(0, 0), (0, 2)], "constant"),
        "lengths": encoder["lengths"][row : row + 1],
      }
      greedy = search_with(pipeline, sess, alone, "greedy")
      self.assertEqual(greedy.symbols.shape, (1, 6))
      alone = search_with(pipeline, sess, alone, "beam")
      np.testing.assert_array_equal(alone.symbols[0], together.symbols[row])
      self.assert_close(alone.scores[0], together.scores[row], rtol=1e-12)

  @parameterized.parameters(False, True)
  def test_a_beam_of_one_is_greedy(self, v2):
    self.use_control_flow(v2)
    model = make(layers=1)
    encoder = self.batch(6, 5, 6)["encoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    beam = model.beam(encoded, 6, beam_size=1)
    greedy = model.greedy(encoded, 6)
    sess = self.session()
    self.enlarge(sess)
    beam, greedy = sess.run([beam, greedy])
    np.testing.assert_array_equal(beam.symbols[:, 0], greedy.symbols)
    self.assert_close(beam.scores[:, 0], greedy.scores, rtol=1e-12)

  @parameterized.parameters(False, True)
  def test_a_search_may_come_first_and_shares_all_variables(self, v2):
    self.use_control_flow(v2)
    model = make()
    encoder = self.batch(2, 5, 4)["encoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    found = model.beam(encoded, 4, beam_size=2)
    made = tf1.global_variables()
    model.decode(encoded, np.ones([2, 4], np.int32))
    self.assertEqual(tf1.global_variables(), made)
    self.assertEqual(self.session().run(found).symbols.shape, (2, 1, 4))

  def test_the_output_bias_exists_once_a_decoder_does(self):
    model = make()
    with self.assertRaisesRegex(errors.GraphError, "decoder"):
      model.output_bias  # noqa: B018
    make_pipeline(model, ["decoder"]).build()
    self.assertEqual(model.output_bias.shape.as_list(), [8])

  def test_no_words_are_found_for_no_words(self):
    model = make(layers=1)
    sources_ph = tf1.placeholder(tf1.int32, [None, 5])
    lengths_ph = tf1.placeholder(tf1.int32, [None])
    encoded = model.encode(sources_ph, lengths_ph)
    found = [model.greedy(encoded, 4), model.beam(encoded, 4, 3, n_best=2)]
    feeds = {sources_ph: np.zeros([0, 5]), lengths_ph: np.zeros([0])}
    greedy, beam = self.session().run(found, feeds)
    self.assertEqual(greedy.symbols.shape, (0, 4))
    self.assertEqual(beam.symbols.shape, (0, 2, 4))

  def test_dropout_is_off_unless_it_is_fed(self):
    pipeline = make_pipeline(make(), ["decoder"])
    pipeline.build()
    sess = self.session()
    batch = self.batch(4, 5, 6)
    losses_np = {pipeline.forward(sess, batch).loss for _ in range(3)}
    self.assertLen(losses_np, 1)
    for feeds in batch.values():
      feeds["dropout_rate"] = 0.5
    losses_np = {pipeline.forward(sess, batch).loss for _ in range(3)}
    self.assertLen(losses_np, 3)

  def test_masks_are_those_of_the_seed(self):
    pipeline = make_pipeline(make(), ["decoder"])
    pipeline.build()
    sess = self.session()
    batch = self.batch(4, 5, 6)

    def loss(encoder_seed, decoder_seed):
      for name, seed in ("encoder", encoder_seed), ("decoder", decoder_seed):
        batch[name].update(dropout_rate=0.5, seed=[7, seed])
      return pipeline.forward(sess, batch).loss

    self.assertEqual(loss(1, 1), loss(1, 1))
    found = [loss(1, 1), loss(2, 1), loss(1, 2)]
    self.assertLen(set(found), 3)

  def test_variables_of_one_source_have_the_names_they_always_had(self):
    model = make(layers=2)
    encoder = self.batch(2, 5, 4)["encoder"]
    encoded = model.encode(encoder["source"], encoder["lengths"])
    model.decode(encoded, np.ones([2, 4], np.int32))
    self.assertEqual(
      [(v.op.name, v.shape.as_list()) for v in tf1.global_variables()],
      [
        ("source_embedding/table", [9, 4]),
        ("encoder_bidirectional/forward/lstm/kernel", [9, 20]),
        ("encoder_bidirectional/forward/lstm/bias", [20]),
        ("encoder_bidirectional/backward/lstm/kernel", [9, 20]),
        ("encoder_bidirectional/backward/lstm/bias", [20]),
        ("encoder_lstm_1/kernel", [15, 20]),
        ("encoder_lstm_1/bias", [20]),
        ("target_embedding/table", [8, 4]),
        ("decoder_bridge_0/kernel", [10, 10]),
        ("decoder_bridge_0/bias", [10]),
        ("decoder_bridge_1/kernel", [10, 10]),
        ("decoder_bridge_1/bias", [10]),
        ("decoder_lstm_0/kernel", [9, 20]),
        ("decoder_lstm_0/bias", [20]),
        ("decoder_lstm_1/kernel", [10, 20]),
        ("decoder_lstm_1/bias", [20]),
        ("attention/kernel", [5, 5]),
        ("attentional/kernel", [10, 5]),
        ("logits/kernel", [5, 8]),
        ("logits/bias", [8]),
      ],
    )


class SeveralSourcesTest(case.GraphTestCase):
  def encode(self, model, batch=3):
    """Returns an `Encoded` of each source, of other lengths."""
    encoded = []
    for k in range(model.sources):
      steps = 4 + k
      source = self.rng.randint(4, 9, (batch, steps)).astype(np.int32)
      lengths = self.rng.randint(1, steps + 1, batch).astype(np.int32)
      encoded.append(model.encode(source, lengths, k=k))
    return encoded

  def make(self, sizes):
    return attention_model.AttentionModel(
      sizes, 8, 5, embedding_dim=4, dtype=tf1.float64
    )

  def test_the_attentional_vector_is_of_all_contexts_and_the_output(self):
    model = self.make([9, 9, 9])
    encoded = self.encode(model)
    logits = model.decode(encoded, np.full([3, 4], 5, np.int32))
    shapes = {v.op.name: v.shape.as_list() for v in tf1.trainable_variables()}
    self.assertEqual(shapes["attentional/kernel"], [3 * 10 + 5, 5])
    self.assertEqual(shapes["decoder_bridge_0/kernel"], [3 * 10, 10])
    for k in range(3):
      self.assertEqual(shapes[f"source_{k}/attention/kernel"], [5, 10])
      self.assertEqual(shapes[f"source_{k}/source_embedding/table"], [9, 4])
    memories = [one.memory for one in encoded]
    gradients = tf1.gradients(logits, memories)
    numbers = self.session().run([logits] + gradients)
    for gradient in numbers[1:]:
      self.assertGreater(np.max(np.abs(gradient)), 0.0)

  def test_a_source_with_its_columns_blank_is_as_if_it_were_not_there(self):
    model, alone = self.make([9, 9]), self.make(9)
    encoded = self.encode(model)
    inputs = np.full([3, 4], 5, np.int32)
    both = model.decode(encoded, inputs)
    with tf1.variable_scope("alone"):
      one = alone.decode(encoded[0], inputs)
    sess = self.session()
    shared = {v.op.name: v for v in tf1.trainable_variables()}
    for name, variable in shared.items():
      if not name.startswith("alone/"):
        continue
      name = name[len("alone/") :]
      twin = shared.get(name, shared.get(f"source_0/{name}"))
      value = self.normal(*variable.shape.as_list())
      variable.load(value, sess)
      rows = [slice(None)]
      if name == "attentional/kernel":  # [c_1; c_2; h]
        rows = [slice(0, 10), slice(20, 25)]
      elif name == "decoder_bridge_0/kernel":
        rows = [slice(0, 10)]
      wide = np.zeros(twin.shape.as_list())
      places = np.concatenate([np.arange(len(wide))[row] for row in rows])
      wide[places] = value
      twin.load(wide, sess)
    both, one = sess.run([both, one])
    self.assert_close(both, one, rtol=1e-12)

  def test_another_number_of_sources_is_refused(self):
    model = self.make([9, 9])
    one, other = self.encode(model)
    for encoded in (one, [one], [one, other, one]):
      for use in (model.start, lambda e: model.decode(e, [[1]])):
        with self.assertRaisesRegex(errors.ArgumentError, "of the 2 sources"):
          use(encoded)
    with self.assertRaisesRegex(errors.ArgumentError, "at least one, got"):
      self.make([])


if __name__ == "__main__":
  absltest.main()

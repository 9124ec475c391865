"""Tests of builders: the legacy model through a pipeline."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq import bucketing, decoding, rows, search, vocabulary
from tangle.seq2seq.legacy import builders, cells, losses, parts, tutorial
from tests.seq2seq.legacy import parts_test, support

Settings = support.Settings

SOURCE_BUCKETS, TARGET_BUCKETS = [2, 3], [1, 2]


class JointModel:
  """The model in one graph for each pair of buckets, with SGD and clipping."""

  def __init__(self, settings, clip_norm, learning_rate, share_cell):
    with tf1.Graph().as_default() as self.graph:
      optimizer = tf1.train.GradientDescentOptimizer(learning_rate)
      self.steps = {}
      projection = None
      if settings.projection:
        projection = tutorial.OutputProjection(
          support.TARGETS, support.UNITS, None
        )
        projection.pair()
      for s in SOURCE_BUCKETS:
        for t in TARGET_BUCKETS:
          with tf1.variable_scope("", reuse=tf1.AUTO_REUSE):
            self.steps[s, t] = self.build(
              settings, s, t, projection, share_cell
            )
      self.variables = support.by_name(tf1.trainable_variables())
      for key, (phs, loss) in self.steps.items():
        gradients = tf1.gradients(loss, list(self.variables.values()))
        clipped, norm = tf1.clip_by_global_norm(gradients, clip_norm)
        train_op = optimizer.apply_gradients(
          zip(clipped, self.variables.values())
        )
        self.steps[key] = (phs, loss, norm, train_op)

  def build(self, settings, s, t, projection, share_cell):
    phs = [
      tf1.placeholder(tf1.int32, [None, s]),
      tf1.placeholder(tf1.int32, [None, t]),
      tf1.placeholder(tf1.int32, [None, t]),
      tf1.placeholder(tf1.float32, [None, t]),
    ]
    source, inputs, targets, weights = (tf1.unstack(ph, axis=1) for ph in phs)
    outputs, _ = support.ours.embedding_attention_seq2seq(
      source,
      inputs,
      support.ours.cell(settings.cell, settings.layers),
      support.SOURCES,
      support.TARGETS,
      support.DEPTH,
      num_heads=settings.heads,
      output_projection=projection and projection.pair(),
      initial_state_attention=settings.initial_state_attention,
      share_cell=share_cell,
    )
    loss = losses.sequence_loss(
      outputs,
      targets,
      weights,
      softmax_loss_function=projection and projection.loss,
    )
    return phs, loss


def make_pipeline(model, searches=()):
  pipeline = tangle.Pipeline()
  pipeline.add(
    "encoder", builders.encoder_builder(model), buckets=SOURCE_BUCKETS
  )
  pipeline.add(
    "decoder",
    builders.decoder_builder(model),
    buckets=TARGET_BUCKETS,
    reads=builders.reads("encoder"),
  )
  built = {
    "greedy": builders.greedy_builder(model),
    "beam": builders.beam_builder(model, 3, 0.6, n_best=2),
  }
  for name in searches:
    pipeline.add(
      name,
      built[name],
      buckets=TARGET_BUCKETS,
      bucket_of=lambda feeds: TARGET_BUCKETS[-1],
      reads=builders.reads("encoder"),
    )
  return pipeline


class BuildersTest(support.LegacyTestCase):
  def batch(self, s, t):
    """Draws a batch: source, inputs, targets and weights."""
    size = 4
    source = self.rng.randint(4, support.SOURCES, (size, s))
    source[0, : s // 2] = vocabulary.PAD_ID
    targets = self.rng.randint(1, support.TARGETS, (size, t))
    inputs = np.concatenate(
      [np.full([size, 1], vocabulary.GO_ID), targets[:, :-1]], axis=1
    )
    weights = np.ones([size, t], np.float32)
    weights[1, 1:] = 0
    return [np.int32(x) for x in (source, inputs, targets)] + [weights]

  @parameterized.named_parameters(
    ("gru", Settings("gru_cell", 1, 2), False),
    (
      "lstm_shared_cell",
      Settings("basic_lstm_cell", 1, 1, False, True, True),
      True,
    ),
  )
  def test_twenty_steps_of_clipped_sgd_equal_the_joint_graphs(
    self, settings, share_cell
  ):
    model = parts_test.make_model(settings, share_cell=share_cell)
    if settings.projection:
      model.output_projection = tutorial.OutputProjection(
        support.TARGETS, support.UNITS, None
      )
    trainer = make_pipeline(model).minimize(
      tf1.train.GradientDescentOptimizer(0.5), clip_norm=1.0
    )
    joint = JointModel(settings, 1.0, 0.5, share_cell)
    split_sess = self.session(initialize=False, optimize=False)
    variables = support.by_name(tf1.trainable_variables())
    self.assertCountEqual(variables, joint.variables)
    support.load(split_sess, variables.values())
    with support.quick_session(joint.graph) as joint_sess:
      support.load(joint_sess, joint.variables.values())
      for step in range(20):
        s, t = SOURCE_BUCKETS[step % 2], TARGET_BUCKETS[step // 2 % 2]
        arrays = self.batch(s, t)
        result = trainer.step(
          split_sess,
          {
            "encoder": {"source": arrays[0]},
            "decoder": dict(zip(("inputs", "targets", "weights"), arrays[1:])),
          },
        )
        self.assertEqual(result.buckets, {"encoder": s, "decoder": t})
        phs, loss, norm, train_op = joint.steps[s, t]
        feed_dict = dict(zip(phs, arrays))
        loss, norm = joint_sess.run([loss, norm], feed_dict)
        joint_sess.run(train_op, feed_dict)
        np.testing.assert_allclose(result.loss, loss, rtol=1e-5)
        np.testing.assert_allclose(result.global_norm, norm, rtol=1e-5)
      for name, variable in variables.items():
        np.testing.assert_allclose(
          split_sess.run(variable),
          joint_sess.run(joint.variables[name]),
          rtol=0,
          atol=1e-5,
        )

  def test_metrics_are_the_sums(self):
    pipeline = make_pipeline(parts_test.make_model())
    pipeline.build()
    sess = self.session(initialize=False, optimize=False)
    support.load(sess, tf1.global_variables())
    source, inputs, targets, weights = self.batch(2, 2)
    decoder = {"inputs": inputs, "targets": targets, "weights": weights}
    result = pipeline.forward(
      sess, {"encoder": {"source": source}, "decoder": decoder}
    )
    metrics = result.metrics["decoder"]
    self.assertEqual(metrics["symbols"], weights.sum())
    decoder["weights"] = np.ones_like(weights)
    even = pipeline.forward(
      sess, {"encoder": {"source": source}, "decoder": decoder}
    )
    np.testing.assert_allclose(
      even.metrics["decoder"]["total_loss"] / weights.size, even.loss, rtol=1e-5
    )

  @parameterized.parameters("greedy", "beam")
  def test_a_search_reads_the_encoder_of_any_length(self, name):
    model = parts_test.make_model(Settings("basic_lstm_cell", 2))
    pipeline = make_pipeline(model, [name])
    pipeline.build()
    sess = self.session(initialize=False, optimize=False)
    support.load(sess, tf1.global_variables())
    steps, fields = TARGET_BUCKETS[-1], search.Hypotheses._fields
    for s in SOURCE_BUCKETS:
      source = self.batch(s, 2)[0]
      result = pipeline.forward(
        sess,
        {"encoder": {"source": source}, name: {}},
        fetch=[f"{name}.{field}" for field in fields],
      )
      with tf1.variable_scope("", reuse=True):
        encoded = model.encode(source)
        if name == "greedy":
          desired = model.greedy(encoded, steps)
        else:
          desired = model.beam(encoded, steps, 3, 0.6, 2)
      desired = sess.run(desired)
      found = search.Hypotheses(
        *[result.outputs[f"{name}.{field}"] for field in fields]
      )
      np.testing.assert_array_equal(found.symbols, desired.symbols)
      np.testing.assert_array_equal(found.lengths, desired.lengths)
      self.assert_close(found.scores, desired.scores, 1e-6)

  @parameterized.parameters("greedy", "beam")
  def test_lines_are_decoded_with_a_legacy_model(self, name):
    model = parts_test.make_model()
    pipeline = make_pipeline(model, [name])
    pipeline.build()
    sess = self.session(initialize=False, optimize=False)
    support.load(sess, tf1.global_variables())
    convert = decoding.pipeline_converter(
      pipeline, sess, name, feeds=builders.FEEDS
    )
    decoder = decoding.LineDecoder(
      convert,
      vocabulary.Vocabulary(["a", "b"]),
      vocabulary.Vocabulary(["x"]),
      bucketing.IndependentBuckets(SOURCE_BUCKETS, TARGET_BUCKETS),
      layout=rows.TUTORIAL,
    )
    decoded = decoder.decode_lines(["a b a", "a b a a", "b"])
    self.assertLen(decoded.candidates, 3)
    self.assertEmpty(decoded.candidates[1])
    expected = pipeline.forward(
      sess,
      {"encoder": {"source": np.int32([[4, 5, 4]])}, name: {}},
      fetch=[f"{name}.scores"],
    ).outputs[f"{name}.scores"]
    np.testing.assert_allclose(
      [candidate.score for candidate in decoded.candidates[0]],
      np.ravel(expected),
      rtol=1e-5,
    )

  def test_reverse_source_turns_and_pads_as_the_tutorial(self):
    model = parts_test.make_model()
    pipeline = tangle.Pipeline()
    build = builders.encoder_builder(model, reverse_source=True)
    pad = {"source": vocabulary.PAD_ID}
    pipeline.add("encoder", build, buckets=[2, 4], pad=pad)
    pipeline.build()
    sess = self.session(initialize=False, optimize=False)
    support.load(sess, tf1.global_variables())
    result = pipeline.forward(
      sess,
      {"encoder": {"source": np.int32([[5, 4, 3]])}},
      fetch=["encoder.attention_states", "encoder.state"],
    )
    self.assertEqual(result.buckets, {"encoder": 4})
    encoded = model.encode(np.int32([[vocabulary.PAD_ID, 3, 4, 5]]))
    memory, state = sess.run(encoded)
    self.assert_close(result.outputs["encoder.attention_states"], memory, 1e-6)
    self.assert_close(result.outputs["encoder.state"], state, 1e-6)

  def test_graphs_are_n_plus_m(self):
    pipeline = make_pipeline(parts_test.make_model(), ["greedy", "beam"])
    pipeline.build()
    counts = [(c.sub_model, c.bucket) for c in pipeline.graph_counts()]
    self.assertEqual(
      counts,
      [("encoder", 2), ("encoder", 3)]
      + [(name, t) for name in ("decoder", "greedy", "beam") for t in (1, 2)],
    )

  def test_reads_are_the_encoders_outputs(self):
    self.assertEqual(
      builders.reads("first"),
      {"attention_states": "first.attention_states", "state": "first.state"},
    )

  def test_other_reads_are_refused(self):
    model = parts.AttentionModel(cells.GRUCell(3), 6, 5, 4)
    for build in (builders.decoder_builder, builders.greedy_builder):
      with self.assertRaisesRegex(errors.ArgumentError, "Pass reads="):
        build(model)(3, {"memory": tf1.zeros([2, 3])})


if __name__ == "__main__":
  absltest.main()

"""Tests of parts."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq import vocabulary
from tangle.seq2seq.legacy import cells, parts, tutorial
from tests import case
from tests.seq2seq.legacy import support

Settings = support.Settings


def make_model(settings=None, **more):
  """Returns an `AttentionModel` of a `Settings`."""
  settings = settings or Settings()
  projection = None
  if settings.projection:
    projection = tutorial.OutputProjection(support.TARGETS, support.UNITS, 2)
  return parts.AttentionModel(
    support.ours.cell(settings.cell, settings.layers),
    support.SOURCES,
    support.TARGETS,
    support.DEPTH,
    num_heads=settings.heads,
    output_projection=projection,
    initial_state_attention=settings.initial_state_attention,
    **more,
  )


def whole(model, feed_previous=False):
  """Returns a `build` of `run_model` that joins both parts of a model.

  The memory has no known length on its way.
  """

  def build(source, target):
    if model.output_projection is not None:
      model.output_projection.pair()  # first, as in the tutorial
    encoded = model.encode(tf1.stack(source, 1))
    encoded = parts.Encoded(
      *(
        tf1.placeholder_with_default(
          tensor, [None] * (tensor.shape.ndims - 1) + [tensor.shape[-1]]
        )
        for tensor in encoded
      )
    )
    return model.decode(
      encoded, tf1.stack(target, 1), support.called(feed_previous)
    )

  return build


SEARCHED = (
  ("gru", Settings("gru_cell", 2), {}),
  ("gru_heads", Settings("gru_cell", 1, 2), {}),
  ("lstm_projected", Settings("lstm_cell", 1, 1, True, True), {}),
  ("lstm_all", Settings("basic_lstm_cell", 2, 2, True, True, True), {}),
  ("attends_first", Settings("gru_cell", 1, 2, True, False, True), {}),
  ("shared_cell", Settings("gru_cell", 2), {"share_cell": True}),
)


def log_softmax(logits):
  """Returns log probabilities `[..., V]`."""
  shifted = logits - logits.max(axis=-1, keepdims=True)
  return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class AttentionModelTest(support.LegacyTestCase):
  def load_large(self, sess):
    """Gives the variables large values, for symbols that vary."""
    found = support.by_name(tf1.global_variables())
    values = {
      name: 2 * self.normal(*variable.shape.as_list())
      for name, variable in found.items()
    }
    support.load(sess, found.values(), values)

  def sources(self, count=40):
    """Draws sources `[count, 3]`, of which every other is padded."""
    ids = self.rng.randint(4, support.SOURCES, (count, 3)).astype(np.int32)
    ids[::2, 0] = vocabulary.PAD_ID
    return ids

  @parameterized.named_parameters(
    ("gru", Settings("gru_cell", 1, 2), {}),
    ("lstm", Settings("basic_lstm_cell", 2, 1, True, True, True), {}),
    ("shared_cell", Settings("gru_cell", 2), {"share_cell": True}),
    (
      "tensor",
      Settings(feed_previous=lambda: tf1.constant(True), projection=True),
      {},
    ),
  )
  def test_the_parts_are_the_whole(self, settings, more):
    self.shorten()
    model = make_model(settings, **more)
    ours = self.run_model(whole(model, settings.feed_previous))
    desired = self.run_model(support.attention_model(settings, **more))
    self.assert_same(ours, desired)

  def test_parts_and_whole_share_variables(self):
    settings = Settings(projection=True)
    support.attention_model(settings)(*self.inputs())
    before = tf1.global_variables()
    whole(make_model(settings))(*self.inputs())
    self.assertEqual(tf1.global_variables(), before)

  @parameterized.named_parameters(("own", False), ("shared", True))
  def test_the_decoder_may_come_first(self, share_cell):
    model = make_model(Settings(layers=2), share_cell=share_cell)
    encoded = parts.Encoded(
      tf1.placeholder(tf1.float32, [None, None, support.UNITS]),
      tf1.placeholder(tf1.float32, [None, 2 * support.UNITS]),
    )
    model.decode(encoded, tf1.stack(self.inputs()[1], 1))
    model.encode(tf1.stack(self.inputs()[0], 1))
    found = set(support.by_name(tf1.global_variables()))
    with tf1.Graph().as_default():
      support.attention_model(Settings(layers=2), share_cell=share_cell)(
        *self.inputs()
      )
      desired = set(support.by_name(tf1.global_variables()))
    self.assertEqual(found, desired)

  def test_every_length_has_the_same_variables(self):
    model = make_model()
    for steps in (1, 2, 4):
      ids = tf1.placeholder(tf1.int32, [None, steps])
      model.decode(model.encode(ids), ids)
    self.assertLen(tf1.global_variables(), 20)

  def test_one_model_serves_several_graphs_and_scopes(self):
    model = make_model(scope="mine")
    for scope in ("a", "b"):
      with tf1.Graph().as_default(), tf1.variable_scope(scope):
        model.encode(tf1.zeros([2, 3], tf1.int32))
        for variable in tf1.global_variables():
          self.assertStartsWith(variable.op.name, f"{scope}/mine/rnn/")

  def test_projection_variables_lie_outside_of_the_model(self):
    model = make_model(Settings(projection=True))
    model.greedy(model.encode(tf1.zeros([2, 3], tf1.int32)), 2)
    names = list(support.by_name(tf1.global_variables()))
    self.assertIn("proj_w", names)
    self.assertIn("proj_b", names)

  @parameterized.named_parameters(*SEARCHED)
  def test_greedy_symbols_are_the_best_of_feed_previous(self, settings, more):
    model = make_model(settings, **more)
    # Many examples, of which some end early and some do not.
    source = self.sources()
    go = tf1.fill([len(source), 6], vocabulary.GO_ID)
    encoded = model.encode(source)
    found = model.greedy(encoded, 6)
    logits = model.logits(model.decode(encoded, go, True).outputs)
    with support.quick_session(self.graph) as sess:
      self.load_large(sess)
      found, logits = sess.run([found, tf1.stack(logits, 1)])
    desired = np.argmax(logits, axis=2).astype(np.int32)
    log_probs = log_softmax(logits)
    for n, row in enumerate(desired):
      ends = np.flatnonzero(row == vocabulary.EOS_ID)
      length = ends[0] + 1 if ends.size else 6
      row[length:] = vocabulary.EOS_ID
      self.assertEqual(found.lengths[n], length)
      score = log_probs[n].max(axis=1)[:length].sum()
      self.assertAlmostEqual(found.scores[n], score, places=3)
    np.testing.assert_array_equal(found.symbols, desired)
    self.assertGreater(len(np.unique(found.symbols)), 1)

  @parameterized.named_parameters(*SEARCHED)
  def test_beam_scores_are_those_of_teacher_forcing(self, settings, more):
    model = make_model(settings, dtype=tf1.float64, **more)
    if settings.projection:
      model.output_projection = tutorial.OutputProjection(
        support.TARGETS, support.UNITS, 2, dtype=tf1.float64
      )
    encoded = model.encode(self.sources())
    found = model.beam(encoded, 5, 3, length_penalty=0.6, n_best=2)
    alone = model.beam(encoded, 5, 1)
    greedy = model.greedy(encoded, 5)
    inputs_ph = tf1.placeholder(tf1.int32, [None, 5])
    logits = model.logits(model.decode(encoded, inputs_ph).outputs)
    with support.quick_session(self.graph) as sess:
      self.load_large(sess)
      found, alone, greedy = sess.run([found, alone, greedy])
      np.testing.assert_array_equal(alone.symbols[:, 0], greedy.symbols)
      np.testing.assert_array_equal(alone.lengths[:, 0], greedy.lengths)
      # The attention's weights are of float32, here as in contrib.
      self.assert_close(alone.scores[:, 0], greedy.scores, 1e-6)
      for rank in range(2):
        symbols, lengths = found.symbols[:, rank], found.lengths[:, rank]
        inputs = np.roll(symbols, 1, axis=1)
        inputs[:, 0] = vocabulary.GO_ID
        log_probs = log_softmax(
          np.stack(sess.run(logits, {inputs_ph: inputs}), axis=1)
        )
        taken = np.take_along_axis(log_probs, symbols[:, :, np.newaxis], 2)
        inside = np.arange(5) < lengths[:, np.newaxis]
        totals = np.sum(taken[:, :, 0] * inside, axis=1)
        desired = totals / ((5.0 + lengths) / 6.0) ** 0.6
        self.assert_close(found.scores[:, rank], desired, 1e-6)
    self.assertTrue(np.all(np.diff(found.scores, axis=1) <= 0))
    self.assertGreater(len(np.unique(found.symbols)), 1)

  @parameterized.parameters(False, True)
  def test_both_styles_of_control_flow_search(self, v2):
    self.use_control_flow(v2)
    model = make_model(Settings("basic_lstm_cell", 2, 2))
    encoded = model.encode(self.sources())
    found = model.greedy(encoded, 4), model.beam(encoded, 4, 2)
    with support.quick_session(self.graph) as sess:
      support.load(sess, tf1.global_variables())
      greedy, beam = sess.run(found)
    self.assertTrue(np.all(beam.scores[:, 0] >= greedy.scores - 1e-5))

  def test_a_search_makes_no_variables_of_its_own(self):
    for _, settings, more in SEARCHED:
      with tf1.Graph().as_default():
        model = make_model(settings, **more)
        ids = tf1.zeros([2, 3], tf1.int32)
        encoded = model.encode(ids)
        model.greedy(encoded, 2)
        model.beam(encoded, 2, 2)
        found = support.by_name(tf1.global_variables())
        model.decode(encoded, ids, True)
        desired = support.by_name(tf1.global_variables())
        self.assertEqual(list(found), list(desired))

  def test_a_search_takes_as_many_ops_for_many_steps_as_for_few(self):
    model = make_model()
    encoded = model.encode(tf1.zeros([2, 3], tf1.int32))
    counts = []
    for steps in (2, 2, 50):
      before = self.count_ops()
      model.greedy(encoded, steps)
      counts.append(self.count_ops() - before)
    self.assertEqual(counts[1], counts[2])

  def test_after_eos_comes_nothing_but_eos(self):
    model = make_model()
    symbols = model.greedy(
      model.encode(tf1.zeros([2, 3], tf1.int32)), 4
    ).symbols
    found = support.by_name(tf1.global_variables())
    scope = support.PREFIX + "embedding_attention_decoder/attention_decoder/"
    sess = self.session()
    support.load(sess, found.values())
    # Fed EOS, it says anything but; the bias alone says EOS.
    bias = np.zeros(support.TARGETS, np.float32)
    bias[vocabulary.EOS_ID] = 1000
    name = scope + "AttnOutputProjection/bias"
    support.load(sess, [found[name]], {name: bias})
    np.testing.assert_array_equal(
      sess.run(symbols), np.full([2, 4], vocabulary.EOS_ID)
    )

  def test_state_is_its_parts_side_by_side(self):
    model = make_model(Settings("basic_lstm_cell", 2))
    encoded = model.encode(tf1.stack(self.inputs()[0], 1))
    self.assertEqual(encoded.state.shape.as_list(), [support.BATCH, 12])
    sess = self.session()
    memory, state = sess.run(encoded)
    # h of the upper layer is the last output.
    self.assert_close(state[:, 9:], memory[:, -1], 0)

  def test_float64_is_float64_throughout(self):
    model = make_model(dtype=tf1.float64)
    ids = tf1.zeros([2, 3], tf1.int32)
    decoded = model.decode(model.encode(ids), ids)
    self.assertEqual(decoded.outputs[0].dtype, tf1.float64)

  def test_softmax_loss_function_is_that_of_the_projection(self):
    self.assertIsNone(make_model().softmax_loss_function)
    model = make_model(Settings(projection=True))
    self.assertEqual(model.softmax_loss_function, model.output_projection.loss)

  @parameterized.named_parameters(
    ("encode", lambda m, e, i: m.encode(i, name="mine")),
    ("decode", lambda m, e, i: m.decode(e, i, name="mine")),
    ("start", lambda m, e, i: m.start(e, name="mine")),
    ("greedy", lambda m, e, i: m.greedy(e, 2, name="mine")),
    ("beam", lambda m, e, i: m.beam(e, 2, 2, name="mine")),
  )
  def test_ops_lie_in_the_name_scope(self, call):
    model, ids = make_model(), tf1.zeros([2, 3], tf1.int32)
    encoded = model.encode(ids)
    model.decode(encoded, ids)
    before = len(self.graph.get_operations())
    call(model, encoded, ids)
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, "mine/")

  def test_ids_of_another_shape_or_type_raise(self):
    model = make_model()
    for ids, error, message in (
      (tf1.zeros([3], tf1.int32), errors.ShapeError, "encode: source.*rank 2"),
      (tf1.zeros([2, 3]), errors.DtypeError, "encode: source"),
      (
        tf1.placeholder(tf1.int32, [2, None]),
        errors.ShapeError,
        "for each bucket",
      ),
    ):
      with self.assertRaisesRegex(error, message):
        model.encode(ids)

  def test_what_another_model_encoded_raises(self):
    encoded = make_model(Settings(layers=2)).encode(
      tf1.zeros([2, 3], tf1.int32)
    )
    with self.assertRaisesRegex(errors.ShapeError, "with one model"):
      make_model().decode(encoded, tf1.zeros([2, 3], tf1.int32))
    for search in ("start", "greedy", "beam"):
      arguments = {"start": [], "greedy": [2], "beam": [2, 2]}[search]
      with self.assertRaisesRegex(errors.ShapeError, "with one model"):
        getattr(make_model(), search)(encoded, *arguments)

  def test_a_search_without_steps_or_beams_raises(self):
    model = make_model()
    encoded = model.encode(tf1.zeros([2, 3], tf1.int32))
    with self.assertRaisesRegex(errors.ArgumentError, "greedy: steps"):
      model.greedy(encoded, 0)
    with self.assertRaisesRegex(errors.ArgumentError, "beam: beam_size"):
      model.beam(encoded, 2, 0)

  def test_bad_settings_raise(self):
    def make(cell=None, sizes=(6, 5, 4), **more):
      return parts.AttentionModel(cell or cells.GRUCell(3), *sizes, **more)

    pair = tf1.zeros([3, 5]), tf1.zeros([5])
    other = tutorial.OutputProjection(9, 3, 2)
    for error, message, arguments in (
      (errors.ArgumentError, "cell must be", {"cell": "gru"}),
      (errors.ArgumentError, "num_encoder", {"sizes": (0, 5, 4)}),
      (errors.ArgumentError, "num_heads", {"num_heads": 0}),
      (errors.ArgumentError, "OutputProj", {"output_projection": pair}),
      (errors.ShapeError, "to 5 symbols", {"output_projection": other}),
    ):
      with self.assertRaisesRegex(error, message):
        make(**arguments)

  def test_gradients_cross_the_boundary(self):
    model = make_model(dtype=tf1.float64)
    ids = tf1.constant(self.source.T)
    encoded = model.encode(ids)
    decoded = model.decode(encoded, ids % support.TARGETS)
    loss = tf1.reduce_sum(tf1.stack(decoded.outputs) ** 2)
    boundary = list(encoded)
    kernels = [v for v in tf1.trainable_variables() if "/rnn/" in v.op.name]
    joint = tf1.gradients(loss, kernels)
    upstream = tf1.gradients(loss, boundary, stop_gradients=boundary)
    self.assertNotIn(None, upstream)
    split = tf1.gradients(boundary, kernels, grad_ys=upstream)
    sess = self.session()
    for found, desired in zip(*sess.run([split, joint])):
      self.assert_close(case.dense(found), case.dense(desired), 1e-12)


if __name__ == "__main__":
  absltest.main()

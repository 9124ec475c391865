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


class AttentionModelTest(support.LegacyTestCase):
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

  @parameterized.named_parameters(
    ("gru", Settings("gru_cell", 2)),
    ("lstm_projected", Settings("lstm_cell", 1, 1, True, True)),
  )
  def test_greedy_symbols_are_the_best_of_feed_previous(self, settings):
    model = make_model(settings)
    source = tf1.stack(self.inputs()[0], 1)
    go = tf1.fill([support.BATCH, 6], vocabulary.GO_ID)
    encoded = model.encode(source)
    symbols = model.greedy(encoded, 6)
    logits = model.logits(model.decode(encoded, go, True).outputs)
    with support.quick_session(self.graph) as sess:
      support.load(sess, tf1.global_variables())
      found, logits = sess.run([symbols, tf1.stack(logits, 1)])
    desired = np.argmax(logits, axis=2).astype(np.int32)
    for row in desired:
      ends = np.flatnonzero(row == vocabulary.EOS_ID)
      if ends.size:
        row[ends[0] :] = vocabulary.EOS_ID
    np.testing.assert_array_equal(found, desired)

  def test_after_eos_comes_nothing_but_eos(self):
    model = make_model()
    symbols = model.greedy(model.encode(tf1.zeros([2, 3], tf1.int32)), 4)
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
    ("greedy", lambda m, e, i: m.greedy(e, 2, name="mine")),
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
    with self.assertRaisesRegex(errors.ArgumentError, "steps"):
      make_model(Settings(layers=2)).greedy(encoded, 0)

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

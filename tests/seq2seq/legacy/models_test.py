"""Tests of models: the attention model. The others: other_models_test."""

import itertools
import threading
import unittest

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import cells, models
from tests.seq2seq.legacy import reference, support

Settings = support.Settings


def grid(independent):
  """Lists some of 64 settings.

  Args:
    independent: how many settings are chosen freely. With 4, 16 cases, in which
      any three settings take all values together; with 3, 8 cases, in which any
      two do.

  Returns:
    A list of `Settings`.
  """
  found = []
  for bits in itertools.product([0, 1], repeat=independent):
    a, b, c = bits[:3]
    if independent == 4:
      bits = (a, b, c, bits[3], a ^ b ^ c, b ^ c ^ bits[3])
    else:
      bits = (a, b, c, a ^ b, a ^ c, b ^ c)
    cell = ["gru_cell", "basic_lstm_cell"][a]
    found.append(Settings(cell, 1 + b, 1 + c, *(bool(bit) for bit in bits[3:])))
  return found


def named(settings):
  """Names cases by their settings."""
  for chosen in settings:
    words = [chosen.cell, f"{chosen.layers}_layers", f"{chosen.heads}_heads"]
    words += [word for word in chosen._fields[3:] if getattr(chosen, word)]
    yield "_".join(words), chosen


class FormulaTest(support.LegacyTestCase):
  """Against numpy on both TensorFlows, and contrib against it on 1.15."""

  @parameterized.named_parameters(*named(grid(4)))
  def test_outputs_states_and_losses_are_the_formula(self, settings):
    if not settings.feed_previous:
      self.shorten()
    ours = self.run_model(support.attention_model(settings), wanted=False)
    outputs, state = self.reference(settings, ours.values)
    loss = np.float32(self.reference_loss(settings, ours.values, outputs))
    formula = ours._replace(outputs=outputs, state=state, loss=loss)
    self.assert_same(ours, formula, 2e-6)
    if compat.IS_TF1:
      theirs = self.run_model(
        support.attention_model(settings, support.theirs),
        support.theirs.sequence_loss,
        wanted=False,
      )
      self.assert_same(ours, theirs)
      self.assert_same(theirs, formula, 2e-6)

  @parameterized.named_parameters(
    *named(
      [
        Settings(heads=2, initial_state_attention=True),
        Settings("basic_lstm_cell", 2, projection=True),
      ]
    )
  )
  def test_gradients_are_those_of_the_formula(self, settings):
    ours = self.run_model(support.attention_model(settings))
    weights = {k: v.astype(np.float64) for k, v in ours.values.items()}

    def loss():
      outputs, _ = self.reference(settings, weights)
      return self.reference_loss(settings, weights, outputs)

    numeric = reference.numeric_gradients(loss, weights)
    self.assertCountEqual(ours.gradients, numeric)
    numeric = {name: numeric[name] for name in ours.gradients}
    self.assert_same_gradients(ours.gradients, numeric, 2e-6)

  def reference(self, settings, weights):
    return support.attention_reference(
      settings, weights, self.source, self.target[:-1]
    )

  def reference_loss(self, settings, weights, outputs):
    if settings.projection:
      outputs = outputs @ weights["proj_w"].T + weights["proj_b"]
    losses = reference.cross_entropy(outputs, self.target[1:])
    return np.mean(reference.loss_by_example(losses, self.weights))


@support.needs_contrib
class ContribTest(support.LegacyTestCase):
  """Against `tf.contrib.legacy_seq2seq`."""

  def assert_contribs(self, settings, tolerance=1e-6, gradients=True, **more):
    if not settings.feed_previous:
      self.shorten()
    ours = self.run_model(
      support.attention_model(settings, **more), wanted=gradients
    )
    theirs = self.run_model(
      support.attention_model(settings, support.theirs, **more),
      support.theirs.sequence_loss,
      gradients,
    )
    self.assert_same(ours, theirs, tolerance)
    return ours

  @parameterized.named_parameters(*named(grid(3)))
  def test_gradients_are_contribs(self, settings):
    self.assert_contribs(settings)

  @parameterized.named_parameters(
    ("given", False, False),
    ("fed_back", True, True),
  )
  def test_feed_previous_as_a_tensor_is_contribs(self, value, projection):
    chosen = lambda: tf1.constant(value)  # noqa: E731
    self.assert_contribs(Settings(feed_previous=chosen, projection=projection))

  def test_float64_is_contribs_with_its_softmax_in_float32(self):
    self.weights = self.weights.astype(np.float64)
    ours = self.assert_contribs(Settings(), 1e-7, False, dtype=tf1.float64)
    self.assertEqual(ours.outputs.dtype, np.float64)

  @parameterized.named_parameters(
    *named(
      [
        Settings("gru_cell", 2, 2),
        Settings("lstm_cell", 2, 1, projection=True),
        Settings("basic_lstm_cell", 1, 2, initial_state_attention=True),
        Settings("gru_cell", 2, 1, lambda: tf1.constant(True)),
      ]
    )
  )
  def test_variables_are_contribs_in_name_order_shape_and_start(self, settings):
    ours = self.described(support.attention_model(settings))
    theirs = self.described(support.attention_model(settings, support.theirs))
    self.assertEqual(ours, theirs)

  def test_an_initializer_of_the_scope_starts_the_same_variables(self):
    def within(library):
      def build(*inputs):
        start = tf1.random_uniform_initializer(-0.1, 0.1)
        with tf1.variable_scope("around", initializer=start):
          support.attention_model(Settings(), library)(*inputs)

      return build

    ours = self.described(within(support.ours))
    self.assertEqual(ours, self.described(within(support.theirs)))

  def test_partitioned_variables_give_contribs_numbers(self):
    def within(library):
      def build(*inputs):
        parts = tf1.fixed_size_partitioner(2)
        with tf1.variable_scope("", partitioner=parts):
          return support.attention_model(Settings(), library)(*inputs)

      return build

    ours = self.run_model(within(support.ours), wanted=False)
    desired = self.run_model(within(support.theirs), wanted=False)
    self.assert_same(ours, desired)

  @parameterized.named_parameters(("projected", True), ("wrapped", False))
  def test_share_cell_is_contrib_with_the_usual_deepcopy_patch(
    self, projection
  ):
    self.shorten()
    settings = Settings(layers=2 - projection, projection=projection)
    ours = self.run_model(support.attention_model(settings, share_cell=True))
    theirs = self.run_model(
      support.attention_model(settings, support.patched),
      support.patched.sequence_loss,
    )
    self.assert_same(ours, theirs)

  def test_a_cell_of_tensorflow_raises(self):
    cell = support.theirs.cell("gru_cell")
    with self.assertRaisesRegex(errors.ArgumentError, "legacy.cells"):
      models.embedding_attention_seq2seq(*self.inputs(), cell, 6, 5, 4)


class EmbeddingAttentionTest(support.LegacyTestCase):
  @parameterized.named_parameters(("given", False), ("fed_back", True))
  def test_feed_previous_may_change_from_run_to_run(self, value):
    settings = Settings(projection=True)
    feed_ph = tf1.placeholder(tf1.bool, [])
    found = support.attention_model(settings._replace(feed_previous=feed_ph))(
      *self.inputs()
    )
    with support.quick_session(self.graph) as sess:
      support.load(sess, tf1.global_variables())
      outputs, state = sess.run(found, {feed_ph: value})
    desired = self.run_model(
      support.attention_model(settings._replace(feed_previous=value)),
      wanted=False,
    )
    self.assert_close(np.stack(outputs), desired.outputs, 1e-6)
    self.assert_close(state, desired.state[0], 1e-6)

  def test_symbols_fed_back_have_a_gradient_unless_a_tensor_says_so(self):
    def rows_with_gradient(feed_previous):
      settings = Settings(feed_previous=feed_previous)
      found = self.run_model(support.attention_model(settings))
      name = f"{support.PREFIX}embedding_attention_decoder/embedding"
      return np.count_nonzero(np.any(found.gradients[name], axis=1))

    first = len(set(self.target[0]))
    self.assertGreater(rows_with_gradient(True), first)
    self.assertEqual(rows_with_gradient(lambda: tf1.constant(True)), first)

  def test_variables_are_named_as_in_checkpoints(self):
    found = self.described(support.attention_model(Settings(layers=2)))
    shapes = [(name, shape) for name, shape, _, _ in found]
    self.assertLen(shapes, 28)
    decoder = "embedding_attention_decoder/attention_decoder/"
    cell = "multi_rnn_cell/cell_1/gru_cell/candidate/kernel"
    for name, shape in (
      ("rnn/embedding_wrapper/embedding", [6, 4]),
      (f"rnn/embedding_wrapper/{cell}", [6, 3]),
      ("embedding_attention_decoder/embedding", [5, 4]),
      (f"{decoder}AttnW_0", [1, 1, 3, 3]),
      (f"{decoder}AttnV_0", [3]),
      (f"{decoder}kernel", [7, 4]),
      (f"{decoder}output_projection_wrapper/{cell}", [6, 3]),
      (f"{decoder}output_projection_wrapper/kernel", [3, 5]),
      (f"{decoder}Attention_0/kernel", [6, 3]),
      (f"{decoder}AttnOutputProjection/kernel", [8, 5]),
      (f"{decoder}AttnOutputProjection/bias", [5]),
    ):
      self.assertIn((support.PREFIX + name, shape), shapes)

  def test_all_variables_are_resources(self):
    support.attention_model(Settings())(*self.inputs())
    for variable in tf1.global_variables():
      self.assertTrue(compat.is_resource_variable(variable), variable.name)

  def test_scope_dtype_and_initializer_come_from_around(self):
    start = tf1.constant_initializer(0.25)
    with tf1.variable_scope("around", dtype=tf1.float64, initializer=start):
      outputs, _ = models.embedding_attention_seq2seq(
        *self.inputs(), cells.GRUCell(3), 6, 5, 4, scope="mine"
      )
    self.assertEqual(outputs[0].dtype, tf1.float64)
    found = support.by_name(tf1.global_variables())
    self.assertTrue(all(name.startswith("around/mine/") for name in found))
    table = found["around/mine/rnn/embedding_wrapper/embedding"]
    value = self.session().run(table)
    np.testing.assert_array_equal(value, np.full([6, 4], 0.25))

  def test_ops_lie_in_the_scope(self):
    inputs = self.inputs()
    before = len(self.graph.get_operations())
    models.embedding_attention_seq2seq(
      *inputs, cells.GRUCell(3), 6, 5, 4, scope="mine"
    )
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, "mine/")

  def call(self, **more):
    source, target = self.inputs()
    arguments = {
      "encoder_inputs": source,
      "decoder_inputs": target,
      "cell": cells.GRUCell(3),
      "num_encoder_symbols": 6,
      "num_decoder_symbols": 5,
      "embedding_size": 4,
    }
    arguments.update(more)
    return models.embedding_attention_seq2seq(**arguments)

  @parameterized.named_parameters(
    ("no_source", errors.ArgumentError, {"encoder_inputs": []}),
    ("no_target", errors.ArgumentError, {"decoder_inputs": []}),
    ("a_tensor", errors.ArgumentError, {"encoder_inputs": np.zeros([2, 2])}),
    ("cell", errors.ArgumentError, {"cell": "gru"}),
    ("num_heads", errors.ArgumentError, {"num_heads": 0}),
    ("embedding_size", errors.ArgumentError, {"embedding_size": 0}),
    ("no_pair", errors.ArgumentError, {"output_projection": 3}),
    ("number", errors.DtypeError, {"feed_previous": 1}),
  )
  def test_bad_arguments_raise_before_there_are_variables(self, error, more):
    (name,) = more
    with self.assertRaisesRegex(error, f"embedding_attention.*{name}"):
      self.call(**more)
    self.assertEmpty(tf1.global_variables())

  @parameterized.named_parameters(
    ("turned", [5, 3], [5], r"W must be \[3, 5\].*transpose"),
    ("narrow", [3, 4], [5], r"W must be \[3, 5\].*one column"),
    ("biases", [3, 5], [4], r"B must be \[5\]"),
  )
  def test_output_projection_of_another_shape_raises(self, w, b, message):
    with self.assertRaisesRegex(errors.ShapeError, message):
      self.call(output_projection=(tf1.zeros(w), tf1.zeros(b)))

  def test_floats_as_ids_raise(self):
    floats = [tf1.placeholder(tf1.float32, [None])]
    with self.assertRaisesRegex(errors.DtypeError, r"encoder_inputs\[0\]"):
      self.call(encoder_inputs=floats)

  def test_batch_major_ids_raise(self):
    ids = [tf1.placeholder(tf1.int32, [None, 7])]
    with self.assertRaisesRegex(errors.ShapeError, r"decoder_inputs\[0\]"):
      self.call(decoder_inputs=ids)

  def test_a_second_model_of_the_same_name_raises(self):
    self.call()
    with self.assertRaisesRegex(errors.ArgumentError, "AUTO_REUSE"):
      self.call()

  @unittest.skipIf(compat.IS_TF1, "1.15 is not eager unless told")
  def test_eager_call_raises(self):
    raised = []

    def call():  # A new thread has no graph, so it is eager.
      try:
        self.call()
      except errors.GraphError as error:
        raised.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    self.assertLen(raised, 1)
    self.assertRegex(raised[0], "embedding_attention_seq2seq: called eagerly")


if __name__ == "__main__":
  absltest.main()

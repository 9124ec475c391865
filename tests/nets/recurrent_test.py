import functools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.nets import cells, recurrent
from tests.nets import reference, support

B, T, D, U = 3, 4, 2, 3
LENGTHS = (2, 4, 0)

KINDS = (
  ("lstm", recurrent.LSTM, reference.lstm_step, 2),
  ("gru", recurrent.GRU, reference.gru_step, 1),
)
BOTH_KINDS_AND_DIRECTIONS = [
  (f"{kind}_{direction}", make, step, parts, direction == "backward")
  for kind, make, step, parts in KINDS
  for direction in ("forward", "backward")
]


class LayerTest(support.NetTestCase):
  """What holds of every layer, unrolled, in float64."""

  def initial(self, parts):
    """Returns placeholders of a state and the arrays for them."""
    ph = [tf1.placeholder(tf1.float64, [None, U]) for _ in range(parts)]
    arrays = [self.normal(B, U) for _ in range(parts)]
    state = cells.LSTMState(*ph) if parts == 2 else ph[0]
    return state, dict(zip(ph, arrays)), arrays

  @parameterized.named_parameters(*BOTH_KINDS_AND_DIRECTIONS)
  def test_runs_each_example_over_its_own_length(
    self, make, step, parts, reverse
  ):
    x = tf1.placeholder(tf1.float64, [None, T, D])
    lengths = tf1.placeholder(tf1.int32, [None])
    state, feed, initial = self.initial(parts)
    layer = make(U, dtype=tf1.float64, reverse=reverse)
    result = layer(x, lengths, state)
    self.assertEqual(result.outputs.shape.as_list(), [None, T, U])
    sess = self.session()
    weights = self.fill(sess, layer.variables)
    feed.update({x: self.normal(B, T, D), lengths: LENGTHS})
    outputs, final = sess.run(result, feed)
    desired, desired_final = reference.run(
      reference.bind(step, weights), feed[x], LENGTHS, initial, reverse
    )
    self.assert_close(outputs, desired)
    for part, desired in zip(tf1.nest.flatten(final), desired_final):
      self.assertEqual(part.shape, (B, U))
      self.assert_close(part, desired)

  @parameterized.named_parameters(*BOTH_KINDS_AND_DIRECTIONS)
  def test_starts_at_zero_and_runs_all_steps_unless_told(
    self, make, step, parts, reverse
  ):
    x = tf1.placeholder(tf1.float64, [B, T, D])
    layer = make(U, dtype=tf1.float64, reverse=reverse)
    result = layer(x)
    self.assertEqual(result.outputs.shape.as_list(), [B, T, U])
    sess = self.session()
    weights = self.fill(sess, layer.variables)
    x_np = self.normal(B, T, D)
    outputs, final = sess.run(result, {x: x_np})
    desired, desired_final = reference.run(
      reference.bind(step, weights),
      x_np,
      [T] * B,
      [np.zeros([B, U])] * parts,
      reverse,
    )
    self.assert_close(outputs, desired)
    for part, desired in zip(tf1.nest.flatten(final), desired_final):
      self.assert_close(part, desired)

  @parameterized.named_parameters(*BOTH_KINDS_AND_DIRECTIONS)
  def test_gradients_are_numeric_gradients(self, make, step, parts, reverse):
    del step
    x = tf1.placeholder(tf1.float64, [B, T, D])
    state, feed, _ = self.initial(parts)
    tf1.nest.map_structure(lambda part: part.set_shape([B, U]), state)
    layer = make(U, dtype=tf1.float64, reverse=reverse)
    loss = self.weigh(layer(x, tf1.constant(LENGTHS), state))
    sess = self.session()
    self.fill(sess, layer.variables)
    feed[x] = self.normal(B, T, D)
    self.assert_gradients(sess, loss, feed, layer.variables)

  @parameterized.named_parameters(*BOTH_KINDS_AND_DIRECTIONS)
  def test_padding_does_not_reach_outputs_or_gradients(
    self, make, step, parts, reverse
  ):
    del step, parts
    x = tf1.placeholder(tf1.float64, [B, T, D])
    layer = make(U, dtype=tf1.float64, reverse=reverse)
    result = layer(x, tf1.constant(LENGTHS))
    gradients = tf1.gradients(self.weigh(result), [x] + layer.variables)
    sess = self.session()
    self.fill(sess, layer.variables)
    padding = np.arange(T)[None, :] >= np.array(LENGTHS)[:, None]
    x_np = self.normal(B, T, D)
    fetches = tf1.nest.flatten(result) + gradients
    clean = sess.run(fetches, {x: np.where(padding[:, :, None], 0, x_np)})
    for dirt in (1e3, np.inf, np.nan):
      dirty = np.where(padding[:, :, None], dirt, x_np)
      for actual, desired in zip(sess.run(fetches, {x: dirty}), clean):
        self.assert_close(actual, desired, 0)
    gradient = clean[len(tf1.nest.flatten(result))]
    self.assert_close(gradient[padding], np.zeros([padding.sum(), D]), 0)
    self.assertTrue(np.all(np.any(gradient[~padding], axis=1)))

  @parameterized.named_parameters(*KINDS)
  def test_second_call_shares_the_variables(self, make, step, parts):
    del step, parts
    layer = make(U)
    layer(tf1.zeros([B, T, D]))
    count = len(tf1.global_variables())
    layer(tf1.zeros([B + 1, T + 2, D]), [1, 2, 3, 4])
    self.assertLen(tf1.global_variables(), count)
    self.assertLen(layer.variables, count)
    self.assertEqual(layer.variables[0].op.name.split("/")[0], layer.name)

  @parameterized.named_parameters(*KINDS)
  def test_reads_each_variable_once(self, make, step, parts):
    del step, parts
    layer = make(U)
    layer(tf1.zeros([B, T, D]))
    before = self.count_ops()
    layer(tf1.zeros([B, T, D]))
    ops = self.graph.get_operations()[before:]
    reads = [op for op in ops if op.type == "ReadVariableOp"]
    self.assertLen(reads, len(layer.variables))

  @parameterized.named_parameters(*KINDS)
  def test_ops_are_in_the_scope_that_is_named(self, make, step, parts):
    del step, parts
    for reverse in (False, True):
      layer = make(U, reverse=reverse, name=f"layer_{reverse}")
      x, lengths = tf1.zeros([B, T, D]), tf1.constant(LENGTHS)
      layer(x, lengths)
      before = self.count_ops()
      scope = layer(x, lengths, name="here").outputs.op.name.split("/")[0]
      self.assert_ops_under(scope, before)
      self.assertStartsWith(scope, "here")

  def test_cell_makes_single_steps_with_the_same_variables(self):
    layer = recurrent.GRU(U, dtype=tf1.float64)
    x = tf1.constant(self.normal(B, 2, D))
    outputs, final = layer(x)
    state = layer.cell.zero_state(B)
    for t in range(2):
      state = layer.cell(x[:, t], state).state
    self.assertLen(tf1.global_variables(), 4)
    state, final, outputs = self.session().run([state, final, outputs])
    self.assert_close(final, state)
    self.assert_close(outputs[:, -1], state)

  @parameterized.named_parameters(
    ("int64", np.int64), ("int32", np.int32), ("list", list)
  )
  def test_takes_lengths_of_any_int_type(self, kind):
    layer = recurrent.GRU(U)
    outputs, _ = layer(tf1.ones([B, T, D]), kind(LENGTHS))
    outputs = self.session().run(outputs)
    self.assertFalse(outputs[0, 2:].any())
    self.assertTrue(outputs[1].all())


class LayerErrorsTest(support.NetTestCase):
  @parameterized.named_parameters(*KINDS)
  def test_another_depth_at_the_second_call_raises(self, make, step, parts):
    del step, parts
    layer = make(U, name="encoder")
    layer(tf1.zeros([B, T, D]))
    with self.assertRaisesRegex(
      errors.ShapeError, "encoder: inputs must have depth 2.*depth 5.*another"
    ):
      layer(tf1.zeros([B, T, 5]))

  @parameterized.named_parameters(*KINDS)
  def test_unknown_number_of_steps_raises(self, make, step, parts):
    del step, parts
    x = tf1.placeholder(tf1.float32, [B, None, D], name="source")
    with self.assertRaisesRegex(errors.ShapeError, "source:0.*'block'"):
      make(U)(x)

  def test_no_step_raises(self):
    with self.assertRaisesRegex(errors.ShapeError, "at least one step"):
      recurrent.GRU(U)(tf1.zeros([B, 0, D]))

  def test_no_step_raises_in_a_block(self):
    with self.assertRaisesRegex(errors.ShapeError, "at least one step"):
      recurrent.LSTM(U, implementation="block")(tf1.zeros([B, 0, D]))

  def test_one_step_as_inputs_raises(self):
    with self.assertRaisesRegex(errors.ShapeError, "inputs must have rank 3"):
      recurrent.GRU(U)(tf1.zeros([B, D]))

  def test_inputs_of_another_type_raise(self):
    x = tf1.zeros([B, T, D], tf1.float64)
    with self.assertRaisesRegex(errors.DtypeError, "inputs must be float32"):
      recurrent.GRU(U)(x)

  def test_float_lengths_raise(self):
    with self.assertRaisesRegex(errors.DtypeError, "lengths must be int32"):
      recurrent.GRU(U)(tf1.zeros([B, T, D]), tf1.zeros([B]))

  def test_unknown_implementation_raises(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "'fused' or 'block', got 'xla'"
    ):
      recurrent.LSTM(U, implementation="xla")

  def test_block_in_float64_raises(self):
    with self.assertRaisesRegex(
      errors.DtypeError, "float64; use implementation='fused'"
    ):
      recurrent.LSTM(U, implementation="block", dtype=tf1.float64)


class BlockTest(support.NetTestCase):
  """The fused op gives what the unrolled cells give, in float32."""

  def build(self, make_layer, lengths, state, static):
    """Returns fetches of one implementation: results and all gradients."""
    layer = make_layer()
    # Both implementations: the same shapes, so the same draws from self.rng.
    self.rng = np.random.RandomState(7)
    x = tf1.constant(self.normal(B, T, D, dtype=np.float32))
    c, h = (tf1.constant(self.normal(B, U, dtype=np.float32)) for _ in "ch")
    steps = T if static else None
    fed = tf1.placeholder_with_default(x, [None, steps, D])
    result = layer(fed, lengths, (c, h) if state else None)
    if not static:
      self.assertEqual(result.outputs.shape.as_list()[1:], [None, U])
      result.outputs.set_shape([B, T, U])
    for tensor in tf1.nest.flatten(result):
      tensor.set_shape([B] + tensor.shape.as_list()[1:])
    points = [x] + ([c, h] if state else []) + layer.variables
    gradients = tf1.gradients(self.weigh(result), points)
    for gradient in gradients:
      self.assertIsNotNone(gradient)
    return layer, tf1.nest.flatten(result) + gradients

  @parameterized.named_parameters(
    ("all_steps", None, False, False, True),
    ("all_steps_from_a_state", None, True, False, True),
    ("all_steps_backward", None, True, True, True),
    ("lengths", LENGTHS, False, False, True),
    ("lengths_from_a_state", LENGTHS, True, False, True),
    ("lengths_backward", LENGTHS, True, True, True),
    ("all_shorter_than_the_padding", (2, 1, 2), True, False, True),
    ("all_of_length_zero", (0, 0, 0), True, False, True),
    ("steps_unknown", None, True, False, False),
    ("steps_unknown_with_lengths", LENGTHS, True, True, False),
  )
  def test_block_is_unrolled(self, lengths, state, reverse, static):
    block, actual = self.build(
      functools.partial(
        recurrent.LSTM, U, reverse=reverse, implementation="block", name="block"
      ),
      lengths,
      state,
      static,
    )
    unrolled, desired = self.build(
      functools.partial(recurrent.LSTM, U, reverse=reverse, name="unrolled"),
      lengths,
      state,
      True,
    )
    sess = self.session()
    arrays = self.fill(sess, block.variables)
    for variable, array in zip(unrolled.variables, arrays):
      support.set_variable(sess, variable, array)
    for one, other in zip(*sess.run([actual, desired])):
      self.assert_close(one, other, 1e-5)

  def test_block_is_the_formula(self):
    x_np = self.normal(B, T, D, dtype=np.float32)
    layer = recurrent.LSTM(U, 0.5, implementation="block")
    result = layer(tf1.constant(x_np))
    self.assertEqual(result.outputs.shape.as_list(), [B, T, U])
    sess = self.session()
    kernel, bias = self.fill(sess, layer.variables)
    outputs, final = sess.run(result)
    desired, (c, h) = reference.run(
      functools.partial(
        reference.lstm_step, kernel=kernel, bias=bias, forget_bias=0.5
      ),
      x_np,
      [T] * B,
      [np.zeros([B, U], np.float32)] * 2,
    )
    self.assert_close(outputs, desired, 1e-5)
    self.assert_close(final.c, c, 1e-5)
    self.assert_close(final.h, h, 1e-5)

  def test_block_is_one_op_and_does_not_clip_the_state(self):
    layer = recurrent.LSTM(U, implementation="block", forget_bias=30.0)
    c = np.full([B, U], 100.0, np.float32)
    _, state = layer(tf1.zeros([B, T, D]), initial_state=(c, 0 * c))
    types = [op.type for op in self.graph.get_operations()]
    self.assertEqual(types.count("BlockLSTM"), 1)
    self.assertGreater(self.session().run(state.c).min(), 90)

  def test_padding_does_not_reach_outputs_or_gradients(self):
    x = tf1.placeholder(tf1.float32, [B, T, D])
    layer = recurrent.LSTM(U, implementation="block")
    result = layer(x, tf1.constant(LENGTHS))
    gradients = tf1.gradients(self.weigh(result), [x] + layer.variables)
    sess = self.session()
    padding = np.arange(T)[None, :] >= np.array(LENGTHS)[:, None]
    x_np = self.normal(B, T, D, dtype=np.float32)
    fetches = tf1.nest.flatten(result) + gradients
    clean = sess.run(fetches, {x: np.where(padding[:, :, None], 0, x_np)})
    dirty = np.where(padding[:, :, None], np.nan, x_np)
    for actual, desired in zip(sess.run(fetches, {x: dirty}), clean):
      self.assert_close(actual, desired, 0)

  def test_block_computes_in_half_precision(self):
    x_np = self.normal(B, T, D)
    half = recurrent.LSTM(
      U, implementation="block", dtype=tf1.float16, name="half"
    )
    double = recurrent.LSTM(U, dtype=tf1.float64, name="double")
    outputs = half(tf1.constant(x_np, tf1.float16)).outputs
    desired = double(tf1.constant(x_np)).outputs
    self.assertIsNotNone(tf1.gradients(outputs, half.variables)[0])
    sess = self.session()
    arrays = self.fill(sess, double.variables)
    for variable, array in zip(half.variables, arrays):
      support.set_variable(sess, variable, array)
    outputs, desired = sess.run([outputs, desired])
    self.assert_close(outputs.astype(np.float64), desired, 1e-2)


if __name__ == "__main__":
  absltest.main()

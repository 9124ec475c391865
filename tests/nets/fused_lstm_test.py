"""Tests the LSTM by few large products and by one op, and which it takes."""

import functools

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.nets import cells, chains, fused_lstm, recurrent
from tests.nets import reference, support

B, T, D, U = 3, 4, 2, 3
LENGTHS = (2, 4, 0)
WIDE = 70


class ProductsTest(support.NetTestCase):
  """Layers that are not small, in the types that have an op for slopes."""

  def build(self, layer, x, lengths=None):
    result = layer(x, lengths)
    loss = tf1.add_n(
      [tf1.reduce_sum(tf1.sin(part)) for part in tf1.nest.flatten(result)]
    )
    gradients = tf1.gradients(loss, [x] + layer.variables)
    return tf1.nest.flatten(result) + gradients

  @parameterized.named_parameters(
    ("lengths", LENGTHS, [None, T, D]),
    ("all_steps", None, [None, T, D]),
    ("known_batch", LENGTHS, [B, T, D]),
  )
  def test_is_the_cells_in_float32(self, lengths, shape):
    x_np = self.normal(B, T, D)
    layers = [
      recurrent.LSTM(WIDE, name="fast"),
      recurrent.RecurrentLayer(cells.LSTMCell(WIDE, dtype=tf1.float64)),
    ]
    found = [
      self.build(
        layer,
        tf1.placeholder_with_default(x_np.astype(dtype), shape),
        lengths,
      )
      for layer, dtype in zip(layers, (np.float32, np.float64))
    ]
    types = [op.type for op in self.graph.get_operations()]
    self.assertNotIn("BlockLSTM", types)
    self.assertIn("LSTMBlockCellGrad", types)
    sess = self.session()
    for one, other in zip(*[layer.variables for layer in layers]):
      array = self.normal(*one.shape.as_list())
      support.set_variable(sess, one, array.astype(np.float32))
      support.set_variable(sess, other, array)
    for one, other in zip(*sess.run(found)):
      self.assert_close(one.astype(np.float64), other, 1e-5)

  @parameterized.named_parameters(
    ("none", 0, None), ("one", 1, None), ("one_known", 1, 1), ("two", 2, None)
  )
  def test_batches_too_small_for_two_chains(self, rows, known):
    layer = recurrent.LSTM(WIDE)
    x = tf1.placeholder(tf1.float32, [known, T, D])
    fetches = self.build(layer, x)
    sess = self.session()
    self.fill(sess, layer.variables)
    x_np = self.normal(3, T, D, dtype=np.float32)
    found = sess.run(fetches, {x: x_np[:rows]})
    self.assertEqual(found[0].shape, (rows, T, WIDE))
    for value in found:
      self.assertTrue(np.all(np.isfinite(value)))
    if not known:
      outputs = sess.run(fetches[0], {x: x_np})
      self.assert_close(found[0], outputs[:rows], 1e-6)

  def test_gradient_of_the_bias_in_float16_is_summed_in_float32(self):
    rows = 4096  # in float16 a sum of small numbers stops growing
    layer = recurrent.LSTM(WIDE, dtype=tf1.float16)
    x = tf1.zeros([rows, 1, D], tf1.float16)
    outputs = layer(x).outputs
    bias = layer.variables[-1]
    gradient = tf1.gradients(outputs, bias)[0]
    sess = self.session()
    self.fill(sess, layer.variables)
    sess.run(bias.initializer)  # zeros
    # i = o = 1 / 2, c = 0: only g has a gradient, 1 / 4 of each row.
    found = sess.run(gradient)[WIDE : 2 * WIDE].astype(np.float64)
    self.assert_close(found, np.full([WIDE], rows / 4), 1e-3)


class ChoiceTest(support.NetTestCase):
  @parameterized.named_parameters(
    ("small", [None, T, 64], 64, tf1.float32, True),
    ("half", [None, T, 64], 64, tf1.float16, False),
    ("wide_state", [None, T, 64], 65, tf1.float32, False),
    ("wide_inputs", [None, T, 65], 64, tf1.float32, False),
    ("double", [None, T, 64], 64, tf1.float64, False),
  )
  def test_small_layers_are_one_op_a_chain(self, shape, units, dtype, block):
    x = tf1.placeholder(dtype, shape)
    self.assertEqual(fused_lstm.prefers_block(x, units), block)

  def test_second_gradient_of_one_op_is_that_of_the_cells(self):
    x_np = self.normal(B, T, D)
    layers = [
      recurrent.LSTM(U, name="block"),
      recurrent.RecurrentLayer(cells.LSTMCell(U, dtype=tf1.float64)),
    ]
    found = []
    for layer, dtype in zip(layers, (np.float32, np.float64)):
      x = tf1.constant(x_np.astype(dtype))
      # A state that the inputs lead to, too.
      state = [tf1.reduce_sum(x, [1, 2])[:, None] * [[0.1] * U]] * 2
      outputs = layer(x, LENGTHS, state).outputs
      points = [x] + layer.variables
      first = tf1.gradients(outputs**2, points)
      norm = tf1.add_n([tf1.reduce_sum(tf1.square(g)) for g in first])
      found.append(tf1.gradients(norm, points))
    sess = self.session()
    for one, other in zip(*[layer.variables for layer in layers]):
      array = self.normal(*one.shape.as_list())
      support.set_variable(sess, one, array.astype(np.float32))
      support.set_variable(sess, other, array)
    for one, other in zip(*sess.run(found)):
      self.assert_close(one.astype(np.float64), other, 1e-4)


class BlockTest(support.NetTestCase):
  """Small layers are one op, which gives what cells give, in float32."""

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
      lambda: recurrent.LSTM(U, reverse=reverse, name="block"),
      lengths,
      state,
      static,
    )
    unrolled, desired = self.build(
      lambda: recurrent.RecurrentLayer(cells.LSTMCell(U), reverse),
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
    layer = recurrent.LSTM(U, 0.5)
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

  def test_block_is_one_op_a_chain_and_does_not_clip_the_state(self):
    layer = recurrent.LSTM(U, forget_bias=30.0)
    c = np.full([B, U], 100.0, np.float32)
    _, state = layer(tf1.zeros([B, T, D]), initial_state=(c, 0 * c))
    types = [op.type for op in self.graph.get_operations()]
    self.assertEqual(types.count("BlockLSTM"), chains.CHAINS)
    self.assertGreater(self.session().run(state.c).min(), 90)

  def test_padding_does_not_reach_outputs_or_gradients(self):
    x = tf1.placeholder(tf1.float32, [B, T, D])
    layer = recurrent.LSTM(U)
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
    half = recurrent.LSTM(U, dtype=tf1.float16, name="half")
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

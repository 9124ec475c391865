import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.nets import cells, recurrent
from tests.nets import reference, support

B, T, D, U = 3, 4, 2, 3
LENGTHS = (2, 4, 0)


def unroll(make_cell):
  """Returns a function that makes the plain layer of a cell."""

  def make(units, reverse=False, dtype=tf1.float32, name="unrolled"):
    cell = make_cell(units, dtype=dtype, name=name)
    return recurrent.RecurrentLayer(cell, reverse)

  return make


KINDS = (
  ("lstm", recurrent.LSTM, reference.lstm_step, 2),
  ("gru", recurrent.GRU, reference.gru_step, 1),
  ("lstm_cells", unroll(cells.LSTMCell), reference.lstm_step, 2),
  ("gru_cells", unroll(cells.GRUCell), reference.gru_step, 1),
)
BOTH_KINDS_AND_DIRECTIONS = [
  (f"{kind}_{direction}", make, step, parts, direction == "backward")
  for kind, make, step, parts in KINDS
  for direction in ("forward", "backward")
]


class LayerTest(support.NetTestCase):
  """What holds of every layer, in float64."""

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

  @parameterized.named_parameters(*KINDS)
  def test_has_its_gradients_in_a_branch(self, make, step, parts):
    del step, parts
    x = tf1.constant(self.normal(B, T, D))
    layer = make(U, dtype=tf1.float64)
    desired = layer(x, LENGTHS).outputs
    with compat.control_flow(v2=True):
      chosen = tf1.placeholder_with_default(True, [])
      found = tf1.cond(
        chosen, lambda: layer(x, LENGTHS).outputs, lambda: desired
      )
      points = [x] + layer.variables
      fetches = [tf1.gradients(y**2, points) for y in (found, desired)]
    for one, other in zip(*self.session().run(fetches)):
      self.assert_close(one, other)

  def test_takes_an_unknown_number_of_steps_in_a_branch(self):
    x_np = self.normal(B, T, D).astype(np.float32)
    x = tf1.placeholder_with_default(x_np, [B, None, D])
    layer = recurrent.LSTM(U)
    desired = layer(x, LENGTHS).outputs
    with compat.control_flow(v2=True):
      chosen = tf1.placeholder_with_default(True, [])
      found = tf1.cond(
        chosen, lambda: layer(x, LENGTHS).outputs, lambda: desired
      )
    found, desired = self.session().run([found, desired])
    self.assert_close(found, desired, 1e-6)

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
    x = tf1.placeholder(tf1.float64, [B, None, D], name="source")
    with self.assertRaisesRegex(
      errors.ShapeError, "source:0.*set_shape.*nets.LSTM in another type"
    ):
      make(U, dtype=tf1.float64)(x)

  def test_no_step_raises(self):
    for layer in (recurrent.GRU(U), recurrent.LSTM(U)):
      with self.assertRaisesRegex(errors.ShapeError, "at least one step"):
        layer(tf1.zeros([B, 0, D]))

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


if __name__ == "__main__":
  absltest.main()

import unittest

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.nets import cells
from tests.nets import reference, support


class LSTMCellTest(support.NetTestCase):
  @parameterized.named_parameters(
    ("static_batch", 2, 1.0), ("unknown_batch", None, 0.0)
  )
  def test_step_is_the_formula(self, batch, forget_bias):
    x = tf1.placeholder(tf1.float64, [batch, 3])
    c = tf1.placeholder(tf1.float64, [batch, 4])
    h = tf1.placeholder(tf1.float64, [batch, 4])
    cell = cells.LSTMCell(4, forget_bias, dtype=tf1.float64)
    output, state = cell(x, cells.LSTMState(c, h))
    self.assertEqual(output.shape.as_list(), [batch, 4])
    sess = self.session()
    kernel, bias = self.fill(sess, cell.variables)
    feed = {x: self.normal(2, 3), c: self.normal(2, 4), h: self.normal(2, 4)}
    output, state = sess.run([output, state], feed)
    for b in range(2):
      c_np, h_np = reference.lstm_step(
        feed[x][b], feed[c][b], feed[h][b], kernel, bias, forget_bias
      )
      self.assert_close(state.c[b], c_np)
      self.assert_close(state.h[b], h_np)
    self.assert_close(output, state.h, 0)

  def test_gradients_are_numeric_gradients(self):
    x = tf1.placeholder(tf1.float64, [2, 2])
    c = tf1.placeholder(tf1.float64, [2, 3])
    h = tf1.placeholder(tf1.float64, [2, 3])
    cell = cells.LSTMCell(3, dtype=tf1.float64)
    loss = self.weigh(*cell(x, (c, h)).state)
    sess = self.session()
    self.fill(sess, cell.variables)
    feed = {x: self.normal(2, 2), c: self.normal(2, 3), h: self.normal(2, 3)}
    self.assert_gradients(sess, loss, feed, cell.variables)

  def test_has_one_kernel_and_one_bias(self):
    cell = cells.LSTMCell(4)
    cell(tf1.zeros([2, 3]), cell.zero_state(2))
    shapes = {v.op.name: v.shape.as_list() for v in cell.variables}
    desired = {"lstm_cell/kernel": [7, 16], "lstm_cell/bias": [16]}
    self.assertEqual(shapes, desired)

  def test_one_tensor_as_state_raises(self):
    cell = cells.LSTMCell(4)
    with self.assertRaisesRegex(errors.ArgumentError, "LSTMState.*zero_state"):
      cell(tf1.zeros([2, 3]), tf1.zeros([2, 4]))

  def test_state_of_another_depth_raises(self):
    cell = cells.LSTMCell(4)
    state = (tf1.zeros([2, 4]), tf1.zeros([2, 5]))
    with self.assertRaisesRegex(
      errors.ShapeError, "lstm_cell: state.h must have depth 4.*depth 5"
    ):
      cell(tf1.zeros([2, 3]), state)


class GRUCellTest(support.NetTestCase):
  @parameterized.named_parameters(("static_batch", 2), ("unknown_batch", None))
  def test_step_is_the_formula(self, batch):
    x = tf1.placeholder(tf1.float64, [batch, 3])
    h = tf1.placeholder(tf1.float64, [batch, 4])
    cell = cells.GRUCell(4, dtype=tf1.float64)
    output, state = cell(x, h)
    self.assertEqual(output.shape.as_list(), [batch, 4])
    sess = self.session()
    weights = self.fill(sess, cell.variables)
    feed = {x: self.normal(2, 3), h: self.normal(2, 4)}
    output, state = sess.run([output, state], feed)
    for b in range(2):
      desired = reference.gru_step(feed[x][b], feed[h][b], *weights)
      self.assert_close(state[b], desired)
    self.assert_close(output, state, 0)

  def test_gradients_are_numeric_gradients(self):
    x = tf1.placeholder(tf1.float64, [2, 2])
    h = tf1.placeholder(tf1.float64, [2, 3])
    cell = cells.GRUCell(3, dtype=tf1.float64)
    loss = self.weigh(cell(x, h).state)
    sess = self.session()
    self.fill(sess, cell.variables)
    feed = {x: self.normal(2, 2), h: self.normal(2, 3)}
    self.assert_gradients(sess, loss, feed, cell.variables)

  def test_has_gates_and_candidate(self):
    cell = cells.GRUCell(4)
    cell(tf1.zeros([2, 3]), cell.zero_state(2))
    shapes = {v.op.name: v.shape.as_list() for v in cell.variables}
    desired = {
      "gru_cell/gates_kernel": [7, 8],
      "gru_cell/gates_bias": [8],
      "gru_cell/candidate_kernel": [7, 4],
      "gru_cell/candidate_bias": [4],
    }
    self.assertEqual(shapes, desired)

  def test_pair_as_state_raises(self):
    cell = cells.GRUCell(4)
    zeros = tf1.zeros([2, 4])
    with self.assertRaisesRegex(errors.ArgumentError, "one tensor"):
      cell(tf1.zeros([2, 3]), (zeros, zeros))


class BothCellsTest(support.NetTestCase):
  @parameterized.named_parameters(
    ("lstm", cells.LSTMCell, 2), ("gru", cells.GRUCell, 4)
  )
  def test_second_call_shares_the_variables(self, make, count):
    cell = make(4)
    state = cell.zero_state(2)
    for _ in range(3):
      state = cell(tf1.zeros([2, 3]), state).state
    self.assertLen(tf1.global_variables(), count)
    self.assertLen(cell.variables, count)

  def test_a_state_of_ints_is_refused(self):
    message = "lstm.*: dtype must be a float type, got int32"
    with self.assertRaisesRegex(errors.DtypeError, message):
      cells.LSTMCell(4).zero_state(2, tf1.int32)

  @parameterized.named_parameters(
    ("lstm", cells.LSTMCell), ("gru", cells.GRUCell)
  )
  def test_zero_state_is_zero_for_static_and_fed_batch(self, make):
    cell = make(4)
    batch = tf1.placeholder(tf1.int32, [])
    static, fed = cell.zero_state(2), cell.zero_state(batch, tf1.float64)
    for part in tf1.nest.flatten(static):
      self.assertEqual(part.shape.as_list(), [2, 4])
    for part in tf1.nest.flatten(fed):
      self.assertEqual(part.shape.as_list(), [None, 4])
    static, fed = self.session().run([static, fed], {batch: 3})
    for part in tf1.nest.flatten(static):
      self.assert_close(part, np.zeros([2, 4], np.float32), 0)
    for part in tf1.nest.flatten(fed):
      self.assert_close(part, np.zeros([3, 4]), 0)

  @parameterized.named_parameters(
    ("lstm", cells.LSTMCell), ("gru", cells.GRUCell)
  )
  def test_ops_are_in_the_scope_that_is_named(self, make):
    cell = make(4)
    x, state = tf1.zeros([2, 3]), cell.zero_state(2)
    cell(x, state)
    before = self.count_ops()
    cell(x, state, name="here")
    self.assert_ops_under("here", before)
    before = self.count_ops()
    cell.zero_state(tf1.shape(x, name="there/batch")[0], name="there")
    self.assertGreater(self.count_ops(), before)

  @parameterized.named_parameters(
    ("lstm", cells.LSTMCell), ("gru", cells.GRUCell)
  )
  def test_runs_inside_a_while_loop(self, make):
    cell = make(3, dtype=tf1.float64)
    x = tf1.constant(self.normal(2, 2))
    zero = cell.zero_state(2)
    state = zero
    for _ in range(3):
      state = cell(x, state).state
    _, looped = tf1.while_loop(
      lambda k, state: k < 3,
      lambda k, state: (k + 1, cell(x, state).state),
      (0, zero),
    )
    sess = self.session()
    self.fill(sess, cell.variables)
    state, looped = sess.run([state, looped])
    for part, desired in zip(tf1.nest.flatten(looped), tf1.nest.flatten(state)):
      self.assert_close(part, desired)

  @parameterized.named_parameters(
    ("lstm", cells.LSTMCell), ("gru", cells.GRUCell)
  )
  def test_sequence_as_inputs_raises(self, make):
    cell = make(4)
    with self.assertRaisesRegex(errors.ShapeError, "inputs must have rank 2"):
      cell(tf1.zeros([2, 5, 3]), cell.zero_state(2))

  @parameterized.named_parameters(
    ("lstm", cells.LSTMCell), ("gru", cells.GRUCell)
  )
  def test_zero_units_raise(self, make):
    with self.assertRaisesRegex(errors.ArgumentError, "units"):
      make(0)


@unittest.skipUnless(compat.IS_TF1, "on 2.x these classes need tf_keras")
class OracleTest(support.NetTestCase):
  """Same layout as TensorFlow's own cells, so that weights carry over."""

  @parameterized.named_parameters(
    ("lstm", lambda: cells.LSTMCell(4, 0.5), "BasicLSTMCell", [4, 0.5]),
    ("gru", lambda: cells.GRUCell(4), "GRUCell", [4]),
  )
  def test_weights_mean_what_they_mean_in_rnn_cell(self, make, kind, settings):
    x = tf1.constant(self.normal(2, 3, dtype=np.float32))
    cell, oracle = make(), getattr(tf1.nn.rnn_cell, kind)(*settings)
    first, second = cell.zero_state(2), oracle.zero_state(2, tf1.float32)
    for _ in range(2):
      output, first = cell(x, first)
      desired, second = oracle(x, second)
    sess = self.session()
    arrays = self.fill(sess, cell.variables)
    for variable, array in zip(oracle.variables, arrays):
      variable.load(array, sess)
    output, desired = sess.run([output, desired])
    self.assert_close(output, desired, 1e-6)


if __name__ == "__main__":
  absltest.main()

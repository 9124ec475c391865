"""Tests of base."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import base, cells, wrappers
from tests import case
from tests.seq2seq.legacy import support


class CellTest(case.GraphTestCase):
  def test_one_object_serves_several_scopes(self):
    cell = cells.GRUCell(3)
    for scope in ("encoder", "decoder"):
      with tf1.variable_scope(scope):
        cell.bind(4, tf1.float32)
    names = list(support.by_name(tf1.global_variables()))
    self.assertLen(names, 8)
    self.assertEqual(names[0], "encoder/gru_cell/gates/kernel")
    self.assertEqual(names[4], "decoder/gru_cell/gates/kernel")

  def test_a_second_call_shares_the_variables(self):
    cell = cells.GRUCell(3)
    state = cell.zero_state(2, tf1.float32)
    for _ in range(2):
      _, state = cell(tf1.ones([2, 4]), state)
    self.assertLen(tf1.global_variables(), 4)

  def test_scope_stands_in_place_of_the_name(self):
    cell = cells.GRUCell(3)
    cell(tf1.ones([2, 4]), cell.zero_state(2, tf1.float32), scope="mine")
    names = list(support.by_name(tf1.global_variables()))
    self.assertEqual(names[0], "mine/gates/kernel")

  def test_ops_lie_in_the_name_scope(self):
    x, cell = tf1.ones([2, 4]), cells.LSTMCell(3)
    state = cell.zero_state(2, tf1.float32, name="zeros")
    before = self.graph.get_operations()
    output, _ = cell(x, state, name="first")
    self.assertStartsWith(state.c.op.name, "zeros/")
    self.assertStartsWith(output.op.name, "first/")
    for op in self.graph.get_operations()[len(before) :]:
      self.assertRegex(op.name, "^(first|lstm_cell)/")

  def test_zero_state_of_an_unknown_batch(self):
    ids_ph = tf1.placeholder(tf1.int32, [None])
    cell = wrappers.MultiRNNCell([cells.LSTMCell(3), cells.GRUCell(2)])
    state = cell.zero_state(tf1.shape(ids_ph)[0], tf1.float64)
    self.assertEqual(state[1].shape.as_list(), [None, 2])
    found = self.session().run(state, {ids_ph: [1, 2, 3, 4]})
    np.testing.assert_array_equal(found[0].c, np.zeros([4, 3]))
    np.testing.assert_array_equal(found[1], np.zeros([4, 2]))

  @parameterized.named_parameters(
    ("flat", lambda: tf1.ones([2, 3])),
    ("too_many", lambda: (tf1.ones([2, 3]),) * 3),
  )
  def test_a_state_of_another_structure_raises(self, make):
    cell = cells.LSTMCell(3)
    with self.assertRaisesRegex(errors.ArgumentError, "structure.*zero_state"):
      cell(tf1.ones([2, 4]), make())

  def test_a_state_of_another_depth_raises(self):
    cell = cells.LSTMCell(3)
    state = tf1.ones([2, 3]), tf1.ones([2, 5])
    with self.assertRaisesRegex(errors.ShapeError, "the state of this cell"):
      cell(tf1.ones([2, 4]), state)

  def test_a_state_of_another_graph_raises(self):
    cell = cells.GRUCell(3)
    with tf1.Graph().as_default():
      state = tf1.ones([2, 3])
    with self.assertRaisesRegex(errors.GraphError, "another graph"):
      cell(tf1.ones([2, 4]), state)

  def test_inputs_of_unknown_depth_raise(self):
    cell = cells.GRUCell(3)
    inputs = tf1.placeholder(tf1.float32, [2, None])
    with self.assertRaisesRegex(errors.ShapeError, "set_shape"):
      cell(inputs, cell.zero_state(2, tf1.float32))

  def test_inputs_of_integers_raise(self):
    cell = cells.GRUCell(3)
    with self.assertRaisesRegex(errors.DtypeError, "must be floats"):
      cell(tf1.ones([2, 4], tf1.int32), cell.zero_state(2, tf1.float32))

  def test_what_is_no_cell_raises(self):
    base.check_cell(cells.GRUCell(3))
    with self.assertRaisesRegex(errors.ArgumentError, "cell must be"):
      base.check_cell(tf1.tanh)

  def test_lists_and_tuples_are_the_same_structure(self):
    cell = wrappers.MultiRNNCell([cells.LSTMCell(3), cells.GRUCell(2)])
    state = [[np.zeros([2, 3], np.float32)] * 2, np.zeros([2, 2], np.float32)]
    checked = base.check_state("state", state, cell)
    self.assertIsInstance(checked[0], cells.LSTMState)


if __name__ == "__main__":
  absltest.main()

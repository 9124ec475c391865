"""Tests of wrappers."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import cells, wrappers
from tests import case
from tests.seq2seq.legacy import support


def names_and_shapes():
  variables = support.by_name(tf1.global_variables())
  return [(name, v.shape.as_list()) for name, v in variables.items()]


class MultiRNNCellTest(case.GraphTestCase):
  def run_layers(self, module, multi, make, **arguments):
    """Returns output, flat state, and names and shapes of the variables."""
    rng = np.random.RandomState(3)
    x = rng.standard_normal([2, 3]).astype(np.float32)
    with tf1.Graph().as_default() as graph:
      cell = multi(make(module), **arguments)
      state = tf1.nest.map_structure(
        lambda part: part + 0.5, cell.zero_state(2, tf1.float32)
      )
      output, state = cell(tf1.constant(x), state)
      with support.quick_session(graph) as sess:
        support.load(sess, tf1.global_variables())
        found = sess.run([output, tf1.nest.flatten(state)])
      return found[0], found[1], names_and_shapes()

  @parameterized.named_parameters(
    ("mixed", lambda m: [m.GRUCell(4), m.LSTMCell(3)], True),
    ("flat", lambda m: [m.GRUCell(4), m.GRUCell(3)], False),
    ("twice", lambda m: [m.GRUCell(3)] * 2, True),
  )
  @support.needs_contrib
  def test_is_tensorflows(self, make, state_is_tuple):
    ours = self.run_layers(
      cells, wrappers.MultiRNNCell, make, state_is_tuple=state_is_tuple
    )
    theirs = self.run_layers(
      tf1.nn.rnn_cell,
      tf1.nn.rnn_cell.MultiRNNCell,
      make,
      state_is_tuple=state_is_tuple,
    )
    self.assert_close(ours[0], theirs[0], 1e-6)
    for part, other in zip(ours[1], theirs[1]):
      self.assert_close(part, other, 1e-6)
    self.assertEqual(ours[2], theirs[2])

  def test_layers_follow_one_another(self):
    layers = [cells.GRUCell(4), cells.LSTMCell(3)]
    x = tf1.constant(self.normal(2, 5))
    stacked = wrappers.MultiRNNCell(layers)
    state = stacked.zero_state(2, tf1.float64)
    output, after = stacked(x, state)
    with tf1.variable_scope("multi_rnn_cell", reuse=True):
      with tf1.variable_scope("cell_0"):
        below, _ = layers[0](x, state[0])
      with tf1.variable_scope("cell_1"):
        above, _ = layers[1](below, state[1])
    self.assertEqual(stacked.output_size, 3)
    self.assertEqual(stacked.state_size, (4, (3, 3)))
    sess = self.session()
    found = sess.run([output, after[0], above, below])
    self.assert_close(found[0], found[2], 0)
    self.assert_close(found[1], found[3], 0)

  def test_one_object_twice_has_one_set_of_variables(self):
    cell = wrappers.MultiRNNCell([cells.GRUCell(3)] * 2)
    cell.bind(3, tf1.float32)
    names = list(support.by_name(tf1.global_variables()))
    self.assertLen(names, 4)
    self.assertEqual(names[0], "multi_rnn_cell/cell_0/gru_cell/gates/kernel")

  def test_one_object_for_two_depths_raises(self):
    cell = wrappers.MultiRNNCell([cells.GRUCell(3)] * 2)
    with self.assertRaisesRegex(errors.ShapeError, "a cell for each layer"):
      cell.bind(5, tf1.float32)

  def test_bad_cells_raise(self):
    for bad in ([], cells.GRUCell(3), [cells.GRUCell(3), "lstm"]):
      with self.assertRaisesRegex(errors.ArgumentError, "cell"):
        wrappers.MultiRNNCell(bad)
    with self.assertRaisesRegex(errors.ArgumentError, "state_is_tuple=False"):
      wrappers.MultiRNNCell([cells.LSTMCell(3)], state_is_tuple=False)


class EmbeddingWrapperTest(case.GraphTestCase):
  def test_reads_rows_of_its_table(self):
    inner = cells.GRUCell(3)
    cell = wrappers.EmbeddingWrapper(inner, 7, 4)
    ids = tf1.constant([6, 0])
    state = cell.zero_state(2, tf1.float64)
    output, _ = cell(ids, state)
    table = support.by_name(tf1.global_variables())[
      "embedding_wrapper/embedding"
    ]
    with tf1.variable_scope("embedding_wrapper", reuse=True):
      desired, _ = inner(tf1.gather(table, ids), state)
    found = self.session().run([output, desired])
    self.assert_close(*found, rtol=0)
    self.assertEqual((cell.state_size, cell.output_size), (3, 3))

  @parameterized.named_parameters(
    ("default", None, None, 3**0.5),
    ("of_the_scope", None, 0.1, 0.1),
    ("own", 0.01, 0.1, 0.01),
  )
  def test_table_starts_within(self, own, scope, limit):
    def uniform(limit):
      if limit is None:
        return None
      return tf1.random_uniform_initializer(-limit, limit)

    cell = wrappers.EmbeddingWrapper(
      cells.GRUCell(3), 200, 4, initializer=uniform(own)
    )
    with tf1.variable_scope("around", initializer=uniform(scope)):
      table, _ = cell.bind_parts(tf1.float32)
    largest = np.max(np.abs(self.session().run(table)))
    self.assertBetween(largest, 0.9 * limit, limit)

  def test_bad_arguments_raise(self):
    with self.assertRaisesRegex(errors.ArgumentError, "embedding_classes"):
      wrappers.EmbeddingWrapper(cells.GRUCell(3), 0, 4)
    with self.assertRaisesRegex(errors.ArgumentError, "cell must be"):
      wrappers.EmbeddingWrapper(None, 5, 4)
    cell = wrappers.EmbeddingWrapper(cells.GRUCell(3), 5, 4)
    state = cell.zero_state(2, tf1.float32)
    with self.assertRaisesRegex(errors.DtypeError, "int32 or int64"):
      cell(tf1.zeros([2]), state)
    with self.assertRaisesRegex(errors.ShapeError, "rank 1"):
      cell(tf1.zeros([2, 1], tf1.int32), state)


class OutputProjectionWrapperTest(case.GraphTestCase):
  def test_maps_the_output_and_leaves_the_state(self):
    inner = cells.GRUCell(3)
    cell = wrappers.OutputProjectionWrapper(inner, 5, activation=tf1.nn.relu)
    x = tf1.constant(self.normal(2, 4))
    state = cell.zero_state(2, tf1.float64)
    output, after = cell(x, state)
    scope = "output_projection_wrapper/"
    found = names_and_shapes()
    self.assertEqual(
      found[-2:], [(scope + "kernel", [3, 5]), (scope + "bias", [5])]
    )
    variables = support.by_name(tf1.global_variables())
    kernel, bias = variables[scope + "kernel"], variables[scope + "bias"]
    with tf1.variable_scope("output_projection_wrapper", reuse=True):
      h, _ = inner(x, state)
    desired = tf1.nn.relu(tf1.matmul(h, kernel) + bias)
    found = self.session().run([output, desired, after, h])
    self.assert_close(found[0], found[1])
    self.assert_close(found[2], found[3], 0)

  @support.needs_contrib
  def test_variables_are_contribs(self):
    import tensorflow as tf

    found = []
    for module, wrap in (
      (cells, wrappers.OutputProjectionWrapper),
      (tf1.nn.rnn_cell, tf.contrib.rnn.OutputProjectionWrapper),
    ):
      with tf1.Graph().as_default():
        cell = wrap(module.GRUCell(3), 5)
        cell(tf1.zeros([2, 4]), cell.zero_state(2, tf1.float32))
        found.append(names_and_shapes())
    self.assertEqual(*found)

  def test_bad_arguments_raise(self):
    with self.assertRaisesRegex(errors.ArgumentError, "output_size"):
      wrappers.OutputProjectionWrapper(cells.GRUCell(3), 0)
    with self.assertRaisesRegex(errors.ArgumentError, "cell must be"):
      wrappers.OutputProjectionWrapper(None, 5)


class PlacedTest(case.GraphTestCase):
  @parameterized.named_parameters(("there", False), ("not_yet", True))
  def test_uses_the_variables_of_its_place(self, placed_first):
    cell = cells.GRUCell(3)
    reuse = tf1.AUTO_REUSE if placed_first else None
    with tf1.variable_scope("encoder", reuse=reuse) as place:
      pass
    placed = wrappers.Placed(cell, place)

    def bind_placed():
      with tf1.variable_scope("decoder"):
        placed.bind(4, tf1.float32)

    def bind():
      with tf1.variable_scope(place):
        cell.bind(4, tf1.float32)

    for step in [bind_placed, bind] if placed_first else [bind, bind_placed]:
      step()
    names = list(support.by_name(tf1.global_variables()))
    self.assertLen(names, 4)
    self.assertStartsWith(names[0], "encoder/gru_cell/")
    self.assertEqual((placed.state_size, placed.output_size), (3, 3))

  def test_can_be_called(self):
    cell = cells.GRUCell(3)
    with tf1.variable_scope("encoder", reuse=tf1.AUTO_REUSE) as place:
      pass
    x, state = tf1.ones([2, 4]), tf1.ones([2, 3])
    with tf1.variable_scope("decoder"):
      found, _ = wrappers.Placed(cell, place)(x, state)
    with tf1.variable_scope(place):
      wanted, _ = cell(x, state)
    names = list(support.by_name(tf1.global_variables()))
    self.assertLen(names, 4)
    self.assertStartsWith(names[0], "encoder/gru_cell/")
    with tf1.Session() as sess:
      sess.run(tf1.global_variables_initializer())
      np.testing.assert_array_equal(*sess.run([found, wanted]))

  def test_what_is_no_cell_raises(self):
    with self.assertRaisesRegex(errors.ArgumentError, "cell must be"):
      wrappers.Placed("gru", tf1.get_variable_scope())

  def test_inputs_of_another_depth_raise(self):
    cell = cells.GRUCell(3)
    with tf1.variable_scope("encoder") as place:
      cell.bind(4, tf1.float32)
    with self.assertRaisesRegex(errors.ArgumentError, "shape"):
      wrappers.Placed(cell, place).bind(5, tf1.float32)


if __name__ == "__main__":
  absltest.main()

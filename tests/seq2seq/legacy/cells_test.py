"""Tests of cells."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import cells
from tests import case
from tests.seq2seq.legacy import reference, support

# Name, class, its arguments, and the depths of its state.
CASES = (
  ("gru", "GRUCell", {}, [3]),
  ("gru_relu", "GRUCell", {"activation": tf1.nn.relu}, [3]),
  ("basic_lstm", "BasicLSTMCell", {}, [3, 3]),
  ("basic_lstm_flat", "BasicLSTMCell", {"state_is_tuple": False}, [6]),
  ("lstm", "LSTMCell", {"forget_bias": 0.0}, [3, 3]),
  ("lstm_relu", "LSTMCell", {"activation": tf1.nn.relu}, [3, 3]),
  (
    "lstm_all",
    "LSTMCell",
    {
      "use_peepholes": True,
      "cell_clip": 0.4,
      "num_proj": 2,
      "proj_clip": 0.3,
      "initializer": tf1.random_uniform_initializer(-0.2, 0.2),
    },
    [3, 2],
  ),
  (
    "lstm_flat_projected",
    "LSTMCell",
    {"num_proj": 2, "state_is_tuple": False},
    [5],
  ),
)


class CellsTest(case.GraphTestCase):
  def step(self, module, name, arguments, sizes):
    """Runs one step on drawn weights.

    Returns:
      Output, state parts, and (name, shape) of the variables.
    """
    rng = np.random.RandomState(3)
    x = rng.standard_normal([2, 4]).astype(np.float32)
    parts = [rng.standard_normal([2, n]).astype(np.float32) for n in sizes]
    with tf1.Graph().as_default() as graph:
      cell = getattr(module, name)(3, **arguments)
      state = [tf1.constant(part) for part in parts]
      state = tuple(state) if len(state) > 1 else state[0]
      output, after = cell(tf1.constant(x), state)
      gradients = tf1.gradients(
        tf1.reduce_sum(output**2), tf1.trainable_variables()
      )
      variables = support.by_name(tf1.global_variables())
      with support.quick_session(graph) as sess:
        support.load(sess, variables.values())
        found = sess.run([output, tf1.nest.flatten(after), gradients])
    shapes = [(n, v.shape.as_list()) for n, v in variables.items()]
    return x, parts, found, shapes

  @parameterized.named_parameters(*CASES)
  @support.needs_contrib
  def test_a_step_is_tensorflows(self, *arguments):
    _, _, ours, shapes = self.step(cells, *arguments)
    _, _, theirs, their_shapes = self.step(tf1.nn.rnn_cell, *arguments)
    self.assertEqual(shapes, their_shapes)
    for value, other in zip(tf1.nest.flatten(ours), tf1.nest.flatten(theirs)):
      self.assert_close(value, other, 1e-6)

  @parameterized.named_parameters(
    ("gru", "GRUCell", {}, "gru_cell/", [3]),
    ("basic_lstm", "BasicLSTMCell", {}, "basic_lstm_cell/", [3, 3]),
    (
      "lstm",
      "LSTMCell",
      {"use_peepholes": True, "num_proj": 2},
      "lstm_cell/",
      [3, 2],
    ),
  )
  def test_a_step_is_the_formula(self, name, arguments, scope, sizes):
    x, parts, (output, after, _), shapes = self.step(
      cells, name, arguments, sizes
    )
    weights = {name: support.draw(name, shape) for name, shape in shapes}
    if len(parts) == 1:
      desired, state = reference.gru(weights, scope, x, parts[0])
    else:
      desired, state = reference.lstm(weights, scope, x, tuple(parts))
    self.assert_close(output, desired, 1e-6)
    for part, other in zip(after, reference.flat([state])):
      self.assert_close(part, other, 1e-6)

  @parameterized.named_parameters(
    ("default", {}, 1.0, 0.0),
    ("given", {"bias_initializer": tf1.constant_initializer(0.5)}, 0.5, 0.5),
  )
  def test_biases_of_a_gru_start_at(self, arguments, gates, candidate):
    cell = cells.GRUCell(3, **arguments)
    cell(tf1.zeros([2, 4]), cell.zero_state(2, tf1.float32))
    found = support.by_name(tf1.global_variables())
    sess = self.session()
    for name, value in (("gates", gates), ("candidate", candidate)):
      bias = sess.run(found[f"gru_cell/{name}/bias"])
      np.testing.assert_array_equal(bias, np.full_like(bias, value))

  def test_kernel_initializers_start_the_kernels(self):
    start = tf1.constant_initializer(0.125)
    x, rows = tf1.zeros([2, 4]), 7
    for cell in (
      cells.GRUCell(3, kernel_initializer=start),
      cells.LSTMCell(3, initializer=start),
    ):
      cell(x, cell.zero_state(2, tf1.float32))
    sess = self.session()
    kernels = [v for v in tf1.global_variables() if "kernel" in v.op.name]
    self.assertLen(kernels, 3)
    for kernel in kernels:
      value = sess.run(kernel)
      np.testing.assert_array_equal(value, np.full_like(value, 0.125))
      self.assertEqual(value.shape[0], rows)

  def test_float16_and_float64_give_their_type(self):
    for dtype in (tf1.float16, tf1.float64):
      cell = cells.LSTMCell(3, name=f"cell_{dtype.name}")
      state = cell.zero_state(2, dtype)
      output, _ = cell(tf1.zeros([2, 4], dtype), state)
      self.assertEqual(output.dtype, dtype)

  def test_a_state_of_ints_is_refused(self):
    message = "gru_cell: dtype must be a float type, got int64"
    with self.assertRaisesRegex(errors.DtypeError, message):
      cells.GRUCell(3).zero_state(2, tf1.int64)

  def test_a_name_is_the_scope_of_the_variables(self):
    cell = cells.GRUCell(3, name="mine")
    cell(tf1.zeros([2, 4]), cell.zero_state(2, tf1.float32))
    names = [v.op.name for v in tf1.global_variables()]
    self.assertEqual(names[0], "mine/gates/kernel")

  @parameterized.named_parameters(
    ("units", lambda: cells.GRUCell(0), "num_units"),
    ("float_units", lambda: cells.LSTMCell(2.0), "num_units"),
    ("num_proj", lambda: cells.LSTMCell(2, num_proj=0), "num_proj"),
    ("proj_clip", lambda: cells.LSTMCell(2, proj_clip=1.0), "Give num_proj"),
    ("activation", lambda: cells.GRUCell(2, activation="relu"), "tf.nn.relu"),
    ("name", lambda: cells.BasicLSTMCell(2, name="a b"), "name a scope"),
  )
  def test_bad_settings_raise(self, make, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      make()

  def test_variables_are_resources(self):
    cell = cells.BasicLSTMCell(3)
    cell(tf1.zeros([2, 4]), cell.zero_state(2, tf1.float32))
    for variable in tf1.global_variables():
      self.assertTrue(compat.is_resource_variable(variable))


if __name__ == "__main__":
  absltest.main()

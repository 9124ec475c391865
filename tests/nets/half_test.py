"""Tests that half precision sums as many rows as there are."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import nets
from tangle.compat import tf1
from tangle.nets import attention, half, losses, recurrent
from tests import case

ROWS, B, T = 6400, 640, 10
TYPES = [("float16", tf1.float16, 5e-2), ("bfloat16", tf1.bfloat16, 1e-1)]


def each_type(*cases):
  """Returns the product of named cases and the half types."""
  return [
    (f"{named[0]}_{name}", *named[1:], dtype, rtol)
    for named in cases
    for name, dtype, rtol in TYPES
  ]


class HalfTestCase(case.GraphTestCase):
  """Compares what is built in half precision with float64."""

  def results(self, build, dtype, unknown=False):
    """Runs `build`; returns outputs and gradients as float64 arrays.

    Args:
      build: from a type and a function that makes tensors of arrays of that
        type, to outputs and points to differentiate the sum of outputs by.
      dtype: the type.
      unknown: whether shapes are unknown but for the last dimension.
    """

    def tensor(array):
      shape = np.shape(array)
      if unknown and shape:
        shape = [None] * (len(shape) - 1) + [shape[-1]]
      array = np.asarray(array, np.float64)
      return tf1.cast(tf1.placeholder_with_default(array, shape), dtype)

    with tf1.Graph().as_default(), tf1.Session() as sess:
      outputs, points = build(dtype, tensor)
      outputs = list(outputs)
      found = tf1.gradients(outputs, points)
      self.assertNotIn(None, found)
      sess.run(tf1.global_variables_initializer())
      for variable in tf1.global_variables():
        # All alike and positive, so that terms do not cancel.
        value = np.full(variable.shape.as_list(), 0.25)
        value = tf1.constant(value, variable.dtype.base_dtype)
        sess.run(variable.assign(value))
      found = [half.densify(g) for g in outputs + found]
      return sess.run([tf1.cast(g, tf1.float64) for g in found])

  def check(self, build, dtype, rtol, unknown=False):
    desired = self.results(build, tf1.float64)
    found = self.results(build, dtype, unknown)
    for one, other in zip(found, desired):
      self.assert_close(one, other, rtol)

  def inputs(self, *shape):
    return np.random.RandomState(0).uniform(0.2, 1.0, shape)


def layer_case(make, lengths=None):
  """Returns a case that runs a recurrent layer over 6,400 rows."""

  def build(dtype, tensor):
    layer = make(dtype)
    x = tensor(np.random.RandomState(0).uniform(0.2, 1, [B, T, 3]))
    result = layer(x, None if lengths is None else np.full([B], lengths))
    return tf1.nest.flatten(result), [x] + list(layer.variables)

  return build


def stack(dtype):
  options = {"dtype": dtype}
  return nets.Stack(
    [
      nets.Bidirectional(
        nets.LSTM(2, name="forward", **options),
        nets.LSTM(2, reverse=True, name="backward", **options),
      ),
      nets.GRU(2, **options),
    ]
  )


LAYERS = [
  ("lstm", layer_case(lambda d: nets.LSTM(2, dtype=d))),
  ("lstm_lengths", layer_case(lambda d: nets.LSTM(2, dtype=d), T - 1)),
  ("large_lstm", layer_case(lambda d: nets.LSTM(80, dtype=d))),
  ("gru", layer_case(lambda d: nets.GRU(2, dtype=d))),
  (
    "lstm_cells",
    layer_case(lambda d: recurrent.RecurrentLayer(nets.LSTMCell(2, dtype=d))),
  ),
  (
    "gru_cells",
    layer_case(lambda d: recurrent.RecurrentLayer(nets.GRUCell(2, dtype=d))),
  ),
  ("stack", layer_case(stack, T - 1)),
]


class LayersTest(HalfTestCase):
  @parameterized.named_parameters(*each_type(*LAYERS))
  def test_recurrent_layer_is_that_of_float64(self, build, dtype, rtol):
    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*TYPES)
  def test_lstm_over_an_unknown_number_of_steps(self, dtype, rtol):
    def build(dtype, tensor):
      layer = nets.LSTM(2, dtype=dtype)
      x = tensor(self.inputs(B, T, 3))
      return [layer(x).outputs], [x] + layer.variables

    self.check(build, dtype, rtol, unknown=True)

  @parameterized.named_parameters(*TYPES)
  def test_dense_layer(self, dtype, rtol):
    def build(dtype, tensor):
      layer = nets.Dense(4, dtype=dtype)
      x = tensor(self.inputs(ROWS, 3))
      return [layer(x)], [x] + layer.variables

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*TYPES)
  def test_embedding_of_one_id_in_all_rows(self, dtype, rtol):
    def build(dtype, tensor):
      del tensor
      layer = nets.Embedding(5, 3, dtype=dtype)
      ids = np.array([[1] * (ROWS - 2), [2] * (ROWS - 2)])
      found = layer(ids)
      logits = layer.project(found, use_bias=True)
      return [logits], layer.variables

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*TYPES)
  def test_embedding_has_a_slice_for_each_different_id(self, dtype, _):
    layer = nets.Embedding(5, 3, dtype=dtype)
    ids_ph = tf1.placeholder(tf1.int64, [None, None])
    found = layer(ids_ph)
    self.assertEqual(found.shape.as_list(), [None, None, 3])
    gradient = tf1.gradients(found, layer.variables)[0]
    self.assertIsInstance(gradient, tf1.IndexedSlices)
    ids = self.session().run(gradient.indices, {ids_ph: [[4, 1], [1, 4]]})
    self.assertCountEqual(ids, [4, 1])

  @parameterized.named_parameters(
    *each_type(
      ("additive", lambda d: attention.BahdanauAttention(3, dtype=d)),
      ("multiplicative", lambda d: attention.LuongAttention(dtype=d)),
    )
  )
  def test_attention_to_many_steps(self, make, dtype, rtol):
    def build(dtype, tensor):
      layer = make(dtype)
      query, memory = self.inputs(2, 3), self.inputs(2, ROWS, 2)
      query, memory = tensor(query), tensor(memory)
      found = layer(query, memory, [ROWS, ROWS - 1])
      return [found.context], [query, memory] + layer.variables[:1]

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(
    *each_type(
      ("additive", lambda d: attention.BahdanauAttention(3, dtype=d)),
      ("multiplicative", lambda d: attention.LuongAttention(dtype=d)),
    )
  )
  def test_attention_of_many_queries(self, make, dtype, rtol):
    def build(dtype, tensor):
      layer = make(dtype)
      query = tensor(self.inputs(1, ROWS, 3))
      memory = tensor(self.inputs(1, 2, 2))
      found = layer(query, memory)
      # The gradients to the queries cancel to almost nothing.
      return [found.context], [memory] + layer.variables[:1]

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*TYPES)
  def test_dropout_rate_gets_its_gradient(self, dtype, rtol):
    def build(dtype, tensor):
      x, rate = tensor(self.inputs(ROWS, 1)), tensor(0.25)
      found = nets.dropout(x, rate, tf1.constant([1, 2]))
      return [found], [x, rate]

    self.check(build, dtype, rtol)

  @parameterized.named_parameters(*TYPES)
  def test_loss_over_many_steps(self, dtype, rtol):
    def build(dtype, tensor):
      logits, weights = self.inputs(2, ROWS, 3), np.ones([2, ROWS])
      logits, weights = tensor(logits), tensor(weights)
      targets = np.ones([2, ROWS], np.int32)
      found = losses.masked_cross_entropy(logits, targets, weights)
      return [found], [logits, weights]

    self.check(build, dtype, rtol)


class SumsTest(HalfTestCase):
  @parameterized.named_parameters(*TYPES)
  def test_rows_are_summed(self, dtype, rtol):
    x = tf1.cast(tf1.placeholder_with_default(np.ones([ROWS, 2]), None), dtype)
    found = half.reduce_sum(x, 0)
    self.assertEqual(found.dtype, dtype)
    found = self.session().run(tf1.cast(found, tf1.float64))
    self.assert_close(found, np.full([2], float(ROWS)), rtol / 4)

  @parameterized.named_parameters(*TYPES)
  def test_slices_of_one_row_are_summed(self, dtype, rtol):
    values = tf1.cast(
      tf1.placeholder_with_default(np.ones([ROWS, 1]), None), dtype
    )
    slices = tf1.IndexedSlices(
      values, np.zeros([ROWS], np.int32), tf1.constant([2, 1])
    )
    found = self.session().run(tf1.cast(half.densify(slices), tf1.float64))
    self.assert_close(found, np.array([[float(ROWS)], [0.0]]), rtol / 4)

  @parameterized.named_parameters(*TYPES)
  def test_norm_may_be_large_and_of_many(self, dtype, rtol):
    array = np.full([ROWS, 2], 300.0)
    value = tf1.cast(tf1.placeholder_with_default(array, None), dtype)
    clipped, norm = half.clip_by_global_norm([value, None], 10.0)
    self.assertIsNone(clipped[1])
    self.assertEqual(clipped[0].dtype, dtype)
    sess = self.session()
    desired = np.linalg.norm(array)
    self.assert_close(sess.run(norm).astype(np.float64), desired, rtol)
    found = sess.run(tf1.cast(clipped[0], tf1.float64))
    self.assert_close(found, array * 10.0 / desired, rtol)

  def test_other_types_get_the_ops_of_tensorflow(self):
    x = tf1.constant(self.normal(3, 2))
    slices = tf1.IndexedSlices(x, tf1.constant([0, 1, 1]), tf1.constant([4, 2]))
    made = self.graph.get_operations()
    half.reduce_sum(x, 0)
    half.add_bias(x, x[0])
    half.look_up(x, [1, 1])
    half.densify(slices)
    half.clip_by_global_norm([x, slices, None], 1.0)
    kinds = {op.type for op in self.graph.get_operations()[len(made) :]}
    self.assertNoCommonElements(kinds, {"Cast", "Unique"})


if __name__ == "__main__":
  absltest.main()

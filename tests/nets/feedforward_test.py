import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.nets import feedforward
from tests.nets import support


class DenseTest(support.NetTestCase):
  @parameterized.named_parameters(
    ("vector", [3], [3]),
    ("matrix", [4, 3], [None, 3]),
    ("sequence", [2, 4, 3], [None, 4, 3]),
    ("sequence_of_unknown_length", [2, 4, 3], [None, None, 3]),
    ("rank_four", [2, 4, 2, 3], [2, None, 2, 3]),
  )
  def test_maps_the_last_dimension(self, shape, static):
    x = tf1.placeholder(tf1.float64, static)
    dense = feedforward.Dense(5, tf1.tanh, dtype=tf1.float64)
    y = dense(x)
    self.assertEqual(y.shape.as_list(), static[:-1] + [5])
    sess = self.session()
    kernel, bias = self.fill(sess, dense.variables)
    x_np = self.normal(*shape)
    self.assert_close(sess.run(y, {x: x_np}), np.tanh(x_np @ kernel + bias))

  def test_the_bias_exists_after_the_first_call(self):
    dense = feedforward.Dense(5, name="logits")
    with self.assertRaisesRegex(errors.GraphError, "^logits: .*first call"):
      dense.bias  # noqa: B018
    dense(tf1.zeros([2, 3]))
    self.assertEqual(dense.bias.op.name, "logits/bias")
    plain = feedforward.Dense(5, use_bias=False, name="plain")
    plain(tf1.zeros([2, 3]))
    with self.assertRaisesRegex(errors.GraphError, "^plain: .*use_bias=True"):
      plain.bias  # noqa: B018

  def test_gradients_are_numeric_gradients(self):
    x = tf1.placeholder(tf1.float64, [2, 2, 3])
    dense = feedforward.Dense(4, tf1.sigmoid, dtype=tf1.float64)
    loss = self.weigh(dense(x))
    sess = self.session()
    self.fill(sess, dense.variables)
    feed = {x: self.normal(2, 2, 3)}
    self.assert_gradients(sess, loss, feed, dense.variables)

  def test_no_bias_makes_no_bias(self):
    dense = feedforward.Dense(4, use_bias=False)
    dense(tf1.zeros([2, 3]))
    names = [variable.op.name for variable in dense.variables]
    self.assertEqual(names, ["dense/kernel"])

  def test_bias_starts_at_zero_and_kernel_by_the_initializer(self):
    dense = feedforward.Dense(
      4, kernel_initializer=tf1.constant_initializer(0.5)
    )
    dense(tf1.zeros([2, 3]))
    kernel, bias = self.session().run(dense.variables)
    self.assert_close(kernel, np.full([3, 4], 0.5, np.float32), 0)
    self.assert_close(bias, np.zeros(4, np.float32), 0)

  def test_kernel_is_glorot_uniform_unless_told(self):
    dense = feedforward.Dense(300)
    dense(tf1.zeros([1, 300]))
    kernel = self.session().run(dense.variables[0])
    limit = np.sqrt(6 / 600)
    self.assertLessEqual(np.abs(kernel).max(), limit)
    self.assertAlmostEqual(kernel.std(), limit / np.sqrt(3), delta=2e-3)

  def test_variables_are_resource_variables(self):
    dense = feedforward.Dense(4)
    dense(tf1.zeros([2, 3]))
    for variable in dense.variables:
      self.assertTrue(compat.is_resource_variable(variable))

  def test_zero_units_raise(self):
    with self.assertRaisesRegex(errors.ArgumentError, "units.*positive.*0"):
      feedforward.Dense(0)

  def test_unknown_depth_raises(self):
    x = tf1.placeholder(tf1.float32, [2, None], name="features")
    with self.assertRaisesRegex(errors.ShapeError, "features:0.*set_shape"):
      feedforward.Dense(3)(x)


class EmbeddingTest(support.NetTestCase):
  def setUp(self):
    super().setUp()
    self.embedding = feedforward.Embedding(6, 3, dtype=tf1.float64)

  @parameterized.named_parameters(
    ("scalar", 4),
    ("vector", [4, 0, 4]),
    ("matrix", [[1, 2, 3], [5, 5, 5]]),
  )
  def test_looks_up_rows(self, ids):
    vectors = self.embedding(tf1.constant(ids))
    sess = self.session()
    (table,) = self.fill(sess, self.embedding.variables)
    self.assert_close(sess.run(vectors), table[np.array(ids)])

  def test_does_not_read_the_whole_table(self):
    self.embedding([1, 4])
    types = [op.type for op in self.graph.get_operations()]
    self.assertIn("ResourceGather", types)
    self.embedding([1, 4], name="again")
    reads = [
      op
      for op in self.graph.get_operations()
      if op.type == "ReadVariableOp" and op.name.startswith("again")
    ]
    self.assertEmpty(reads)

  def test_gradient_is_indexed_slices(self):
    ids = tf1.constant([[1, 4], [4, 0]], tf1.int64)
    factor = self.normal(2, 2, 3)
    loss = tf1.reduce_sum(self.embedding(ids) * factor)
    (gradient,) = tf1.gradients(loss, self.embedding.variables)
    self.assertTrue(compat.is_indexed_slices(gradient))
    value = self.session().run(gradient)
    self.assert_close(value.indices, np.array([1, 4, 4, 0]))
    self.assert_close(value.values, factor.reshape(4, 3))

  def test_gradient_is_the_numeric_gradient(self):
    loss = self.weigh(tf1.tanh(self.embedding([[1, 4], [4, 0]])))
    sess = self.session()
    self.fill(sess, self.embedding.variables)
    self.assert_gradients(sess, loss, {}, self.embedding.variables)

  def test_float_ids_raise(self):
    with self.assertRaisesRegex(errors.DtypeError, "ids.*int32.*float32"):
      self.embedding(tf1.zeros([2]))

  def test_ids_from_another_graph_raise(self):
    with tf1.Graph().as_default():
      ids = tf1.constant([1])
    with self.assertRaisesRegex(errors.GraphError, "ids.*another graph"):
      self.embedding(ids)

  @parameterized.named_parameters(
    ("vocabulary", (0, 3), "vocabulary_size"),
    ("embedding_dim", (3, 2.5), "embedding_dim"),
  )
  def test_sizes_that_are_not_positive_integers_raise(self, sizes, argument):
    with self.assertRaisesRegex(errors.ArgumentError, argument):
      feedforward.Embedding(*sizes)

  @parameterized.named_parameters(("plain", False), ("with_bias", True))
  def test_projects_by_the_same_table(self, use_bias):
    features = tf1.placeholder(tf1.float64, [2, None, 3])
    logits = self.embedding.project(features, use_bias)
    self.assertEqual(logits.shape.as_list(), [2, None, 6])
    sess = self.session()
    table, *bias = self.fill(sess, self.embedding.variables)
    features_np = self.normal(2, 2, 3)
    desired = features_np @ table.T + (bias[0] if use_bias else 0)
    self.assert_close(sess.run(logits, {features: features_np}), desired)

  def test_tied_table_gets_both_gradients(self):
    features = tf1.tanh(self.embedding([[1, 4], [4, 0]]))
    loss = self.weigh(self.embedding.project(features, use_bias=True))
    self.assertLen(self.embedding.variables, 2)
    sess = self.session()
    self.fill(sess, self.embedding.variables)
    self.assert_gradients(sess, loss, {}, self.embedding.variables)

  def test_projections_share_table_and_bias(self):
    features = tf1.zeros([2, 3], tf1.float64)
    for use_bias in (True, False, True):
      self.embedding.project(features, use_bias)
    self.embedding([1])
    self.assertLen(self.embedding.variables, 2)
    self.assertLen(tf1.global_variables(), 2)

  def test_projection_of_another_depth_raises(self):
    features = tf1.zeros([2, 4], tf1.float64)
    with self.assertRaisesRegex(
      errors.ShapeError, "embedding: features must have depth 3.*depth 4"
    ):
      self.embedding.project(features)


class DropoutTest(support.NetTestCase):
  def test_python_zero_gives_the_tensor_itself(self):
    x = tf1.ones([3])
    before = self.count_ops()
    for rate in (0, 0.0, np.float32(0)):
      self.assertIs(feedforward.dropout(x, rate), x)
    self.assertEqual(self.count_ops(), before)

  @parameterized.named_parameters(
    ("number", 0.3, False), ("placeholder", 0.3, True)
  )
  def test_keeps_the_expectation(self, rate, fed):
    rate_ph = tf1.placeholder(tf1.float32, [])
    x = tf1.placeholder(tf1.float64, [None, 2])
    y = feedforward.dropout(x, rate_ph if fed else rate)
    self.assertEqual(y.shape.as_list(), [None, 2])
    x_np = np.full([20000, 2], 2.0)
    y_np = self.session().run(y, {x: x_np, rate_ph: rate})
    self.assertAlmostEqual(y_np.mean(), 2.0, delta=0.05)
    self.assertAlmostEqual((y_np == 0).mean(), rate, delta=0.02)
    self.assert_close(
      y_np[y_np != 0], np.full((y_np != 0).sum(), 2 / 0.7), 1e-6
    )

  def test_fed_rate_of_zero_keeps_every_number(self):
    rate = tf1.placeholder(tf1.float64, [])
    x_np = self.normal(50, 50)
    y = feedforward.dropout(tf1.constant(x_np), rate)
    self.assert_close(self.session().run(y, {rate: 0.0}), x_np, 0)

  def test_mask_is_drawn_once(self):
    x = tf1.ones([200], tf1.float64)
    y = feedforward.dropout(x, 0.5)
    (gradient,) = tf1.gradients(y, x)
    random = [op for op in self.graph.get_operations() if "Random" in op.type]
    self.assertLen(random, 1)
    y_np, gradient_np = self.session().run([y, gradient])
    self.assert_close(gradient_np, y_np, 0)
    self.assertBetween((y_np == 0).sum(), 60, 140)

  @parameterized.named_parameters(
    ("half", tf1.float16), ("single", tf1.float32), ("double", tf1.float64)
  )
  def test_keeps_the_dtype(self, dtype):
    y = feedforward.dropout(tf1.ones([3], dtype), 0.5)
    self.assertEqual(y.dtype, dtype)

  def test_pair_as_seed_draws_the_same_mask_again(self):
    seed = tf1.placeholder(tf1.int32, [2])
    x = tf1.ones([100])
    first = feedforward.dropout(x, 0.5, seed)
    second = feedforward.dropout(x, 0.5, seed)
    third = feedforward.dropout(x, 0.5, feedforward.shift_seed(seed, 1))
    first, second, third = self.session().run(
      [first, second, third], {seed: [3, 8]}
    )
    self.assert_close(first, second, 0)
    self.assertGreater(np.abs(first - third).max(), 0)

  def test_shifted_seeds_are_seeds_of_the_same_kind(self):
    self.assertIsNone(feedforward.shift_seed(None, 1))
    self.assertEqual(feedforward.shift_seed(4, 2), 6)
    shifted = feedforward.shift_seed(np.array([4, 4]), 2)
    np.testing.assert_array_equal(shifted, [4, 6])

  @parameterized.parameters(-0.1, 1, 1.0, 2.0, float("nan"))
  def test_rate_outside_the_range_raises(self, rate):
    with self.assertRaisesRegex(errors.ArgumentError, "rate.*below 1"):
      feedforward.dropout(tf1.ones([3]), rate)

  def test_integers_raise(self):
    with self.assertRaisesRegex(errors.DtypeError, "x must be a float"):
      feedforward.dropout(tf1.ones([3], tf1.int32), 0.5)

  def test_vector_of_rates_raises(self):
    with self.assertRaisesRegex(errors.ShapeError, "rate must have rank 0"):
      feedforward.dropout(tf1.ones([3]), tf1.constant([0.5, 0.5]))

  def test_rate_from_another_graph_raises(self):
    with tf1.Graph().as_default():
      rate = tf1.constant(0.5)
    with self.assertRaisesRegex(errors.GraphError, "rate.*another graph"):
      feedforward.dropout(tf1.ones([3]), rate)


class ScopeTest(support.NetTestCase):
  def test_ops_are_in_the_scope_that_is_named(self):
    dense = feedforward.Dense(3)
    embedding = feedforward.Embedding(5, 3)
    x = tf1.ones([2, 4, 3])
    dense(x)
    embedding.project(x, use_bias=True)
    for call in (
      lambda: dense(x, name="here"),
      lambda: embedding([1, 2], name="here"),
      lambda: embedding.project(x, use_bias=True, name="here"),
      lambda: feedforward.dropout(x, 0.5, name="here"),
    ):
      before = self.count_ops()
      scope = call().name.split("/")[0]
      self.assertStartsWith(scope, "here")
      self.assert_ops_under(scope, before)


if __name__ == "__main__":
  absltest.main()

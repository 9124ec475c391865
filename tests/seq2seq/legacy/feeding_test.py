"""Tests of feeding."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import feeding
from tests import case


class FeedTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.rows = self.normal(5, 4)
    self.table = self.variable("table", self.rows)
    self.ids = [tf1.constant(row) for row in ([0, 1], [2, 3], [4, 4])]
    # The largest entry of the output is the symbol that it stands for.
    self.output = tf1.constant(np.eye(5)[[3, 0]])

  def test_given_ids_are_looked_up_in_one_op(self):
    feed = feeding.embedded(self.table, self.ids, False)
    found = self.session().run([feed(k, None) for k in range(3)])
    for value, ids in zip(found, ([0, 1], [2, 3], [4, 4])):
      self.assert_close(value, self.rows[ids], 0)
    types = [op.type for op in self.graph.get_operations()]
    self.assertEqual(types.count("ResourceGather"), 1)

  def test_fed_back_symbols_are_the_best(self):
    feed = feeding.embedded(self.table, self.ids, True)
    sess = self.session()
    self.assert_close(sess.run(feed(0, None)), self.rows[[0, 1]], 0)
    self.assert_close(sess.run(feed(1, self.output)), self.rows[[3, 0]], 0)

  def test_a_projection_comes_before_the_best(self):
    swap = np.eye(5)[[1, 2, 3, 4, 0]]  # 3 becomes 4, and 0 becomes 1
    pair = tf1.constant(swap), tf1.constant(np.zeros(5))
    feed = feeding.embedded(self.table, self.ids, True, pair)
    found = self.session().run(feed(1, self.output))
    self.assert_close(found, self.rows[[4, 1]], 0)

  @parameterized.named_parameters(("given", False), ("fed_back", True))
  def test_a_tensor_chooses_in_each_run(self, value):
    choice_ph = tf1.placeholder(tf1.bool, [])
    feed = feeding.embedded(self.table, self.ids, choice_ph, update=False)
    features = feed(1, self.output)
    (gradient,) = tf1.gradients(features, [self.table])
    sess = self.session()
    found = sess.run([features, gradient], {choice_ph: value})
    self.assert_close(found[0], self.rows[[3, 0] if value else [2, 3]], 0)
    dense = case.dense(found[1])
    self.assertEqual(np.any(dense), not value)

  def test_the_projection_runs_only_where_a_tensor_asks_for_it(self):
    choice_ph = tf1.placeholder(tf1.bool, [])
    weights_ph = tf1.placeholder(tf1.float64, [5, 5])
    pair = tf1.identity(weights_ph), tf1.zeros([5], tf1.float64)
    features = feeding.embedded(self.table, self.ids, choice_ph, pair)(
      1, self.output
    )
    sess = self.session()
    feed_dict = {choice_ph: True, weights_ph: np.eye(5)}
    self.assert_close(sess.run(features, feed_dict), self.rows[[3, 0]], 0)
    product = [
      op.type
      for op in self.graph.get_operations()
      if op.type == "MatMul" and not op.name.startswith("cond")
    ]
    self.assertEmpty(product)  # it lies within the branch

  @parameterized.named_parameters(("updates", True), ("does_not", False))
  def test_fed_back_symbols_have_a_gradient_if_so_asked(self, update):
    feed = feeding.embedded(self.table, self.ids, True, update=update)
    (gradient,) = tf1.gradients(feed(1, self.output), [self.table])
    self.assertEqual(gradient is not None, update)

  def test_a_loop_function_reads_the_output_before(self):
    inputs = [tf1.constant([[1.0]]), tf1.constant([[2.0]])]
    feed = feeding.looped(inputs, lambda output, step: output * step)
    self.assertIs(feed(0, None), inputs[0])
    found = self.session().run(feed(3, tf1.constant([[5.0]])))
    self.assert_close(found, np.float32([[15]]), 0)
    self.assertIs(feeding.looped(inputs, None)(1, None), inputs[1])

  def test_a_loop_function_makes_no_variables(self):
    def loop(output, step):
      return tf1.get_variable("v", [1, 1]) * output

    feed = feeding.looped([tf1.ones([1, 1])], loop)
    with self.assertRaisesRegex(ValueError, "loop_function/v"):
      feed(1, tf1.ones([1, 1]))

  def test_updates_if_feed_previous_is_known(self):
    self.assertTrue(feeding.updates(True))
    self.assertTrue(feeding.updates(np.bool_(False)))
    self.assertFalse(feeding.updates(tf1.constant(True)))


class CheckTest(case.GraphTestCase):
  def test_feed_previous_is_a_bool_or_a_scalar(self):
    check = feeding.check_feed_previous
    self.assertIs(check(np.bool_(True)), True)
    self.assertIs(check(False), False)
    choice_ph = tf1.placeholder(tf1.bool, [])
    self.assertIs(check(choice_ph), choice_ph)
    for bad in (1, None, "yes", tf1.constant(1)):
      with self.assertRaisesRegex(errors.DtypeError, "feed_previous"):
        check(bad)
    with self.assertRaisesRegex(errors.ShapeError, "rank 0"):
      check(tf1.constant([True]))
    with tf1.Graph().as_default():
      other = tf1.constant(True)
    with self.assertRaisesRegex(errors.GraphError, "another graph"):
      check(other)

  def test_a_projection_is_a_pair_of_the_right_shapes(self):
    def check(value):
      return feeding.check_projection(value, 3, 5, tf1.float32)

    self.assertIsNone(check(None))
    unknown = tf1.placeholder(tf1.float32)
    self.assertLen(check((unknown, tf1.zeros([5]))), 2)
    for bad, error, message in (
      (tf1.zeros([3, 5]), errors.ArgumentError, "pair"),
      ((tf1.zeros([3, 5]),), errors.ArgumentError, "pair"),
      ((tf1.zeros([5, 3]), tf1.zeros([5])), errors.ShapeError, "transpose"),
      ((tf1.zeros([3, 4]), tf1.zeros([4])), errors.ShapeError, "W must be"),
      ((tf1.zeros([3, 5]), tf1.zeros([3])), errors.ShapeError, "B must be"),
      (
        (tf1.zeros([3, 5]), tf1.zeros([5], tf1.float64)),
        errors.DtypeError,
        "B must be float32",
      ),
    ):
      with self.assertRaisesRegex(error, message):
        check(bad)

  def test_a_decoder_needs_inputs_and_sizes(self):
    ids = [tf1.placeholder(tf1.int32, [None])]
    self.assertEqual(feeding.check_decoder(ids, 5, 4), ids)
    for arguments, message in (
      (([], 5, 4), "decoder_inputs"),
      ((ids, 0, 4), "num_symbols"),
      ((ids, 5, 1.5), "embedding_size"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        feeding.check_decoder(*arguments)


if __name__ == "__main__":
  absltest.main()

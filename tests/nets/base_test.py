import gc
import threading
import unittest

from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.nets import base, composites, feedforward, recurrent
from tests.nets import support


def names(network):
  return [variable.op.name for variable in network.variables]


class SharingTest(support.NetTestCase):
  def test_has_no_variables_before_the_first_call(self):
    dense = feedforward.Dense(4)
    self.assertEqual(dense.variables, [])
    self.assertEqual(tf1.global_variables(), [])
    self.assertEqual(self.count_ops(), 0)

  def test_tells_its_scope_and_depths(self):
    dense = feedforward.Dense(4)
    table = feedforward.Embedding(5, 3)
    self.assertEqual((dense.output_depth, table.output_depth), (4, 3))
    self.assertEqual((dense.scope, dense.input_depth), (None, None))
    with tf1.variable_scope("outer"):
      dense(tf1.ones([2, 7]))
    self.assertEqual((dense.scope, dense.input_depth), ("outer/dense", 7))
    self.assertEqual(dense.input_dtype, tf1.float32)
    self.assertEqual((table.input_dtype, table.input_depth), (None, None))

  def test_second_call_shares_the_variables(self):
    dense = feedforward.Dense(4)
    first = dense(tf1.ones([2, 3]))
    variables = dense.variables
    second = dense(tf1.ones([2, 3]))
    self.assertLen(tf1.global_variables(), 2)
    for one, other in zip(dense.variables, variables):
      self.assertIs(one, other)
    first, second = self.session().run([first, second])
    self.assert_close(first, second, 0)

  def test_calls_under_other_scopes_share_the_variables(self):
    dense = feedforward.Dense(4)
    with tf1.variable_scope("encoder"):
      dense(tf1.ones([2, 3]))
    with tf1.variable_scope("decoder"):
      dense(tf1.ones([2, 3]))
    desired = ["encoder/dense/kernel", "encoder/dense/bias"]
    self.assertEqual(names(dense), desired)
    self.assertLen(tf1.global_variables(), 2)

  def test_names_of_variables_do_not_depend_on_name_scopes(self):
    dense = feedforward.Dense(4, name="score")
    with tf1.name_scope("somewhere"):
      dense(tf1.ones([2, 3]), name="else")
    self.assertEqual(names(dense), ["score/kernel", "score/bias"])

  def test_variable_of_a_later_call_is_beside_those_of_the_first(self):
    embedding = feedforward.Embedding(5, 3)
    with tf1.variable_scope("encoder"):
      embedding([1, 2])
    with tf1.variable_scope("decoder"):
      embedding.project(tf1.ones([2, 3]), use_bias=True)
    self.assertEqual(
      names(embedding),
      ["encoder/embedding/table", "encoder/embedding/output_bias"],
    )

  def test_variables_are_in_order_of_creation_and_trainable(self):
    dense = feedforward.Dense(4)
    dense(tf1.ones([2, 3]))
    for one, other in zip(tf1.trainable_variables(), dense.variables):
      self.assertIs(one, other)

  def test_first_call_may_be_inside_a_loop(self):
    dense = feedforward.Dense(3, dtype=tf1.float64)
    looped = tf1.while_loop(
      lambda k, x: k < 2,
      lambda k, x: (k + 1, dense(x)),
      (0, tf1.ones([2, 3], tf1.float64)),
    )[1]
    plain = dense(dense(tf1.ones([2, 3], tf1.float64)))
    self.assertLen(tf1.global_variables(), 2)
    looped, plain = self.session().run([looped, plain])
    self.assert_close(looped, plain)


class NameTest(support.NetTestCase):
  def test_two_networks_of_one_name_raise(self):
    x = tf1.ones([2, 3])
    feedforward.Dense(4, name="score")(x)
    with self.assertRaisesRegex(
      errors.ArgumentError, "score: another network has this name.*name="
    ):
      feedforward.Dense(4, name="score")(x)

  def test_two_networks_of_one_name_raise_with_reuse_on(self):
    x = tf1.ones([2, 3])
    with tf1.variable_scope("net", reuse=tf1.AUTO_REUSE):
      feedforward.Dense(4)(x)
      with self.assertRaisesRegex(errors.ArgumentError, "scope 'net'"):
        feedforward.Dense(4)(x)

  def test_name_stays_taken_when_its_network_is_gone(self):
    x = tf1.ones([2, 3])
    feedforward.Dense(4)(x)
    gc.collect()
    with self.assertRaises(errors.ArgumentError):
      feedforward.Dense(4)(x)

  def test_scope_that_is_opened_again_without_reuse_raises(self):
    x = tf1.ones([2, 3])
    with tf1.variable_scope("net"):
      feedforward.Dense(4)(x)
    with tf1.variable_scope("net"), self.assertRaisesRegex(
      errors.ArgumentError, "cannot make variable 'kernel'.*'net/dense'"
    ):
      feedforward.Dense(4)(x)

  @parameterized.named_parameters(("auto", tf1.AUTO_REUSE), ("on", True))
  def test_scope_that_is_opened_again_with_reuse_shares(self, reuse):
    x = tf1.ones([2, 3])
    with tf1.variable_scope("net", reuse=tf1.AUTO_REUSE):
      first = feedforward.Dense(4)
      first(x)
    with tf1.variable_scope("net", reuse=reuse):
      second = feedforward.Dense(4)
      second(x)
    self.assertLen(tf1.global_variables(), 2)
    for one, other in zip(first.variables, second.variables):
      self.assertIs(one, other)

  def test_reuse_with_another_shape_raises(self):
    x = tf1.ones([2, 3])
    with tf1.variable_scope("net"):
      feedforward.Dense(4)(x)
    with tf1.variable_scope("net", reuse=True), self.assertRaisesRegex(
      errors.ArgumentError, "shape .3, 5.*TensorFlow says"
    ):
      feedforward.Dense(5)(x)

  def test_networks_of_one_name_in_two_scopes_are_apart(self):
    x = tf1.ones([2, 3])
    for scope in ("encoder", "decoder"):
      with tf1.variable_scope(scope):
        feedforward.Dense(4)(x)
    self.assertLen(tf1.global_variables(), 4)

  def test_networks_of_one_name_in_two_graphs_are_apart(self):
    feedforward.Dense(4)(tf1.ones([2, 3]))
    with tf1.Graph().as_default():
      dense = feedforward.Dense(4)
      dense(tf1.ones([2, 3]))
      self.assertEqual(names(dense), ["dense/kernel", "dense/bias"])

  def test_variable_that_is_not_of_a_network_raises(self):
    self.variable("dense/kernel", self.normal(2))
    with self.assertRaisesRegex(errors.ArgumentError, "another name="):
      feedforward.Dense(4)(tf1.ones([2, 3]))

  @parameterized.parameters("", "a b", "_hidden", None, 3)
  def test_what_cannot_name_a_scope_raises(self, name):
    with self.assertRaisesRegex(errors.ArgumentError, "Dense: name must be"):
      feedforward.Dense(4, name=name)


class CheckTest(support.NetTestCase):
  def test_call_in_another_graph_raises(self):
    dense = feedforward.Dense(4, name="score")
    dense(tf1.ones([2, 3]))
    with tf1.Graph().as_default(), self.assertRaisesRegex(
      errors.GraphError, "score: called in another graph.*network for each"
    ):
      dense(tf1.ones([2, 3]))

  def test_composite_call_in_another_graph_raises(self):
    stack = composites.Stack([recurrent.GRU(2)])
    stack(tf1.ones([1, 2, 3]))
    with tf1.Graph().as_default(), self.assertRaisesRegex(
      errors.GraphError, "stack: called in another graph"
    ):
      stack(tf1.ones([1, 2, 3]))

  @unittest.skipIf(compat.IS_TF1, "1.15 is not eager unless told")
  def test_eager_call_raises(self):
    raised = []

    def call():  # A new thread has no graph, so it is eager.
      try:
        feedforward.Dense(4)(tf1.ones([2, 3]))
      except errors.GraphError as error:
        raised.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    self.assertLen(raised, 1)
    self.assertRegex(raised[0], "dense: called eagerly")

  def test_tensor_of_another_graph_raises(self):
    with tf1.Graph().as_default():
      x = tf1.ones([2, 3])
    with self.assertRaisesRegex(errors.GraphError, "inputs.*another graph"):
      feedforward.Dense(4)(x)

  def test_another_depth_raises(self):
    dense = feedforward.Dense(4, name="score")
    dense(tf1.ones([2, 3]))
    x = tf1.placeholder(tf1.float32, [None, 5], name="features")
    with self.assertRaisesRegex(
      errors.ShapeError,
      "score: inputs must have depth 3.*depth 5 in 'features:0'.*another",
    ):
      dense(x)

  def test_another_type_raises(self):
    x = tf1.ones([2, 3], tf1.float64)
    with self.assertRaisesRegex(
      errors.DtypeError, "dense: inputs must be float32.*float64.*dtype="
    ):
      feedforward.Dense(4)(x)

  def test_unknown_rank_raises(self):
    with self.assertRaisesRegex(errors.ShapeError, "known rank"):
      feedforward.Dense(4)(tf1.placeholder(tf1.float32))

  def test_integer_network_raises(self):
    with self.assertRaisesRegex(errors.DtypeError, "float type, got int32"):
      feedforward.Dense(4, dtype=tf1.int32)

  def test_call_after_a_failed_call_works(self):
    dense = feedforward.Dense(4)
    with self.assertRaises(errors.DtypeError):
      dense(tf1.ones([2, 3], tf1.int32))
    dense(tf1.ones([2, 3]))
    self.assertLen(dense.variables, 2)

  def test_arrays_and_variables_are_taken_as_inputs(self):
    dense = feedforward.Dense(4, dtype=tf1.float64)
    x = self.normal(2, 3)
    ways = [dense(x), dense(self.variable("x", x)), dense(x.tolist())]
    ways = self.session().run(ways)
    self.assert_close(ways[1], ways[0])
    self.assert_close(ways[2], ways[0])


class ScopeTest(support.NetTestCase):
  def test_all_ops_of_a_first_call_are_under_the_name(self):
    x = tf1.ones([2, 3])
    before = self.count_ops()
    feedforward.Dense(4)(x)
    self.assert_ops_under("dense", before)

  def test_default_scope_is_the_name(self):
    dense = feedforward.Dense(4, name="score")
    x = tf1.ones([2, 3])
    self.assertStartsWith(dense(x).name, "score/")
    self.assertStartsWith(dense(x).name, "score_1/")

  def test_composite_makes_variables_and_ops_under_its_name(self):
    stack = composites.Stack([recurrent.GRU(2), recurrent.GRU(2)], name="tower")
    x = tf1.ones([1, 2, 3])
    before = self.count_ops()
    stack(x)
    self.assert_ops_under("tower", before)

  def test_composite_whose_part_fails_may_be_called_again(self):
    stack = composites.Stack([recurrent.GRU(2), recurrent.LSTM(2)])
    x = tf1.ones([1, 2, 3])
    with self.assertRaises(errors.ArgumentError):
      stack(x, initial_state=[None, tf1.zeros([1, 2])])
    stack(x)
    self.assertLen(stack.variables, 6)
    self.assertIsInstance(stack, base.Network)


if __name__ == "__main__":
  absltest.main()

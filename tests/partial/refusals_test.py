"""What a sub-model refuses, and what it says: bad input and bad feeds."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests import case
from tests.partial import checks, pieces, zoo


def _bad(build, error, *parts):
  return build, error, parts


class ConstructionErrorsTest(case.GraphTestCase):
  def unknown_store(test):
    x, _, y, _, _ = pieces.layers(test)
    return {"inputs": [x], "outputs": [y], "store": "cloud"}

  def unknown_residuals(test):
    x, _, y, _, _ = pieces.layers(test)
    return {"inputs": [x], "outputs": [y], "residuals": "some"}

  def array_as_store(test):
    x, _, y, _, _ = pieces.layers(test)
    return {"inputs": [x], "outputs": [y], "store": np.array(["a", "b"])}

  def array_as_residuals(test):
    x, _, y, _, _ = pieces.layers(test)
    return {"inputs": [x], "outputs": [y], "residuals": np.ones(2)}

  def no_inputs(test):
    return {"inputs": [], "outputs": [pieces.layers(test)[2]]}

  def no_outputs(test):
    return {"inputs": [pieces.layers(test)[0]], "outputs": []}

  def bare_tensor(test):
    x, _, y, _, _ = pieces.layers(test)
    return {"inputs": x, "outputs": [y]}

  def variable_as_input(test):
    _, _, y, _, w = pieces.layers(test)
    return {"inputs": [w], "outputs": [y]}

  def array_as_output(test):
    x = pieces.layers(test)[0]
    return {"inputs": [x], "outputs": [np.zeros(2)]}

  def other_input(test):
    return {
      "inputs": [pieces.other_tensor()],
      "outputs": [pieces.layers(test)[2]],
    }

  def other_output(test):
    x, _, y, _, _ = pieces.layers(test)
    return {"inputs": [x], "outputs": [y, pieces.other_tensor()]}

  def other_variable(test):
    x, _, y, _, _ = pieces.layers(test)
    return {
      "inputs": [x],
      "outputs": [y],
      "variables": [pieces.other_variable()],
    }

  def disconnected(test):
    x, _, y, _, _ = pieces.layers(test)
    lonely = tf1.exp(tf1.placeholder(tf1.float64, [2]), name="lonely")
    return {"inputs": [x], "outputs": [y, lonely]}

  def backwards(test):
    x, h, y, _, _ = pieces.layers(test)
    return {"inputs": [y], "outputs": [h]}

  def variable_below_inputs(test):
    _, h, y, below, w = pieces.layers(test)
    return {"inputs": [h], "outputs": [y], "variables": [w, below]}

  def partitioned_variable(test):
    x = tf1.placeholder(tf1.float64, [None, 4])
    w = tf1.get_variable(
      "w",
      [4, 4],
      tf1.float64,
      partitioner=tf1.fixed_size_partitioner(2),
      use_resource=True,
    )
    y = tf1.matmul(x, tf1.convert_to_tensor(w))
    return {"inputs": [x], "outputs": [y], "variables": [w]}

  def only_integers(test):
    x = tf1.placeholder(tf1.float64, [None, 4])
    best = tf1.argmax(x, 1, name="best")
    return {"inputs": [x], "outputs": [best]}

  def loop_on_device(test):
    x, y = pieces.while_loop(test)
    return {"inputs": [x], "outputs": [y], "store": "device"}

  def loop_on_host(test):
    x, y = pieces.while_loop(test)
    return {"inputs": [x], "outputs": [y], "store": "host"}

  def loop_again(test):
    x, y = pieces.while_loop(test)
    return {"inputs": [x], "outputs": [y], "store": "recompute"}

  def branch_on_device(test):
    x, y = pieces.branch(test)
    return {"inputs": [x], "outputs": [y], "store": "device"}

  def array_on_device(test):
    x, y = pieces.array(test)
    return {"inputs": [x], "outputs": [y], "store": "device"}

  @parameterized.named_parameters(
    (build.__name__, build, error, parts)
    for build, error, parts in [
      _bad(array_as_store, errors.ArgumentError, "'device'", "an array of str"),
      _bad(
        array_as_residuals, errors.ArgumentError, "'min_cut'", "an array of fl"
      ),
      _bad(unknown_store, errors.ArgumentError, "'cloud'", "device", "host"),
      _bad(unknown_residuals, errors.ArgumentError, "'some'", "frontier"),
      _bad(no_inputs, errors.ArgumentError, "inputs", "at least one"),
      _bad(no_outputs, errors.ArgumentError, "outputs", "at least one"),
      _bad(bare_tensor, errors.ArgumentError, "inputs", "x:0", "list"),
      _bad(variable_as_input, errors.ArgumentError, "inputs", "w:0"),
      _bad(
        array_as_output, errors.ArgumentError, "outputs", "convert_to_tensor"
      ),
      _bad(other_input, errors.GraphError, "'stranger:0'", "another graph"),
      _bad(other_output, errors.GraphError, "'stranger:0'", "one graph"),
      _bad(other_variable, errors.GraphError, "'stranger:0'", "one graph"),
      _bad(disconnected, errors.DisconnectedError, "'lonely:0'", "x:0"),
      _bad(backwards, errors.DisconnectedError, "'h:0'", "'y:0'"),
      _bad(
        variable_below_inputs,
        errors.DisconnectedError,
        "'below:0'",
        "name inputs that are nearer",
      ),
      _bad(partitioned_variable, errors.ArgumentError, "its parts"),
      _bad(only_integers, errors.ArgumentError, "'best:0'", "floating"),
      _bad(loop_on_device, errors.CutError, "'loop/", '"auto" or "session"'),
      _bad(loop_on_host, errors.CutError, "'loop/", "'host'", "session"),
      _bad(loop_again, errors.CutError, "'loop/", "'recompute'", "session"),
      _bad(branch_on_device, errors.CutError, "'branch/", "session"),
      _bad(array_on_device, errors.CutError, "TensorArray", "session"),
    ]
  )
  def test_refuses_and_leaves_the_graph_as_it_was(self, build, error, parts):
    arguments = build(self)
    before = self.count_ops()
    with self.assertRaises(error) as caught:
      tangle.SubModel(name="mine", **arguments)
    self.assert_message(caught.exception, "SubModel 'mine'", *parts)
    self.assertEqual(self.count_ops(), before)

  @parameterized.parameters(*checks.STORES)
  def test_refuses_a_reference_variable_that_cannot_be_copied(self, store):
    x = tf1.placeholder(tf1.float64, [2])
    words = self.variable(
      "words", np.array(["a", "b"]), trainable=False, use_resource=False
    )

    @tf1.custom_gradient
    def scaled(x):
      def gradient(upstream):
        return upstream * tf1.strings.to_number(words, tf1.float64)

      return tf1.identity(x), gradient

    y = scaled(x)
    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([x], [y], store=store)
    self.assert_message(
      caught.exception, "'words", "string", "weights_unchanged=True"
    )
    tangle.SubModel([x], [y], store=store, weights_unchanged=True)

  def test_refuses_to_fetch_a_variant(self):
    model = zoo.loop(self)
    with self.assertRaises(errors.CutError) as caught:
      checks.sub_model(model, "host")
    self.assert_message(caught.exception, "variant", 'store="device"')


class ForwardErrorsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    x, h, y, _, _ = pieces.layers(self)
    self.x = x
    self.sub_model = tangle.SubModel([x], [y], name="mine")
    self.sess = self.session()

  def refuse(self, error, sess, feed_dict, *parts, **options):
    before = self.count_ops()
    with self.assertRaises(error) as caught:
      self.sub_model.forward(sess, feed_dict, **options)
    self.assert_message(caught.exception, "SubModel 'mine'", *parts)
    self.assertEqual(self.count_ops(), before)

  def test_a_session_on_another_graph(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      self.refuse(errors.GraphError, sess, {}, "another graph", "Session(")

  def test_a_feed_of_another_graph(self):
    feed_dict = {pieces.other_tensor(): np.zeros(4)}
    self.refuse(errors.GraphError, self.sess, feed_dict, "'stranger:0'")

  def test_a_feed_that_may_not_be(self):
    self.graph.prevent_feeding(self.x)
    feed_dict = {self.x: np.zeros([1, 4])}
    self.refuse(errors.GraphError, self.sess, feed_dict, "'x:0'", "identity")

  def test_a_feed_of_a_wrong_shape(self):
    feed_dict = {self.x: np.zeros([1, 5])}
    self.refuse(
      errors.ShapeError, self.sess, feed_dict, "'x:0'", "4)", "(1, 5)"
    )

  def test_a_wrong_number_of_uses(self):
    feed_dict = {self.x: np.zeros([1, 4])}
    for used in ([True, True], [False]):
      self.refuse(
        errors.ArgumentError, self.sess, feed_dict, "outputs", used=used
      )

  def test_the_use_of_an_integer(self):
    sub_model = tangle.SubModel(
      [self.x], [self.x * 2, tf1.argmax(self.x, 1, name="best")]
    )
    with self.assertRaises(errors.DtypeError) as caught:
      sub_model.prepare([True, True])
    self.assert_message(caught.exception, "'best:0'", "int64", "False")

  def test_partial_runs_need_a_session_that_has_them(self):
    sub_model = tangle.SubModel([self.x], [self.x * 2], store="session")
    without = mock.Mock(spec=["run", "graph"], graph=self.graph)
    with self.assertRaises(errors.CallError) as caught:
      sub_model.forward(without, {self.x: np.zeros([1, 4])})
    self.assert_message(caught.exception, "partial_run", "v1.Session")


if __name__ == "__main__":
  absltest.main()

"""Tests of routing."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, mux
from tangle.compat import tf1
from tangle.nets import feedforward, recurrent
from tests import case
from tests.mux import probes


class RoutingTest(case.GraphTestCase):
  @parameterized.named_parameters(("v1", False), ("v2", True))
  def test_every_branch_sees_its_own_rows_only(self, v2):
    self.use_control_flow(v2)
    probe = probes.Probe(4)
    x_ph = tf1.placeholder(tf1.float32, [None, 1])
    selector_ph = tf1.placeholder(tf1.int32, [None])
    outputs = mux.route(selector_ph, x_ph, probe.networks)
    feed = {x_ph: np.arange(5.0)[:, None], selector_ph: [2, 0, 2, 3, 2]}
    found = self.session().run(outputs, feed)
    self.assertEqual(found.ravel().tolist(), [2, 1, 4, 6, 6])
    self.assertEqual(probe.rows, {0: [1], 2: [3], 3: [1]})

  def test_an_empty_branch_runs_on_no_rows_if_asked(self):
    probe = probes.Probe(2)
    outputs = mux.route([1], tf1.zeros([1, 1]), probe.networks, run_empty=True)
    self.session().run(outputs)
    self.assertEqual(probe.rows, {0: [0], 1: [1]})
    types = {op.type for op in self.graph.get_operations()}
    self.assertNoCommonElements(types, {"If", "StatelessIf", "Switch"})

  @parameterized.named_parameters(("v1", False), ("v2", True))
  def test_networks_may_make_variables_when_called(self, v2):
    self.use_control_flow(v2)
    lstm = recurrent.LSTM(3, dtype=tf1.float64, name="lstm")
    dense = feedforward.Dense(3, dtype=tf1.float64, name="dense")

    def plain(x):
      shape = [2, 3]
      return x[:, 0] @ tf1.get_variable("plain", shape, tf1.float64)

    networks = [lambda x: lstm(x)[0][:, -1], lambda x: dense(x[:, 0]), plain]
    x_ph = tf1.placeholder(tf1.float64, [None, 4, 2])
    selector_ph = tf1.placeholder(tf1.int32, [None])
    outputs = mux.route(selector_ph, x_ph, networks)
    variables = tf1.trainable_variables()
    self.assertLen(variables, len(lstm.variables) + len(dense.variables) + 1)
    again = [network(x_ph) for network in networks[:2]]
    gradients = tf1.gradients(outputs, variables)
    expected = tf1.gradients(again[0], lstm.variables)
    sess = self.session()
    x = self.normal(2, 4, 2)
    feed = {x_ph: x, selector_ph: [0, 0]}
    found = sess.run([outputs, gradients], feed)
    wanted = sess.run([again[0], expected], feed)
    self.assert_close(found[0], wanted[0])
    by_name = {v.name: g for v, g in zip(variables, found[1])}
    for variable, gradient in zip(lstm.variables, wanted[1]):
      self.assert_close(by_name[variable.name], gradient)
    self.assertEqual(np.max(np.abs(by_name["plain:0"])), 0)

  def test_names_select_in_the_order_of_the_mapping(self):
    networks = {"minus": tf1.negative, "same": tf1.identity}
    names_ph = tf1.placeholder(tf1.string, [None])
    outputs = mux.route(names_ph, tf1.constant([1.0, 2.0]), networks)
    found = self.session().run(outputs, {names_ph: ["same", "minus"]})
    self.assertEqual(found.tolist(), [1.0, -2.0])

  def test_gradients_fail_too_for_a_selector_out_of_range(self):
    for choose in (mux.where, mux.route):
      for run_empty in (False, True):
        w = tf1.Variable(1.0, use_resource=True)
        selector_ph = tf1.placeholder(tf1.int32, [None])
        x_ph = tf1.placeholder(tf1.float32, [None])
        outputs = choose(
          selector_ph, x_ph, [lambda x, w=w: x + w], run_empty=run_empty
        )
        sess = self.session()
        for point in (w, x_ph):
          gradient = tf1.gradients(outputs, point)
          with self.assertRaisesRegex(
            tf1.errors.InvalidArgumentError, r"got\] \[7\]"
          ):
            sess.run(gradient, {x_ph: [1.0, 2.0], selector_ph: [0, 7]})

  def test_a_network_with_another_number_of_rows_fails_in_the_run(self):
    x_ph = tf1.placeholder(tf1.float32, [None])
    outputs = mux.route([0, 0], x_ph, [lambda x: x[:1]])
    with self.assertRaises(tf1.errors.InvalidArgumentError):
      self.session().run(outputs, {x_ph: [1.0, 2.0]})

  def test_unknown_inner_dimensions(self):
    probes.check_unknown_dimensions(self, mux.route)

  def test_ops_are_in_the_scope(self):
    probes.check_scope(self, mux.route)

  def test_wrong_arguments(self):
    probes.check_errors(self, mux.route, "mux.route")
    probes.check_rowless(self, mux.route, "mux.route")

  def test_refuses_rows_that_differ(self):
    with self.assertRaises(errors.ShapeError) as caught:
      mux.route([0, 1], tf1.zeros([3]), [tf1.sin] * 2)
    self.assert_message(caught.exception, "mux.route: selector has 2", "3")


if __name__ == "__main__":
  absltest.main()

"""Tests of switching."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors, mux
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.nets import feedforward, recurrent
from tests import case

STYLES = [("v1", False), ("v2", True)]


def scoped(k, function):
  """Returns a network whose ops, and their gradients, are under `net_<k>`."""

  def network(x):
    with tf1.name_scope(f"net_{k}"):
      return function(x)

  return network


def runs_by_network(tracer):
  """Sums executions by the `net_<k>` in the path of the op's name.

  The switches of TensorFlow 1 style, which dispatch each tensor that a branch
  reads, have the branch's scope, but belong to the conditional.
  """
  types = {op.name: op.type for op in tracer.graph.get_operations()}
  found = {}
  for name, count in tracer.counts.items():
    # No op's name begins with "_": those are the session's own fetches.
    if types.get(name) in compat.V1_CONTROL_FLOW or name.startswith("_"):
      continue
    for part in name.split("/"):
      if part.startswith("net_"):
        found[part] = found.get(part, 0) + count
  return found


class SwitchingTest(case.GraphTestCase):
  @parameterized.named_parameters(
    *[
      (f"{count}_{style}", count, v2)
      for count in (1, 2, 5)
      for style, v2 in STYLES
    ]
  )
  def test_no_op_of_an_untaken_branch_runs(self, count, v2):
    self.use_control_flow(v2)
    ws = [
      self.variable(f"w_{k}", self.normal(2, 2), use_resource=k % 2 == 0)
      for k in range(count)
    ]
    networks = [
      scoped(k, lambda x, k=k: tf1.tanh(x @ ws[k]) @ ws[k])
      for k in range(count)
    ]
    x_ph = tf1.placeholder(tf1.float64, [None, 2])
    selector_ph = tf1.placeholder(tf1.int32, [])
    outputs = mux.switch(selector_ph, x_ph, networks)
    gradients = tf1.gradients(outputs, [x_ph, *ws])
    for k in range(count):
      with executions.Tracer(self.graph) as tracer:
        tracer.session.run(tf1.global_variables_initializer())
        feed = {x_ph: np.ones([3, 2]), selector_ph: k}
        tracer.run(outputs, feed)
        forward = runs_by_network(tracer)
        self.assertEqual(list(forward), [f"net_{k}"])
        self.assertGreaterEqual(forward[f"net_{k}"], 3)
        tracer.run(gradients, feed)
        self.assertEqual(list(runs_by_network(tracer)), [f"net_{k}"])

  def test_the_count_sees_a_branch_that_runs(self):
    x = tf1.zeros([3])
    networks = [scoped(0, tf1.sin), scoped(1, tf1.cos)]
    outputs = mux.select([0, 0, 0], [network(x) for network in networks])
    with executions.Tracer(self.graph) as tracer:
      tracer.run(outputs)
      self.assertEqual(runs_by_network(tracer), {"net_0": 1, "net_1": 1})

  @parameterized.named_parameters(*STYLES)
  def test_networks_may_make_variables_when_called(self, v2):
    self.use_control_flow(v2)
    lstm = recurrent.LSTM(3, dtype=tf1.float64, name="lstm")
    dense = feedforward.Dense(3, dtype=tf1.float64, name="dense")

    def plain(x):
      return x[:, 0] @ tf1.get_variable("plain", [2, 3], tf1.float64)

    networks = [
      lambda x: lstm(x)[0][:, -1],
      lambda x: dense(x[:, 0]),
      plain,
      lambda x: dense(x[:, 1]),
    ]
    x_ph = tf1.placeholder(tf1.float64, [None, 4, 2])
    selector_ph = tf1.placeholder(tf1.int32, [])
    outputs = mux.switch(selector_ph, x_ph, networks)
    variables = tf1.trainable_variables()
    self.assertLen(variables, len(lstm.variables) + len(dense.variables) + 1)
    gradients = tf1.gradients(outputs, variables)
    direct = [network(x_ph) for network in (networks[0], networks[1])]
    sess = self.session()
    x = self.normal(2, 4, 2)
    for k, network in enumerate((lstm, dense)):
      expected = sess.run(
        [direct[k], tf1.gradients(direct[k], network.variables)], {x_ph: x}
      )
      found = sess.run([outputs, gradients], {x_ph: x, selector_ph: k})
      self.assert_close(found[0], expected[0])
      slopes = {v.name: g for v, g in zip(variables, found[1])}
      for variable, gradient in zip(network.variables, expected[1]):
        self.assert_close(slopes.pop(variable.name), gradient)
      for slope in slopes.values():
        self.assertEqual(np.max(np.abs(slope)), 0)

  @parameterized.named_parameters(*STYLES)
  def test_values_may_be_of_any_structure_and_rank(self, v2):
    self.use_control_flow(v2)
    networks = {
      "plus": lambda v: {"n": v[0] + v[1], "s": ["plus", v[0] > 0]},
      "minus": lambda v: {"n": v[0] - v[1], "s": ["minus", v[0] < 0]},
      "left": lambda v: {"n": v[0], "s": ["left", True]},
    }
    selector_ph = tf1.placeholder(tf1.string, [])
    outputs = mux.switch(selector_ph, (tf1.constant(3), 2), networks)
    sess = self.session()
    for name, number, flag in (("plus", 5, True), ("minus", 1, False)):
      found = sess.run(outputs, {selector_ph: name})
      self.assertEqual(found, {"n": number, "s": [name.encode(), flag]})

  def test_a_name_and_an_index_may_be_plain_python(self):
    networks = {"plus": lambda v: v + 1, "times": lambda v: v * 2}
    outputs = [mux.switch(s, 5, networks) for s in ("plus", "times", 0, 1)]
    self.assertEqual(self.session().run(outputs), [6, 10, 6, 10])

  @parameterized.named_parameters(
    *[
      (f"{count}_{style}", count, v2)
      for count in (1, 2, 3)
      for style, v2 in STYLES
    ]
  )
  def test_a_selector_out_of_range_fails(self, count, v2):
    self.use_control_flow(v2)
    selector_ph = tf1.placeholder(tf1.int32, [])
    x_ph = tf1.placeholder(tf1.float32, [None])
    outputs = mux.switch(selector_ph, x_ph, [lambda v: v + 1] * count)
    gradient = tf1.gradients(outputs, x_ph)
    sess = self.session()
    for fetch in (outputs, gradient):
      for value in (-1, count):
        with self.assertRaisesRegex(
          tf1.errors.InvalidArgumentError, rf"switch: .*got\] \[{value}\]"
        ):
          sess.run(fetch, {selector_ph: value, x_ph: [1.0]})

  def test_ops_are_in_the_scope(self):
    selector_ph = tf1.placeholder(tf1.int32, [])
    x = tf1.zeros([2])
    for v2 in (False, True):
      self.use_control_flow(v2)
      before = self.count_ops()
      mux.switch(selector_ph, x, [tf1.sin, tf1.cos, tf1.tan], name=f"pick_{v2}")
      for op in self.graph.get_operations()[before:]:
        self.assertEqual(op.name.split("/")[0], f"pick_{v2}")

  def test_wrong_arguments(self):
    x = tf1.zeros([2, 3])
    with tf1.Graph().as_default():
      foreign = tf1.zeros([2, 3])
    for error, arguments, message in (
      (errors.ArgumentError, (0, x, []), "at least one branch, got none"),
      (errors.ArgumentError, (0, x, [x]), "network 0 must be callable"),
      (errors.ArgumentError, (2, x, [tf1.sin] * 2), "[0, 2), got 2"),
      (errors.ArgumentError, ("c", x, {"a": tf1.sin}), "names a, got 'c'"),
      (errors.ArgumentError, ("a", x, [tf1.sin]), "mapping from name"),
      (
        errors.ArgumentError,
        (0, x, [tf1.sin, tf1.cos, lambda v: [v]]),
        "branches 0 and 2 must give the same structure",
      ),
      (
        errors.ArgumentError,
        (0, x, [tf1.sin, lambda v: None]),
        "what branch 1 gives must be dense",
      ),
      (
        errors.DtypeError,
        (0, x, [tf1.sin, lambda v: tf1.cast(v, tf1.int32)]),
        "branches 0 and 1 must give the same types",
      ),
      (errors.DtypeError, (0.5, x, [tf1.sin]), "int32 or int64"),
      (errors.GraphError, (0, foreign, [tf1.sin]), "another graph"),
      (
        errors.ShapeError,
        (0, x, {"a": tf1.sin, "b": lambda v: v[:1]}),
        "branches 'a' and 'b' must give the same shapes",
      ),
      (errors.ShapeError, ([0, 1], x, [tf1.sin]), "must have rank 0"),
    ):
      with self.assertRaises(error) as caught:
        mux.switch(*arguments)
      self.assert_message(caught.exception, "mux.switch: ", message)


if __name__ == "__main__":
  absltest.main()

"""Tests of masking."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, mux
from tangle.benchmarks import executions
from tangle.compat import tf1
from tests import case
from tests.mux import probes

# A function, where it goes wrong, and where it does not.
UNSAFE = {
  "exp": (tf1.exp, 2000.0, 0.5),
  "reciprocal": (lambda x: 1 / x, 0.0, 0.5),
  "pow": (lambda x: tf1.pow(x, 2.5 + 0 * x), -1.0, 0.5),
  "asin": (tf1.asin, 3.0, 0.5),
}
TAKEN = {"by_some": [1, 0, 1], "by_none": [1, 1, 1]}
CASES = [
  (f"{kind}_{taken}_{style}", *UNSAFE[kind], TAKEN[taken], style == "v2")
  for kind in UNSAFE
  for taken in TAKEN
  for style in ("v1", "v2")
]


class MaskingTest(case.GraphTestCase):
  def second_order(self, choose, function, bad, good, selector):
    """Returns first and second gradients to inputs and all weights.

    Branch 0 is `function`, of rows, a weight of its own, one that is shared
    and a tensor that it closes over. The rows of branch 1 are bad for it.
    """
    own = self.variable("own", np.array([1.0, 1.1]))
    shared = self.variable("shared", np.array([1.0, 0.9]))
    closed_ph = tf1.placeholder(tf1.float64, [2])
    x_ph = tf1.placeholder(tf1.float64, [None, 2])
    selector_ph = tf1.placeholder(tf1.int32, [None])
    networks = [
      lambda x: function(x * own * shared * closed_ph),
      lambda x: tf1.sin(x * shared) ** 2,
    ]
    outputs = choose(selector_ph, x_ph, networks)
    points = [x_ph, own, shared, closed_ph]
    first = tf1.gradients(tf1.reduce_sum(outputs**2), points)
    square = tf1.add_n([tf1.reduce_sum(g**2) for g in first])
    second = tf1.gradients(square, points)
    x = np.where(np.array(selector)[:, None] == 0, good, bad)
    x = x + 0 * self.normal(len(selector), 2)
    feed = {x_ph: x, selector_ph: selector, closed_ph: [0.7, 0.8]}
    return self.session().run([outputs, *first, *second], feed)

  @parameterized.named_parameters(*CASES)
  def test_no_nan_of_a_branch_not_taken(self, f, bad, good, selector, v2):
    self.use_control_flow(v2)
    found = self.second_order(mux.where, f, bad, good, selector)
    for array in found:
      self.assertTrue(np.all(np.isfinite(array)), array)
    # A loop over the examples: each in its own branch alone.
    self.graph = tf1.Graph()
    with self.graph.as_default():
      expected = self.second_order(mux.route, f, bad, good, selector)
    for one, other in zip(found, expected):
      self.assert_close(one, other, rtol=1e-11)

  @parameterized.named_parameters(*[(k, *v) for k, v in UNSAFE.items()])
  def test_empty_branches_may_run_on_no_rows(self, function, bad, good):
    def choose(*args):
      return mux.where(*args, run_empty=True)

    for selector in TAKEN.values():
      with tf1.Graph().as_default() as self.graph:
        found = self.second_order(choose, function, bad, good, selector)
      for array in found:
        self.assertTrue(np.all(np.isfinite(array)), array)

  @parameterized.named_parameters(*[(k, *v) for k, v in UNSAFE.items()])
  def test_the_plain_choice_shows_the_nan(self, function, bad, good):
    def choose(selector, x, networks):
      values = [network(x) for network in networks]
      return tf1.where(tf1.equal(selector, 0), *values)

    found = self.second_order(choose, function, bad, good, [1, 0, 1])
    self.assertTrue(np.all(np.isfinite(found[0])))
    self.assertFalse(all(np.all(np.isfinite(array)) for array in found))

  def test_an_infinite_gradient_of_a_row_stays_with_that_row(self):
    x_ph = tf1.placeholder(tf1.float64, [None])
    outputs = mux.where([0, 1, 0], x_ph, [tf1.sqrt, tf1.square])
    gradient = tf1.gradients(outputs, x_ph)[0]
    found = self.session().run(gradient, {x_ph: [0.0, 3.0, 4.0]})
    self.assertEqual(found.tolist(), [np.inf, 6.0, 0.25])

  def test_inputs_that_are_not_finite_stay_in_their_branch(self):
    x_ph = tf1.placeholder(tf1.float64, [None])
    w = self.variable("w", np.array(2.0))
    networks = [lambda x: x * w, lambda x: tf1.zeros_like(x)]
    outputs = mux.where([0, 1], x_ph, networks)
    gradients = tf1.gradients(outputs, [x_ph, w])
    found = self.session().run([outputs, *gradients], {x_ph: [3.0, np.nan]})
    self.assertEqual(found[0].tolist(), [6.0, 0.0])
    self.assertEqual(found[1].tolist(), [2.0, 0.0])
    self.assertEqual(found[2], 3.0)

  @parameterized.named_parameters(("v1", False), ("v2", True))
  def test_every_branch_that_is_taken_sees_every_row(self, v2):
    self.use_control_flow(v2)
    probe = probes.Probe(3)
    selector_ph = tf1.placeholder(tf1.int32, [None])
    outputs = mux.where(selector_ph, tf1.zeros([4, 1]), probe.networks)
    self.session().run(outputs, {selector_ph: [0, 2, 2, 0]})
    self.assertEqual(probe.rows, {0: [4], 2: [4]})

  def test_unknown_inner_dimensions(self):
    probes.check_unknown_dimensions(self, mux.where)
    probes.check_unknown_dimensions(
      self, lambda *args: mux.where(*args, run_empty=True)
    )

  def test_run_empty_makes_no_conditional(self):
    selector_ph = tf1.placeholder(tf1.int32, [None])
    mux.where(selector_ph, tf1.zeros([4, 1]), [tf1.sin] * 2, run_empty=True)
    types = {op.type for op in self.graph.get_operations()}
    self.assertNoCommonElements(types, {"If", "StatelessIf", "Switch"})

  def test_a_network_with_another_number_of_rows_fails_in_the_run(self):
    x_ph = tf1.placeholder(tf1.float32, [None])
    selector_ph = tf1.placeholder(tf1.int32, [None])
    for run_empty in (False, True):
      outputs = mux.where(
        selector_ph, x_ph, [lambda x: x[:-1]], run_empty=run_empty
      )
      with self.assertRaises(tf1.errors.InvalidArgumentError):
        self.session().run(outputs, {x_ph: [1.0, 2.0], selector_ph: [0, 0]})

  def test_ops_are_in_the_scope(self):
    probes.check_scope(self, mux.where)

  def test_wrong_arguments(self):
    probes.check_errors(self, mux.where, "mux.where")

  def test_counts_with_the_tracer(self):
    outputs = mux.where([1, 1], tf1.zeros([2]), [tf1.sin, tf1.cos])
    with executions.Tracer(self.graph) as tracer:
      tracer.run(outputs)
      runs = {name.split("/")[-1]: n for name, n in tracer.counts.items()}
    self.assertEqual((runs.get("Sin", 0), runs["Cos"]), (0, 1))

  def test_refuses_rows_that_differ(self):
    with self.assertRaises(errors.ShapeError) as caught:
      mux.where([0, 1], tf1.zeros([3]), [tf1.sin] * 2)
    self.assert_message(caught.exception, "mux.where: selector has 2", "3")


if __name__ == "__main__":
  absltest.main()

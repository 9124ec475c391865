"""Tests that all multiplexers do what a loop over the examples does."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import mux
from tangle.compat import tf1
from tests.mux import loops

# K branches, with a selector that leaves some empty and others unequal.
BRANCHES = {
  "of_one": (1, [0]),
  "of_two": (2, [1, 0, 1, 1]),
  "of_five": (5, [3, 0, 3, 1, 3, 3]),
  "of_nine": (9, [8, 2, 2, 7, 2, 8, 0, 5]),
}
STYLES = {"v1": False, "v2": True}
# Those that run empty branches make no conditionals, of either style.
STYLED = {
  f"{name}_{style}": (choose, v2)
  for name, choose in loops.PER_EXAMPLE.items()
  for style, v2 in STYLES.items()
  if v2 or not name.endswith("run_empty")
}


def cases(*tables):
  """Returns a named case for each way to choose one of each table."""
  for keys in itertools.product(*tables):
    yield ("_".join(keys), *[t[key] for t, key in zip(tables, keys)])


class EqualityTest(loops.LoopTestCase):
  def check(self, choose, count, selectors, rows):
    """Compares `choose` to the loop for several selectors in one graph."""
    found = loops.Networks(self, count)
    loop = self.make_loop(found)
    inputs, upstream = self.make_inputs(rows)
    selector_ph = tf1.placeholder(tf1.int64, [rows])
    outputs = choose(selector_ph, inputs, found.networks)
    self.assertEqual(outputs["hidden"].shape.as_list(), [rows, loops.DEPTH])
    first = self.derivatives(outputs, upstream, inputs, found.variables)
    sess = self.session()
    for selector in selectors:
      arrays, upstream_np = self.draw_inputs(len(selector))
      feed = {inputs[key]: arrays[key] for key in inputs}
      feed.update(zip(upstream, upstream_np))
      feed[selector_ph] = selector
      values, gradients = sess.run([outputs, first], feed)
      self.assert_equals_loop(
        values, gradients, loop(sess, selector, arrays, upstream_np)
      )

  @parameterized.named_parameters(*cases(STYLED, BRANCHES))
  def test_equals_loop_with_unknown_rows(self, styled, branches):
    choose, v2 = styled
    self.use_control_flow(v2)
    count, some = branches
    everything = [list(range(count)), some, [count - 1] * 3, [0], []]
    self.check(choose, count, everything, None)

  @parameterized.named_parameters(*cases(loops.PER_EXAMPLE))
  def test_equals_loop_with_known_rows(self, choose):
    count, selector = BRANCHES["of_five"]
    self.check(choose, count, [selector], len(selector))

  @parameterized.named_parameters(*cases(BRANCHES, STYLES))
  def test_switch_equals_loop(self, branches, v2):
    self.use_control_flow(v2)
    count, _ = branches

    def choose(selector, inputs, networks):
      return mux.switch(selector[0], inputs, networks)

    selectors = [[k] * 3 for k in {0, count // 2, count - 1}]
    self.check(choose, count, [*selectors, [0]], None)

  def test_select_equals_loop(self):
    self.check(loops.select_outputs, 5, [[3, 0, 3, 1], [2, 2, 2, 2]], 4)

  @parameterized.named_parameters(*cases(STYLED))
  def test_second_gradients_are_those_of_select(self, styled):
    choose, v2 = styled
    self.use_control_flow(v2)
    self.check_second(choose, [2, 0, 2, 2])

  @parameterized.named_parameters(*STYLES.items())
  def test_second_gradients_of_switch_are_those_of_select(self, v2):
    self.use_control_flow(v2)
    self.check_second(loops.switch_by_rows, [1, 0])

  def check_second(self, choose, selector):
    """Compares second gradients of `choose` and of `select`."""
    rows = len(selector)
    found = loops.Networks(self, 3)
    inputs, upstream = self.make_inputs(rows)
    selector_ph = tf1.placeholder(tf1.int32, [rows])
    results = []
    for function in (choose, loops.select_outputs):
      outputs = function(selector_ph, inputs, found.networks)
      first = self.derivatives(outputs, upstream, inputs, found.variables)
      square = tf1.add_n([tf1.reduce_sum(g**2) for g in first])
      results.append(tf1.gradients(square, [inputs["x"], *found.variables]))
    sess = self.session()
    arrays, upstream_np = self.draw_inputs(rows)
    feed = {inputs[key]: arrays[key] for key in inputs}
    feed.update(zip(upstream, upstream_np))
    feed[selector_ph] = selector
    for one, other in zip(*sess.run(results, feed)):
      self.assert_close(one, loops.case.dense(other))

  def test_switch_takes_any_number_of_rows(self):
    networks = [lambda v: v + 1, lambda v: tf1.concat([v, v], 0)]
    x_ph = tf1.placeholder(tf1.float64, [None, 2])
    selector_ph = tf1.placeholder(tf1.int32, [])
    outputs = mux.switch(selector_ph, x_ph, networks)
    self.assertEqual(outputs.shape.as_list(), [None, 2])
    sess = self.session()
    for rows, selector in itertools.product([0, 1, 3], [0, 1]):
      feed = {x_ph: np.zeros([rows, 2]), selector_ph: selector}
      found = sess.run(outputs, feed)
      self.assertEqual(found.shape, (rows * (1 + selector), 2))

  def test_a_wrong_gradient_fails(self):
    @tf1.custom_gradient
    def off_by_little(x):
      return tf1.identity(x), lambda upstream: upstream * (1 + 1e-9)

    def choose(selector, inputs, networks):
      outputs = mux.route(selector, inputs, networks)
      return dict(outputs, hidden=off_by_little(outputs["hidden"]))

    with self.assertRaises(AssertionError):
      self.check(choose, 2, [[0, 1, 1]], None)

  def test_a_wrong_value_fails(self):
    def choose(selector, inputs, networks):
      return mux.route(1 - selector, inputs, networks)

    with self.assertRaises(AssertionError):
      self.check(choose, 2, [[0, 1, 1]], None)


if __name__ == "__main__":
  absltest.main()

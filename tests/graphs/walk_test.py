import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import walk
from tests import case
from tests.graphs import chains


def _names(ops):
  return [op.name for op in ops]


class CheckTensorsTest(case.GraphTestCase):
  def test_returns_a_list(self):
    x, y = tf1.constant(1.0), tf1.constant(2)
    self.assertEqual(walk.check_tensors("inputs", (x, y)), [x, y])
    self.assertEqual(walk.check_tensors("inputs", iter([x])), [x])
    self.assertEqual(walk.check_tensors("inputs", []), [])

  def test_refuses_what_is_no_sequence(self):
    for bad in (tf1.constant(1.0, name="one"), 3, None):
      with self.assertRaises(errors.ArgumentError) as caught:
        walk.check_tensors("inputs", bad)
      self.assert_message(caught.exception, "inputs", "list")

  def test_refuses_what_is_no_tensor(self):
    variable = self.variable("w", np.ones(2))
    for bad in (1.0, "x:0", None, variable, np.ones(2)):
      with self.assertRaises(errors.ArgumentError) as caught:
        walk.check_tensors("inputs", [bad])
      self.assert_message(caught.exception, "inputs", "convert_to_te")

  def test_refuses_a_tensor_of_another_graph(self):
    x = tf1.constant(1.0)
    with tf1.Graph().as_default() as graph:
      other = tf1.constant(1.0, name="other")
    for tensors, options in (([x, other], {}), ([x], {"graph": graph})):
      with self.assertRaises(errors.GraphError) as caught:
        walk.check_tensors("inputs", tensors, **options)
      self.assert_message(caught.exception, "inputs", "another graph")


class AncestorsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [4], name="x")
    self.a, self.b = tf1.split(self.x, 2, name="halves")
    self.c = tf1.add(self.a, self.b, name="c")
    self.d = tf1.multiply(self.c, self.c, name="d")
    tf1.square(self.d, name="above")

  def test_producers_come_before_consumers(self):
    found = walk.ancestors([self.d])
    self.assertCountEqual(
      _names(found), ["x", "halves/split_dim", "halves", "c", "d"]
    )
    place = {op: k for k, op in enumerate(found)}
    for op in found:
      for tensor in op.inputs:
        self.assertLess(place[tensor.op], place[op])

  def test_each_op_comes_once(self):
    found = walk.ancestors([self.d, self.c, self.d])
    self.assertLen(set(found), len(found))

  def test_no_walk_goes_past_a_stop(self):
    self.assertEqual(_names(walk.ancestors([self.d], [self.c])), ["d"])
    self.assertEqual(walk.ancestors([self.d], [self.d]), [])
    self.assertEqual(walk.names([self.d]), {"d:0"})

  def test_a_stop_holds_for_one_output_of_an_op(self):
    found = _names(walk.ancestors([self.c], [self.a]))
    self.assertCountEqual(found, ["c", "halves", "halves/split_dim", "x"])
    self.assertEqual(_names(walk.ancestors([self.c], [self.a, self.b])), ["c"])

  def test_control_dependencies_count_on_demand(self):
    with tf1.control_dependencies([self.d]):
      late = tf1.constant(1.0, name="late")
    self.assertEqual(_names(walk.ancestors([late])), ["late"])
    found = _names(walk.ancestors([late], control=True))
    self.assertEqual(found[-1], "late")
    self.assertIn("d", found)
    found = walk.ancestors([late], stop=[self.c], control=True)
    self.assertEqual(_names(found), ["d", "late"])


class DependentsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2], name="x")
    self.z = tf1.placeholder(tf1.float64, [2], name="z")
    self.h = tf1.square(self.x, name="h")
    self.s = tf1.stop_gradient(self.h, name="s")
    self.y = tf1.add(self.s, tf1.exp(self.z, name="e"), name="y")
    self.ops = walk.ancestors([self.y])

  def test_names_what_depends_on_the_sources_and_these(self):
    found = walk.dependents([self.x], self.ops)
    self.assertEqual(found, {"x:0", "h:0", "s:0", "y:0"})
    self.assertEqual(walk.dependents([], self.ops), set())

  def test_a_dependence_through_what_is_not_followed_does_not_count(self):
    found = walk.dependents(
      [self.x], self.ops, follow=lambda t: t.op.type != "StopGradient"
    )
    self.assertEqual(found, {"x:0", "h:0"})

  def test_goes_around_a_loop(self):
    self.use_control_flow(v2=False)
    # What depends on x enters the first variable in the second round only.
    _, first, _ = tf1.while_loop(
      lambda n, a, b: n < 3,
      lambda n, a, b: (n + 1, b + 1.0, b * 1.0),
      [0, self.z, self.x],
    )
    out = tf1.identity(first, name="out")
    ops = walk.ancestors([out])
    self.assertIn("out:0", walk.dependents([self.x], ops))
    self.assertIn("out:0", walk.dependents([self.z], ops))

  def test_between_is_what_depends_and_is_depended_on(self):
    self.assertEqual(_names(walk.between([self.x], [self.y])), ["h", "s", "y"])
    self.assertEqual(_names(walk.between([self.h], [self.y])), ["s", "y"])
    self.assertEqual(walk.between([self.y], [self.h]), [])
    self.assertEqual(walk.between([self.x], [self.x]), [])


class VariablesTest(case.GraphTestCase):
  @parameterized.parameters(True, False)
  def test_lists_trainable_ones_in_order(self, use_resource):
    w = [
      self.variable(f"w{k}", np.ones(2), k != 1, use_resource=use_resource)
      for k in range(4)
    ]
    y = w[2] * w[1] + w[0]
    found = walk.trainable_variables(walk.ancestors([y]), self.graph)
    self.assertEqual(found, [w[0], w[2]])


class ReachTest(case.GraphTestCase):
  def test_tells_which_outputs_depend_on_a_tensor(self):
    x = tf1.placeholder(tf1.float64, [4], name="x")
    a, b = tf1.split(x, 2)
    c = tf1.square(a)
    d = tf1.exp(c)
    outputs = [c, d, b, c]
    masks = walk.reach(outputs, walk.ancestors(outputs))
    self.assertEqual(masks[x.name], 0b1111)
    self.assertEqual(masks[a.name], 0b1011)
    self.assertEqual(masks[b.name], 0b0100)
    self.assertEqual(masks[c.name], 0b1011)
    self.assertEqual(masks[d.name], 0b0010)

  def test_counts_more_outputs_than_a_machine_word_has_bits(self):
    x = tf1.placeholder(tf1.float64, [], name="x")
    outputs = [x + float(k) for k in range(70)]
    masks = walk.reach(outputs, walk.ancestors(outputs))
    self.assertEqual(masks["x:0"], 2**70 - 1)


class LengthTest(chains.ChainTestCase):
  """On a chain of 100,000 ops with two ways at each."""

  def test_walks_are_linear_and_do_not_recur(self):
    inputs, outputs = [self.chain.x], [self.chain.y]
    with self.assert_linear():
      self.assertLen(walk.ancestors(outputs), chains.LENGTH + 1)
      self.assertLen(walk.between(inputs, outputs), chains.LENGTH)
      ops = walk.ancestors(outputs)
      self.assertLen(walk.dependents(inputs, ops), chains.LENGTH + 1)
      self.assertLen(walk.reach(outputs, ops), chains.LENGTH + 1)

  def test_the_order_is_that_of_the_chain(self):
    found = [op.name for op in walk.between([self.chain.x], [self.chain.y])]
    self.assertEqual(found, [f"f{k}" for k in range(chains.LENGTH)])


if __name__ == "__main__":
  absltest.main()

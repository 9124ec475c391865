import sys

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import copying, walk
from tests import case


class CopyTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 2], name="x")
    self.h = tf1.multiply(self.x, 3.0, name="h")
    self.y = tf1.square(self.h, name="y")
    self.other = tf1.placeholder(tf1.float64, [None, 2], name="other")

  def test_copies_read_what_replaces_the_inputs(self):
    ops = walk.between([self.x], [self.y])
    y, h = copying.copy(ops, [self.y, self.h], {"x:0": self.other})
    self.assertEqual(walk.ancestors([y], [self.other])[-1].name, "copy/y")
    feed_dict = {self.x: [[1.0, 2.0]], self.other: [[10.0, 20.0]]}
    values = self.session().run([self.y, y, h], feed_dict)
    np.testing.assert_array_equal(values[0], [[9.0, 36.0]])
    np.testing.assert_array_equal(values[1], [[900.0, 3600.0]])
    np.testing.assert_array_equal(values[2], [[30.0, 60.0]])

  def test_what_is_not_copied_is_read_where_it_stands(self):
    (y,) = copying.copy([self.y.op], [self.y], {})
    self.assertEqual(y.op.inputs[0].name, "h:0")

  def test_a_replacement_goes_before_a_copy(self):
    ops = [self.h.op, self.y.op]
    y, h = copying.copy(ops, [self.y, self.h], {"h:0": self.other})
    self.assertEqual(y.op.inputs[0].name, "other:0")
    self.assertIs(h, self.other)

  def test_targets_that_are_not_copied_are_themselves(self):
    found = copying.copy([self.y.op], [self.x, self.h], {"x:0": self.other})
    self.assertIs(found[0], self.other)
    self.assertIs(found[1], self.h)

  def test_nothing_to_copy_adds_nothing(self):
    before = self.count_ops()
    self.assertEqual(copying.copy([], [self.y], {})[0].name, "y:0")
    self.assertEqual(self.count_ops(), before)

  def test_outputs_of_one_op_are_replaced_one_by_one(self):
    a, b = tf1.split(self.x, 2, axis=1, name="halves")
    y = tf1.add(a, 2 * b)
    ops = walk.between([self.x], [y])
    half = tf1.placeholder(tf1.float64, [None, 1])
    (y,) = copying.copy(ops, [y], {"halves:1": half})
    feed_dict = {self.x: [[1.0, 2.0]], half: [[10.0]]}
    self.assertEqual(self.session().run(y, feed_dict), [[21.0]])

  def test_originals_stay_as_they_were(self):
    ops = walk.between([self.x], [self.y])
    before = [str(op.node_def) for op in self.graph.get_operations()]
    copying.copy(ops, [self.y], {"x:0": self.other})
    after = [str(op.node_def) for op in self.graph.get_operations()]
    self.assertEqual(after[: len(before)], before)

  def test_copies_land_in_the_scope_once_for_each_copy(self):
    before = self.count_ops()
    with tf1.name_scope("outer"):
      first = copying.copy([self.y.op], [self.y], {}, name="mine")[0]
      second = copying.copy([self.y.op], [self.y], {}, name="mine")[0]
    self.assertEqual(first.name, "outer/mine/y:0")
    self.assertEqual(second.name, "outer/mine_1/y:0")
    self.assertEqual(self.count_ops(), before + 2)

  def test_copies_have_the_static_shapes_of_the_originals(self):
    unknown = tf1.placeholder(tf1.float64, None)
    (y,) = copying.copy([self.h.op, self.y.op], [self.y], {"x:0": unknown})
    self.assertEqual(y.shape.as_list(), [None, 2])
    (x,) = copying.copy([], [self.x], {"x:0": unknown})
    self.assertEqual(x.shape.as_list(), [None, 2])


class ConstraintsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2], name="x")

  def test_control_dependencies_on_other_ops_are_dropped(self):
    with tf1.control_dependencies([tf1.identity(self.x, name="forward")]):
      y = tf1.square(self.x)
    (copy,) = copying.copy([y.op], [y], {})
    self.assertEqual([op.name for op in y.op.control_inputs], ["forward"])
    self.assertEqual(list(copy.op.control_inputs), [])

  def test_control_dependencies_among_the_copied_are_copied(self):
    first = tf1.identity(self.x, name="first")
    with tf1.control_dependencies([first]):
      y = tf1.square(self.x, name="y")
    (copy,) = copying.copy([y.op, first.op], [y], {})
    self.assertEqual([op.name for op in copy.op.control_inputs], ["copy/first"])

  def test_control_dependencies_of_the_caller_do_not_count(self):
    y = tf1.square(self.x)
    with tf1.control_dependencies([tf1.identity(self.x)]):
      (copy,) = copying.copy([y.op], [y], {})
    self.assertEqual(list(copy.op.control_inputs), [])

  def test_colocation_with_other_ops_is_dropped(self):
    with tf1.colocate_with(self.x.op):
      y = tf1.square(self.x)
    self.assertEqual(y.op.colocation_groups(), [b"loc:@x"])
    (copy,) = copying.copy([y.op], [y], {})
    self.assertEqual(
      copy.op.colocation_groups(), [b"loc:@" + copy.op.name.encode()]
    )
    self.session().run(copy, {self.x: np.ones(2)})

  def test_colocation_among_the_copied_is_copied(self):
    h = tf1.square(self.x, name="h")
    with tf1.colocate_with(h.op):
      y = tf1.square(h)
    (copy,) = copying.copy([h.op, y.op], [y], {})
    self.assertEqual(copy.op.colocation_groups(), [b"loc:@copy/h"])

  def test_devices_are_those_of_the_originals(self):
    with tf1.device("/cpu:1"):
      h = tf1.square(self.x)
    y = tf1.square(h)
    with tf1.device("/cpu:0"):
      copies = copying.copy([h.op, y.op], [h, y], {})
    self.assertEqual([t.op.device for t in copies], [h.op.device, ""])

  def test_attributes_are_copied(self):
    with self.graph._attr_scope(
      {"_mine": tf1.AttrValue(s=b"kept")}
    ):  # as tf.xla.experimental.jit_scope does
      y = tf1.square(self.x)
    (copy,) = copying.copy([y.op], [y], {})
    self.assertEqual(copy.op.get_attr("_mine"), b"kept")


class FunctionsTest(case.GraphTestCase):
  @parameterized.named_parameters(("loop", True), ("branch", False))
  def test_ops_that_call_functions(self, loop):
    self.use_control_flow(v2=True)
    x = tf1.placeholder(tf1.float64, [2], name="x")
    if loop:
      _, y = tf1.while_loop(
        lambda n, v: n < 3, lambda n, v: (n + 1, 2 * v), [0, x]
      )
    else:
      y = tf1.cond(tf1.reduce_sum(x) > 0, lambda: 8 * x, lambda: -x)
    other = tf1.placeholder(tf1.float64, [2])
    (copy,) = copying.copy(walk.between([x], [y]), [y], {"x:0": other})
    found = self.session().run(copy, {other: np.ones(2)})
    np.testing.assert_array_equal(found, [8.0, 8.0])

  def test_functions_of_another_graph_are_copied_with_the_ops(self):
    self.use_control_flow(v2=True)
    other = tf1.Graph()
    with other.as_default():
      x = tf1.placeholder(tf1.float64, [2], name="x")
      y = tf1.cond(tf1.reduce_sum(x) > 0, lambda: 8 * x, lambda: -x)
    x = tf1.placeholder(tf1.float64, [2])
    ops = [op for op in walk.ancestors([y]) if op.name != "x"]
    (copy,) = copying.copy(ops, [y], {"x:0": x})
    for value, expected in ((1.0, 8.0), (-1.0, 1.0)):
      found = self.session().run(copy, {x: np.full(2, value)})
      np.testing.assert_array_equal(found, [expected, expected])


class LengthTest(case.GraphTestCase):
  def test_a_copy_does_not_recur(self):
    length = 5 * sys.getrecursionlimit()
    graph_def = tf1.GraphDef()
    for k in range(length):
      node = graph_def.node.add()
      node.name, node.op = f"f{k}", "AddV2" if k else "Placeholder"
      node.attr["T" if k else "dtype"].type = tf1.float64.as_datatype_enum
      node.input.extend([f"f{k - 1}"] * 2 if k else [])
    (y,) = tf1.import_graph_def(
      graph_def, name="", return_elements=[f"f{length - 1}:0"]
    )
    ops = walk.ancestors([y])[1:]
    (copy,) = copying.copy(ops[::-1], [y], {})
    self.assertEqual(self.count_ops(), 2 * length - 1)
    self.assertEqual(copy.op.type, "AddV2")


class AddNodeTest(case.GraphTestCase):
  def test_names_what_is_read_elsewhere(self):
    x = tf1.placeholder(tf1.float64, [2], name="x")
    h = tf1.square(x, name="h")
    with tf1.control_dependencies([tf1.no_op("before")]):
      y = tf1.multiply(h, x, name="y")
    graph_def, links = tf1.GraphDef(), {}
    node = copying.add_node(graph_def, y.op, {"y"}, {"x:0": h}, links)
    self.assertEqual([n.name for n in graph_def.node], ["y"])
    self.assertEqual(node.input, ["h:0", "x:0"])  # and no control dependency
    self.assertEqual(
      {name: tensor.name for name, tensor in links.items()},
      {"h:0": "h:0", "x:0": "h:0"},
    )
    links = {}
    copying.add_node(graph_def, y.op, {"y", "h"}, {}, links)
    self.assertEqual(list(links), ["x:0"])


class MoveTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2], name="x")
    self.h = tf1.multiply(self.x, 3.0, name="h")
    self.other = tf1.placeholder(tf1.float64, [2], name="other")

  def move(self, movable, targets):
    ops = walk.between([self.x], targets)
    movable = {tensor.op for tensor in movable}
    return copying.move(ops, movable, targets, {"x:0": self.other})

  def run_with_other(self, tensors):
    return self.session().run(tensors, {self.other: [1.0, 2.0]})

  def test_ops_of_which_nothing_else_reads_are_not_copied(self):
    y = tf1.square(self.h, name="y")
    before = self.count_ops()
    self.assertEqual(self.move([self.h, y], [y]), [y])
    self.assertEqual(self.count_ops(), before)
    np.testing.assert_array_equal(self.run_with_other(y), [9.0, 36.0])

  def test_ops_that_may_not_move_are_copied_and_read(self):
    y = tf1.square(self.h, name="y")
    self.assertEqual(self.move([y], [y]), [y])
    self.assertEqual(y.op.inputs[0].name, "copy/h:0")
    self.assertEqual(self.h.op.inputs[0].name, "x:0")
    np.testing.assert_array_equal(self.run_with_other(y), [9.0, 36.0])

  def test_copies_read_what_was_moved(self):
    y = tf1.square(self.h, name="y")
    (found,) = self.move([self.h], [y])
    self.assertEqual(found.name, "copy/y:0")
    self.assertEqual(found.op.inputs[0].name, "h:0")
    np.testing.assert_array_equal(self.run_with_other(found), [9.0, 36.0])

  def test_an_op_reads_one_tensor_twice(self):
    y = tf1.multiply(self.x, self.x)
    self.move([y], [y])
    np.testing.assert_array_equal(self.run_with_other(y), [1.0, 4.0])

  def test_a_target_may_be_replaced(self):
    y = tf1.square(self.h, name="y")
    found = self.move([self.h, y], [y, self.x])
    self.assertEqual(found, [y, self.other])

  def test_ops_of_an_order_are_copied(self):
    checked = tf1.sin(self.h, name="checked")
    with tf1.control_dependencies([checked]):
      y = tf1.square(self.h, name="y")
    ops = [self.h.op, checked.op, y.op]
    replace = {"x:0": self.other}
    (found,) = copying.move(ops, set(ops), [y], replace)
    self.assertEqual(found.name, "copy/y:0")
    self.assertEqual(found.op.control_inputs[0].name, "copy/checked")
    self.assertIs(found.op.inputs[0], self.h)

  def test_ops_of_one_device_are_copied(self):
    with tf1.colocate_with(self.h.op):
      y = tf1.square(self.h, name="y")
    self.assertEqual(self.move([self.h, y], [y])[0].name, "copy/y:0")


if __name__ == "__main__":
  absltest.main()

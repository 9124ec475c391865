"""Tests that recorded shapes which contradict the graph are dropped."""

import numpy as np
from absl.testing import absltest

from tangle import compat, errors, meta_graphs
from tangle.compat import tf1
from tests import case
from tests.meta_graphs import support


def product():
  x = tf1.placeholder(tf1.float64, [None, 4], "x")
  w = tf1.constant(np.arange(8.0).reshape(4, 2), name="w")
  y = tf1.matmul(x, w, name="y")
  z = tf1.tanh(y, name="z")
  z.set_shape([3, 2])  # what only the recorded shape tells


def record(node, *shapes):
  """Records shapes of the outputs of a node."""
  found = node.attr["_output_shapes"].list
  del found.shape[:]
  found.shape.extend(tf1.TensorShape(shape).as_proto() for shape in shapes)


class StaleShapesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.meta = support.export(product)
    self.nodes = {node.name: node for node in self.meta.graph_def.node}

  def load(self):
    with tf1.Graph().as_default(), self.assertRaises(ValueError):
      tf1.train.import_meta_graph(self.meta)
    return meta_graphs.load(support.save(self.meta), ["x"], ["y", "z"])

  def test_a_shape_that_contradicts_is_dropped_and_the_gradient_is_right(self):
    record(self.nodes["y"], [None, 3])
    found = self.load()
    self.assertEqual(found.repairs.output_shapes, ("y",))
    y, z = found.outputs
    self.assertEqual(y.shape.as_list(), [None, 2])
    self.assertEqual(z.shape.as_list(), [3, 2])  # others stay
    (gradient,) = tf1.gradients(y, found.inputs)
    w = np.arange(8.0).reshape(4, 2)
    fed = {found.inputs[0]: np.ones([3, 4])}
    self.assert_close(
      self.session().run(gradient, fed), np.tile(w.sum(1), [3, 1])
    )

  def test_all_of_them_are_found_at_once(self):
    record(self.nodes["w"], [4, 3])
    record(self.nodes["y"], [None, 3])
    record(self.nodes["z"], [None, 2], [1])  # one too many is allowed
    found = self.load()
    self.assertEqual(found.repairs.output_shapes, ("w", "y"))

  def test_one_that_shows_only_with_the_shapes_of_others(self):
    # Nothing but these records tells the size of the batch.
    record(self.nodes["x"], [5, 4])
    record(self.nodes["z"], [3, 2])
    found = self.load()
    self.assertEqual(found.repairs.output_shapes, ("z",))
    self.assertEqual(found.outputs[1].shape.as_list(), [5, 2])

  def test_one_that_leads_an_op_above_to_refuse(self):
    # The record of `y` makes the addition below it impossible.
    def build():
      x = tf1.placeholder(tf1.float64, None, "x")
      y = tf1.identity(x, name="y")
      tf1.add(y, tf1.constant(np.ones([4])), name="z")

    self.meta = support.export(build)
    nodes = {node.name: node for node in self.meta.graph_def.node}
    record(nodes["y"], [3])
    found = self.load()
    self.assertIn("y", found.repairs.output_shapes)
    fed = {found.inputs[0]: np.ones([4])}
    self.assert_close(self.session().run(found.outputs[1], fed), 2 * np.ones(4))

  def test_shapes_that_are_missing(self):
    def build():
      x = tf1.placeholder(tf1.float64, [None, 4], "x")
      tf1.unstack(x, axis=1, name="y")
      tf1.identity(x, "z")

    self.meta = support.export(build)
    nodes = {node.name: node for node in self.meta.graph_def.node}
    record(nodes["y"], [None])
    with tf1.Graph().as_default(), self.assertRaises(ValueError):
      tf1.train.import_meta_graph(self.meta)
    found = meta_graphs.load(support.save(self.meta))
    self.assertEqual(found.repairs.output_shapes, ("y",))

  def test_a_graph_that_is_wrong_without_them_is_refused(self):
    record(self.nodes["w"], [4, 3])
    self.nodes["y"].attr["T"].type = tf1.float32.as_datatype_enum
    with self.assertRaisesRegex(errors.GraphError, "cannot be imported"):
      self.load()
    self.assertEqual(self.count_ops(), 0)


class FunctionsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=True)

    def build():
      x = tf1.placeholder(tf1.float64, [3, 4], "x")
      _, y = tf1.while_loop(
        lambda t, h: t < 2,
        lambda t, h: (t + 1, tf1.tanh(h, name="bent")),
        [tf1.constant(0), x],
      )
      tf1.identity(y, "y")

    self.meta = support.export(build)
    self.nodes = [
      (f"{function.signature.name}/{node.name}", node)
      for function in self.meta.graph_def.library.function
      for node in function.node_def
      if node.op == "Tanh"
    ]

  def gradient(self, found):
    (gradient,) = tf1.gradients(found.outputs, found.inputs)
    x = self.normal(3, 4)
    slope = (1 - np.tanh(x) ** 2) * (1 - np.tanh(np.tanh(x)) ** 2)
    self.assert_close(self.session().run(gradient, {found.inputs[0]: x}), slope)

  def test_what_does_not_contradict_stays(self):
    self.assertNotEmpty(self.nodes)
    for _, node in self.nodes:
      record(node, [None, 4])
    found = meta_graphs.load(support.save(self.meta), ["x"], ["y"])
    self.assertFalse(found.repairs)
    self.gradient(found)

  def test_what_contradicts_is_dropped_and_the_gradient_is_right(self):
    for _, node in self.nodes:
      record(node, [3, 5])
    with tf1.Graph().as_default() as graph, self.assertRaises(ValueError):
      tf1.train.import_meta_graph(self.meta)  # not yet
      tf1.gradients(
        graph.get_tensor_by_name("y:0"), graph.get_tensor_by_name("x:0")
      )
    found = meta_graphs.load(support.save(self.meta), ["x"], ["y"])
    self.assertEqual(
      found.repairs.output_shapes, tuple(name for name, _ in self.nodes)
    )
    self.gradient(found)

  def test_a_function_that_calls_another(self):
    def build():
      @compat.defun(tf1.float64)
      def square(x):
        return x * x

      @compat.defun(tf1.float64)
      def fourth(x):
        return square(square(x))

      tf1.identity(fourth(tf1.placeholder(tf1.float64, [], "x")), "y")

    meta = support.export(build)
    for function in meta.graph_def.library.function:
      for node in function.node_def:
        record(node, [])
    found = meta_graphs.load(support.save(meta), ["x"], ["y"])
    self.assertFalse(found.repairs)
    self.assertEqual(self.session().run("y:0", {"x:0": 3.0}), 81.0)


if __name__ == "__main__":
  absltest.main()

"""Tests that ops and attributes that are not known are named or dropped."""

import subprocess
import sys
from unittest import mock

from absl.testing import absltest

from tangle import compat, errors, meta_graphs
from tangle.compat import tf1
from tangle.meta_graphs import ops
from tests import case
from tests.meta_graphs import support

CONTRIB = """
import tensorflow as tf
from tangle import compat
from tangle.meta_graphs import ops
for module, names in ops.CONTRIB.items():
  exec(ops.statement(module))
  for name in names.split():
    if compat.op_def(name) is None:
      print(module, name)
print("done")
"""

LOAD = """
import sys
from tangle import meta_graphs
from tangle.compat import tf1
from tangle.meta_graphs import ops
exec(ops.statement(sys.argv[2]))
with tf1.Graph().as_default() as graph:
  meta_graphs.load(sys.argv[1])
  print(graph.get_operation_by_name("w").type)
"""


def product():
  x = tf1.placeholder(tf1.float64, [2, 2], "x")
  tf1.matmul(x, x, name="y")


class UnknownOpsTest(case.GraphTestCase):
  def refusal(self, **kinds):
    """Returns the message for a graph with ops of these kinds.

    They are hidden, as another test of this process may have imported contrib.
    """
    meta = support.export(product)
    for name, kind in kinds.items():
      meta.graph_def.node.add(name=name, op=kind)
    self.meta = meta
    find = compat.op_def
    hidden = mock.patch.object(
      compat, "op_def", lambda k: None if k in kinds.values() else find(k)
    )
    with hidden, self.assertRaises(errors.GraphError) as caught:
      meta_graphs.load(support.save(meta))
    self.assertEqual(self.count_ops(), 0)
    return str(caught.exception)

  def test_all_are_named_with_what_they_need(self):
    text = self.refusal(
      a="Abacus", b="Abacus", r="HyperplaneLSHProbes", t="Addons>Knot"
    )
    self.assertIn("3 kinds of ops", text)
    lines = {line.split()[0]: line for line in text.splitlines()[1:]}
    self.assertIn("'a' and 1 more", lines["Abacus"])
    self.assertIn("tf.load_op_library", lines["Abacus"])
    contrib = lines["HyperplaneLSHProbes"]
    self.assertIn("`import tensorflow.contrib.nearest_neighbor`", contrib)
    self.assertEqual("on TensorFlow 1.15" in contrib, not compat.IS_TF1)
    self.assertIn("`import tensorflow_addons`", lines["Addons>Knot"])

  def test_ops_that_tensorflow_2_has_removed(self):
    if compat.IS_TF1:
      self.assertIsNotNone(compat.op_def("TensorForestTreeSize"))
    else:
      text = self.refusal(t="TensorForestTreeSize")
      self.assertIn("removed", text)
      self.assertIn("on TensorFlow 1.15", text)

  def test_ops_of_a_newer_tensorflow(self):
    meta = support.export(product)
    meta.graph_def.node.add(name="a", op="Abacus")
    meta.meta_info_def.tensorflow_version = "3.4.0"
    with self.assertRaises(errors.GraphError) as caught:
      meta_graphs.load(support.save(meta))
    self.assert_message(caught.exception, "written by TensorFlow 3.4.0")
    self.assert_message(caught.exception, "of TensorFlow 3.4.0, so load")

  def test_ops_in_functions_are_named(self):
    meta = support.export(product)
    function = meta.graph_def.library.function.add()
    function.signature.name = "knot"
    function.node_def.add(name="a", op="Abacus")
    meta.graph_def.node.add(name="call", op="knot")
    with self.assertRaises(errors.GraphError) as caught:
      meta_graphs.load(support.save(meta))
    self.assert_message(caught.exception, "'knot/a'", "1 kind of")

  @absltest.skipUnless(compat.IS_TF1, "tf.contrib is in TensorFlow 1.15 only")
  def test_the_modules_of_contrib_register_their_ops(self):
    done = subprocess.run(
      [sys.executable, "-W", "ignore", "-c", CONTRIB],
      cwd=str(support.ROOT),
      capture_output=True,
      text=True,
    )
    self.assertEqual(done.stdout.split(), ["done"], done.stderr)

  @absltest.skipUnless(compat.IS_TF1, "tf.contrib is in TensorFlow 1.15 only")
  def test_a_graph_with_ops_of_contrib_loads_once_they_are_imported(self):
    self.refusal(w="BytesLimit")
    done = support.forks.run_code(LOAD, support.save(self.meta), "memory_stats")
    self.assertEqual(done.stdout.split(), ["BytesLimit"], done.stderr)


class AttributesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.meta = support.export(product)
    (self.node,) = [n for n in self.meta.graph_def.node if n.name == "y"]
    (self.op_def,) = [
      op
      for op in self.meta.meta_info_def.stripped_op_list.op
      if op.name == "MatMul"
    ]

  def load(self):
    return meta_graphs.load(support.save(self.meta), ["x"], ["y"])

  def test_a_newer_attribute_with_its_default_is_dropped(self):
    attr = self.op_def.attr.add(name="knots", type="int")
    attr.default_value.i = 3
    self.node.attr["knots"].i = 3
    found = self.load()
    self.assertEqual(found.repairs.attributes, {"MatMul.knots": 1})

  def test_one_that_asks_for_something_is_named(self):
    attr = self.op_def.attr.add(name="knots", type="int")
    attr.default_value.i = 3
    self.node.attr["knots"].i = 4
    self.node.attr["loops"].b = True
    with self.assertRaises(errors.GraphError) as caught:
      self.load()
    self.assert_message(
      caught.exception, "MatMul.knots (node 'y')", "MatMul.loops (node 'y')"
    )
    self.assertEqual(self.count_ops(), 0)

  def test_where_the_file_tells_no_defaults(self):
    self.meta.meta_info_def.ClearField("stripped_op_list")
    self.node.attr["knots"].i = 0
    self.node.attr["shape_type"].type = tf1.int32.as_datatype_enum
    self.node.attr["sizes"].list.SetInParent()
    found = self.load()
    self.assertLen(found.repairs.attributes, 3)

  def test_a_type_that_is_no_default_is_named(self):
    self.meta.meta_info_def.ClearField("stripped_op_list")
    self.node.attr["shape_type"].type = tf1.int64.as_datatype_enum
    with self.assertRaisesRegex(errors.GraphError, "MatMul.shape_type"):
      self.load()

  def test_one_in_a_function_is_dropped(self):
    @compat.defun(tf1.float64)
    def square(x):
      return tf1.matmul(x, x)

    def build():
      tf1.identity(square(tf1.placeholder(tf1.float64, [1, 1], "x")), "y")

    self.meta = support.export(build)
    for function in self.meta.graph_def.library.function:
      for node in function.node_def:
        node.attr["knots"].b = False
    found = self.load()
    self.assertNotEmpty(found.repairs.attributes)
    fed = {found.inputs[0]: [[3.0]]}
    self.assertEqual(self.session().run("y:0", fed), 9.0)

  def test_attributes_of_the_runtime_stay(self):
    self.node.attr["_knots"].i = 5
    found = self.load()
    self.assertEqual(found.outputs[0].op.get_attr("_knots"), 5)
    self.assertFalse(found.repairs)

  @absltest.skipIf(compat.IS_TF1, "they are attributes of TensorFlow 2")
  def test_attributes_without_effect_are_those_of_tensorflow_2(self):
    for kind, key in ops._WITHOUT_EFFECT:
      names = [attr.name for attr in compat.op_def(kind).attr]
      self.assertIn(key, names, kind)


if __name__ == "__main__":
  absltest.main()

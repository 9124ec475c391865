"""Tests of the repairs of single nodes, and of how repairs are told."""

from absl.testing import absltest

from tangle import compat, meta_graphs
from tangle.compat import tf1
from tests import case
from tests.meta_graphs import support

AWAY = "/job:ps/replica:0/task:7/device:GPU:3"


def two_ops():
  with tf1.device(AWAY):
    x = tf1.placeholder(tf1.float64, [], "x")
  with tf1.device("/cpu:0"):
    tf1.multiply(x, x, name="y")


class DevicesTest(case.GraphTestCase):
  def test_devices_that_are_not_there_are_cleared(self):
    path = support.save(support.export(two_ops))
    found = meta_graphs.load(path, ["x"], ["y"])
    self.assertEqual(found.repairs.devices, {AWAY: 1})
    self.assertEqual(found.inputs[0].device, "")
    self.assertEqual(found.outputs[0].device, "/device:CPU:0")
    self.assertEqual(self.session().run("y:0", {"x:0": 3.0}), 9.0)

  def test_they_are_cleared_in_functions(self):
    def build():
      @compat.defun(tf1.float64)
      def square(x):
        with tf1.device(AWAY):
          return x * x

      x = tf1.placeholder(tf1.float64, [], "x")
      tf1.identity(square(x), "y")

    path = support.save(support.export(build))
    found = meta_graphs.load(path)
    self.assertIn(AWAY, found.repairs.devices)
    self.assertEqual(self.session().run("y:0", {"x:0": 3.0}), 9.0)

  def test_they_stay_when_asked(self):
    path = support.save(support.export(two_ops))
    found = meta_graphs.load(path, ["x"], clear_devices=False)
    self.assertEqual(found.inputs[0].device, AWAY)
    self.assertFalse(found.repairs)


class ColocationsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()

    def build():
      a = tf1.constant(1.0, name="a")
      with tf1.colocate_with(a.op):
        tf1.constant(2.0, name="b")
        tf1.constant(3.0, name="c")

    self.meta = support.export(build)

  def test_nodes_may_be_bound_to_nodes_that_were_cut_away(self):
    nodes = {node.name: node for node in self.meta.graph_def.node}
    nodes["c"].attr["_class"].list.s.append(b"loc:@b")
    del self.meta.graph_def.node[0]  # a
    with self.assertRaises(ValueError):
      tf1.import_graph_def(self.meta.graph_def, name="")
    found = meta_graphs.load(support.save(self.meta))
    self.assertEqual(found.repairs.colocations, ("b", "c"))
    c = self.graph.get_operation_by_name("c")
    self.assertEqual(c.colocation_groups(), [b"loc:@b"])

  def test_nodes_stay_bound_to_those_that_are_there(self):
    found = meta_graphs.load(support.save(self.meta))
    self.assertFalse(found.repairs)
    b = self.graph.get_operation_by_name("b")
    self.assertEqual(b.colocation_groups(), [b"loc:@a"])


class ReportTest(case.GraphTestCase):
  def test_each_repair_is_told(self):
    found = meta_graphs.Repairs(
      writer="1.15.5",
      output_shapes=tuple(f"node{k}" for k in range(10)),
      attributes={"MatMul.grad_a": 2},
      devices={AWAY: 1},
      colocations=("b",),
      collections={"knots": "lost"},
      saver="gone",
    )
    text = str(found)
    self.assertLen(text.splitlines(), 6)
    for part in ("contradict", "node7 and 2 more", "MatMul.grad_a", AWAY, "b"):
      self.assertIn(part, text)
    self.assertIn("'knots' dropped: lost", text)
    self.assertIn("gone", text)
    self.assertTrue(found)

  def test_nothing_to_repair(self):
    found = meta_graphs.Repairs("2.21.0", (), {}, {}, (), {}, "")
    self.assertEqual(str(found), "nothing to repair")
    self.assertFalse(found)


if __name__ == "__main__":
  absltest.main()

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.partial import policies
from tests import case


class PredicateTest(case.GraphTestCase):
  def test_names_stand_for_predicates(self):
    x = tf1.constant(1.0)
    self.assertTrue(policies.predicate("frontier")(x))
    self.assertTrue(policies.predicate("all")(x))
    self.assertFalse(policies.predicate("none")(x))

  def test_a_callable_stands_for_itself(self):
    keep = lambda tensor: tensor.op.type == "Tanh"  # noqa: E731
    self.assertIs(policies.predicate(keep), keep)

  def test_others_are_refused(self):
    for bad in ("every", None, 3, ["all"]):
      with self.assertRaises(errors.ArgumentError) as caught:
        policies.predicate(bad)
      self.assert_message(
        caught.exception, repr(bad), "frontier", "all", "none"
      )


class EverythingTest(case.GraphTestCase):
  def test_lists_what_can_be_fetched_and_fed(self):
    x = tf1.placeholder(tf1.float64, [4], name="x")
    a, b = tf1.split(x, 2, name="halves")
    unfed = tf1.square(a)
    self.graph.prevent_feeding(unfed)
    unfetched = tf1.square(b)
    self.graph.prevent_fetching(unfetched.op)
    resource = self.variable("w", np.ones(2)).op
    reference = self.variable("r", np.ones(2), use_resource=False).op
    items = tf1.raw_ops.TensorListReserve(
      element_shape=[2], num_elements=2, element_dtype=tf1.float64
    )
    ops = [a.op, unfed.op, unfetched.op, resource, reference, items.op]
    found = policies.everything(ops, self.graph)
    self.assertEqual([t.name for t in found], ["halves:0", "halves:1"])

  def test_leaves_out_the_inside_of_loops(self):
    self.use_control_flow(v2=False)
    _, y = tf1.while_loop(
      lambda n, v: n < 3, lambda n, v: (n + 1, 2 * v), [0, 1.0], name="loop"
    )
    after = tf1.square(y, name="after")
    found = policies.everything(self.graph.get_operations(), self.graph)
    names = [t.name for t in found]
    self.assertIn(after.name, names)
    for op in self.graph.get_operations():
      if op.type in ("Enter", "Merge", "Switch", "NextIteration"):
        self.assertNotIn(op.outputs[0].name, names)


if __name__ == "__main__":
  absltest.main()

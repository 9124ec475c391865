"""Tests of what private names tell of ops."""

from absl.testing import absltest

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import internals
from tests import case


class InternalsTest(case.GraphTestCase):
  def build(self):
    """Makes a loop in a conditional; returns an op inside, and one outside."""
    made = []

    def body(k):
      made.append(tf1.add(k, 1, name="inside").op)
      return made[0].outputs[0]

    x = tf1.placeholder(tf1.int32, [])
    with compat.control_flow(v2=False):
      tf1.cond(
        x > 0, lambda: tf1.while_loop(lambda k: k < 3, body, [x]), lambda: x
      )
    return made[0], x.op

  def test_tells_loops_from_what_is_outside(self):
    inside, outside = self.build()
    self.assertTrue(internals.in_v1_loop(inside))
    self.assertFalse(internals.in_v1_loop(outside))
    self.assertTrue(internals.outermost_context(inside).IsCondContext())
    self.assertIsNone(internals.outermost_context(outside))

  def test_adds_ops_beside_an_op_in_a_loop(self):
    inside, outside = self.build()
    with internals.in_context_of(inside):
      beside = tf1.identity(inside.outputs[0]).op
    self.assertTrue(internals.in_v1_loop(beside))
    with internals.in_context_of(outside):
      beside = tf1.identity(outside.outputs[0]).op
    self.assertFalse(internals.in_v1_loop(beside))

  def test_tells_references_from_values(self):
    w = self.variable("w", self.normal(2), use_resource=False)
    assign = tf1.assign(w, self.normal(2)).op
    self.assertTrue(internals.takes_ref(assign, 0))
    self.assertFalse(internals.takes_ref(assign, 1))
    total = tf1.add_n([w, w, w]).op
    self.assertFalse(any(internals.takes_ref(total, k) for k in range(3)))

  def test_finds_the_definition_of_a_function(self):
    @compat.defun(tf1.float32)
    def double(x):
      return 2 * x

    call = double(tf1.constant(1.0)).op
    name = internals.called(call)
    found = internals.function_def(self.graph, name)
    self.assertEqual(found.signature.name, name)
    self.assertLen(found.signature.input_arg, 1)

  def test_a_copy_gets_the_gradient_function(self):
    first, second = tf1.constant(1.0).op, tf1.constant(2.0).op
    internals.share_gradient_function(first, second)
    if not compat.IS_TF1:
      first._gradient_function = lambda op, upstream: upstream
      internals.share_gradient_function(first, second)
      self.assertIs(second._gradient_function, first._gradient_function)
    self.assertIs(
      getattr(second, "_gradient_function", None),
      getattr(first, "_gradient_function", None),
    )


if __name__ == "__main__":
  absltest.main()

"""Tests of finding variables."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle.combine import variables
from tangle.compat import tf1
from tests import case


class VariablesTest(case.GraphTestCase):
  def test_lists_those_of_all_collections_once(self):
    one = self.variable("one", 1.0)
    two = self.variable("two", 1.0, trainable=False)
    three = tf1.get_variable(
      "three", initializer=1.0, collections=[tf1.GraphKeys.LOCAL_VARIABLES]
    )
    found = variables.all_variables(self.graph)
    self.assertEqual(
      [v.op.name for v in found], [v.op.name for v in (one, two, three)]
    )
    self.assertEqual(
      [v.op.name for v in variables.trainable(found)], ["one", "three"]
    )
    self.assertEqual(variables.trainable([]), [])

  def test_takes_properties_methods_and_wrapped_variables(self):
    variable = self.variable("v", 1.0)

    class Wrapped:
      value = variable

    for found in ([variable], lambda: [variable], [Wrapped(), object()]):
      holder = type("Holder", (), {})()
      holder.variables = found
      self.assertEqual(variables.listed(holder), [variable])
    self.assertEqual(variables.listed(tf1.sin), [])

  @parameterized.named_parameters(("resource", True), ("reference", False))
  def test_tells_what_an_op_changes(self, use_resource):
    v = self.variable("v", np.zeros(2), use_resource=use_resource)
    for method in set(variables.ASSIGNMENTS.values()):
      changed = getattr(v, method)(np.ones(2), read_value=False)
      op = changed if isinstance(changed, tf1.Operation) else changed.op
      self.assertIs(variables.changed_by(op), v)
      self.assertEqual(variables.ASSIGNMENTS[op.type], method)
    self.assertIsNone(variables.changed_by(tf1.zeros([2]).op))


if __name__ == "__main__":
  absltest.main()

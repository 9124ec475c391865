"""Gradient functions in Python are found with what they remember."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import own_gradients
from tests import case


@tf1.custom_gradient
def remembering(h):
  """Gives `tanh h`; the gradient reads the output and another tensor."""
  aside = tf1.sin(h, name="aside")
  y = tf1.tanh(h, name="y")
  return y, lambda upstream: upstream * aside * y


class OwnGradientsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2], name="x")

  def test_what_they_remember_is_told_and_never_runs(self):
    y = remembering(self.x)
    ops = self.graph.get_operations()
    found = own_gradients.remembered(ops)
    self.assertEqual({t.name for t in found}, {"aside:0", "y:0"})
    made = self.graph.get_operations()[len(ops) :]
    self.assertTrue(all(op.name.startswith("remembered") for op in made))
    value = self.session().run(y, {self.x: np.ones(2)})
    self.assert_close(value, np.tanh(np.ones(2)))

  def test_a_tensor_that_is_the_gradient_itself(self):
    @tf1.custom_gradient
    def function(h):
      y = tf1.exp(h, name="exp")
      return y, lambda upstream: y

    function(self.x)
    found = own_gradients.remembered(self.graph.get_operations())
    self.assertEqual([t.name for t in found], ["exp:0"])

  def test_other_ops_remember_nothing(self):
    with self.graph.gradient_override_map({"Tanh": "Sin"}):
      tf1.tanh(tf1.sin(self.x))
    ops = self.graph.get_operations()
    self.assertEmpty(own_gradients.remembered(ops))
    self.assertEqual(self.count_ops(), len(ops))

  @parameterized.product(v2=[False, True], nested=[False, True])
  def test_those_within_control_flow_are_named(self, v2, nested):
    def pick(h):
      return tf1.cond(h[0] > 0.0, lambda: remembering(h), lambda: h)

    with compat.control_flow(v2):
      if nested:
        tf1.while_loop(lambda h: h[0] > 3.0, lambda h: [pick(h)], [self.x])
      else:
        pick(self.x)
      tf1.cond(self.x[0] > 0.0, lambda: self.x, lambda: 2.0 * self.x)
    names = [own_gradients.inner_memory(op) for op in self.ops()]
    names = [name for name in names if name is not None]
    self.assertLen(names, 1)
    self.assertIn("IdentityN", names[0])

  @parameterized.parameters(False, True)
  def test_those_within_control_flow_that_need_nothing_are_not(self, v2):
    @tf1.custom_gradient
    def double(h):
      return 2.0 * h, lambda upstream: 2.0 * upstream

    @tf1.custom_gradient
    def constant(h):
      ones = tf1.ones_like(h)
      return 2.0 * h, lambda upstream: ones

    for function, count in ((double, 0), (constant, 1)):
      with compat.control_flow(v2), tf1.Graph().as_default() as graph:
        x = tf1.placeholder(tf1.float64, [2])
        tf1.while_loop(lambda h: h[0] > 3.0, lambda h, f=function: [f(h)], [x])
      ops = graph.get_operations()
      found = [own_gradients.inner_memory(op) for op in ops]
      self.assertLen(list(filter(None, found)), count)
      self.assertLen(graph.get_operations(), len(ops))

  def ops(self):
    return self.graph.get_operations()


if __name__ == "__main__":
  absltest.main()

"""Tests that the constructs are what their names say."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.experiments import constructs
from tests import case

_IN_LOOPS = frozenset(["scan", "foldl", "map_fn"])


class ConstructsTest(case.GraphTestCase):
  @parameterized.named_parameters(
    (name.replace(" ", "_").replace(",", ""), name) for name in constructs.ALL
  )
  def test_uses_its_construct_and_the_weight(self, name):
    self.use_control_flow(v2=False)
    x_ph = tf1.placeholder(tf1.float64, [3, 4])
    w = self.variable("w", self.normal(4, 4))
    before = {op.name for op in self.graph.get_operations()}
    y = constructs.ALL[name].build(x_ph, tf1.convert_to_tensor(w))
    kinds = {
      op.type for op in self.graph.get_operations() if op.name not in before
    }
    loops = "while" in name or "rnn" in name or name in _IN_LOOPS
    if "unction" in name or name == "Defun":
      self.assertTrue(
        [kind for kind in kinds if "Call" in kind or kind.startswith("dense")],
        kinds,
      )
    if loops and "in tf.function" not in name:
      self.assertIn("Enter", kinds)
    if "cond" in name and not loops and "in tf.function" not in name:
      self.assertIn("Switch", kinds)
    before = {op.name for op in self.graph.get_operations()}
    found = tf1.gradients(y, [x_ph, w])
    self.assertNotIn(None, found)

  def test_cell_is_a_recurrent_cell(self):
    w = tf1.constant(self.normal(4, 4))
    x, h = self.normal(3, 4), self.normal(3, 4)
    output, state = constructs.Cell(w)(tf1.constant(x), tf1.constant(h))
    with self.session() as sess:
      kernel, output_np, state_np = sess.run([w, output, state])
      zero = sess.run(constructs.Cell(w).zero_state(3, tf1.float64))
    np.testing.assert_allclose(output_np, np.tanh((x + h) @ kernel))
    np.testing.assert_array_equal(output_np, state_np)
    np.testing.assert_array_equal(zero, np.zeros([3, 4]))

  def test_defun_defines_a_function(self):
    @compat.defun(tf1.float64)
    def double(x):
      return 2 * x

    with self.session() as sess:
      value = sess.run(double(tf1.constant(3.0, tf1.float64)))
    self.assertEqual(value, 6.0)


if __name__ == "__main__":
  absltest.main()

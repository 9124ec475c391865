"""Tests the GRU by few large products where it is not what an LSTM is.

What holds of both is in `chains_test`.
"""

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.nets import recurrent
from tests.nets import support

B, T, D, U = 3, 5, 4, 6


class FusedGRUTest(support.NetTestCase):
  def test_half_precision(self):
    layer = recurrent.GRU(U, dtype=tf1.float16)
    x = tf1.constant(self.normal(B, T, D, dtype=np.float16))
    outputs = layer(x).outputs
    gradients = tf1.gradients(outputs, layer.variables)
    for value in self.session().run([outputs] + gradients):
      self.assertEqual(value.dtype, np.float16)
      self.assertTrue(np.all(np.isfinite(value)))

  @parameterized.named_parameters(("none", 0), ("one", 1), ("two", 2))
  def test_batches_too_small_for_two_chains(self, rows):
    layer = recurrent.GRU(U, dtype=tf1.float64)
    x = tf1.placeholder(tf1.float64, [None, T, D])
    outputs = layer(x).outputs
    gradients = tf1.gradients(outputs, layer.variables)
    sess = self.session()
    self.fill(sess, layer.variables)
    x_np = self.normal(B, T, D)
    whole = sess.run(outputs, {x: x_np})
    found = sess.run([outputs] + gradients, {x: x_np[:rows]})
    self.assert_close(found[0], whole[:rows])
    for value in found[1:]:
      self.assertEqual(bool(np.any(value)), rows > 0)


if __name__ == "__main__":
  absltest.main()

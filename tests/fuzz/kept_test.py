"""Programs that tangle was once wrong about, made small."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import case


class KeptTest(case.GraphTestCase):
  @parameterized.parameters("frontier", "all", "none", "min_cut")
  def test_a_constant_that_waits_for_an_update_runs_it_once(self, residuals):
    x = tf1.placeholder(tf1.float64, [None, 2])
    counter = self.variable("counter", np.float64(0.0), trainable=False)
    with tf1.control_dependencies([counter.assign_add(tf1.reduce_sum(x))]):
      y = tf1.square(0.5 * x)
    sub_model = tangle.SubModel([x], [y], residuals=residuals)
    sess = self.session()
    call = sub_model.forward(sess, {x: np.ones([1, 2])})
    found = call.backward([np.ones([1, 2])])
    self.assert_close(found.inputs[0], np.full([1, 2], 0.5))
    self.assertEqual(sess.run(counter), 2.0)


if __name__ == "__main__":
  absltest.main()

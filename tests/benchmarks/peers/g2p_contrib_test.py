"""Tests of contrib's legacy model on g2p training, which 1.15 alone has."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.peers import g2p_contrib, g2p_ours, tasks
from tangle.compat import IS_TF1
from tests import case
from tests.benchmarks.peers import g2p_tiny


class G2pContribTest(case.GraphTestCase):
  @parameterized.parameters(1, 2)
  def test_it_trains_as_ours(self, layers):
    if not IS_TF1:
      self.skipTest("contrib is in TensorFlow 1.15 only")
    task, optimizer = g2p_tiny.make(layers), tasks.Optimizer("adam", 0.1)
    step, versions = g2p_contrib.build(task, optimizer, 1)
    ours, _ = g2p_ours.build(task, optimizer, 1, "split")
    losses = [step() for _ in range(3)]
    np.testing.assert_allclose(losses, [ours() for _ in losses], rtol=1e-4)
    self.assertIn("tensorflow", versions)

  def test_there_is_no_split_contrib_and_none_on_tensorflow_2(self):
    with self.assertRaisesRegex(errors.ArgumentError, "1.15 only.*'split'"):
      g2p_contrib.build(g2p_tiny.make(), tasks.Optimizer(), 1, "split")
    if not IS_TF1:
      with self.assertRaisesRegex(errors.ArgumentError, "an interpreter"):
        g2p_contrib.build(g2p_tiny.make(), tasks.Optimizer(), 1)


if __name__ == "__main__":
  absltest.main()

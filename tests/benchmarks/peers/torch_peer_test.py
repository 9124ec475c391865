"""Tests of torch on the tasks; skipped where it is not installed."""

import importlib

import numpy as np
from absl.testing import absltest, parameterized

from tangle.benchmarks.peers import tasks
from tests.benchmarks.peers import reference


class PeerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    try:
      importlib.import_module("torch")
    except ImportError:
      self.skipTest("torch is not installed")
    self.peer = importlib.import_module("tangle.benchmarks.peers.torch_peer")

  @parameterized.named_parameters((name, name) for name in tasks.NAMES)
  def test_split_and_joint_train_as_numeric_gradients_do(self, name):
    task = reference.tiny(name)
    optimizer = tasks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    for mode in ("split", "joint"):
      step, versions = self.peer.build(task, optimizer, 1, mode)
      losses = [step() for _ in expected]
      np.testing.assert_allclose(losses, expected, rtol=1e-5, err_msg=mode)
      self.assertIn("torch", versions)

  def test_adam_lowers_the_loss(self):
    step, _ = self.peer.build(
      reference.tiny("mlp"), tasks.Optimizer("adam", 0.01), 1, "split"
    )
    losses = [step() for _ in range(5)]
    self.assertLess(losses[-1], losses[0])


if __name__ == "__main__":
  absltest.main()

"""Tests of PyTorch on the networks."""

from absl.testing import absltest

from tests.benchmarks.frameworks import cases


class InPytorchTest(cases.NetworksCase):
  framework = "torch"

  def setUp(self):
    super().setUp()
    self.build = cases.load(self, "torch", "in_pytorch").build


if __name__ == "__main__":
  absltest.main()

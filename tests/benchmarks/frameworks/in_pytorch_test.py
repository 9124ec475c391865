"""Tests of PyTorch on the networks."""

from absl.testing import absltest

from tests.benchmarks.frameworks import cases


class InPytorchTest(cases.NetworksCase):
  framework = "torch"
  module = "in_pytorch"


if __name__ == "__main__":
  absltest.main()

"""Tests of JAX on the networks."""

from absl.testing import absltest

from tests.benchmarks.frameworks import cases


class InJaxTest(cases.NetworksCase):
  framework = "jax"

  def setUp(self):
    super().setUp()
    self.build = cases.load(self, "jax", "in_jax").build


if __name__ == "__main__":
  absltest.main()

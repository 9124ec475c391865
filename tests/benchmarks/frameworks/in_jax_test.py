"""Tests of JAX on the networks."""

from absl.testing import absltest

from tests.benchmarks.frameworks import cases


class InJaxTest(cases.NetworksCase):
  framework = "jax"
  module = "in_jax"


if __name__ == "__main__":
  absltest.main()

"""Tests of the roofline."""

from absl.testing import absltest, parameterized

from tangle.benchmarks.frameworks import roofline

SHAPES = ((64, 32, 16), (2, 2, 2))


class RooflineTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("numpy", "numpy"), ("torch", "torch"), ("tensorflow", "tensorflow")
  )
  def test_a_step_returns_a_rate(self, library):
    try:
      step, versions = roofline.build(None, None, 1, library, SHAPES)
    except ImportError:
      self.skipTest(f"{library} is not installed")
    # A product of a few microseconds: no machine takes a second or a cycle.
    flops = 2 * 64 * 32 * 16
    self.assertBetween(step(), 1, 1e9 * flops)
    self.assertEqual(set(versions), {library} - {"numpy"})


if __name__ == "__main__":
  absltest.main()

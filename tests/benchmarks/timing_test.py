"""Tests of timing."""

import numpy as np
from absl.testing import absltest

from tangle.benchmarks import timing


class TimingTest(absltest.TestCase):
  def test_contenders_step_in_turn(self):
    order = []
    steps = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = timing.run_in_turn(steps, rounds=3, warm_up=1)
    self.assertEqual("".join(order), "abc" * 4)
    self.assertEqual(
      {k: v.shape for k, v in seconds.items()}, dict.fromkeys("abc", (3,))
    )
    self.assertTrue(all((v >= 0).all() for v in seconds.values()))

  def test_the_ratio_is_the_median_of_pairs_not_of_sums(self):
    base = np.array([1.0, 10.0, 100.0])
    found = timing.ratio(np.array([2.0, 20.0, 100.0]), base)
    self.assertEqual(found.median, 2.0)
    self.assertEqual((found.low, found.high), (1.5, 2.0))


if __name__ == "__main__":
  absltest.main()

"""Tests of gaps and of plots."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import digits, gaps


class GapsTest(parameterized.TestCase):
  def test_tangled_networks_fill_gaps_that_separate_ones_cannot(self):
    found = gaps.measure(seeds=2, max_held_out=1, steps=150)
    self.assertEqual(found["shown"], {"one_graph": 1.0, "separate": 1.0})
    tangled = np.mean(found["paths"]["one_graph"][1])
    separate = np.mean(found["paths"]["separate"][1])
    self.assertGreater(tangled, separate + 0.3)
    self.assertCountEqual(found["digits"]["separate"], [0, 2, 4, 6, 8])
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "gaps.png")
      gaps.plot(found, path)
      self.assertGreater(os.path.getsize(path), 5000)

  @parameterized.parameters(1, 2, 3, 4, 5, 6)
  def test_every_network_keeps_a_path(self, count):
    for seed in range(20):
      held_out = gaps.draw_paths(count, seed)
      self.assertLen(held_out, count)
      kept = [path for path in digits.PATHS if path not in held_out]
      self.assertEqual([len(set(side)) for side in zip(*kept)], [2, 2, 2])
    self.assertEqual(gaps.draw_paths(count, 3), gaps.draw_paths(count, 3))

  def test_hidden_digits_are_of_one_path(self):
    ((path, hidden),) = gaps.draw_digits(4, 9).items()
    self.assertIn(path, digits.PATHS)
    self.assertLen(set(hidden), 6)

  @parameterized.parameters({"seeds": 0}, {"steps": 0}, {"max_held_out": 7})
  def test_refuses(self, **settings):
    with self.assertRaisesRegex(errors.ArgumentError, list(settings)[0]):
      gaps.measure(**settings)


if __name__ == "__main__":
  absltest.main()

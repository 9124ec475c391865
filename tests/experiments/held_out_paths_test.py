"""Tests of held_out_paths and of plots."""

import os
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import digits, held_out_paths


class GapsTest(parameterized.TestCase):
  def test_shared_networks_fill_gaps_that_separate_ones_cannot(self):
    found = held_out_paths.measure(seeds=2, max_held_out=1, steps=150)
    self.assertEqual(found["shown"], {"one_graph": 1.0, "separate": 1.0})
    shared = np.mean(found["paths"]["one_graph"][1])
    separate = np.mean(found["paths"]["separate"][1])
    self.assertGreater(shared, separate + 0.3)
    self.assertCountEqual(found["digits"]["separate"], [0, 2, 4, 6, 8])
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "held_out.png")
      held_out_paths.plot(found, path)
      self.assertGreater(os.path.getsize(path), 5000)

  @parameterized.parameters(1, 2, 3, 4, 5, 6)
  def test_every_network_keeps_a_path(self, count):
    for seed in range(20):
      held_out = held_out_paths.draw_paths(count, seed)
      self.assertLen(held_out, count)
      kept = [path for path in digits.PATHS if path not in held_out]
      self.assertEqual([len(set(side)) for side in zip(*kept)], [2, 2, 2])
    self.assertEqual(
      held_out_paths.draw_paths(count, 3), held_out_paths.draw_paths(count, 3)
    )

  def test_hidden_digits_are_of_one_path(self):
    ((path, hidden),) = held_out_paths.draw_digits(4, 9).items()
    self.assertIn(path, digits.PATHS)
    self.assertLen(set(hidden), 6)

  @parameterized.parameters({"seeds": 0}, {"steps": 0}, {"max_held_out": 7})
  def test_refuses(self, **settings):
    with self.assertRaisesRegex(errors.ArgumentError, list(settings)[0]):
      held_out_paths.measure(**settings)


if __name__ == "__main__":
  absltest.main()

"""Tests of pareto."""

import os
import tempfile

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.compat import tf1
from tangle.experiments import pareto
from tests import case


class ParetoTest(case.GraphTestCase):
  def test_losses_are_the_same_in_tensorflow_and_numpy(self):
    points = 5 * self.normal(20, 2)
    found = self.session().run(pareto.losses_at(tf1.constant(points)))
    for one, other in zip(found, pareto.losses_at(points, np)):
      self.assert_close(one, other)

  def test_no_point_is_better_than_one_of_the_front(self):
    line = pareto.front(21)
    x, y = np.meshgrid(np.linspace(-12, 12, 241), np.linspace(-12, 12, 241))
    first, second = pareto.losses_at(np.stack([x, y], -1), np)
    for one, other in zip(*pareto.losses_at(line, np)):
      better = (first < one - 1e-6) & (second < other - 1e-6)
      # Where f is at its floor of log 5e-6 it is at -6.2, above the front.
      self.assertFalse(np.any(better))

  def test_distance_is_to_the_nearest_point(self):
    found = pareto.distance([[0.0, 3.0], [1.0, 0.0]], np.zeros([1, 2]))
    np.testing.assert_allclose(found, [3.0, 1.0])

  def test_mgda_stops_on_the_front_and_the_sum_goes_on_to_its_middle(self):
    starts = [(-6.5, -8.4), (6.0, -8.0)]
    figures = pareto.follow(("mgda", "sum"), 300, 0.05, starts=starts)
    self.assertEqual(figures["reached"], {"mgda": 2, "sum": 2})
    first, second = np.array(figures["ends"]["mgda"])
    self.assertLess(first[0], -5.5)
    self.assertGreater(second[0], 5.0)
    ends = np.array(figures["ends"]["sum"])
    self.assertLess(np.abs(ends[:, 0]).max(), 1.0)
    np.testing.assert_array_equal(figures["paths"]["sum"][1][0], starts[1])
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "toy.png")
      pareto.plot(figures, path)
      self.assertGreater(os.path.getsize(path), 10000)

  def test_refuses_bad_arguments(self):
    with self.assertRaisesRegex(errors.ArgumentError, "among"):
      pareto.follow(("best",))
    with self.assertRaisesRegex(errors.ArgumentError, "toy_steps"):
      pareto.follow(toy_steps=0)


if __name__ == "__main__":
  absltest.main()

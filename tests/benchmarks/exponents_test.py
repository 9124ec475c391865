"""Tests of exponents."""

from absl.testing import absltest, parameterized

from tangle.benchmarks import exponents


class ExponentsTest(parameterized.TestCase):
  @parameterized.parameters(0.0, 0.5, 1.0, 2.0)
  def test_the_exponent_of_a_power_is_found(self, power):
    found = exponents.fit(
      [1, 3, 10, 30], [7 * x**power for x in (1, 3, 10, 30)]
    )
    self.assertAlmostEqual(found.overall, power, places=9)
    self.assertAlmostEqual(found.tail, power, places=9)

  def test_a_fixed_cost_flattens_all_but_the_tail(self):
    xs = [1, 10, 100, 1000, 10000]
    found = exponents.fit(xs, [50 + x for x in xs])
    self.assertLess(found.overall, 0.7)
    self.assertBetween(found.tail, 0.9, 1.0)

  def test_what_turns_quadratic_late_shows_in_the_tail(self):
    xs = [1, 10, 100, 1000, 10000]
    found = exponents.fit(xs, [x + 0.01 * x * x for x in xs])
    self.assertGreater(found.tail, 1.8)
    self.assertLess(found.overall, found.tail)

  @parameterized.parameters(([1], [2.0]), ([1, 2], [0, 1]))
  def test_what_has_no_exponent_has_none(self, xs, ys):
    self.assertIsNone(exponents.fit(xs, ys))

  def test_every_figure_gets_an_exponent(self):
    rows = [{"size": x, "ops": x**2, "build_s": 2.0} for x in (1, 2, 4)]
    found = exponents.fit_each(rows, ("ops", "build_s"))
    self.assertAlmostEqual(found["ops"].tail, 2.0)
    self.assertAlmostEqual(found["build_s"].overall, 0.0)

  def test_exponents_are_written_with_the_tail_behind(self):
    rows = [{"size": x, "ops": x, "build_s": 0} for x in (1, 2, 4)]
    found = exponents.write(exponents.fit_each(rows, ("ops", "build_s")))
    self.assertEqual(found, {"ops": "1.00 / 1.00", "build_s": None})


if __name__ == "__main__":
  absltest.main()

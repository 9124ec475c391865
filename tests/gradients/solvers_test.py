"""Tests of solvers, against scipy and conditions of optimality."""

import numpy as np
from absl.testing import absltest, parameterized
from scipy import optimize

from tangle.compat import tf1
from tangle.gradients import solvers
from tests import case


class SolversTest(case.GraphTestCase):
  def solve(self, function, *arrays, **options):
    """Returns what a solver gives for arrays."""
    fetch = function(*[tf1.constant(array) for array in arrays], **options)
    return self.session().run(fetch)

  def gramian(self, losses, depth, spread=0.0):
    """Returns J and J J^T, rows scaled by powers of ten."""
    scale = 10 ** self.rng.uniform(-spread, spread, (losses, 1))
    jacobian = self.normal(losses, depth) * scale
    return jacobian, jacobian @ jacobian.T

  @parameterized.parameters(1, 2, 5, 20)
  def test_nonnegative_is_that_of_scipy(self, size):
    roots = self.normal(size + 2, size)
    goals = self.normal(3, size + 2)
    # |A x - b|^2 / 2 is the problem with A^T A and A^T b.
    found = self.solve(
      solvers.solve_nonnegative, roots.T @ roots, goals @ roots
    )
    for x, goal in zip(found, goals):
      expected, _ = optimize.nnls(roots, goal)
      np.testing.assert_allclose(x, expected, atol=1e-9)

  def test_nonnegative_goes_to_the_middle_of_equal_unknowns(self):
    found = self.solve(
      solvers.solve_nonnegative, np.ones([3, 3]), np.array([[1.0, 1, 1]])
    )
    np.testing.assert_allclose(found, [[1 / 3] * 3], rtol=1e-8)

  @parameterized.parameters(
    (1, 3, 0), (2, 3, 0), (2, 3, 2), (6, 3, 0), (20, 30, 1)
  )
  def test_simplex_has_the_conditions_of_the_shortest(self, k, depth, spread):
    _, gram = self.gramian(k, depth, spread)
    w = self.solve(solvers.solve_simplex, gram)
    self.assertAlmostEqual(w.sum(), 1.0, places=12)
    self.assertGreaterEqual(w.min(), 0)
    gains = gram @ w
    # None gains less than |d|^2, and those with a weight gain just that.
    size = np.diag(gram).min()
    self.assertLess(w @ gains - gains.min(), 1e-8 * size)

  def test_simplex_of_two_is_the_closed_form(self):
    (a, b), gram = self.gramian(2, 3)
    w = self.solve(solvers.solve_simplex, gram)
    share = np.clip((b - a) @ b / ((a - b) @ (a - b)), 0, 1)
    np.testing.assert_allclose(w, [share, 1 - share], atol=1e-9)

  @parameterized.parameters((2, 3, 0.5), (3, 8, 0.2), (5, 9, 0.9), (4, 2, 0.4))
  def test_ball_is_that_of_scipy(self, k, depth, c):
    jacobian, gram = self.gramian(k, depth)
    x = self.solve(solvers.solve_ball, gram, radius=c)
    self.assertGreaterEqual(x.min(), 0)
    mean = jacobian.mean(0)
    reach = c * np.linalg.norm(mean)
    step = jacobian.T @ x
    self.assertLessEqual(np.linalg.norm(step), reach * (1 + 1e-4))
    worst = (jacobian @ (mean + step)).min()

    def bound(w):  # of the dual problem, which is above any feasible worst
      return w @ jacobian @ mean + reach * np.linalg.norm(w @ jacobian)

    best = optimize.minimize(
      bound,
      np.full(k, 1 / k),
      bounds=[(0, 1)] * k,
      constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
      options={"ftol": 1e-12, "maxiter": 500},
    )
    self.assertLess(abs(worst - best.fun), 2e-4 * abs(bound(np.eye(k)[0])))

  @parameterized.parameters(1, 2, 6, 20)
  def test_bargain_solves_its_equation(self, k):
    jacobian = self.normal(k, 2 * k + 1)
    jacobian /= np.linalg.norm(jacobian, axis=1, keepdims=True)
    gram = jacobian @ jacobian.T
    a = self.solve(solvers.solve_bargain, gram)
    self.assertGreater(a.min(), 0)
    np.testing.assert_allclose(gram @ a * a, np.ones(k), rtol=1e-9)

  @parameterized.parameters(False, True)
  def test_solvers_run_in_both_styles_of_control_flow(self, v2):
    self.use_control_flow(v2)
    _, gram = self.gramian(3, 5)
    fetches = [
      solvers.solve_simplex(tf1.constant(gram)),
      solvers.solve_ball(tf1.constant(gram), 0.5),
      solvers.solve_bargain(tf1.constant(gram)),
    ]
    for found in self.session().run(fetches):
      self.assertTrue(np.all(np.isfinite(found)))

  def test_no_gradient_flows_through_a_solution(self):
    gram = tf1.constant(self.gramian(3, 5)[1])
    found = [
      solvers.solve_nonnegative(gram, tf1.ones([1, 3], tf1.float64)),
      solvers.solve_ball(gram, 0.5),
      solvers.solve_bargain(gram),
    ]
    for solution in found:
      self.assertEqual(tf1.gradients(solution, gram), [None])


if __name__ == "__main__":
  absltest.main()

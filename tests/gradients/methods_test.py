"""Tests of methods: what each paper claims, and what makes trouble."""

import itertools

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.gradients import methods
from tests.gradients import jacobians

EXACT = {"upgrad": {"regularization": 0.0}}
"""Method → options with which its properties are exact."""

ALL = ("sum", "mean") + tuple(methods.WEIGHTINGS)


class MethodsTest(jacobians.JacobianTestCase):
  @parameterized.parameters(*jacobians.GOLDEN)
  def test_known_results(self, method):
    for dtype in (np.float32, np.float64):
      found, _ = self.run_method(jacobians.EXAMPLE, method, dtype)
      np.testing.assert_allclose(found, jacobians.GOLDEN[method], atol=1e-4)

  @parameterized.parameters(
    ("mgda", 1e-8), ("upgrad", 1e-8), ("nash_mtl", 1e-5)
  )
  def test_conflicts_with_no_loss(self, method, atol):
    for name, jacobian in jacobians.shapes(self.rng).items():
      options = EXACT.get(method, {})
      found, _ = self.run_method(jacobian, method, **options)
      gains = jacobian @ found / np.linalg.norm(jacobian, axis=1)
      bound = atol * max(np.linalg.norm(found), 1)
      self.assertGreaterEqual(gains.min(), -bound, name)

  def test_pcgrad_of_two_losses_conflicts_with_none(self):
    for _ in range(5):
      jacobian = self.normal(2, 3)
      found, _ = self.run_method(jacobian, "pcgrad")
      self.assertGreaterEqual((jacobian @ found).min(), -1e-12)

  @parameterized.parameters(*ALL)
  def test_losses_may_be_permuted(self, method):
    options = dict(EXACT.get(method, {}))
    jacobian = self.normal(2 if method == "pcgrad" else 5, 8)
    expected, weights = self.run_method(jacobian, method, **options)
    for order in itertools.islice(
      itertools.permutations(range(len(jacobian))), 1, 4
    ):
      found, permuted = self.run_method(
        jacobian[list(order)], method, **options
      )
      np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
      np.testing.assert_allclose(
        permuted, weights[list(order)], rtol=1e-6, atol=1e-7
      )

  def test_nash_and_imtl_g_are_blind_to_the_scales_of_losses(self):
    jacobian = self.normal(3, 5)
    scaled = jacobian * [[1e4], [1.0], [1e-3]]
    expected, _ = self.run_method(jacobian, "nash_mtl")
    found, _ = self.run_method(scaled, "nash_mtl")
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    expected, _ = self.run_method(jacobian, "imtl_g")
    found, _ = self.run_method(scaled, "imtl_g")
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    self.assertAlmostEqual(abs(cosine), 1.0, places=9)

  @parameterized.parameters(
    "mean", "sum", "pcgrad", "mgda", "cagrad", "imtl_g", "aligned_mtl", "upgrad"
  )
  def test_a_common_factor_comes_out(self, method):
    jacobian = self.normal(2, 6)
    expected, _ = self.run_method(jacobian, method)
    found, _ = self.run_method(1e-3 * jacobian, method)
    np.testing.assert_allclose(found, 1e-3 * expected, rtol=1e-6)

  def test_upgrad_is_linear_under_scaling(self):
    jacobian = self.normal(4, 6)
    options = EXACT["upgrad"]

    def of(scale):
      return self.run_method(scale[:, None] * jacobian, "upgrad", **options)[0]

    first, second = np.exp(self.normal(4)), np.exp(self.normal(4))
    np.testing.assert_allclose(
      of(2 * first + 3 * second), 2 * of(first) + 3 * of(second), rtol=1e-6
    )

  def test_mgda_is_the_shortest_combination(self):
    jacobian = self.normal(5, 4)
    found, weights = self.run_method(jacobian, "mgda")
    np.testing.assert_allclose(weights @ jacobian, found, atol=1e-12)
    gains = jacobian @ found
    self.assertGreaterEqual(gains.min(), found @ found - 1e-9)
    used = weights > 1e-6
    np.testing.assert_allclose(gains[used], found @ found, atol=1e-9)
    for other in self.rng.dirichlet(np.ones(5), 100):
      self.assertLessEqual(
        np.linalg.norm(found), np.linalg.norm(other @ jacobian) + 1e-9
      )

  def test_cagrad_is_within_its_ball_and_helps_the_worst(self):
    jacobian = self.normal(3, 6)
    mean = jacobian.mean(0)
    worst = -np.inf
    for c in (0.0, 0.2, 0.5, 0.9):
      found, _ = self.run_method(jacobian, "cagrad", c=c)
      distance = np.linalg.norm(found - mean) / np.linalg.norm(mean)
      self.assertAlmostEqual(distance, c, places=4)
      self.assertGreater((jacobian @ found).min(), worst)
      worst = (jacobian @ found).min()

  def test_imtl_g_projects_equally(self):
    jacobian = self.normal(4, 6)
    found, weights = self.run_method(jacobian, "imtl_g")
    along = jacobian @ found / np.linalg.norm(jacobian, axis=1)
    np.testing.assert_allclose(along, along[0], rtol=1e-9)
    self.assertAlmostEqual(weights.sum(), 1.0, places=12)

  def test_nash_solves_its_equation_and_is_cut(self):
    jacobian = self.normal(4, 6)
    found, weights = self.run_method(jacobian, "nash_mtl", max_norm=None)
    np.testing.assert_allclose(jacobian @ found, 1 / weights, rtol=1e-8)
    found, _ = self.run_method(jacobian, "nash_mtl", max_norm=0.3)
    self.assertAlmostEqual(np.linalg.norm(found), 0.3, places=12)

  def test_aligned_mtl_takes_the_nearest_orthogonal_gradients(self):
    jacobian = self.normal(3, 6)
    found, _ = self.run_method(jacobian, "aligned_mtl", preference=[1, 2, 3])
    left, values, right = np.linalg.svd(jacobian, full_matrices=False)
    aligned = values.min() * left @ right
    np.testing.assert_allclose(found, np.array([1, 2, 3]) @ aligned, rtol=1e-9)

  def test_upgrad_has_preferences(self):
    jacobian = jacobians.EXAMPLE
    options = dict(EXACT["upgrad"], preference=[1.0, 0.0])
    found, _ = self.run_method(jacobian, "upgrad", **options)
    a, b = jacobian
    np.testing.assert_allclose(found, a - a @ b / (b @ b) * b, rtol=1e-8)

  @parameterized.parameters("pcgrad", "upgrad", "aligned_mtl", "mean")
  def test_orthogonal_gradients_are_left_as_they_are(self, method):
    jacobian = np.eye(3, 5)
    found, _ = self.run_method(jacobian, method, **EXACT.get(method, {}))
    factor = 1 if method == "pcgrad" else 1 / 3
    np.testing.assert_allclose(found, factor * jacobian.sum(0), atol=1e-8)

  @parameterized.parameters(*ALL)
  def test_one_loss_keeps_its_direction(self, method):
    jacobian = self.normal(1, 4)
    found, _ = self.run_method(jacobian, method)
    if method == "nash_mtl":
      jacobian = jacobian / np.linalg.norm(jacobian)
    if method == "cagrad":  # the ball is around the one gradient: longer by c
      jacobian = 1.5 * jacobian
    np.testing.assert_allclose(found, jacobian[0], rtol=1e-6)

  @parameterized.parameters(*ALL)
  def test_zero_gradients_give_zero_and_no_nan(self, method):
    found, weights = self.run_method(np.zeros([3, 2]), method)
    np.testing.assert_array_equal(found, np.zeros(2))
    self.assertTrue(np.all(np.isfinite(weights)))
    jacobian = np.vstack([self.normal(2, 4), np.zeros([1, 4])])
    found, weights = self.run_method(jacobian, method)
    self.assertTrue(np.all(np.isfinite(found)))
    self.assertTrue(np.all(np.isfinite(weights)))
    if method == "mgda":
      np.testing.assert_allclose(found, np.zeros(4), atol=1e-4)
    else:
      self.assertGreater(np.linalg.norm(found), 1e-3)

  @parameterized.parameters("mgda", "imtl_g", "nash_mtl", "upgrad", "pcgrad")
  def test_opposed_gradients_give_zero(self, method):
    jacobian = np.array([[1.0, 2.0], [-2.0, -4.0]])
    for dtype in (np.float32, np.float64):
      found, weights = self.run_method(jacobian, method, dtype)
      np.testing.assert_allclose(found, np.zeros(2), atol=1e-3)
      self.assertTrue(np.all(np.isfinite(weights)))

  @parameterized.parameters(*ALL)
  def test_collinear_gradients_keep_their_direction(self, method):
    row = self.normal(4)
    found, weights = self.run_method(np.stack([row, 2 * row, row]), method)
    self.assertTrue(np.all(np.isfinite(weights)))
    cosine = found @ row / np.linalg.norm(found) / np.linalg.norm(row)
    self.assertAlmostEqual(cosine, 1.0, places=6)

  @parameterized.parameters(*ALL)
  def test_twenty_losses(self, method):
    found, weights = self.run_method(self.normal(20, 50), method, np.float32)
    self.assertTrue(np.all(np.isfinite(found)))
    self.assertLen(weights, 20)

  @parameterized.parameters(*methods.WEIGHTINGS)
  def test_nan_stays_nan_and_stops_no_step(self, method):
    jacobian = np.array([[np.nan, 1.0], [1.0, 2.0]])
    _, weights = self.run_method(jacobian, method)
    self.assertTrue(np.all(np.isnan(weights)))

  def test_pcgrad_repeats_an_order_by_its_seed(self):
    jacobian = self.normal(5, 3)
    ph = tf1.placeholder(tf1.int32, [2])
    gram = tf1.constant(jacobian @ jacobian.T)
    fetch = methods.weights_of(gram, "pcgrad", 0.0, seed=ph)
    sess = self.session()
    found = [sess.run(fetch, {ph: [0, seed]}) for seed in (*range(9), 0)]
    np.testing.assert_array_equal(found[0], found[-1])
    self.assertGreater(np.ptp(np.stack(found), axis=0).max(), 0.01)

  def test_pcgrad_is_a_surgery_in_some_order(self):
    jacobian = self.normal(3, 2)
    found, weights = self.run_method(jacobian, "pcgrad", seed=1)
    orders = list(itertools.permutations(range(3)))
    possible = [
      sum(project(jacobian, i, order) for i, order in enumerate(chosen))
      for chosen in itertools.product(orders, repeat=3)
    ]
    errors_np = [np.max(np.abs(found - other)) for other in possible]
    self.assertLess(min(errors_np), 1e-12)
    np.testing.assert_allclose(weights @ jacobian, found, atol=1e-12)


def project(jacobian, i, order):
  """Returns gradient i without its conflicts, as Algorithm 1 has it."""
  found = jacobian[i].copy()
  for j in order:
    product = found @ jacobian[j]
    if j != i and product < 0:
      found -= product / (jacobian[j] @ jacobian[j]) * jacobian[j]
  return found


if __name__ == "__main__":
  absltest.main()

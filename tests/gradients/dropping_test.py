"""Tests of dropping."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import gradients
from tangle.compat import tf1
from tangle.gradients import dropping, gramians
from tests import case


class DroppingTest(case.GraphTestCase):
  def run_drop(self, rows, runs=1, **options):
    """Returns `[runs, ...]` of GradDrop on constants."""
    part = gramians.align([tf1.constant(row) for row in rows])
    fetch = dropping.drop(part, **options)
    sess = self.session()
    return np.stack([sess.run(fetch) for _ in range(runs)])

  def test_keeps_one_sign_for_each_entry(self):
    rows = self.normal(3, 200)
    found = self.run_drop(rows)[0]
    positive = np.maximum(rows, 0).sum(0)
    negative = np.minimum(rows, 0).sum(0)
    up = np.isclose(found, positive)
    down = np.isclose(found, negative)
    self.assertTrue(np.all(up | down))
    self.assertBetween(np.mean(up & ~down), 0.1, 0.9)

  def test_keeps_a_sign_as_often_as_it_has_weight(self):
    found = self.run_drop(np.array([[3.0] * 4000, [-1.0] * 4000]))
    self.assertCountEqual(np.unique(found), [-1.0, 3.0])
    self.assertBetween(np.mean(found == 3.0), 0.72, 0.78)

  def test_what_all_agree_on_is_their_sum(self):
    rows = np.abs(self.normal(3, 50)) * np.sign(self.normal(50))
    np.testing.assert_allclose(self.run_drop(rows)[0], rows.sum(0))

  def test_zeros_stay_zero(self):
    np.testing.assert_array_equal(
      self.run_drop(np.zeros([2, 5]))[0], np.zeros(5)
    )

  def test_leak_is_never_dropped(self):
    rows = self.normal(2, 100)
    found = self.run_drop(rows, leak=[1.0, 1.0])[0]
    np.testing.assert_allclose(found, rows.sum(0))
    found = self.run_drop(rows, leak=[1.0, 0.0])[0]
    rest = found - rows[0]
    self.assertTrue(np.all(np.isclose(rest, 0) | np.isclose(rest, rows[1])))

  @parameterized.parameters(3, None)
  def test_seed_of_the_op_draws_anew_each_run(self, seed):
    found = self.run_drop(self.normal(2, 50), runs=2, seed=seed)
    self.assertGreater(np.max(np.abs(found[0] - found[1])), 0)

  def test_stateless_seed_draws_the_same_again(self):
    found = self.run_drop(self.normal(2, 50), runs=2, seed=[1, 2])
    np.testing.assert_array_equal(found[0], found[1])

  def test_variables_are_drawn_apart(self):
    row = tf1.constant(np.stack([np.ones(100), -np.ones(100)]))
    rows = [[row[0], row[0]], [row[1], row[1]]]
    seed_ph = tf1.placeholder(tf1.int32, [2])
    for seed in (3, [1, 2], np.array([1, 2]), seed_ph):
      found = gradients.combine(rows, "graddrop", seed=seed)
      first, second = self.session().run(found, {seed_ph: [1, 2]})
      self.assertGreater(np.max(np.abs(first - second)), 0)

  def test_nothing_stays_nothing(self):
    self.assertIsNone(dropping.drop(gramians.align([None, None])))


if __name__ == "__main__":
  absltest.main()

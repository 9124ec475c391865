"""Tests of balancing, against the papers' formulas in numpy."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors, gradients
from tangle.compat import tf1
from tests import case

MAKERS = {
  "uncertainty": gradients.UncertaintyWeighting,
  "random": gradients.RandomWeighting,
  "average": gradients.DynamicWeightAveraging,
}


def softmax(x):
  return np.exp(x) / np.exp(x).sum()


class BalancingTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = self.variable("x", self.normal(3))
    self.values_ph = tf1.placeholder(tf1.float64, [2])
    self.losses = [
      self.values_ph[0] * tf1.reduce_sum(self.x**2),
      self.values_ph[1] * tf1.reduce_sum(tf1.sin(self.x)),
    ]

  @parameterized.parameters(*MAKERS, "gradnorm")
  def test_gradient_is_the_weighted_one_in_one_pass(self, name):
    if name == "gradnorm":
      balance = gradients.GradNorm(self.losses, [self.x])
    else:
      balance = MAKERS[name](self.losses)
    before = self.count_ops()
    gradient = tf1.gradients(balance.loss, self.x)[0]
    made = self.graph.get_operations()[before:]
    # The backward op of each loss's own function is there once.
    self.assertLen([op for op in made if op.type == "Cos"], 1)
    each = [tf1.gradients(loss, self.x)[0] for loss in self.losses]
    found, weights, each_np = self.session().run(
      [gradient, balance.weights, each], {self.values_ph: [1.5, 2.0]}
    )
    self.assert_close(found, weights @ np.stack(each_np))

  def test_uncertainty_is_the_formula_and_learned(self):
    balance = gradients.UncertaintyWeighting(self.losses, [0.5, 1.0])
    (logs,) = balance.variables
    self.assertIn(logs.name, [v.name for v in tf1.trainable_variables()])
    slope = tf1.gradients(balance.loss, logs)[0]
    sess = self.session()
    s = self.normal(2)
    logs.load(s, sess)
    found, slope_np, values = sess.run(
      [balance.loss, slope, self.losses], {self.values_ph: [1.0, 3.0]}
    )
    parts = np.array([0.5, 1.0]) * np.exp(-s) * values
    np.testing.assert_allclose(found, np.sum(parts + s / 2))
    np.testing.assert_allclose(slope_np, 0.5 - parts)

  def test_random_weights_are_drawn_anew_and_sum_to_k(self):
    balance = gradients.RandomWeighting(self.losses)
    sess = self.session()
    drawn = np.stack([sess.run(balance.weights) for _ in range(50)])
    np.testing.assert_allclose(drawn.sum(1), 2.0)
    self.assertGreater(drawn[:, 0].std(), 0.2)
    self.assertBetween(drawn[:, 0].mean(), 0.6, 1.4)

  def test_random_weights_repeat_by_a_stateless_seed(self):
    seed_ph = tf1.placeholder(tf1.int32, [2])
    balance = gradients.RandomWeighting(self.losses, seed=seed_ph)
    sess = self.session()
    found = [sess.run(balance.weights, {seed_ph: [0, k]}) for k in (1, 2, 1)]
    np.testing.assert_array_equal(found[0], found[2])
    self.assertGreater(np.max(np.abs(found[0] - found[1])), 0)

  def test_average_is_the_formula(self):
    balance = gradients.DynamicWeightAveraging(self.losses, temperature=0.5)
    sess = self.session()
    means = []
    for epoch in range(4):
      seen = []
      for _ in range(3):
        feed = {self.values_ph: np.exp(self.normal(2))}
        weights, values, _ = sess.run(
          [balance.weights, self.losses, balance.update_op], feed
        )
        if epoch < 2:
          expected = np.ones(2)
        else:
          expected = 2 * softmax(means[-1] / means[-2] / 0.5)
        np.testing.assert_allclose(weights, expected)
        seen.append(values)
      means.append(np.mean(seen, 0))
      sess.run(balance.end_epoch_op)

  def test_an_epoch_without_a_step_does_not_count(self):
    balance = gradients.DynamicWeightAveraging(self.losses)
    sess = self.session()
    before = sess.run(balance.variables)
    sess.run(balance.end_epoch_op)
    for old, new in zip(before, sess.run(balance.variables)):
      np.testing.assert_array_equal(new, old)

  def test_gradnorm_is_the_formula(self):
    balance = gradients.GradNorm(
      self.losses, [self.x], alpha=1.2, learning_rate=0.05
    )
    each = [tf1.gradients(loss, self.x)[0] for loss in self.losses]
    sess = self.session()
    w, first = np.ones(2), None
    for _ in range(4):
      feed = {self.values_ph: np.exp(self.normal(2))}
      found, values, slopes, _ = sess.run(
        [balance.weights, self.losses, each, balance.update_op], feed
      )
      np.testing.assert_allclose(found, w, rtol=1e-9)
      first = np.array(values) if first is None else first
      norms = np.linalg.norm(slopes, axis=1)
      shares = values / first
      pace = shares / max(np.mean(shares), 1e-30)
      target = np.mean(w * norms) * pace**1.2

      def penalty(w, norms=norms, target=target):
        return np.sum(np.abs(w * norms - target))

      step = 1e-7  # the gradient by central differences
      slope = [
        (penalty(w + step * e) - penalty(w - step * e)) / (2 * step)
        for e in np.eye(2)
      ]
      w = np.maximum(w - 0.05 * np.array(slope), 1e-3)
      w = 2 * w / w.sum()

  def test_gradnorm_takes_any_iterable_of_what_is_shared(self):
    balance = gradients.GradNorm(self.losses, iter([self.x]))
    self.assertLen(balance.variables, 3)
    message = "^gradnorm: shared must be a list of variables or tensors, got"
    for shared in (self.x, "x", [None]):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        gradients.GradNorm(self.losses, shared)

  def test_gradnorm_takes_from_a_loss_that_is_scaled_up(self):
    losses = [1000 * self.losses[0], self.losses[0]]
    balance = gradients.GradNorm(losses, [self.x], learning_rate=1e-5)
    sess = self.session()
    for _ in range(60):
      sess.run(balance.update_op, {self.values_ph: [1.0, 1.0]})
    weights = sess.run(balance.weights)
    self.assertLess(weights[0], 0.2)

  def test_a_step_uses_the_weights_before_its_update(self):
    balance = gradients.GradNorm(self.losses, [self.x])
    train_op = tf1.train.GradientDescentOptimizer(0.1).minimize(
      balance.loss, var_list=[self.x]
    )
    sess = self.session()
    for _ in range(5):
      before = sess.run(balance.variables[0])
      weights, _, _ = sess.run(
        [balance.weights, train_op, balance.update_op],
        {self.values_ph: [1.0, 2.0]},
      )
      np.testing.assert_array_equal(weights, before)

  def test_refuses_bad_arguments(self):
    with self.assertRaisesRegex(errors.ArgumentError, "at least one loss"):
      gradients.RandomWeighting([])
    with self.assertRaisesRegex(errors.ShapeError, "scalars"):
      gradients.RandomWeighting([tf1.zeros([2])])
    with self.assertRaisesRegex(errors.DtypeError, "one float type"):
      gradients.RandomWeighting([self.losses[0], tf1.zeros([])])
    with self.assertRaisesRegex(errors.ArgumentError, "factors must be 2"):
      gradients.UncertaintyWeighting(self.losses, [1.0])
    for factors in ([1.0, -1.0], [1.0, np.nan]):
      with self.assertRaisesRegex(errors.ArgumentError, "finite and at least"):
        gradients.UncertaintyWeighting(self.losses, factors)
    with self.assertRaisesRegex(errors.ArgumentError, "temperature"):
      gradients.DynamicWeightAveraging(self.losses, temperature=0)
    for option in ("alpha", "learning_rate", "floor"):
      with self.assertRaisesRegex(errors.ArgumentError, option):
        gradients.GradNorm(self.losses, [self.x], **{option: -1.0})
    with self.assertRaisesRegex(errors.DtypeError, "one float type, got .*32"):
      gradients.RandomWeighting([tf1.constant(1)])
    with self.assertRaisesRegex(errors.ArgumentError, "Weighting: name must"):
      gradients.RandomWeighting(self.losses, name="a b")
    gradients.UncertaintyWeighting(self.losses)
    with self.assertRaisesRegex(errors.ArgumentError, "another name="):
      gradients.UncertaintyWeighting(self.losses)
    apart = [self.losses[0], tf1.constant(1.0, tf1.float64)]
    with self.assertRaisesRegex(errors.DisconnectedError, r"losses\[1\]"):
      gradients.GradNorm(apart, [self.x])


if __name__ == "__main__":
  absltest.main()

"""Tests of all methods with very large, very small and infinite gradients."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import gradients
from tangle.compat import tf1
from tangle.gradients import methods
from tests import case

SEEDED = ("pcgrad", "graddrop")
SCALES = [
  ("large", [1e30, 1e30, 1e30]),
  ("small", [1e-30, 1e-30, 1e-30]),
  ("apart", [1e30, 1.0, 1e-30]),
]


def product(*lists):
  """Returns named cases of all combinations."""
  cases = [("",)]
  for each in lists:
    cases = [
      (f"{one[0]}_{two[0]}".strip("_"), *one[1:], *two[1:])
      for one in cases
      for two in each
    ]
  return cases


def names(found):
  return [(name, name) for name in found]


class RangesTest(case.GraphTestCase):
  def combine(self, method, arrays, dtype):
    """Returns the combination of K lists of arrays as float64 arrays."""
    options = {"seed": np.array([3, 4])} if method in SEEDED else {}
    if method == "weighted":
      options = {"weights": [0.5, 1.0, 2.0]}
    rows, feed = [], {}
    for row in arrays:
      # Fed, as TensorFlow would change the order of products of constants.
      fed = [tf1.placeholder(tf1.float64, array.shape) for array in row]
      feed.update(zip(fed, row))
      rows.append([tf1.cast(each, dtype) for each in fed])
    found = gradients.combine(rows, method, **options)
    self.assertEqual({g.dtype for g in found}, {dtype})
    return self.session().run([tf1.cast(g, tf1.float64) for g in found], feed)

  def arrays(self, scales=(1.0, 1.0, 1.0)):
    rng = np.random.RandomState(5)
    return [
      [rng.standard_normal(shape) * scale for shape in ([3, 2], [4])]
      for scale in scales
    ]

  @parameterized.named_parameters(
    *product(names(methods.WEIGHTINGS), SCALES),
  )
  def test_float32_is_as_float64(self, method, scales):
    arrays = self.arrays(scales)
    desired = self.combine(method, arrays, tf1.float64)
    found = self.combine(method, arrays, tf1.float32)
    self.assertGreater(max(np.max(np.abs(g)) for g in desired), 0)
    for one, other in zip(found, desired):
      self.assert_close(one, other, 1e-4)

  @parameterized.named_parameters(
    *product(names(gradients.METHODS), SCALES[:2])
  )
  def test_a_common_scale_changes_no_direction(self, method, scales):
    plain = self.combine(method, self.arrays(), tf1.float32)
    found = self.combine(method, self.arrays(scales), tf1.float32)
    # The norm of what nash_mtl gives has a bound.
    scale = 1.0 if method == "nash_mtl" else scales[0]
    for one, other in zip(found, plain):
      self.assert_close(one, other * scale, 1e-4)

  @parameterized.named_parameters(
    *product(
      names(gradients.METHODS),
      [("inf", np.inf), ("minus_inf", -np.inf), ("nan", np.nan)],
    )
  )
  def test_what_is_not_finite_is_told(self, method, value):
    arrays = self.arrays()
    arrays[1][0][2, 1] = value
    found = self.combine(method, arrays, tf1.float32)
    self.assertFalse(np.isfinite(found[0][2, 1]))
    if method in methods.WEIGHTINGS:  # all weights are NaN
      for gradient in found:
        self.assertTrue(np.all(np.isnan(gradient)))
    else:
      found[0][2, 1] = 0
      for gradient in found:
        self.assertTrue(np.all(np.isfinite(gradient)))

  def test_graddrop_takes_finite_gradients_whose_sum_is_not(self):
    arrays = [[np.array([3e38])], [np.array([-3e38])], [np.array([2e38])]]
    (found,) = self.combine("graddrop", arrays, tf1.float32)
    self.assertNotEqual(found[0], 0)
    self.assertTrue(found[0] == np.inf or np.isclose(found[0], -3e38))

  @parameterized.named_parameters(
    *product(
      names(methods.WEIGHTINGS),
      [("float16", tf1.float16, 1e-2), ("bfloat16", tf1.bfloat16, 5e-2)],
      [("large", 60.0), ("small", 1e-3)],
    )
  )
  def test_half_precision_is_as_float64(self, method, dtype, rtol, scale):
    # 6,400 entries that are exact in each type.
    rng = np.random.RandomState(6)
    arrays = [
      [rng.choice([0.25, 0.5, 1.0], 6400) * 2.0 ** np.round(np.log2(scale))]
      for _ in range(2)
    ]
    arrays[1][0][:4000] *= -1
    desired = self.combine(method, arrays, tf1.float64)
    found = self.combine(method, arrays, dtype)
    self.assert_close(found[0], desired[0], rtol)

  @parameterized.named_parameters(
    ("float16", tf1.float16), ("bfloat16", tf1.bfloat16)
  )
  def test_repeated_rows_are_summed_in_float32(self, dtype):
    def rows(dtype):
      ones = tf1.placeholder_with_default(np.ones([6400, 1]), [None, 1])
      slices = tf1.IndexedSlices(
        tf1.cast(ones, dtype), np.zeros([6400], np.int32), tf1.constant([3, 1])
      )
      return [[slices], [tf1.cast(tf1.constant([[1.0], [2.0], [3.0]]), dtype)]]

    gram = gradients.gramian(rows(dtype))
    dense = gradients.total([row[0] for row in rows(dtype)])
    sess = self.session()
    self.assert_close(sess.run(gram)[0, 0], np.float64(6400.0**2), 1e-2)
    dense = sess.run(tf1.cast(dense, tf1.float64))
    self.assert_close(dense, np.array([[6401.0], [2.0], [3.0]]), 5e-3)

  @parameterized.named_parameters(
    ("float16", tf1.float16), ("bfloat16", tf1.bfloat16)
  )
  def test_weights_that_are_learned_count_all_steps(self, dtype):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      losses = [tf1.constant(1.0, dtype), tf1.constant(3.0, dtype)]
      balance = gradients.DynamicWeightAveraging(losses)
      self.assertEqual(balance.loss.dtype, tf1.float32)
      sess.run(tf1.global_variables_initializer())
      step = sess.make_callable(balance.update_op)
      for _ in range(300):  # bfloat16 would stop at 256
        step()
      total, steps = sess.run(balance.variables[:2])
      np.testing.assert_array_equal(total, [300.0, 900.0])
      self.assertEqual(steps, 300.0)

  @parameterized.named_parameters(
    ("float16", tf1.float16), ("bfloat16", tf1.bfloat16)
  )
  def test_gradnorm_takes_large_norms(self, dtype):
    shared = tf1.get_variable(
      "shared",
      [2],
      dtype,
      tf1.ones_initializer(),
      use_resource=True,
    )
    value = shared.read_value()
    losses = [tf1.reduce_sum(value * 400.0), tf1.reduce_sum(value * 400.0)]
    balance = gradients.GradNorm(losses, [value])
    sess = self.session()
    sess.run(balance.update_op)
    self.assert_close(sess.run(balance.weights), np.ones([2], np.float32), 1e-2)


if __name__ == "__main__":
  absltest.main()

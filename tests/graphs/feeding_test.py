"""Tests of feeding: what it says, and that TensorFlow does so."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import feeding
from tests import case


def transposed(x):
  return tf1.transpose(tf1.reshape(x, [3, 3]))


def product(v, x):
  return tf1.matmul(v, tf1.reshape(x, [3, 3]))


def tripled(x):
  return tf1.add_n([x, x, x])


def doubled(x):
  return tf1.cos(x) * 2.0 + tf1.cos(x) * 2.0


def identity(v, x):
  return v


# Each: a function of `x`, and one of what is fed for its value and of `x`.
FORGOTTEN = (
  ("sum", lambda x: x + x, identity),
  ("sum_n", tripled, identity),
  ("square", lambda x: x * x, identity),
  ("square_of_copy", lambda x: tf1.identity(x) * x, identity),
  ("square_of_twins", lambda x: tf1.cos(x) * tf1.cos(x), identity),
  ("sum_of_twins", doubled, identity),
  (
    "sum_of_turned_twins",
    lambda x: tf1.tanh(x * tf1.cos(x)) + tf1.tanh(tf1.cos(x) * x),
    identity,
  ),
  ("square_of_opposites", lambda x: tf1.negative(-x) * x, identity),
  ("opposites", lambda x: tf1.negative(-x), identity),
  ("opposites_around", lambda x: -tf1.identity(-x), identity),
  ("opposite_below", lambda x: -x, lambda v, x: -tf1.reshape(v, [3, 3])),
  ("opposite_added", lambda x: -x, lambda v, x: x + v),
  ("opposite_taken", lambda x: -x, lambda v, x: x - v),
  (
    "reciprocal",
    lambda x: tf1.math.reciprocal(tf1.math.reciprocal(x)),
    identity,
  ),
  ("transposed_below", transposed, lambda v, x: tf1.transpose(v)),
  ("transposed_multiplied", transposed, product),
  (
    "conjugate",
    lambda x: tf1.math.conj(tf1.complex(x, x)),
    lambda v, x: tf1.imag(tf1.math.conj(v)),
  ),
)
KEPT = (
  ("tanh", tf1.tanh, identity),
  ("sum", lambda x: x + tf1.tanh(x), identity),
  ("sum_n", lambda x: tf1.add_n([x, tf1.tanh(x), x]), identity),
  ("product", lambda x: x * tf1.tanh(x), identity),
  ("scaled", lambda x: 2.0 * x, lambda v, x: 3.0 * v),
  ("twins", tf1.tanh, lambda v, x: v * tf1.tanh(x)),
  ("squared", tf1.tanh, lambda v, x: v * v),
  ("common_factor", lambda x: tf1.sin(x) * x, lambda v, x: v + tf1.cos(x) * x),
  ("exponential", tf1.exp, lambda v, x: v - 1.0),
  ("logarithm", lambda x: x * x + 1.0, lambda v, x: tf1.log(v)),
  ("stacked", lambda x: tf1.stack([x, tf1.tanh(x)]), lambda v, x: v[0]),
  ("matmul", lambda x: product(transposed(x), x), identity),
  ("reshaped", lambda x: tf1.reshape(x, [3, 3]), lambda v, x: v * v),
  ("concat", lambda x: tf1.concat([x, x], 0), identity),
  ("root", lambda x: tf1.sqrt(x * x + 1.0), lambda v, x: x[0] / v),
)


class FeedingTest(case.GraphTestCase):
  def runs(self, make, read, through=lambda v: v):
    """Returns the fed tensor, and what runs give without and with optimizer."""
    x = tf1.placeholder(tf1.float64, [9])
    v = through(make(tf1.sin(x)))
    y = tf1.sin(read(v, tf1.sin(x)))
    feed_dict = {x: self.rng.uniform(0.2, 1.0, 9)}
    sess = self.session(optimize=False)
    shape = np.shape(sess.run(v, feed_dict))
    fed = self.rng.uniform(0.2, 1.0, shape)
    feed_dict[v] = fed * 1j if v.dtype.is_complex else fed
    return v, sess.run(y, feed_dict), self.session().run(y, feed_dict)

  @parameterized.named_parameters(*FORGOTTEN)
  def test_what_is_fed_is_forgotten(self, make, read):
    v, told, found = self.runs(make, read)
    self.assertEqual(feeding.is_forgotten(v), not compat.IS_TF1)
    if compat.IS_TF1:
      self.assert_close(found, told)
    else:
      self.assertGreater(np.max(np.abs(found - told)), 1e-3)

  @parameterized.named_parameters(*FORGOTTEN)
  def test_what_is_fed_for_its_identity_is_not(self, make, read):
    v, told, found = self.runs(make, read, tf1.identity)
    self.assertFalse(feeding.is_forgotten(v))
    self.assert_close(found, told)

  @parameterized.named_parameters(*KEPT)
  def test_what_is_fed_is_kept(self, make, read):
    v, told, found = self.runs(make, read)
    self.assertFalse(feeding.is_forgotten(v))
    self.assert_close(found, told)

  def test_placeholders_and_reads_of_variables_are_kept(self):
    x = tf1.placeholder(tf1.float64, [2])
    w = self.variable("w", np.ones(2))
    with_default = tf1.placeholder_with_default(x, [2])
    drawn = [tf1.random_uniform([2], dtype=tf1.float64) for _ in range(2)]
    product = x * with_default
    sums = [drawn[0] + drawn[1], w.read_value() + w.read_value()]
    for tensor in [x, with_default, w.read_value(), drawn[0], product] + sums:
      self.assertFalse(feeding.is_forgotten(tensor), tensor)

  def test_casts_of_indices_are_forgotten(self):
    n = tf1.placeholder(tf1.int64, [2])
    forgotten = feeding.is_forgotten(tf1.cast(n, tf1.int32))
    self.assertEqual(forgotten, not compat.IS_TF1)
    self.assertFalse(feeding.is_forgotten(tf1.cast(n, tf1.float32)))

  def test_long_twins_and_loops_come_to_an_end(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [2])
    ends = []
    for _ in range(2):
      h = x
      for _ in range(2000):
        h = tf1.tanh(h * x)
      ends.append(h)
    self.assertEqual(feeding.is_forgotten(ends[0] + ends[1]), not compat.IS_TF1)
    ends = [
      tf1.while_loop(lambda h: tf1.reduce_sum(h) > 0.1, tf1.sin, [x])
      for _ in range(2)
    ]
    self.assertFalse(feeding.is_forgotten(ends[0] + ends[1]))


if __name__ == "__main__":
  absltest.main()

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import cheap, cut
from tests import case


class CheapTest(case.GraphTestCase):
  def test_moves_and_element_wise_ops_are_cheap(self):
    x = tf1.placeholder(tf1.float32, [4, 6])
    for y in (
      tf1.tanh(x),
      x + 1.0,
      tf1.cast(x, tf1.float64),
      x[1:],
      tf1.reshape(x, [-1]),
      tf1.transpose(x),
      tf1.concat([x, x], 0),
      tf1.split(x, 2)[0],
      tf1.unstack(x)[0],
      tf1.gather(x, [0, 1]),
      tf1.where(x > 0, x, x),
      tf1.reduce_mean(x, 1),
      tf1.nn.softmax(x),
    ):
      self.assertTrue(cheap.is_cheap(y.op), y.op.type)

  def test_products_random_numbers_and_state_are_not(self):
    x = tf1.placeholder(tf1.float32, [4, 4])
    image = tf1.placeholder(tf1.float32, [1, 4, 4, 2])
    w = self.variable("w", np.ones([4, 4], np.float32))
    kernel = tf1.ones([3, 3, 2, 2])
    for y in (
      tf1.matmul(x, x),
      tf1.nn.conv2d(image, kernel, strides=[1, 1, 1, 1], padding="SAME"),
      tf1.raw_ops.RandomUniform(shape=[4], dtype=tf1.float32),
      tf1.raw_ops.StatelessRandomUniform(shape=[4], seed=[1, 2]),
      tf1.nn.top_k(x, 2).values,
      tf1.py_func(lambda v: v, [x], tf1.float32),
      tf1.raw_ops.ReadVariableOp(resource=w.handle, dtype=tf1.float32),
      x,
    ):
      self.assertFalse(cheap.is_cheap(y.op), y.op.type)

  def test_all_types_are_ops_that_may_run_again(self):
    known = [kind for kind in cheap.TYPES if hasattr(tf1.raw_ops, kind)]
    self.assertGreater(len(known), 0.85 * len(cheap.TYPES))
    self.assertEmpty(cheap.TYPES & cut.VARIABLE_READS)
    self.assertEmpty([kind for kind in cheap.TYPES if "Random" in kind])


class CostTest(case.GraphTestCase):
  def cost(self, tensor):
    return cheap.cost(
      tensor.op, lambda t: t.shape.num_elements() * t.dtype.size
    )

  def test_grows_with_the_size(self):
    small, large = [tf1.placeholder(tf1.float32, [n, 1000]) for n in (10, 500)]
    self.assertGreater(
      self.cost(tf1.tanh(large)), 10 * self.cost(tf1.tanh(small))
    )

  def test_a_view_costs_nothing_but_the_op(self):
    x = tf1.placeholder(tf1.float32, [1000, 1000])
    self.assertLess(
      100 * self.cost(tf1.reshape(x, [-1])), self.cost(tf1.negative(x))
    )

  @parameterized.parameters(([8, 4], [4, 2]), ([3, 8, 4], [3, 4, 2]))
  def test_a_product_costs_its_multiplications(self, left, right):
    factors = []
    for n in (100, 200):
      a = tf1.placeholder(tf1.float32, left[:-2] + [n * k for k in left[-2:]])
      b = tf1.placeholder(tf1.float32, right[:-2] + [n * k for k in right[-2:]])
      factors.append(self.cost(tf1.matmul(a, b)))
    self.assertBetween(factors[1] / factors[0], 7.9, 8.1)

  def test_a_convolution_costs_as_the_product_that_it_is(self):
    image = tf1.placeholder(tf1.float32, [1, 64, 64, 32])
    kernel = tf1.placeholder(tf1.float32, [1, 1, 32, 16])
    y = tf1.nn.conv2d(image, kernel, strides=[1, 1, 1, 1], padding="SAME")
    rows = tf1.placeholder(tf1.float32, [64 * 64, 32])
    product = tf1.matmul(rows, tf1.placeholder(tf1.float32, [32, 16]))
    self.assertAlmostEqual(self.cost(y) / self.cost(product), 1.0, places=6)


if __name__ == "__main__":
  absltest.main()

"""Tests of flops: that counts are the profiler's, and what it cannot count."""

import numpy as np
from absl.testing import absltest

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import flops
from tests import case


class FlopsTestCase(case.GraphTestCase):
  def count(self, *tensors):
    """Returns the count of the ops of `tensors`."""
    counter = flops.Counter(flops.Shapes(self.graph.get_operations()))
    return [counter.count(tensor.op) for tensor in tensors]


class CounterTest(FlopsTestCase):
  def test_it_counts_as_the_profiler_does(self):
    x = tf1.placeholder(tf1.float32, [2, 8, 8, 3])
    kernel = tf1.zeros([3, 3, 3, 4])
    h = tf1.nn.conv2d(x, kernel, strides=[1, 2, 2, 1], padding="SAME")
    h = tf1.nn.max_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    h = tf1.nn.bias_add(h, tf1.zeros([4])) * 2.0
    y = tf1.matmul(tf1.reshape(h, [2, 16]), tf1.zeros([16, 5]))
    tf1.reduce_mean(tf1.nn.softmax(y))
    options = tf1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    ops = self.graph.get_operations()
    found = sum(self.count(*[op.outputs[0] for op in ops if op.outputs]))
    profile = tf1.profiler.profile(self.graph, options=options)
    self.assertEqual(found, profile.total_float_ops)

  def test_products_of_batches_count(self):
    a = tf1.placeholder(tf1.float32, [2, 3, 4, 5])
    b = tf1.placeholder(tf1.float32, [2, 3, 5, 6])
    plain = tf1.matmul(a, b)
    turned = tf1.matmul(tf1.placeholder(tf1.float32, [2, 3, 5, 4]), b, True)
    wanted = 2 * 2 * 3 * 4 * 5 * 6
    self.assertEqual(self.count(plain, turned), [wanted, wanted])

  def test_einsum_counts(self):
    if compat.IS_TF1:
      self.skipTest("TensorFlow 1.15 makes einsum of other ops.")
    a = tf1.placeholder(tf1.float32, [2, 3, 4])
    b = tf1.placeholder(tf1.float32, [4, 5])
    found = tf1.einsum("btd,df->btf", a, b)
    wide = tf1.raw_ops.Einsum(inputs=[a, b], equation="...d,df->...f")
    self.assertEqual(self.count(found), [2 * 2 * 3 * 4 * 5])
    self.assertGreater(self.count(wide)[0], 0)

  def test_what_is_not_known_counts_nothing(self):
    x = tf1.placeholder(tf1.float32, [2, 3])
    self.assertEqual(self.count(x, tf1.reshape(x, [6]), tf1.shape(x)), [0] * 3)

  def test_it_is_silent(self):
    x = tf1.placeholder(tf1.float32, [2, 3])
    y = tf1.matmul(x, tf1.zeros([3, 4]))
    with self.assertNoLogs():
      self.assertEqual(self.count(y), [2 * 2 * 3 * 4])

  def assertNoLogs(self):  # noqa: N802  (Python 3.7 has none)
    case_self = self

    class Context:
      def __enter__(self):
        self._logs = case_self.assertLogs("tensorflow", "WARNING")
        self._logs.__enter__()
        tf1.logging.warning("the only one")

      def __exit__(self, *error):
        self._logs.__exit__(*error)
        case_self.assertLen(self._logs.watcher.records, 1)

    return Context()


class ShapesTest(FlopsTestCase):
  def test_an_unknown_dimension_counts_as_one(self):
    x = tf1.placeholder(tf1.float32, [None, 7, 6])
    flat = tf1.reshape(x, [-1, 6])
    y = tf1.matmul(flat, tf1.zeros([6, 5]))
    back = tf1.reshape(y, [-1, 7, 5])
    mask = tf1.placeholder(tf1.float32, [None, 7])
    masked = back * tf1.expand_dims(mask, 2)
    shapes = flops.Shapes(self.graph.get_operations())
    found = [shapes.of(t).as_list() for t in (x, flat, y, back, masked)]
    wanted = [[1, 7, 6], [7, 6], [7, 5], [1, 7, 5], [1, 7, 5]]
    self.assertEqual(found, wanted)
    self.assertEqual(shapes.bytes(masked), 7 * 5 * 4)
    self.assertEqual(self.count(y), [2 * 7 * 6 * 5])

  def test_an_unknown_rank_counts_as_a_scalar(self):
    x = tf1.placeholder(tf1.float64)
    shapes = flops.Shapes(self.graph.get_operations())
    self.assertEqual(shapes.of(x).as_list(), [])
    self.assertEqual(shapes.bytes(x), 8)

  def test_what_ops_read_from_elsewhere_is_told(self):
    x = tf1.placeholder(tf1.float32, [None, 3])
    h = tf1.tanh(x)
    before = self.count_ops()
    y = tf1.add(h, tf1.zeros([1, 3]))
    ops = self.graph.get_operations()[before:]
    shapes = flops.Shapes(ops, [h])
    np.testing.assert_array_equal(shapes.of(y).as_list(), [1, 3])


if __name__ == "__main__":
  absltest.main()

"""Tests of gradient paths: where gradients arrive, and where to cut instead."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import gradient_paths, walk
from tests import case


class ArrivingTest(case.GraphTestCase):
  def arriving(self, *outputs, **options):
    return gradient_paths.arriving(outputs, walk.ancestors(outputs), **options)

  def test_it_is_where_gradients_are(self):
    x = tf1.placeholder(tf1.float64, [3], "x")
    w = self.variable("w", self.normal(3))
    tensors = [
      tf1.tanh(x),
      tf1.stop_gradient(x),
      tf1.floor(x),
      tf1.cast(x > 0.0, tf1.float64),
      tf1.zeros_like(x) + w,
      tf1.reshape(tf1.identity(x), [3, 1]) * w,
      tf1.gather(x, [0, 1]),
      tf1.complex(x, w),
    ]
    for tensor in tensors:
      output = tf1.reduce_sum(tf1.abs(tf1.identity(tensor)))
      found = self.arriving(output)
      gradients = tf1.gradients(output, [x, w.handle])
      for source, gradient in zip([x, w.handle], gradients):
        self.assertEqual(source.name in found, gradient is not None, tensor)

  def test_a_registered_gradient_counts(self):
    x = tf1.placeholder(tf1.float64, [3], "x")
    with self.graph.gradient_override_map({"Round": "Identity"}):
      y = tf1.round(x)
    self.assertIsNotNone(tf1.gradients(y, x)[0])
    self.assertIn("x:0", self.arriving(y))
    self.assertNotIn("x:0", self.arriving(tf1.round(x)))

  def test_it_goes_no_further_than_it_is_told(self):
    x = tf1.placeholder(tf1.float64, [4], "x")
    left, right = tf1.split(x, 2)
    found = self.arriving(left, stop=[left])
    self.assertIn(left.name, found)
    self.assertNotIn("x:0", found)
    self.assertIn("x:0", self.arriving(left + right, stop=[left]))

  @parameterized.parameters(False, True)
  def test_loops_are_passed(self, v2):
    self.use_control_flow(v2)
    x = tf1.placeholder(tf1.float64, [3], "x")
    w = self.variable("w", self.normal(3))
    given = tf1.TensorArray(tf1.float64, 3).unstack(tf1.tanh(x))
    _, y = tf1.while_loop(
      lambda k, y: k < 3,
      lambda k, y: (k + 1, y * w + given.read(k)),
      [0, tf1.zeros([3], tf1.float64)],
    )
    found = self.arriving(y)
    self.assertIn("x:0", found)
    self.assertIn(w.handle.name, found)

  def test_from_sources_it_is_the_same(self):
    x = tf1.placeholder(tf1.float64, [3], "x")
    h = tf1.tanh(x)
    y = tf1.sin(h) + tf1.stop_gradient(tf1.cos(h))
    found = gradient_paths.reached_from([x], walk.ancestors([y]))
    self.assertContainsSubset({x.name, h.name, y.name}, found)
    self.assertIn("Cos:0", found)  # up to where it ends
    self.assertNotIn("StopGradient:0", found)


class FlowingTest(case.GraphTestCase):
  def test_ops_that_only_lead_into_a_stop_do_not_count(self):
    x = tf1.placeholder(tf1.float64, [2])
    stopped = tf1.tanh(x)
    h = tf1.sin(x)
    y = h * tf1.stop_gradient(stopped)
    ops = walk.ancestors([y], stop=[x])
    found = gradient_paths.flowing([x], [y], ops, [x])
    self.assertEqual(found, [h.op, y.op])

  def test_lists_of_tensors_are_passed(self):
    x = tf1.placeholder(tf1.float64, [None])
    with compat.control_flow(True):
      y = tf1.scan(lambda h, row: tf1.tanh(h + row), tf1.sin(x))
    ops = walk.ancestors([y])
    found = {op.type for op in gradient_paths.flowing([x], [y], ops)}
    self.assertContainsSubset({"Sin", "TensorListFromTensor"}, found)
    self.assertNotEmpty({"StatelessWhile", "While"} & found)


class NearestTest(case.GraphTestCase):
  def build(self):
    """Makes layers whose getter's tensors no later layer reads."""
    x = tf1.placeholder(tf1.float64, [2, 3, 4], "x")
    flat, layers, below = tf1.reshape(x, [-1, 4]), [], []
    for k in range(2):
      w = self.variable(f"w{k}", self.normal(4, 4))
      flat = tf1.tanh(tf1.matmul(flat, w))
      below.append(flat)
      layers.append(tf1.identity(tf1.reshape(flat, [2, 3, 4])))
    return x, layers, below, tf1.reduce_sum(tf1.square(layers[-1]))

  def test_beneath_a_getters_tensor_it_is_what_layers_read(self):
    x, layers, below, loss = self.build()
    self.assertIsNone(tf1.gradients(loss, layers[0])[0])
    self.assertIs(gradient_paths.nearest(layers[0], [loss]), below[0])
    self.assertIsNotNone(tf1.gradients(loss, below[0])[0])

  def test_a_tensor_with_a_path_is_its_own(self):
    x, layers, below, loss = self.build()
    for tensor in (x, below[0], layers[1]):
      self.assertIs(gradient_paths.nearest(tensor, [loss]), tensor)

  def test_there_may_be_none(self):
    x, layers, _, loss = self.build()
    w = self.graph.get_operation_by_name("w0").outputs[0]
    for tensor in (
      tf1.tanh(layers[0]),  # of its own
      tf1.shape(layers[0]),
      tf1.identity(loss),
      tf1.zeros([2]),
      tf1.identity(w),
    ):
      found = gradient_paths.nearest(tensor, [loss])
      if tensor.op.type == "Identity" and tensor.dtype == loss.dtype:
        self.assertIs(found, loss)
      else:
        self.assertIsNone(found)


class NameableTest(case.GraphTestCase):
  def test_what_can_be_fed_is(self):
    x = tf1.placeholder(tf1.float64, [3], "x")
    self.assertTrue(gradient_paths.is_nameable(x))
    self.assertTrue(gradient_paths.is_nameable(tf1.reduce_sum(x)))

  def test_what_cannot_be_is_not(self):
    x = tf1.placeholder(tf1.float64, [3], "x")
    w = self.variable("w", np.ones(3), use_resource=False)
    closed = tf1.identity(x)
    self.graph.prevent_feeding(closed)
    self.assertFalse(gradient_paths.is_nameable(closed))
    self.assertFalse(gradient_paths.is_nameable(w.op.outputs[0]))
    self.assertFalse(gradient_paths.is_nameable(tf1.shape(x)))

  def test_the_inside_of_a_loop_is_not_but_its_result_is(self):
    self.use_control_flow(False)
    x = tf1.placeholder(tf1.float64, [3], "x")
    inside = []

    def body(k, y):
      inside.append(tf1.tanh(y))
      return k + 1, inside[0]

    _, y = tf1.while_loop(lambda k, y: k < 3, body, [0, x])
    self.assertFalse(gradient_paths.is_nameable(inside[0]))
    self.assertTrue(gradient_paths.is_nameable(y))

  def test_a_flow_is_not_but_what_an_array_gives_is(self):
    self.use_control_flow(False)
    x = tf1.placeholder(tf1.float64, [3], "x")
    array = tf1.TensorArray(tf1.float64, 3).unstack(x)
    self.assertFalse(gradient_paths.is_nameable(array.flow))
    self.assertTrue(gradient_paths.is_nameable(array.stack()))
    self.assertTrue(gradient_paths.is_nameable(array.read(0)))
    _, flow = tf1.while_loop(
      lambda k, _: k < 3, lambda k, flow: (k + 1, flow), [0, array.flow]
    )
    ended = tf1.TensorArray(tf1.float64, handle=array.handle, flow=flow)
    ended.read(0)
    self.assertFalse(gradient_paths.is_nameable(flow))


class ViewTest(case.GraphTestCase):
  def test_types_are_known_to_tensorflow(self):
    for kind in gradient_paths.VIEWS:
      if kind != "CheckNumericsV2" or not compat.IS_TF1:
        self.assertTrue(hasattr(tf1.raw_ops, kind), kind)


if __name__ == "__main__":
  absltest.main()

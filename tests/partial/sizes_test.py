import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import sizes
from tests import case
from tests.partial import zoo


class OfTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float32, [None, None, 4], name="x")
    self.w = self.variable("w", np.ones([4, 5], np.float32))
    self.flat = tf1.reshape(self.x, [-1, 4])
    shape = tf1.shape(self.x)
    read = tf1.convert_to_tensor(self.w)
    self.y = tf1.reshape(tf1.matmul(self.flat, read), [shape[0], shape[1], 5])
    self.ops = walk.ancestors([self.y], [self.x])

  def of(self, given, strict=False):
    return sizes.of(given, [self.x], self.ops, strict)

  def test_sizes_follow_from_what_is_fed(self):
    for given in ({self.x: [6, 7, 4]}, {"x:0": [6, 7, None]}, {"x": [6, 7, 4]}):
      bytes_of = self.of(given)
      self.assertEqual(bytes_of(self.x), 6 * 7 * 4 * 4)
      self.assertEqual(bytes_of(self.flat), 6 * 7 * 4 * 4)
      self.assertEqual(bytes_of(self.y), 6 * 7 * 5 * 4)

  def test_an_int_stands_for_every_unknown_dimension(self):
    self.assertEqual(self.of(6)(self.flat), 6 * 6 * 4 * 4)
    assumed = sizes.ASSUMED
    self.assertEqual(self.of(None)(self.flat), assumed * assumed * 4 * 4)

  def test_a_function_tells_sizes_itself(self):
    bytes_of = self.of(lambda t: {self.flat.name: 3}.get(t.name))
    self.assertEqual((bytes_of(self.flat), bytes_of(self.y)), (3, 0))

  def test_values_of_variables_and_variants_count_nothing(self):
    read = tf1.raw_ops.ReadVariableOp(resource=self.w.handle, dtype=tf1.float32)
    items = tf1.raw_ops.TensorListReserve(
      element_shape=[2], num_elements=2, element_dtype=tf1.float64
    )
    for given in (None, lambda t: 7):
      self.assertEqual(self.of(given)(read), 0)
    self.assertEqual(self.of(None)(items), 0)

  def test_what_is_a_value_of_a_resource_variable(self):
    ref = self.variable("ref", np.ones(2), use_resource=False)
    read = self.w.read_value()
    for tensor in (read, tf1.identity(read), tf1.reshape(read, [-1])):
      self.assertTrue(sizes.is_free(tensor), tensor.name)
    # A reference variable is copied where it is kept.
    for tensor in (ref.op.outputs[0], tf1.identity(ref), self.x, 2 * read):
      self.assertFalse(sizes.is_free(tensor), tensor.name)

  def test_names_of_what_is_fed(self):
    for key in (self.x, "x:0", "x"):
      self.assertEqual(sizes.name_of(key), "x:0")

  def test_nothing_is_added_to_the_graph(self):
    before = self.count_ops()
    self.of(None)(self.y)
    self.assertEqual(self.count_ops(), before)

  def test_what_cannot_be_inferred_is_assumed(self):
    x = tf1.placeholder(tf1.float64, None)
    y = tf1.py_func(lambda v: v, [x], tf1.float64)
    bytes_of = sizes.of(5, [x], walk.ancestors([y], [x]))
    self.assertEqual(bytes_of(y), 5 * 5 * 8)

  def test_loops_are_left_out(self):
    for v2 in (True, False):
      self.use_control_flow(v2)
      x = tf1.placeholder(tf1.float64, [None, 2])
      _, y = tf1.while_loop(
        lambda n, h: n < 3, lambda n, h: (n + 1, h * 2.0), [0, x]
      )
      y = tf1.concat([y, y], 0)
      bytes_of = sizes.of(5, [x], walk.ancestors([y], [x]))
      self.assertEqual(bytes_of(y), 2 * 5 * 2 * 8)

  def test_bytes_that_would_be_assumed_may_be_refused(self):
    with self.assertRaises(errors.ArgumentError) as caught:
      self.of(None, strict=True)(self.y)
    self.assert_message(caught.exception, self.y.name, "sizes=")
    self.assertEqual(self.of(6, strict=True)(self.flat), 6 * 6 * 4 * 4)

  @parameterized.parameters(0, -1, True, "many", 2.5)
  def test_others_are_refused(self, bad):
    for check in (lambda: self.of(bad), lambda: sizes.check(bad)):
      with self.assertRaises(errors.ArgumentError) as caught:
        check()
      self.assert_message(caught.exception, repr(bad))

  def test_shapes_that_do_not_fit_are_refused(self):
    for given, part in (
      ({self.x: [6, 7, 3]}, "does not fit"),
      ({"z": [2]}, "z:0"),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        self.of(given)(self.y)
      self.assert_message(caught.exception, part)


class MeasureTest(case.GraphTestCase):
  @parameterized.named_parameters(
    (build.__name__, build)
    for build in (zoo.attention, zoo.unknown_shapes, zoo.dataset, zoo.embedding)
  )
  def test_takes_the_sizes_of_a_run(self, build):
    model = build(self)
    sess = self.session()
    found = tangle.measure(sess, model.inputs, model.outputs, model.feed_dict)
    ops = walk.ancestors(model.outputs, stop=model.inputs)
    tensors = [
      t
      for op in ops
      for t in op.outputs
      if t.dtype.is_floating and not op.op_def.is_stateful
    ]
    self.assertNotEmpty(tensors)
    for tensor, value in zip(tensors, sess.run(tensors, model.feed_dict)):
      self.assertEqual(found(tensor), value.nbytes, tensor.name)

  def test_runs_once_and_fetches_no_tensor(self):
    calls = []
    x = tf1.placeholder(tf1.float64, None)
    y = tf1.py_func(lambda v: calls.append(1) or v, [x], tf1.float64)
    found = tangle.measure(self.session(), [x], [y], {x: np.ones([3, 7])})
    self.assertLen(calls, 1)
    self.assertEqual(found.bytes, {x.name: 168, y.name: 168})

  def test_sizes_of_a_run_make_the_prediction_exact(self):
    model = zoo.lstm(self)
    sess = self.session()
    found = tangle.measure(sess, model.inputs, model.outputs, model.feed_dict)
    sub_model = tangle.SubModel(
      model.inputs, model.outputs, residuals="min_cut", sizes=found
    )
    sub_model.forward(sess, model.feed_dict).discard()
    self.assertEqual(
      sub_model.residuals.predicted_bytes, sub_model.residuals.bytes
    )

  def test_tensors_of_another_graph_are_refused(self):
    x = tf1.placeholder(tf1.float64, None)
    with tf1.Graph().as_default():
      other = tf1.placeholder(tf1.float64, None)
    sess = self.session()
    with self.assertRaises(errors.GraphError):
      tangle.measure(sess, [x], [other])
    with self.assertRaises(errors.ArgumentError):
      tangle.measure(sess, x, [x])


if __name__ == "__main__":
  absltest.main()

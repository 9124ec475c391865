"""Tests of scratch_graph."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import scratch_graph, split
from tests import case
from tests.partial import checks, zoo

# Models that have what is not plain.
OTHERS = (zoo.loop, zoo.recurrence, zoo.own_gradient)


class AsideTest(case.GraphTestCase):
  def connect(self, piece, backward):
    """Connects a backward pass to the kept tensors themselves."""
    restored = {t.name: t for t in backward.cut.kept}
    return split.flatten(piece.connect(backward, restored, "backward"))[0]

  @parameterized.product(
    build=[model for model in zoo.MODELS if model is not zoo.dataset],
    residuals=["frontier", "none"],
  )
  def test_gradients_are_those_made_in_place(self, build, residuals):
    model = build(self)
    piece = split.Split(model.inputs, model.outputs, None, residuals)
    upstream = [
      tf1.ones_like(tensor) if used else None
      for tensor, used in zip(model.outputs, model.used)
    ]
    upstream = [
      None if t is None else tf1.placeholder_with_default(t, t.shape)
      for t in upstream
    ]
    found = scratch_graph.differentiate(piece, upstream)
    if build in OTHERS:
      self.assertIsNone(found)
      return
    self.assertIsNotNone(found)
    desired = piece.differentiate(upstream)
    kept = [walk.names(backward.cut.kept) for backward in (found, desired)]
    self.assertEqual(*kept)
    flat = [self.connect(piece, backward) for backward in (found, desired)]
    self.assertEqual(*[[t.dtype for t in tensors] for tensors in flat])
    sess = self.session()
    for one, other in zip(*sess.run(flat, model.feed_dict)):
      self.assert_close(np.asarray(one), np.asarray(other))

  def test_nothing_but_the_copies_comes_into_the_graph(self):
    x = tf1.placeholder(tf1.float64, [3, 2])
    w = self.variable("w", self.normal(2, 2))
    y = tf1.tanh(tf1.matmul(tf1.tanh(tf1.matmul(x, w)), w))
    upstream = tf1.placeholder(tf1.float64, [3, 2])
    piece = split.Split([x], [y])
    before = self.count_ops()
    found = scratch_graph.differentiate(piece, [upstream])
    self.assertEqual(self.count_ops(), before)
    self.connect(piece, found)
    self.assertEqual(self.count_ops(), before + len(found.cut.copied))
    piece.differentiate([upstream])
    self.assertGreater(self.count_ops(), before + len(found.cut.copied))

  def test_gradients_of_the_forward_run_come_without_unused_ops(self):
    x = tf1.placeholder(tf1.float64, [None, 2])
    w = self.variable("w", self.normal(2, 2))
    b = self.variable("b", self.normal(2))
    y = tf1.tanh(tf1.matmul(x, w) * b) * tf1.tanh(x)
    upstream = tf1.placeholder(tf1.float64, [None, 2])
    piece = split.Split([x], [y], fed=[])
    before = self.count_ops()
    found = scratch_graph.differentiate_in_forward_run(
      piece, [upstream], "backward"
    )
    flat = split.flatten(found)[0]
    made = self.graph.get_operations()[before:]
    needed = set(walk.ancestors(flat, control=True))
    self.assertEmpty([op.name for op in made if op not in needed])
    self.assertTrue(all(op.name.startswith("backward/") for op in made))
    before = self.count_ops()
    desired = split.flatten(piece.differentiate([upstream]).gradients)[0]
    self.assertGreater(self.count_ops() - before, len(made))
    feed_dict = {x: self.normal(3, 2), upstream: self.normal(3, 2)}
    for one, other in zip(*self.session().run([flat, desired], feed_dict)):
      self.assert_close(one, other)

  @parameterized.parameters(
    *[model for model in zoo.MODELS if model is not zoo.dataset]
  )
  def test_gradients_of_the_forward_run_are_those_made_in_place(self, build):
    model = build(self)
    piece = split.Split(model.inputs, model.outputs)
    upstream = [
      tf1.ones_like(tensor) if used else None
      for tensor, used in zip(model.outputs, model.used)
    ]
    before = self.count_ops()
    found = scratch_graph.differentiate_in_forward_run(piece, upstream)
    if build in OTHERS:
      self.assertIsNone(found)
      self.assertEqual(self.count_ops(), before)
      return
    self.assertIsNotNone(found)
    desired = piece.differentiate(upstream).gradients
    flat = [split.flatten(gradients)[0] for gradients in (found, desired)]
    self.assertEqual(*[[t.dtype for t in tensors] for tensors in flat])
    sess = self.session()
    for one, other in zip(*sess.run(flat, model.feed_dict)):
      self.assert_close(np.asarray(one), np.asarray(other))

  def test_an_unknown_shape_is_kept_in_the_forward_graph(self):
    x = tf1.placeholder(tf1.float64, [None, None])
    w = self.variable("w", self.normal(2))
    y = tf1.reshape(tf1.transpose(x * 2.0), [-1, 2]) * w
    upstream = tf1.placeholder(tf1.float64, [None, 2])
    piece = split.Split([x], [y])
    found = scratch_graph.differentiate(piece, [upstream])
    for tensor in found.cut.kept:
      self.assertIs(tensor.graph, self.graph)
    self.assertNotEmpty(piece.shapes.tensors)
    flat = self.connect(piece, found)
    joint = tf1.gradients(y, [x, w], grad_ys=upstream)
    feed_dict = {x: self.normal(2, 3), upstream: self.normal(3, 2)}
    for one, other in zip(*self.session().run([flat, joint], feed_dict)):
      self.assert_close(one, other)

  @parameterized.parameters("custom", "loop", "reference", "python", "override")
  def test_what_is_not_plain_is_left_alone(self, kind):
    x = tf1.placeholder(tf1.float64, [2])
    y = self.build_other(kind, x)
    piece = split.Split([x], [y])
    before = self.count_ops()
    upstream = [tf1.zeros([2], y.dtype)]
    self.assertIsNone(scratch_graph.differentiate(piece, upstream))
    self.assertIsNone(
      scratch_graph.differentiate_in_forward_run(piece, upstream)
    )
    self.assertLessEqual(self.count_ops(), before + 1)  # the zeros

  def build_other(self, kind, x):
    if kind == "custom":

      @tf1.custom_gradient
      def double(x):
        return 2 * x, lambda upstream: 3 * upstream

      return double(x)
    if kind == "loop":
      self.use_control_flow(True)
      return tf1.while_loop(
        lambda k, y: k < 3, lambda k, y: (k + 1, 2 * y), (tf1.constant(0), x)
      )[1]
    if kind == "reference":
      w = self.variable("w", self.normal(2), use_resource=False)
      return x * w
    if kind == "override":
      with self.graph.gradient_override_map({"Tanh": "TanhGrad"}):
        return tf1.tanh(x)
    return x * tf1.py_func(lambda x: np.sin(x), [x], tf1.float64)

  def test_a_gradient_may_call_functions(self):
    self.use_control_flow(v2=True)  # its gradient is a conditional on shapes
    x = tf1.placeholder(tf1.float64, [None], name="x")
    diagonal = tf1.placeholder(tf1.float64, [None], name="diagonal")
    y = tf1.linalg.set_diag(tf1.linalg.diag(tf1.square(x)), diagonal)
    y = tf1.reduce_sum(tf1.square(y), 1)
    piece = split.Split([x, diagonal], [y])
    upstream = tf1.placeholder(tf1.float64, [None])
    found = [
      self.connect(piece, scratch_graph.differentiate(piece, [upstream])),
      split.flatten(
        scratch_graph.differentiate_in_forward_run(piece, [upstream])
      )[0],
      tf1.gradients(y, [x, diagonal], upstream),
    ]
    feeds = [self.normal(3) for _ in range(3)]
    feed_dict = dict(zip([x, diagonal, upstream], feeds))
    split_twice, joint = self.session().run([found[:2], found[2]], feed_dict)
    for gradients in split_twice:
      for one, other in zip(gradients, joint):
        self.assert_close(one, other)

  def test_a_constant_that_waits_is_left_alone(self):
    x = tf1.placeholder(tf1.float64, [3, 2])
    count = self.variable("count", np.float64(0.0), trainable=False)
    with tf1.control_dependencies([count.assign_add(1.0)]):
      y = tf1.square(0.5 * x)
    piece = split.Split([x], [y])
    upstream = tf1.placeholder(tf1.float64, [3, 2])
    self.assertIsNone(scratch_graph.differentiate(piece, [upstream]))

  def test_the_copies_give_the_joint_gradients(self):
    model = zoo.lstm(self)
    piece = split.Split(model.inputs, model.outputs)
    upstream = [tf1.ones_like(t) for t in model.outputs]
    upstream = [tf1.placeholder_with_default(t, t.shape) for t in upstream]
    found = scratch_graph.differentiate(piece, upstream)
    self.assertIsNotNone(found)
    flat = self.connect(piece, found)
    joint = checks.Joint(model)
    sess = self.session()
    ones = [np.ones_like(y) for y in sess.run(model.outputs, model.feed_dict)]
    desired = joint.run(sess, model.feed_dict, ones)
    for one, other in zip(
      sess.run(flat, model.feed_dict), split.flatten(desired)[0]
    ):
      self.assert_close(one, case.dense(other))


if __name__ == "__main__":
  absltest.main()

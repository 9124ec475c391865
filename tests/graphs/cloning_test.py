"""Tests of cloning."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.experiments import constructs
from tangle.graphs import cloning, walk
from tests import case


class CloneTestCase(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float32, [3, 4], name="x")
    self.w_np = 0.5 * self.normal(4, 4, dtype=np.float32)

  def clone(self, *ends, **options):
    """Returns a clone of what `ends` need of `x`, which `other` replaces."""
    self.other = tf1.placeholder(tf1.float32, [3, 4], name="other")
    return cloning.clone(list(ends), {"x:0": self.other}, **options)

  def gradients(self, y, x, w):
    """Returns the gradients of `sum y ** 2` by `x` and `w`."""
    with compat.control_flow_of(walk.ancestors([y])):
      found = tf1.gradients(tf1.reduce_sum(y * y), [x, w])
    return [tf1.convert_to_tensor(g) for g in found if g is not None]

  def build(self, name, w):
    with tf1.name_scope("model"):
      return constructs.ALL[name].build(self.x, w)


class ConstructsTest(CloneTestCase):
  """All that graphs of others may have in them, in both styles."""

  @parameterized.named_parameters(
    (f"{name}_{'v2' if v2 else 'v1'}", name, v2)
    for name in constructs.ALL
    for v2 in (False, True)
  )
  def test_a_copy_has_the_values_and_gradients_of_the_original(self, name, v2):
    self.use_control_flow(v2)
    w = self.variable("w", self.w_np, use_resource=v2)
    y = self.build(name, w)
    gradients = self.gradients(y, self.x, w)
    copy = self.clone(y)
    found = self.gradients(copy.find(y), self.other, w)
    self.assertLen(found, len(gradients))
    sess = self.session(optimize=False)
    for sign in (1, -1):
      value = sign * np.abs(self.normal(3, 4, dtype=np.float32))
      feed_dict = dict.fromkeys([self.x, self.other], value)
      # Both at once: they share no frame, no function and no stack.
      desired, actual = sess.run(
        [[y] + gradients, [copy.find(y)] + found], feed_dict
      )
      np.testing.assert_array_equal(actual[0], desired[0])
      for one, other in zip(actual, desired):
        self.assert_close(one, other, 1e-5)

  @parameterized.parameters("while_loop", "cond in while_loop")
  def test_an_original_is_differentiated_after_its_copy(self, name):
    for v2 in (False, True):
      with self.subTest(f"v2={v2}"), tf1.Graph().as_default() as self.graph:
        self.use_control_flow(v2)
        self.x = tf1.placeholder(tf1.float32, [3, 4], name="x")
        w = self.variable("w", self.w_np, use_resource=False)
        y = self.build(name, w)
        copy = self.clone(y)
        found = self.gradients(copy.find(y), self.other, w)
        gradients = self.gradients(y, self.x, w)
        self.assert_same_run(
          [y] + gradients, [copy.find(y)] + found, [self.x, self.other]
        )

  @parameterized.parameters(False, True)
  def test_a_copy_of_a_copy(self, v2):
    self.use_control_flow(v2)
    w = self.variable("w", self.w_np, use_resource=False)
    y = self.build("cond in while_loop", w)
    first = self.clone(y)
    last = tf1.placeholder(tf1.float32, [3, 4])
    second = cloning.clone([first.find(y)], {self.other.name: last})
    ys = [y, first.find(y), second.find(first.find(y))]
    xs = [self.x, self.other, last]
    found = [self.gradients(y, x, w) for x, y in zip(xs, ys)]
    self.assert_same_run([ys[0]] + found[0], [ys[1]] + found[1], xs)
    self.assert_same_run([ys[0]] + found[0], [ys[2]] + found[2], xs)

  def test_an_unknown_handle_in_a_nested_loop_is_refused(self):
    self.use_control_flow(v2=True)
    if compat.IS_TF1:
      self.skipTest("TensorFlow 1.15 finds the gradient without its handle.")
    w = self.variable("w", self.w_np)
    y = self.build("while_loop in while_loop", w)
    unknown = mock.patch.object(cloning, "_variable_of", lambda tensor: None)
    with unknown, self.assertRaisesRegex(errors.CutError, "unknown resource"):
      self.clone(y)

  @parameterized.parameters("while_loop", "while_loop in while_loop")
  def test_a_weight_of_double_precision_in_a_loop(self, name):
    # TensorFlow 1.15 itself has no gradient of the nested loop.
    name = "while_loop" if compat.IS_TF1 else name
    self.use_control_flow(v2=True)
    w = self.variable("w", self.w_np.astype(np.float64))
    x = tf1.cast(self.x, tf1.float64)
    y = constructs.ALL[name].build(x, w)
    gradients = self.gradients(y, self.x, w)
    copy = self.clone(y)
    found = self.gradients(copy.find(y), self.other, w)
    self.assert_same_run(gradients, found, [self.x, self.other])
    self.assertGreater(np.max(np.abs(self.found[1])), 0)

  def assert_same_run(self, desired, actual, feeds):
    """Fails unless the lists of tensors have the same values."""
    sess = self.session(optimize=False)
    value = np.abs(self.normal(3, 4, dtype=np.float32))
    desired, self.found = sess.run(
      [desired, actual], dict.fromkeys(feeds, value)
    )
    self.assertLen(self.found, len(desired))
    for one, other in zip(self.found, desired):
      self.assert_close(one, other, 1e-5)


class FindTest(CloneTestCase):
  def setUp(self):
    super().setUp()
    w = self.variable("w", self.w_np)
    self.shared = tf1.tanh(w, name="shared")
    self.h = tf1.matmul(self.x, self.shared, name="h")
    self.parts = tf1.split(self.h, 2, 1, name="parts")
    self.y = tf1.multiply(*self.parts, name="y")

  def test_what_depends_on_the_replaced_is_copied(self):
    copy = self.clone(self.y)
    names = ["h", "parts/split_dim", "parts", "y"]
    self.assertCountEqual(
      [op.name for op in copy.ops], [n for n in names if "/" not in n]
    )
    self.assertEqual(
      [op.name for op in copy.copies], [copy.scope + o.name for o in copy.ops]
    )
    self.assertIs(copy.find(self.shared), self.shared)
    self.assertEqual(copy.find(self.h).op.inputs[1].name, self.shared.name)

  def test_finds_copies_and_originals(self):
    copy = self.clone(self.y)
    self.assertIs(copy.find(self.x), self.other)
    self.assertEqual(copy.name_of("x:0"), self.other.name)
    self.assertEqual(copy.find(self.parts[1]).name, "clone/parts:1")
    self.assertEqual(copy.find(self.y.op).name, "clone/y")
    self.assertEqual(copy.name_of("y"), "clone/y")
    self.assertEqual(copy.name_of("shared:0"), "shared:0")
    for tensor in (self.x, self.h, self.y, *self.parts, self.shared):
      self.assertIs(copy.original(copy.find(tensor)), tensor)
    other = tf1.identity(self.y, name="clone/other")
    self.assertIs(copy.original(other), other)

  def test_touched_ops_are_copied_in_any_case(self):
    copy = self.clone(self.y, touched=[self.shared.op])
    self.assertEqual(copy.find(self.shared).name, "clone/shared:0")
    self.assertEqual(copy.find(self.h).op.inputs[1].name, "clone/shared:0")

  def test_an_inner_tensor_is_replaced(self):
    half = tf1.placeholder(tf1.float32, [3, 2])
    copy = cloning.clone([self.y], {self.parts[1].name: half})
    self.assertEqual([op.name for op in copy.ops], ["y"])
    y = copy.find(self.y)
    self.assertEqual(
      [t.name for t in y.op.inputs], [self.parts[0].name, half.name]
    )

  def test_an_end_that_is_replaced_is_its_replacement(self):
    copy = self.clone(self.x, self.y)
    self.assertIs(copy.find(self.x), self.other)

  def test_copies_land_in_the_scope_and_originals_stay(self):
    before = [str(op.node_def) for op in self.graph.get_operations()]
    inputs = [list(op.inputs) for op in self.graph.get_operations()]
    with tf1.name_scope("outer"), tf1.device("/cpu:1"):
      with tf1.control_dependencies([tf1.no_op("unrelated")]):
        copy = cloning.clone([self.y], {"x:0": 2.0 * self.x}, name="mine")
    self.assertEqual(copy.scope, "outer/mine/")
    for op in copy.copies:
      self.assertTrue(op.name.startswith("outer/mine/"), op.name)
      self.assertEqual((op.device, op.control_inputs), ("", []))
    ops = self.graph.get_operations()[: len(before)]
    self.assertEqual([str(op.node_def) for op in ops], before)
    self.assertEqual([list(op.inputs) for op in ops], inputs)


class KeepingTest(CloneTestCase):
  def test_static_shapes(self):
    x = tf1.placeholder(tf1.float32, None, name="unknown")
    h = tf1.square(x)
    h.set_shape([None, 5])
    copy = cloning.clone([h], {x.name: tf1.placeholder(tf1.float32, None)})
    self.assertEqual(copy.find(h).shape.as_list(), [None, 5])

  def test_devices_and_colocation_among_copies(self):
    with tf1.device("/cpu:1"):
      h = tf1.square(self.x, name="h")
    with tf1.colocate_with(h.op):
      y = tf1.exp(h, name="y")
    copy = self.clone(y)
    self.assertEqual(copy.find(h).device, h.device)
    self.assertIn(b"loc:@clone/h", copy.find(y).op.colocation_groups())

  @parameterized.parameters(False, True)
  def test_control_dependencies(self, touches):
    count = self.variable("count", np.float32(0), trainable=False)
    step = tf1.reduce_sum(self.x) * 0 + 1 if touches else np.float32(1)
    with tf1.control_dependencies([count.assign_add(step)]):
      y = tf1.identity(self.x)
    copy = self.clone(y)
    self.assertLen(copy.find(y).op.control_inputs, 1)
    sess = self.session()
    for n in (1, 2):
      sess.run(copy.find(y), {self.other: np.ones([3, 4])})
      self.assertEqual(sess.run(count), n)

  def test_what_waits_for_a_copied_op_is_copied(self):
    shape = tf1.constant([2])
    with tf1.control_dependencies([tf1.square(self.x, name="checked")]):
      y = tf1.raw_ops.RandomUniform(shape=shape, dtype=tf1.float32)
    copy = self.clone(y)
    controls = copy.find(y).op.control_inputs
    self.assertEqual([op.name for op in controls], ["clone/checked"])

  def test_a_random_tensor_that_does_not_differ_is_drawn_once(self):
    noise = tf1.random_uniform([3, 4])
    y = self.x + noise
    copy = self.clone(y)
    values = self.session().run(
      [noise, y, copy.find(y)],
      dict.fromkeys([self.x, self.other], np.zeros([3, 4])),
    )
    np.testing.assert_array_equal(values[1], values[0])
    np.testing.assert_array_equal(values[2], values[0])

  def test_the_predicate_and_the_limit_of_loops_may_be_replaced(self):
    self.use_control_flow(v2=False)
    positive = tf1.placeholder(tf1.bool, [], name="positive")
    steps = tf1.placeholder(tf1.int32, [], name="steps")
    y = tf1.cond(positive, lambda: tf1.square(self.x), lambda: 3 * self.x)
    z = tf1.while_loop(
      lambda y: True, lambda y: 2 * y, [y], maximum_iterations=steps
    )
    others = {
      "positive:0": tf1.placeholder(tf1.bool, []),
      "steps:0": tf1.placeholder(tf1.int32, []),
    }
    copy = cloning.clone([z], others)
    (slope,) = tf1.gradients(copy.find(z), self.x)
    sess = self.session()
    for value, n, expected in ((True, 3, 4 * 8), (False, 1, 3 * 2)):
      feed_dict = {
        self.x: np.full([3, 4], 2.0),
        copy.find(positive): value,
        copy.find(steps): n,
      }
      found = sess.run(slope, feed_dict)
      np.testing.assert_array_equal(found, np.full([3, 4], expected))

  def test_a_dataset_gives_each_element_once(self):
    data = tf1.data.Dataset.range(4).map(lambda k: tf1.cast(k, tf1.float32))
    element = tf1.data.make_one_shot_iterator(data).get_next()
    y = self.x * element
    copy = self.clone(y)
    sess = self.session()
    feed_dict = dict.fromkeys([self.x, self.other], np.ones([3, 4]))
    for k in range(4):
      for value in sess.run([y, copy.find(y)], feed_dict):
        np.testing.assert_array_equal(value, np.full([3, 4], k))


class ExecutionsTest(CloneTestCase):
  @parameterized.parameters(
    ("dynamic_rnn", False),
    ("dynamic_rnn", True),
    ("cond in while_loop", False),
    ("dropout in cond", False),
    ("dropout in cond", True),
  )
  def test_nothing_of_the_original_runs(self, name, v2):
    self.use_control_flow(v2)
    w = self.variable("w", self.w_np, use_resource=v2)
    y = self.build(name, w)
    copy = self.clone(y)
    tracer = executions.Tracer(self.graph)
    self.addCleanup(tracer.session.close)
    tracer.session.run(tf1.global_variables_initializer())
    tracer.run(copy.find(y), {self.other: np.ones([3, 4])})
    copied = {op.name for op in copy.ops}
    self.assertEmpty(copied.intersection(tracer.counts))
    once = [
      op.name
      for op in executions.working_ops(walk.ancestors([y]))
      if op in copy.ops
      and not compat.in_v1_control_flow(op)
      and op.type not in ("Exit", "StatelessWhile", "While", "If")
    ]
    ran = {name: tracer.counts[copy.scope + name] for name in once}
    self.assertEqual(ran, dict.fromkeys(once, 1))
    self.assertTrue(any(n.startswith(copy.scope) for n in tracer.counts))


class WholeLoopsTest(CloneTestCase):
  def test_all_of_a_loop_is_listed_with_what_it_needs(self):
    self.use_control_flow(v2=False)
    with tf1.name_scope("beside"):
      beside = tf1.square(self.x)
    _, y, z = tf1.while_loop(
      lambda n, *_: n < 3,
      lambda n, y, z: (n + 1, tf1.sin(y), tf1.cos(z)),
      [0, self.x, beside],
      name="loop",
    )
    above = tf1.exp(z)
    ops = cloning.whole_loops([y])
    names = [op.name for op in ops]
    self.assertContainsSubset(
      [o.name for o in self.graph.get_operations() if o.name[:5] == "loop/"],
      names,
    )
    self.assertIn(beside.op, ops)
    self.assertNotIn(above.op, ops)
    self.assertLen(set(names), len(names))

  def test_without_loops_it_lists_ancestors(self):
    with tf1.control_dependencies([tf1.no_op("waited_for")]):
      y = tf1.sin(tf1.square(self.x))
    ops = cloning.whole_loops([y], [self.x])
    self.assertEqual(ops, walk.ancestors([y], [self.x], control=True))
    self.assertIn("waited_for", [op.name for op in ops])


if __name__ == "__main__":
  absltest.main()

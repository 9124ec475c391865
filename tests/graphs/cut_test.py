import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import cut, walk
from tests import case
from tests.graphs import chains


class CutTestCase(case.GraphTestCase):
  def gradient(self, y, points, **options):
    """Makes `d y / d points`, and remembers what a cut needs of it."""
    self.upstream = tf1.placeholder(y.dtype, y.shape, name="upstream")
    before = self.count_ops()
    found = tf1.gradients(y, points, self.upstream, **options)
    self.new_ops = set(self.graph.get_operations()[before:])
    return [tf1.convert_to_tensor(g) for g in found]

  def cut(self, targets, inputs=(), keep=lambda tensor: True, **options):
    """Returns a `Cut` of the gradients that were made last."""
    self.shapes = options.pop("shapes", cut.Shapes())
    return cut.cut(
      targets,
      is_backward=self.new_ops.__contains__,
      sources={self.upstream.name},
      inputs=walk.names(inputs),
      keep=keep,
      shapes=self.shapes,
      **options,
    )

  def kept(self, *args, **options):
    return [t.name for t in self.cut(*args, **options).kept]


class KeptTest(CutTestCase):
  def test_of_tanh_the_output_is_kept(self):
    x = tf1.placeholder(tf1.float64, [2], name="x")
    targets = self.gradient(tf1.tanh(x, name="y"), [x])
    self.assertEqual(self.kept(targets), ["y:0"])

  def test_of_a_product_both_factors_are_kept(self):
    x = tf1.placeholder(tf1.float64, [2, 2], name="x")
    w = self.variable("w", self.normal(2, 2))
    targets = self.gradient(tf1.matmul(x, w, name="y"), [x, w.op.outputs[0]])
    kept = self.cut(targets).kept
    self.assertEqual(
      sorted(t.op.type for t in kept), ["Placeholder", "ReadVariableOp"]
    )

  def test_of_linear_ops_and_constants_nothing_is_kept(self):
    x = tf1.placeholder(tf1.float64, [2, 3])
    y = tf1.reshape(tf1.transpose(x) * 3.0 + 1.0, [6])
    found = self.cut(self.gradient(y, [x]))
    self.assertEqual(found.kept, [])
    self.assertNotEmpty(found.standing)
    for name in found.standing:
      self.assertEqual(self.graph.get_tensor_by_name(name).op.type, "Const")

  def test_a_static_shape_is_not_kept(self):
    x = tf1.placeholder(tf1.float64, [2, 3])
    before = self.count_ops()
    targets = self.gradient(tf1.reduce_mean(x, axis=1), [x])
    made = self.count_ops()
    self.assertEqual(self.kept(targets), [])
    self.assertEqual(self.count_ops(), made)
    self.assertGreater(made, before)

  def test_of_an_unknown_shape_the_shape_alone_is_kept(self):
    x = tf1.placeholder(tf1.float64, [None, None], name="x")
    targets = self.gradient(tf1.reshape(x, [-1]), [x])
    before = self.count_ops()
    found = self.cut(targets)
    self.assertEqual([t.op.type for t in found.kept], ["Shape"])
    self.assertEqual(self.count_ops(), before + 1)
    self.assertEqual([t.name for t in found.kept[0].op.inputs], ["x:0"])

  def test_a_shape_is_copied_where_its_tensor_is_kept_anyway(self):
    x = tf1.placeholder(tf1.float64, [None, 3], name="x")
    y = tf1.reduce_mean(tf1.square(x), axis=1) * tf1.reduce_mean(x, axis=1)
    found = self.cut(self.gradient(y, [x]))
    self.assertIn("x:0", [t.name for t in found.kept])
    for tensor in found.kept:
      if tensor.op.type == "Shape":
        self.assertNotEqual(tensor.op.inputs[0].name, "x:0")

  def test_a_read_that_the_gradient_makes_is_kept(self):
    x = tf1.placeholder(tf1.float64, [2])
    w = self.variable("w", self.normal(2))

    @tf1.custom_gradient
    def scale(x):
      return tf1.identity(x), lambda upstream: upstream * w.read_value()

    found = self.cut(self.gradient(scale(x), [x]))
    kept = [t for t in found.kept if t.op.type == "ReadVariableOp"]
    self.assertLen(kept, 1)
    self.assertIn(kept[0].op, self.new_ops)

  def test_what_a_gradient_draws_or_fills_is_not_kept(self):
    x = tf1.placeholder(tf1.float64, [2])

    @tf1.custom_gradient
    def noisy(x):
      noise = lambda: tf1.random_uniform([2], dtype=tf1.float64)  # noqa: E731
      return tf1.identity(x), lambda upstream: upstream * noise()

    found = self.cut(self.gradient(noisy(x), [x]))
    self.assertEqual(found.kept, [])
    self.assertIn("RandomUniform", [op.type for op in found.copied])

  def test_what_a_gradient_waits_for_is_copied(self):
    x = tf1.placeholder(tf1.float64, [2], name="x")
    with tf1.control_dependencies([tf1.no_op("forward")]):
      h = tf1.square(x, name="h")

    @tf1.custom_gradient
    def guarded(x):
      def gradient(upstream):
        check = tf1.debugging.Assert(h[0] > 0, ["bad"], name="check")
        with tf1.control_dependencies([tf1.group(check, name="all")]):
          return tf1.identity(upstream)

      return tf1.identity(x), gradient

    found = self.cut(self.gradient(guarded(h), [x]))
    self.assertIn("h:0", [t.name for t in found.kept])
    names = [op.name for op in found.copied]
    self.assertTrue(any(name.endswith("/all") for name in names), names)
    self.assertIn("Assert", [op.type for op in found.copied])
    self.assertContainsSubset(found.copied, self.new_ops)  # no forward op

  def test_a_gradient_that_is_upstream_needs_nothing(self):
    x = tf1.placeholder(tf1.float64, [2])
    y = x + self.variable("b", self.normal(2))
    targets = self.gradient(y, [x])
    self.assertEqual(self.kept(targets), [])

  def test_a_gradient_may_be_a_forward_tensor(self):
    x = tf1.placeholder(tf1.float64, [2], name="x")
    h = tf1.square(x, name="h")

    @tf1.custom_gradient
    def odd(x):
      return tf1.identity(x), lambda upstream: h

    targets = self.gradient(odd(x), [x])
    self.assertIn("h:0", self.kept(targets))


class StandingTest(CutTestCase):
  def test_a_reference_variable_may_be_read_where_it_stands(self):
    x = tf1.placeholder(tf1.float64, [2, 2], name="x")
    w = self.variable("w", self.normal(2, 2), use_resource=False)
    targets = self.gradient(tf1.matmul(x, w, name="y"), [x])
    keep = lambda tensor: tensor.op.type != "Identity"  # noqa: E731
    self.assertEqual(self.kept(targets, keep=keep), ["w:0"])
    standing = cut.FREE | cut.REFERENCES
    found = self.cut(targets, keep=keep, standing=standing)
    self.assertEqual(found.kept, [])
    self.assertIn("w:0", found.standing)

  def test_a_constant_that_waits_is_copied_without_its_wait(self):
    x = tf1.placeholder(tf1.float64, [2], name="x")
    with tf1.control_dependencies([tf1.no_op("slow")]):
      factor = tf1.constant([2.0, 3.0], tf1.float64, name="factor")
    self.assertTrue(cut.waits(factor.op))
    self.assertFalse(cut.waits(tf1.constant(1.0).op))
    self.assertFalse(cut.waits(tf1.square(x).op))
    found = self.cut(self.gradient(x * factor, [x]))
    self.assertEqual(found.kept, [])
    self.assertEqual([op.name for op in found.recomputed], ["factor"])
    self.assertNotIn("factor:0", found.standing)

  def test_constants_of_a_loop_do_not_wait(self):
    self.use_control_flow(v2=False)
    tf1.while_loop(lambda n: n < 3, lambda n: n + 1, [0], name="loop")
    held = [
      op
      for op in self.graph.get_operations()
      if op.type == "Const" and op.control_inputs
    ]
    self.assertNotEmpty(held)
    self.assertFalse(any(cut.waits(op) for op in held))


class RecomputedTest(CutTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2], name="x")
    self.h = tf1.exp(self.x, name="h")
    self.g = tf1.sin(self.h, name="g")
    self.y = tf1.square(self.g, name="y")
    self.targets = self.gradient(self.y, [self.x])

  def test_what_is_not_kept_is_computed_again(self):
    found = self.cut(self.targets, keep=lambda tensor: False)
    self.assertEqual([t.name for t in found.kept], ["x:0"])
    self.assertCountEqual([op.name for op in found.recomputed], ["h", "g"])
    self.assertContainsSubset(found.recomputed, found.copied)

  def test_a_predicate_chooses(self):
    found = self.cut(self.targets, keep=lambda tensor: tensor.name == "h:0")
    self.assertEqual([t.name for t in found.kept], ["h:0"])
    self.assertEqual([op.name for op in found.recomputed], ["g"])

  def test_inputs_are_kept_whatever_the_predicate_says(self):
    found = self.cut(self.targets, inputs=[self.h], keep=lambda tensor: False)
    self.assertEqual([t.name for t in found.kept], ["h:0"])
    self.assertEqual([op.name for op in found.recomputed], ["g"])

  def test_constants_that_are_inputs_are_kept(self):
    c = tf1.constant(2.0, name="c")
    y = tf1.square(c)
    targets = self.gradient(y, [c])
    self.assertEqual(self.kept(targets, inputs=[c]), ["c:0"])
    self.assertEqual(self.kept(targets), [])

  @parameterized.named_parameters(
    ("random", lambda x: tf1.random_uniform([2], dtype=tf1.float64)),
    ("call", lambda x: tf1.py_func(lambda v: v, [x], tf1.float64)),
    ("fed", lambda x: tf1.placeholder(tf1.float64, [2])),
    ("default", lambda x: tf1.placeholder_with_default(np.ones(2), [2])),
    ("reference", lambda x: _reference().op.outputs[0] * 1.0),
    ("resource", lambda x: _resource().read_value()),
    ("random_again", lambda x: tf1.random_normal([2], dtype=tf1.float64) * 2),
  )
  def test_what_cannot_be_had_again_is_kept(self, build):
    factor = build(self.x)
    targets = self.gradient(tf1.multiply(self.x, factor), [self.x])
    found = self.cut(targets, keep=lambda tensor: False)
    self.assertLen(found.kept, 1)
    for op in found.recomputed:
      self.assertTrue(cut.is_repeatable(op), op.name)


def _reference():
  return tf1.get_variable("w", initializer=np.ones(2), use_resource=False)


def _resource():
  return tf1.get_variable("w", initializer=np.ones(2), use_resource=True)


class RepeatableTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [2])
    self.w = self.variable("w", np.ones(2))
    self.ref = self.variable("ref", np.ones(2), use_resource=False)

  def reads(self):
    handle = self.w.op.outputs[0]
    return [
      tf1.raw_ops.ReadVariableOp(resource=handle, dtype=tf1.float64),
      tf1.raw_ops.ResourceGather(
        resource=handle, indices=[0], dtype=tf1.float64
      ),
      self.ref.op.outputs[0],
      self.x,
      tf1.placeholder_with_default(self.x, [2]),
    ]

  def drawn(self):
    return [
      tf1.raw_ops.RandomUniform(shape=[2], dtype=tf1.float32),
      tf1.py_func(lambda v: v, [self.x], tf1.float64),
      tf1.assign(self.ref, self.x),
    ]

  def harmless(self):
    return [
      tf1.exp(self.x),
      tf1.constant(1.0),
      self.w.op.outputs[0],
      tf1.debugging.check_numerics(self.x, "bad"),
      tf1.raw_ops.StatelessRandomUniform(shape=[2], seed=[1, 2]),
    ]

  def test_a_second_run_gives_the_same(self):
    for tensor in self.harmless():
      self.assertTrue(cut.is_repeatable(tensor.op), tensor.op.type)
    for tensor in self.reads() + self.drawn():
      self.assertFalse(cut.is_repeatable(tensor.op), tensor.op.type)

  def test_stateful_ops_are_those_that_draw_or_change(self):
    drawn = [tensor.op for tensor in self.drawn()]
    others = [tensor.op for tensor in self.reads() + self.harmless()]
    found = cut.stateful_ops(others + drawn)
    self.assertEqual([op.name for op in found], [op.name for op in drawn])


class RebuildTest(CutTestCase):
  @parameterized.product(
    shape=[[2, 3], [None, 3], None], dtype=[tf1.int32, tf1.int64]
  )
  def test_shapes_and_zeros_come_from_kept_shapes(self, shape, dtype):
    x = tf1.placeholder(tf1.float32, shape, name="x")
    y = tf1.placeholder(tf1.complex64, shape, name="y")
    z = tf1.placeholder(tf1.float32, shape, name="z")
    self.upstream = tf1.placeholder(tf1.float32, [])
    before = self.count_ops()
    raw = tf1.raw_ops
    targets = [
      raw.Shape(input=x, out_type=dtype),
      raw.Size(input=y, out_type=dtype),
      raw.Rank(input=x),
      raw.ZerosLike(x=y),
      raw.ZerosLike(x=x),
      raw.ShapeN(input=[x, z], out_type=dtype)[1],
    ]
    self.new_ops = set(self.graph.get_operations()[before:])
    found = self.cut(targets)
    self.assertEqual(found.copied, [])
    self.assertLen(found.shaped, len(targets))
    for tensor in found.kept:
      self.assertEqual(tensor.op.type, "Shape")
    if shape == [2, 3]:
      self.assertEmpty(found.kept)
    restored = {t.name: tf1.identity(t) for t in found.kept}
    built = cut.rebuild_shapes(found.shaped, restored, self.shapes)
    feed_dict = dict.fromkeys([x, y, z], np.ones([2, 3]))
    actual, desired = self.session().run(
      [[built[t.name] for t in targets], targets], feed_dict
    )
    for k, (a, b) in enumerate(zip(actual, desired)):
      np.testing.assert_array_equal(a, b, targets[k].op.type)
      self.assertEqual(np.asarray(a).dtype, np.asarray(b).dtype)
    self.assertLessEqual(len(found.kept), 3)

  def test_a_shape_comes_from_a_tensor_that_is_kept_already(self):
    x = tf1.placeholder(tf1.float64, [None, None], name="x")
    targets = self.gradient(tf1.reshape(x, [-1]), [x])
    before = self.count_ops()
    found = self.cut(targets, have={"x:0"})
    self.assertEqual([t.name for t in found.kept], ["x:0"])
    self.assertEqual(self.count_ops(), before)

  def test_a_shape_is_computed_again_from_what_is_kept_already(self):
    x = tf1.placeholder(tf1.float64, [None, None], name="x")
    h = tf1.transpose(x, name="h")
    targets = self.gradient(tf1.reshape(h, [-1]), [x])
    found = self.cut(targets, keep=lambda tensor: False, have={"x:0"})
    self.assertEqual([t.name for t in found.kept], ["x:0"])
    self.assertEqual([op.name for op in found.recomputed][0], "h")


class LoopsTest(CutTestCase):
  def test_what_a_loop_gave_is_kept_and_never_copied(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [2])
    k = tf1.placeholder(tf1.float64, [])
    _, factor = tf1.while_loop(
      lambda n, v: n < 3, lambda n, v: (n + 1, 2 * v), [0, k], back_prop=False
    )
    branch = tf1.cond(k > 0, lambda: k, lambda: 2 * k)
    targets = self.gradient(x * factor * branch, [x])
    for keep in (True, False):
      found = self.cut(targets, keep=lambda tensor, keep=keep: keep)
      types = {t.op.type for t in found.kept}
      self.assertContainsSubset(types, {"Exit", "Merge", "Mul", "Placeholder"})
      self.assertContainsSubset({"Exit", "Merge"}, types)
      cut.check(found)

  def test_the_handle_that_went_into_a_loop_stands_for_what_comes_out(self):
    self.use_control_flow(v2=True)
    x = tf1.placeholder(tf1.float64, [2])
    w = self.variable("w", np.ones(2))
    _, y = tf1.while_loop(
      lambda n, v: n < 3, lambda n, v: (n + 1, tf1.sin(v * w)), [0, x]
    )
    found = self.cut(self.gradient(y, [x, w.op.outputs[0]]))
    self.assertNotEmpty(found.handles)
    for tensor in found.handles.values():
      self.assertEqual(tensor.name, w.op.outputs[0].name)
    cut.check(found)


class CheckTest(CutTestCase):
  def refused(self, *parts):
    with self.assertRaises(errors.CutError) as caught:
      cut.check(self.found)
    self.assert_message(caught.exception, *parts)

  def found_in(self, y, x):
    self.found = self.cut(self.gradient(y, [x]))

  def test_refuses_the_inside_of_a_loop(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [2])
    _, y = tf1.while_loop(
      lambda n, v: n < 3, lambda n, v: (n + 1, tf1.sin(v)), [0, x], name="loop"
    )
    self.found_in(y, x)
    self.refused("loop/", 'Use store="session"')

  def test_refuses_the_handle_of_an_array(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [2])
    array = tf1.TensorArray(tf1.float64, 2, name="array").unstack(x)
    self.found_in(tf1.square(array.read(0)), x)
    self.refused("'array", "TensorArrayV3", "one run only", "session")

  def test_accepts_the_rest(self):
    x = tf1.placeholder(tf1.float64, [2])
    self.found_in(tf1.sin(x) * self.variable("w", np.ones(2)), x)
    cut.check(self.found)


class LengthTest(chains.ChainTestCase):
  """On a chain of 40,000 forward and 60,000 backward ops."""

  def cut(self, keep):
    return cut.cut(
      [self.chain.gradient],
      is_backward=lambda op: op.name[0] in "mb",
      sources={"upstream:0"},
      inputs={"x:0"},
      keep=lambda tensor: keep,
      shapes=cut.Shapes(),
    )

  def test_a_cut_is_linear_and_does_not_recur(self):
    with self.assert_linear():
      found = self.cut(keep=True)
    self.assertLen(found.kept, chains.LENGTH // 2)
    self.assertLen(found.copied, 3 * chains.LENGTH // 2)
    self.assertEmpty(found.recomputed)

  def test_so_is_one_that_computes_everything_again(self):
    with self.assert_linear():
      found = self.cut(keep=False)
    self.assertEqual([t.name for t in found.kept], ["x:0"])
    # The last two forward ops are read by none of the backward ops.
    self.assertLen(found.recomputed, chains.LENGTH - 1)

  def test_a_second_cut_gives_the_same_in_the_same_order(self):
    first, second = self.cut(keep=True), self.cut(keep=True)
    for part in ("kept", "copied"):
      self.assertEqual(
        [item.name for item in getattr(first, part)],
        [item.name for item in getattr(second, part)],
      )
    self.assertEqual(first.kept[0].name, f"f{chains.LENGTH - 2}:0")


if __name__ == "__main__":
  absltest.main()

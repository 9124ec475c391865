import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.graphs import aliases
from tests import case

SHARING = {
  "read": lambda w, n: tf1.identity(w),
  "reshape": lambda w, n: tf1.reshape(w, [n, -1]),
  "slice": lambda w, n: w[:n],
  "expand": lambda w, n: tf1.squeeze(tf1.expand_dims(w, 0), 0),
  "split": lambda w, n: tf1.split(w, 1)[0],
  "split_v": lambda w, n: tf1.split(w, [1, 1])[1],
  "unstack": lambda w, n: tf1.unstack(w)[0],
  "stack": lambda w, n: tf1.stack([w]),
  "transpose": lambda w, n: tf1.transpose(w, [0, 1]),
  "tile": lambda w, n: tf1.tile(w, [n, 1]),
  "broadcast": lambda w, n: tf1.broadcast_to(w, [2, 3]),
  "pad": lambda w, n: tf1.pad(w, [[0, 0], [0, 0]]),
  "mirror_pad": lambda w, n: tf1.pad(w, [[0, 0], [0, 0]], "REFLECT"),
  "sum": lambda w, n: tf1.reduce_sum(tf1.reshape(w, [1, 6]), 0),
  "maximum": lambda w, n: tf1.reduce_max(tf1.reshape(w, [1, 6]), 0),
  "reverse": lambda w, n: tf1.reverse(w, np.zeros([0], np.int32)),
  "add_n": lambda w, n: tf1.raw_ops.AddN(inputs=[w]),
  "default": lambda w, n: tf1.placeholder_with_default(w, [2, 3]),
  "bitcast": lambda w, n: tf1.bitcast(tf1.bitcast(w, tf1.int64), tf1.float64),
  "checked": lambda w, n: tf1.debugging.check_numerics(w, "bad"),
  "stopped": lambda w, n: tf1.stop_gradient(tf1.identity_n([w])[0]),
  "one_fold": lambda w, n: w * 1.0,
  "no_more": lambda w, n: w + tf1.zeros_like(w),
  "one_fold_like_data": lambda w, n: w * tf1.ones_like(w) + 0.0,
  "branch": lambda w, n: tf1.cond(
    n > 0, lambda: tf1.identity(w), lambda: tf1.identity(w)
  ),
  "chosen": lambda w, n: tf1.where([True, True], w, w),
  "array": lambda w, n: tf1.TensorArray(tf1.float64, 1).write(0, w).read(0),
  "called": lambda w, n: tf1.py_func(lambda v: v, [w], tf1.float64),
}
"""Ways to hand a value on, of `w` [2, 3] and the integer `n`, which is 1."""


class AliasesTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 2])
    self.n = tf1.placeholder_with_default(np.int32(1), [])
    self.w_np = self.normal(2, 3)

  def reference(self, value=None):
    value = self.w_np if value is None else value
    return self.variable("w", value, trainable=False, use_resource=False)

  def shares(self, tensor):
    return aliases.of_references([tensor]) == {tensor.name}

  @parameterized.parameters(*SHARING)
  def test_may_share_memory_with_a_reference_variable(self, name):
    for v2 in (False, True):
      with self.subTest(f"v2={v2}"), tf1.Graph().as_default():
        self.use_control_flow(v2)
        n = tf1.placeholder_with_default(np.int32(1), [])
        self.assertTrue(self.shares(SHARING[name](self.reference(), n)))

  @parameterized.parameters(*SHARING)
  def test_shares_none_with_a_resource_variable(self, name):
    w = self.variable("w", self.w_np)
    self.assertFalse(self.shares(SHARING[name](w.read_value(), self.n)))

  @parameterized.named_parameters(
    ("product", lambda w, x: tf1.matmul(x, w)),
    ("sum", lambda w, x: tf1.matmul(x, w) + w[0]),
    ("bias", lambda w, x: tf1.nn.bias_add(x, w[0, :2])),
    ("scaled", lambda w, x: x * w[:, 0]),
    ("reshaped_product", lambda w, x: tf1.reshape(tf1.matmul(x, w), [-1])),
    ("rows", lambda w, x: tf1.gather(w, tf1.cast(x[:, 0], tf1.int32))),
    ("compared", lambda w, x: w > 0),
    ("converted", lambda w, x: tf1.cast(w, tf1.float32)),
    ("shape", lambda w, x: tf1.shape(tf1.reshape(w, [-1])) + tf1.shape(x)[:1]),
    ("data", lambda w, x: tf1.transpose(x)),
    ("noise", lambda w, x: tf1.random_uniform([2, 3], dtype=tf1.float64) * w),
  )
  def test_computes_its_output_anew(self, build):
    self.assertFalse(self.shares(build(self.reference(), self.x)))

  def test_integers_are_reshaped_by_integers(self):
    w = self.reference(np.arange(6))
    shape = tf1.placeholder(tf1.int64, [None])
    self.assertTrue(self.shares(tf1.reshape(w, shape)))
    self.assertFalse(self.shares(w + shape[0]))

  def test_names_those_that_were_asked_for(self):
    w = self.reference()
    read = tf1.identity(w)
    product = tf1.matmul(self.x, read)
    found = aliases.of_references([product, self.x, read])
    self.assertEqual(found, {read.name})
    self.assertEqual(aliases.of_references([]), set())

  def test_goes_around_a_loop(self):
    self.use_control_flow(v2=False)
    w = self.reference()
    _, first, _ = tf1.while_loop(
      lambda n, a, b: n < 3,
      lambda n, a, b: (n + 1, tf1.identity(b), tf1.identity(b)),
      [0, tf1.identity(self.x), tf1.identity(w)],
      shape_invariants=[
        tf1.TensorShape(shape) for shape in ([], None, [None, None])
      ],
    )
    self.assertTrue(self.shares(first))


class VariablesBehindTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=False)
    self.x = tf1.placeholder(tf1.float64, [2])
    self.v, self.w = (
      self.variable(name, np.ones(2), use_resource=False) for name in "vw"
    )

  def behind(self, *tensors):
    return sorted(op.name for op in aliases.variables_behind(tensors))

  def test_those_whose_memory_a_tensor_may_be(self):
    self.assertEqual(self.behind(tf1.reshape(self.v, [1, 2])), ["v"])
    either = tf1.cond(
      self.x[0] > 0, lambda: tf1.identity(self.v), lambda: self.w * 1.0
    )
    self.assertEqual(self.behind(either), ["v", "w"])
    self.assertEqual(self.behind(tf1.identity(self.v), either), ["v", "w"])

  def test_none_of_what_is_computed_from_them(self):
    self.assertEqual(self.behind(self.x * self.v, tf1.gather(self.w, [0])), [])

  def test_none_of_resource_variables(self):
    u = self.variable("u", np.ones(2))
    self.assertEqual(self.behind(tf1.identity(u)), [])

  def test_those_that_a_loop_hands_around(self):
    y = tf1.while_loop(
      lambda n, _: n < 3, lambda n, y: (n + 1, y), [0, tf1.identity(self.v)]
    )[1]
    self.assertEqual(self.behind(y), ["v"])


if __name__ == "__main__":
  absltest.main()

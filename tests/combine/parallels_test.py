"""Tests of networks side by side."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.combine import merging
from tangle.compat import tf1
from tests.combine import support

F64 = tf1.float64
MERGES = {
  "concat": lambda a, b: tf1.concat([a, b], -1),
  "sum": lambda a, b: a + b,
  "mean": lambda a, b: (a + b) / 2,
  "max": tf1.maximum,
  "product": lambda a, b: a * b,
}


class ParallelTest(support.CombineTestCase):
  @parameterized.named_parameters(*((name, name) for name in merging.MERGES))
  def test_equals_the_network_by_hand(self, merge):
    model = combine.parallel(
      ("a", support.affine(3)), nets.Dense(3, dtype=F64), merge=merge
    )
    x_ph = tf1.placeholder(F64, [None, 2])
    found = model(x_ph)
    model(x_ph)
    one, kernel, bias = model.variables
    self.assertLen(tf1.global_variables(), 3)
    wanted = MERGES[merge](x_ph @ one, x_ph @ kernel + bias)
    self.assert_same(found, wanted, {x_ph: self.normal(4, 2)}, model.variables)

  @parameterized.named_parameters(("list", False), ("mapping", True))
  def test_one_input_each(self, named):
    model = combine.parallel(
      ("a", support.affine(3)), ("b", support.affine(3)), inputs="each"
    )
    a_ph = tf1.placeholder(F64, [None, 2])
    b_ph = tf1.placeholder(F64, [None, 4])
    found = model({"b": b_ph, "a": a_ph} if named else [a_ph, b_ph])
    one, two = model.variables
    wanted = tf1.concat([a_ph @ one, b_ph @ two], -1)
    feed = {a_ph: self.normal(4, 2), b_ph: self.normal(4, 4)}
    self.assert_same(found, wanted, feed, model.variables)

  def test_a_callable_may_merge_nests(self):
    model = combine.parallel(
      ("a", lambda x: (x, x + 1)),
      ("b", lambda x: (x, x + 2)),
      merge=lambda values: values[0][1] + values[1][1],
    )
    found = model(tf1.constant([1.0]))
    self.assertEqual(self.session().run(found).tolist(), [5.0])

  @parameterized.named_parameters(
    ("sum", "sum", "free"),
    ("concat", "concat", "free"),
    ("sum_input", "sum", "input"),
    ("callable", lambda values: values[0] * values[1], "input"),
  )
  def test_gates_equal_those_by_hand(self, merge, gate):
    model = combine.parallel(
      ("a", support.affine(3)),
      ("b", support.affine(3)),
      merge=merge,
      gate=gate,
    )
    x_ph = tf1.placeholder(F64, [None, 2])
    found = model(x_ph)
    model(x_ph)
    variables = model.variables
    self.assertLen(tf1.global_variables(), len(variables))
    if gate == "free":
      shares = tf1.nn.softmax(tf1.identity(variables[2]))
    else:
      shares = tf1.nn.softmax(x_ph @ variables[2] + variables[3])
    values = [x_ph @ variables[k] * shares[:, k : k + 1] for k in range(2)]
    by_hand = {
      "sum": lambda v: v[0] + v[1],
      "concat": lambda v: tf1.concat(v, -1),
    }
    wanted = by_hand.get(merge, merge)(values)
    feed = {x_ph: self.normal(4, 2)}
    self.assert_same(found, wanted, feed, variables)

  def test_gates_begin_with_equal_shares_and_are_seen(self):
    x = tf1.constant(self.normal(4, 2))
    for gate, rows in (("free", 1), ("input", 4), (lambda x: x, 4)):
      with tf1.variable_scope(f"{rows}_{callable(gate)}"):
        model = combine.parallel(
          ("a", support.affine(3)),
          ("b", support.affine(3)),
          merge="sum",
          gate=gate,
        )
        model(x)
        shares = model.shares(x)
        self.assertIn("gate", model.parts)
      found = self.session().run(shares)
      self.assertEqual(found.shape, (rows, 2))
      np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
      if not callable(gate):
        self.assertEqual(set(found.ravel()), {0.5})

  def test_a_gate_learns_which_network_is_right(self):
    x = tf1.constant(self.normal(20, 2))
    model = combine.parallel(
      ("right", lambda x: 2 * x),
      ("wrong", lambda x: -x),
      merge="sum",
      gate="free",
    )
    loss = tf1.reduce_mean((model(x) - 2 * x) ** 2)
    train_op = tf1.train.GradientDescentOptimizer(0.5).minimize(loss)
    shares = model.shares(x)
    sess = self.session()
    for _ in range(60):
      sess.run(train_op)
    self.assertGreater(sess.run(shares)[0, 0], 0.9)

  def test_the_gate_of_one_input_each_reads_all(self):
    model = combine.parallel(
      ("a", support.affine(3)),
      ("b", support.affine(3)),
      merge="sum",
      inputs="each",
      gate="input",
    )
    model([tf1.zeros([2, 2], F64), tf1.zeros([2, 4], F64)])
    kernel = model.part("gate").variables[0]
    self.assertEqual(kernel.shape.as_list(), [6, 2])

  def test_ops_are_in_the_scope(self):
    model = combine.parallel(
      ("a", support.affine(3)), ("b", tf1.sin), merge="concat", gate="input"
    )
    x = tf1.zeros([1, 2], F64)
    model(x)
    before = self.count_ops()
    model(x, name="here")
    self.assert_ops_under("here", before)

  def test_wrong_settings(self):
    for networks, settings, message in (
      ([], {}, "one network"),
      ([3], {}, "network 0 must be callable"),
      ([("a", tf1.sin), ("a", tf1.cos)], {}, "the name 'a'"),
      ([tf1.sin], {"merge": "glue"}, "'glue'"),
      ([tf1.sin], {"inputs": "many"}, "'many'"),
      ([tf1.sin], {"gate": "big"}, "'big'"),
      *(
        ([tf1.sin], {"gate": "free", "merge": merge}, f"merge={merge!r}")
        for merge in merging.MERGES
        if merge not in merging.GATED
      ),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.parallel(*networks, **settings)

  def test_wrong_inputs(self):
    x = tf1.zeros([2, 2], F64)
    pair = [("a", support.affine(3)), ("b", support.affine(4))]
    each = combine.parallel(*pair, inputs="each")
    for inputs in ([x], {"a": x}, x):
      with self.assertRaisesRegex(
        errors.ArgumentError, r"each of \['a', 'b'\]"
      ):
        each(inputs)
    with self.assertRaises(errors.ShapeError) as caught:
      combine.parallel(*pair, merge="sum", name="s")(x)
    self.assert_message(
      caught.exception, "parallel 's'", "'a' and 'b'", "[2, 3]", "[2, 4]"
    )
    typed = combine.Part(tf1.sin, "typed", input_dtype=tf1.float32)
    with self.assertRaisesRegex(errors.DtypeError, "'typed' takes float32"):
      combine.parallel(typed, name="t")(x)

  def test_wrong_gates(self):
    x = tf1.zeros([2, 3, 2], F64)
    with self.assertRaisesRegex(errors.ArgumentError, "has no gate"):
      combine.parallel(tf1.sin).shares(x)
    for network, gate, error, message in (
      (tf1.sin, "input", errors.ShapeError, r"reads inputs \[B, D\]"),
      (tf1.sin, lambda x: x, errors.ShapeError, r"logits \[B, 1\]"),
      (lambda x: [x], "free", errors.ArgumentError, "must give one tensor"),
    ):
      model = combine.parallel(("f", network), merge="sum", gate=gate)
      with self.assertRaisesRegex(error, message), tf1.variable_scope("s"):
        model(x)


if __name__ == "__main__":
  absltest.main()

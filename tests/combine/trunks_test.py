"""Tests of one trunk with several heads."""

from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.compat import tf1
from tests.combine import support

F64 = tf1.float64


class SharedTest(support.CombineTestCase):
  @parameterized.named_parameters(("mapping", True), ("list", False))
  def test_equals_the_network_by_hand(self, named):
    heads = [("a", support.affine(2)), ("b", support.affine(2))]
    model = combine.shared(
      support.affine(3, "base", activation=tf1.tanh),
      dict(heads) if named else heads,
    )
    x_ph = tf1.placeholder(F64, [None, 2])
    outputs = model(x_ph)
    model(x_ph)
    self.assertLen(tf1.global_variables(), 3)
    self.assertEqual(model.heads, ["a", "b"])
    self.assertEqual(model.trunk.name, "base")
    base, one, two = model.variables
    code = tf1.tanh(x_ph @ base)
    a, b = (outputs["a"], outputs["b"]) if named else outputs
    found = combine.weighted_loss(
      {"a": tf1.reduce_sum(a**2), "b": tf1.reduce_sum(b**3)},
      {"b": 0.5, "a": 2},
    )
    wanted = 2 * tf1.reduce_sum((code @ one) ** 2) + 0.5 * tf1.reduce_sum(
      (code @ two) ** 3
    )
    feed = {x_ph: self.normal(4, 2)}
    self.assert_same(found, wanted, feed, model.variables)

  def test_the_trunk_runs_once(self):
    calls = []

    def trunk(x):
      calls.append(x)
      return x

    combine.shared(trunk, [tf1.sin, tf1.cos])(tf1.zeros([2]))
    self.assertLen(calls, 1)

  def test_a_lambda_is_called_trunk(self):
    model = combine.shared(lambda x: x, {"a": tf1.sin})
    self.assertEqual(list(model.parts), ["trunk", "a"])

  def test_heads_that_do_not_fit_raise(self):
    head = nets.Dense(2, name="head")
    head(tf1.zeros([1, 5]))
    with self.assertRaises(errors.ShapeError) as caught:
      combine.shared(nets.Dense(3, name="base"), {"a": head})
    self.assert_message(
      caught.exception, "'a' takes [..., 5]", "'base' gives [..., 3]"
    )
    for head, error in (
      (lambda x: x @ tf1.zeros([5, 1]), errors.ShapeError),
      (lambda x: x @ tf1.zeros([3, 1], F64), Exception),
      (combine.Part(tf1.sin, input_dtype=F64), errors.DtypeError),
    ):
      with self.assertRaises(error) as caught:
        with tf1.variable_scope(f"s{self.count_ops()}"):
          combine.shared(nets.Dense(3, name="base"), {"a": head})(
            tf1.zeros([1, 2])
          )
      self.assertIsInstance(caught.exception, errors.TangleError)
      self.assert_message(caught.exception, "'a'", "'base'", "[1, 3]")

  def test_ops_are_in_the_scope(self):
    model = combine.shared(support.affine(3), [support.affine(2)])
    x = tf1.zeros([1, 2], F64)
    model(x)
    before = self.count_ops()
    model(x, name="here")
    self.assert_ops_under("here", before)

  def test_wrong_heads(self):
    for heads, message in (
      ({}, "one head"),
      (tf1.sin, "a mapping from name"),
      ({"a": 3}, "must be callable"),
      ({"sin": tf1.cos}, "the name 'sin'"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.shared(tf1.sin, heads)


class WeightedLossTest(support.CombineTestCase):
  def test_adds(self):
    losses = [tf1.constant(2.0), tf1.constant(3.0)]
    found = [
      combine.weighted_loss(losses),
      combine.weighted_loss(losses, [0, 10.0]),
    ]
    self.assertEqual(self.session().run(found), [5.0, 30.0])

  @parameterized.named_parameters(
    ("negative", [1, -1.0], "loss 1 .* got -1.0"),
    ("not_a_number", [float("nan"), 1], "loss 0 .* got nan"),
    ("infinite", [float("inf"), 1], "loss 0 .* got inf"),
    ("text", ["1", 1], "loss 0 .* got '1'"),
    ("too_few", [1.0], "one for each"),
    ("too_many", [1.0] * 3, "one for each"),
    ("zeros", [0.0, 0.0], "all weights are 0"),
    ("named", {"a": 1, "b": 1}, "one for each"),
  )
  def test_wrong_weights_raise_before_there_are_ops(self, weights, message):
    losses = [tf1.constant(2.0), tf1.constant(3.0)]
    before = self.count_ops()
    with self.assertRaisesRegex(errors.ArgumentError, message):
      combine.weighted_loss(losses, weights)
    self.assertEqual(self.count_ops(), before)

  def test_wrong_losses(self):
    with self.assertRaisesRegex(errors.ArgumentError, "one loss"):
      combine.weighted_loss([])
    with self.assertRaisesRegex(errors.ArgumentError, r"for \['b'\]"):
      combine.weighted_loss({"a": tf1.constant(1.0)}, {"b": 1.0})
    with self.assertRaisesRegex(errors.ShapeError, "loss 0 must be a scalar"):
      combine.weighted_loss([tf1.zeros([2])])


if __name__ == "__main__":
  absltest.main()

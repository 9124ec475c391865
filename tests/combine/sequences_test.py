"""Tests of networks in a row."""

from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.compat import tf1
from tests.combine import parts_test, support

F64 = tf1.float64


class SequentialTest(support.CombineTestCase):
  def test_equals_the_network_by_hand(self):
    kinds = parts_test.make_networks()
    model = combine.sequential(*kinds.items(), tf1.tanh)
    x_ph = tf1.placeholder(F64, [None, 2])
    found = model(x_ph)
    variables = model.trainable_variables
    self.assertLen(variables, 4)
    wanted = x_ph
    for variable in variables:
      wanted = tf1.matmul(wanted, variable)
    feed = {x_ph: self.normal(4, 2)}
    self.assert_same(found, tf1.tanh(wanted), feed, variables)

  def test_shares_its_variables_when_called_again(self):
    model = combine.sequential(
      nets.Dense(3, dtype=F64), support.affine(2), adapter="cast"
    )
    x = tf1.constant(self.normal(4, 2))
    one, two = model(x), model(x)
    self.assertLen(tf1.global_variables(), 3)
    one, two = self.session().run([one, two])
    self.assert_close(one, two, 0)

  def test_one_network_twice_shares_its_variables(self):
    dense = nets.Dense(2, dtype=F64)
    model = combine.sequential(dense, tf1.tanh, dense)
    x_ph = tf1.placeholder(F64, [None, 2])
    found = model(x_ph)
    self.assertEqual(list(model.parts), ["dense", "tanh"])
    kernel, bias = model.variables
    wanted = tf1.tanh(x_ph @ kernel + bias) @ kernel + bias
    self.assert_same(found, wanted, {x_ph: self.normal(3, 2)}, model.variables)

  def test_a_nest_goes_from_one_to_the_next(self):
    model = combine.sequential(
      nets.LSTM(3, dtype=F64), ("last", lambda r: r.state.h)
    )
    found = model(tf1.constant(self.normal(2, 4, 3)))
    self.assertEqual(found.shape.as_list(), [2, 3])

  def test_may_hold_another_combination(self):
    inner = combine.sequential(support.affine(3), name="inner")
    model = combine.sequential(inner, support.affine(2), name="outer")
    x_ph = tf1.placeholder(F64, [None, 2])
    found = model(x_ph)
    names = [variable.op.name for variable in model.variables]
    self.assertEqual(
      names, ["outer/inner/affine/kernel", "outer/affine/kernel"]
    )
    wanted = x_ph @ model.variables[0] @ model.variables[1]
    self.assert_same(found, wanted, {x_ph: self.normal(3, 2)}, model.variables)

  def test_adapters_are_those_by_hand(self):
    taker = combine.Part(support.affine(2), "taker", [None, 6], F64)
    model = combine.sequential(
      ("giver", lambda x: tf1.cast(x, tf1.float32)),
      taker,
      adapter=("cast", "reshape"),
    )
    x_ph = tf1.placeholder(F64, [None, 3, 2])
    found = model(x_ph)
    cast = tf1.cast(tf1.cast(x_ph, tf1.float32), F64)
    wanted = tf1.reshape(cast, [-1, 6]) @ model.variables[0]
    feed = {x_ph: self.normal(4, 3, 2)}
    self.assert_same(found, wanted, feed, model.variables)

  def test_a_dense_adapter_is_a_part_and_is_shared(self):
    taker = nets.Dense(2, dtype=F64, name="taker")
    taker(tf1.zeros([1, 5], F64))
    model = combine.sequential(support.affine(3), taker, adapter="dense")
    x_ph = tf1.placeholder(F64, [None, 4])
    found = model(x_ph)
    model(x_ph)
    self.assertEqual(list(model.parts), ["affine", "taker", "taker_adapter"])
    first, kernel, bias, adapter, shift = model.variables
    self.assertEqual(adapter.shape.as_list(), [3, 5])
    self.assertEqual(adapter.op.name, "sequential/taker_adapter/kernel")
    wanted = ((x_ph @ first) @ adapter + shift) @ kernel + bias
    feed = {x_ph: self.normal(3, 4)}
    self.assert_same(found, wanted, feed, model.variables)

  def test_depths_that_differ_raise_when_combined(self):
    taker = nets.Dense(2, name="taker")
    taker(tf1.zeros([1, 5]))
    before = self.count_ops()
    with self.assertRaises(errors.ShapeError) as caught:
      combine.sequential(nets.Dense(3, name="giver"), taker, name="model")
    self.assert_message(
      caught.exception,
      "sequential 'model'",
      "'taker' takes [..., 5]",
      "'giver' gives [..., 3]",
      'adapter="dense"',
    )
    self.assertEqual(self.count_ops(), before)

  @parameterized.named_parameters(
    ("depth", [None, 7], F64, errors.ShapeError, 'pass adapter="dense"'),
    ("rank", [None, 3, 2], F64, errors.ShapeError, 'adapter="reshape"'),
    ("none", [None, 3, 3], F64, errors.ShapeError, "network of your own"),
    ("type", [None, 6], tf1.float32, errors.DtypeError, 'adapter="cast"'),
  )
  def test_what_does_not_fit_raises(self, shape, dtype, error, remedy):
    taker = combine.Part(tf1.sin, "taker", shape, dtype)
    model = combine.sequential(("giver", support.affine(6)), taker)
    with self.assertRaises(error) as caught:
      model(tf1.zeros([2, 4], F64))
    self.assert_message(
      caught.exception, "'taker' takes", "'giver' gives", "[2, 6]", remedy
    )

  def test_what_only_the_call_shows_names_both(self):
    model = combine.sequential(
      ("giver", support.affine(6)),
      ("taker", lambda x: x @ tf1.zeros([5, 2], F64)),
    )
    with self.assertRaises(errors.ShapeError) as caught:
      model(tf1.zeros([2, 4], F64))
    self.assert_message(
      caught.exception, "'taker' cannot take what 'giver' gives", "[2, 6]", "5"
    )
    model = combine.sequential(nets.Dense(2, name="d"), name="other")
    with self.assertRaisesRegex(errors.DtypeError, "'d' takes float32"):
      model(tf1.zeros([2, 4], F64))

  def test_ops_are_in_the_scope(self):
    model = combine.sequential(support.affine(3), support.affine(2))
    x = tf1.zeros([1, 2], F64)
    model(x)
    before = self.count_ops()
    model(x, name="here")
    self.assert_ops_under("here", before)

  def test_wrong_arguments(self):
    for networks, adapter, message in (
      ([], None, "one network"),
      ([3], None, "network 0 must be callable"),
      ([tf1.sin], "glue", "'glue'"),
      ([("a", tf1.sin), ("a", tf1.cos)], None, "the name 'a'"),
    ):
      with self.assertRaisesRegex(errors.ArgumentError, message):
        combine.sequential(*networks, adapter=adapter)


if __name__ == "__main__":
  absltest.main()

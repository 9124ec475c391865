"""Tests of parts."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import combine, errors, nets
from tangle.combine import parts
from tangle.compat import tf1
from tests.combine import support


class Keras:
  """The Keras that comes with TensorFlow."""

  def __getattr__(self, name):
    import tensorflow

    return getattr(tensorflow.keras.layers, name)


KERAS = Keras()


class Sonnet:
  """What a module of Sonnet 1 looks like: template, name, variables."""

  def __init__(self, units, name="linear"):
    self.module_name = name
    self._template = tf1.make_template(
      name, support.affine(units), create_scope_now_=False
    )

  @property
  def name(self):
    return self._template.name

  @property
  def variables(self):
    return self._template.variables

  def __call__(self, x):
    return self._template(x)


def make_networks():
  """Returns name → callable, of all kinds."""
  return {
    "ours": nets.Dense(3, use_bias=False, dtype=tf1.float64, name="ours"),
    "plain": support.affine(3, "plain"),
    "keras": KERAS.Dense(3, use_bias=False, dtype="float64", name="keras"),
    "sonnet": Sonnet(3),
  }


class PartTest(support.CombineTestCase):
  @parameterized.named_parameters(*((name, name) for name in make_networks()))
  def test_any_callable_shares_its_variables(self, kind):
    part = combine.Part(make_networks()[kind], "p")
    self.assertEqual(part.variables, [])
    x_ph = tf1.placeholder(tf1.float64, [None, 2])
    outputs = [part(x_ph), part(x_ph)]
    self.assertLen(tf1.global_variables(), 1)
    self.assertLen(part.variables, 1)
    variable = part.variables[0]
    self.assertIs(part.trainable_variables[0], variable)
    self.assertEqual(part.updates, [])
    sess = self.session()
    kernel = self.fill(sess, [variable])[0]
    x = self.normal(5, 2)
    for value in sess.run(outputs, {x_ph: x}):
      self.assert_close(value, x @ kernel)

  def test_a_function_has_a_scope_of_its_own_and_a_network_its_name(self):
    x = tf1.zeros([1, 2], tf1.float64)
    for network, name, scope in (
      (support.affine(3), "p", "p"),
      (nets.Dense(3, dtype=tf1.float64), "dense", "dense"),
      (nets.Dense(3, dtype=tf1.float64), "q", "q/dense"),
    ):
      part = combine.Part(network, name)
      part(x)
      self.assertEqual(part.variables[0].op.name, scope + "/kernel")
      self.assertEqual(part.scope, scope)

  def test_variables_that_are_read_only_are_its_own_too(self):
    table = self.variable("table", self.normal(2, 3))
    rate = self.variable("rate", np.float64(2.0), trainable=False)
    self.variable("other", 1.0)
    for use_resource in (True, False):
      late = self.variable(
        f"late_{use_resource}", self.normal(3), use_resource=use_resource
      )
      name = f"p_{use_resource}"
      part = combine.Part(lambda x, v=late: x @ table * rate + v, name)
      part(tf1.zeros([1, 2], tf1.float64))
      self.assertEqual(
        [v.op.name for v in part.variables], ["table", "rate", late.op.name]
      )
      self.assertLen(part.trainable_variables, 2)

  def test_a_function_that_makes_variables_anew_raises(self):
    part = combine.Part(lambda x: x * tf1.Variable(1.0), "p")
    part(tf1.ones([2]))
    with self.assertRaisesRegex(errors.ArgumentError, "p: .*made again"):
      part(tf1.ones([2]))

  @parameterized.named_parameters(("keras", True), ("plain", False))
  def test_updates_of_moving_averages_are_known_by_call(self, keras):
    if keras:
      layer = KERAS.BatchNormalization(name="norm", dtype="float64")

      def network(x):
        return layer(x, training=True)

      count = 2
    else:

      def network(x):
        mean = tf1.get_variable(
          "mean", [2], tf1.float64, trainable=False, use_resource=True
        )
        batch = tf1.reduce_mean(x, 0)
        update = mean.assign_sub(0.1 * (mean - batch), read_value=False)
        tf1.add_to_collection(tf1.GraphKeys.UPDATE_OPS, update)
        return x - batch

      count = 1
    part = combine.Part(network, "p")
    one, _ = (part(tf1.zeros([3, 2], tf1.float64)) for _ in range(2))
    self.assertLen(part.updates, 2 * count)
    self.assertEqual(part.updates_for({one.op.name}), part.updates[:count])
    sess = self.session()
    changed = [v for v in part.variables if v not in part.trainable_variables]
    before = sess.run(part.variables)
    sess.run(part.updates)
    after = sess.run(part.variables)
    moved = [
      v
      for v, a, b in zip(part.variables, before, after)
      if not np.array_equal(a, b)
    ]
    self.assertNotEmpty(moved)
    self.assertContainsSubset({v.op.name for v in moved}, names(changed))

  def test_keeps_what_it_is_told_of_inputs(self):
    part = combine.Part(tf1.sin, "p", [None, 4], tf1.float64)
    self.assertEqual((part.input_depth, part.input_dtype), (4, tf1.float64))
    dense = combine.Part(nets.Dense(3))
    self.assertEqual((dense.input_depth, dense.output_depth), (None, 3))
    dense(tf1.zeros([1, 2]))
    self.assertEqual((dense.input_depth, dense.input_dtype), (2, tf1.float32))

  def test_an_input_shape_that_is_none_is_refused(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "Part: input_shape must be a shape such as .* 'ab'"
    ):
      combine.Part(tf1.sin, "p", "ab")

  def test_a_keras_layer_tells_its_depth_when_it_is_built(self):
    layer = KERAS.Dense(3)
    part = combine.Part(layer, "p")
    self.assertIsNone(part.input_depth)
    part(tf1.zeros([1, 5]))
    self.assertEqual(part.input_depth, 5)

  def test_ops_are_in_the_scope(self):
    part = combine.Part(support.affine(3), "p")
    x = tf1.zeros([1, 2], tf1.float64)
    part(x)
    before = self.count_ops()
    part(x, name="here")
    self.assert_ops_under("here", before)

  def test_refuses_what_cannot_be_called_and_other_graphs(self):
    with self.assertRaisesRegex(errors.ArgumentError, "must be callable"):
      combine.Part(3)
    with self.assertRaisesRegex(errors.ArgumentError, "can name a scope"):
      combine.Part(tf1.sin, "a b")
    part = combine.Part(support.affine(3), "p")
    part(tf1.zeros([1, 2], tf1.float64))
    with tf1.Graph().as_default(), self.assertRaises(errors.GraphError):
      part(tf1.zeros([1, 2], tf1.float64))


class NamesTest(support.CombineTestCase):
  def test_names_of_themselves_are_made_unique(self):
    made = parts.make_parts([tf1.sin, lambda x: x, nets.Dense(2)] * 2)
    self.assertEqual(
      [part.name for part in made], ["sin", "network", "dense"] * 2
    )
    self.assertLen({id(part) for part in made}, 3)
    made = parts.make_parts([nets.Dense(2), nets.Dense(2)])
    self.assertEqual([part.name for part in made], ["dense", "dense_1"])

  def test_names_that_are_given_must_be_unique(self):
    for networks in (
      [("a", tf1.sin), ("a", tf1.cos)],
      [combine.Part(tf1.sin, "a"), combine.Part(tf1.cos, "a")],
    ):
      with self.assertRaisesRegex(errors.ArgumentError, "two .* 'a'"):
        parts.make_parts(networks)

  def test_refuses_none_and_what_cannot_be_called(self):
    with self.assertRaisesRegex(
      errors.ArgumentError, "give at least one network"
    ):
      parts.make_parts([])
    with self.assertRaisesRegex(errors.ArgumentError, "network 1 must be"):
      parts.make_parts([tf1.sin, 3])


class CombinedTest(support.CombineTestCase):
  def test_parts_of_parts_are_found_by_path(self):
    inner = combine.parallel(("left", tf1.sin), ("right", tf1.cos))
    model = combine.sequential(("base", inner), ("head", nets.Dense(2)))
    self.assertEqual(list(model.parts), ["base", "head"])
    self.assertIs(model.part("base/left").network, tf1.sin)
    self.assertIs(model.part("head"), model.parts["head"])
    with self.assertRaisesRegex(errors.ArgumentError, "no part 'base/up'"):
      model.part("base/up")

  def test_variables_and_updates_are_those_of_the_parts(self):
    layer = KERAS.BatchNormalization(name="norm")
    model = combine.sequential(
      nets.Dense(2), ("norm", lambda x: layer(x, training=True))
    )
    loss = model(tf1.zeros([3, 2]))
    self.assertLen(model.variables, 6)
    self.assertLen(model.trainable_variables, 4)
    self.assertEqual(model.updates, model.part("norm").updates)
    used = {loss.op.name}
    self.assertEqual(model.updates_for(used), model.updates)
    self.assertEqual(model.updates_for(set()), [])
    self.assertEqual(model.scope, "sequential")


def names(variables):
  return {variable.op.name for variable in variables}


if __name__ == "__main__":
  absltest.main()

"""Tests of variables that a distribution strategy keeps."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import strategies, walk
from tests import case


def run(strategy, function):
  """Calls `function` for each device of `strategy`."""
  if compat.IS_TF1:
    return strategy.experimental_run_v2(function)
  return strategy.run(function)


def mirrored(cpus=1):
  """Returns a strategy that keeps a variable on some CPU devices."""
  return tf1.distribute.MirroredStrategy([f"/cpu:{k}" for k in range(cpus)])


STRATEGIES = (
  ("mirrored", mirrored),
  ("one_device", lambda: tf1.distribute.OneDeviceStrategy("/cpu:0")),
)


class CheckOptimizerTest(case.GraphTestCase):
  def test_optimizers_pass(self):
    class Own(tf1.train.AdamOptimizer):
      """In a module whose name sounds like Keras."""

    Own.__module__ = "my_keras.optimizers"
    for optimizer in (tf1.train.AdamOptimizer(), Own()):
      strategies.check_optimizer(optimizer)

  def test_an_optimizer_with_its_own_gradients_is_refused(self):
    class Scaled(tf1.train.GradientDescentOptimizer):
      """As loss scaling does."""

      def compute_gradients(self, loss, *args, **kwargs):
        pairs = super().compute_gradients(1024.0 * loss, *args, **kwargs)
        return [(gradient / 1024.0, variable) for gradient, variable in pairs]

    def delegating(optimizer):
      return tf1.train.SyncReplicasOptimizer(optimizer, 1)

    plain = tf1.train.GradientDescentOptimizer(0.1)
    strategies.check_optimizer(delegating(plain))
    strategies.check_optimizer(Scaled(0.1), computes=True)
    for given in (Scaled(0.1), delegating(Scaled(0.1))):
      with self.assertRaises(errors.ArgumentError) as caught:
        strategies.check_optimizer(given)
      self.assert_message(
        caught.exception,
        "optimizer is a Scaled, ",
        "Give the optimizer that it wraps",
      )

  def test_what_is_no_optimizer_is_refused(self):
    v = self.variable("v", np.float64(1))
    op = tf1.train.GradientDescentOptimizer(0.1).minimize(v * v, name="train")
    for given, part in (
      (op, "got the op 'train'. Give the optimizer itself"),
      (v * v, "got the op"),
      (tf1.train.AdamOptimizer, "Make an instance: AdamOptimizer()."),
      (None, "got None. Give an optimizer, such as"),
      (0.1, "got 0.1"),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        strategies.check_optimizer(given)
      self.assert_message(caught.exception, "optimizer must be", part)

  def test_an_optimizer_of_keras_is_refused(self):
    class Own(tf1.keras.optimizers.SGD):
      """An optimizer that a user derived from one of Keras."""

    name = compat.__name__  # a module whose name has no part "keras"
    Own.__module__ = name
    for given in (Own(0.1), Own, tf1.keras.optimizers.Adam(0.1)):
      kind = given if isinstance(given, type) else type(given)
      with self.assertRaises(errors.ArgumentError) as caught:
        strategies.check_optimizer(given)
      self.assert_message(
        caught.exception,
        f"got the Keras optimizer {kind.__name__}. In a graph, ",
        "Give one of tf.compat.v1.train, such as",
      )

  def test_a_step_counter_is_a_variable_of_the_graph(self):
    graph = tf1.get_default_graph()
    step = tf1.train.get_or_create_global_step()
    for given in (None, step, self.variable("v", np.float64(1))):
      strategies.check_global_step(given, graph)
    for given, text in (
      (0, "0"),
      ("step", "'step'"),
      (np.int64(3), r"(np\.int64\(3\)|3)"),
      (tf1.constant(0), r"<tf\.Tensor .*>"),
      (tf1.get_variable("s", initializer="a"), "<tf.Variable .*>"),
    ):
      with self.assertRaisesRegex(
        errors.ArgumentError,
        rf"^global_step must be a variable .*, got {text}\. Give "
        r"tf\.compat\.v1\.train\.get_or_create_global_step\(\), or None .*\.$",
      ):
        strategies.check_global_step(given, graph)
    with self.assertRaisesRegex(
      errors.GraphError, "^global_step 'global_step:0' belongs to another"
    ):
      strategies.check_global_step(step, tf1.Graph())

  def test_an_optimizer_is_made_for_each_rate(self):
    make = tf1.train.GradientDescentOptimizer
    made = strategies.make_optimizers(make, [0.1, 0.2])
    self.assertLen(made, 2)
    self.assertIsNot(made[0], made[1])
    for given, parts in (
      (
        make(0.1),
        ["a function from a", "=tf.compat.v1.train.GradientDescentO"],
      ),
      ("adam", ["got 'adam'. Give a class without calling it, such as"]),
      (lambda rate: rate, ["optimizer must be an optimizer, got 0.1"]),
      (tf1.keras.optimizers.SGD, ["the Keras optimizer SGD"]),
    ):
      with self.assertRaises(errors.ArgumentError) as caught:
        strategies.make_optimizers(given, [0.1])
      self.assert_message(caught.exception, "optimizer", *parts)


class StrategiesTest(case.GraphTestCase):
  def get(self, name, value):
    return tf1.get_variable(name, initializer=value)

  def new(self, name, value):
    return tf1.Variable(value, name=name, use_resource=True)

  @parameterized.named_parameters(
    (f"{name}_{how}", make, how)
    for name, make in STRATEGIES
    for how in ("get", "new")
  )
  def test_components_are_what_the_ops_read(self, make, how):
    with make().scope():
      v = getattr(self, how)("v", np.ones(2))
      n = getattr(self, how)("n", np.ones(2))
      y = v * 2.0
    (component,) = strategies.components(v)
    self.assertEqual(component.op.type, "VarHandleOp")
    self.assertIs(strategies.components(component)[0], component)
    found = walk.trainable_variables(walk.ancestors([y]), self.graph)
    self.assertLen(found, 1)
    self.assertIs(found[0], component)
    strategies.check(found)
    both = walk.trainable_variables(walk.ancestors([y, n + 0.0]), self.graph)
    self.assertLen(both, 2)

  def test_a_variable_without_a_strategy_is_its_own_component(self):
    for use_resource in (True, False):
      v = self.variable(f"v{use_resource}", 1.0, use_resource=use_resource)
      self.assertIs(strategies.components(v)[0], v)
      strategies.check([v])

  @parameterized.named_parameters(("get", "get"), ("new", "new"))
  def test_one_of_several_copies_is_refused(self, how):
    strategy = mirrored(2)
    with strategy.scope():
      v = getattr(self, how)("v", np.ones(2))
      y = v * 2.0
    found = walk.trainable_variables(walk.ancestors([y]), self.graph)
    self.assertEqual([v.op.name for v in found], ["v"])
    with self.assertRaises(errors.ArgumentError) as caught:
      strategies.check(found)
    self.assert_message(caught.exception, "'v:0' on 2", "run")

    def replica():
      y = v * 2.0
      found = walk.trainable_variables(walk.ancestors([y]), self.graph)
      strategies.check(found)
      names.extend(v.op.name for v in found)
      return y

    names = []
    with strategy.scope():
      run(strategy, replica)
    self.assertEqual(names, ["v", "v/replica_1"])

  def test_tells_whether_a_strategy_calls_for_a_device(self):
    found = [strategies.in_replica()]
    strategy = mirrored()
    with strategy.scope():
      found.append(strategies.in_replica())
      run(strategy, lambda: found.append(strategies.in_replica()))
    self.assertEqual(found, [False, False, True])

  @parameterized.named_parameters(
    (f"{name}_{where}", make, where)
    for name, make in STRATEGIES + (("no_strategy", None),)
    for where in ("outside", "scope", "replica")
  )
  def test_applies_gradients_in_each_context(self, make, where):
    strategy = make() if make else tf1.distribute.get_strategy()
    with strategy.scope() if make else self.graph.as_default():
      v = self.get("v", np.zeros(3))
      y = tf1.reduce_sum(v * [1.0, 2.0, -4.0])
      if where != "outside":
        tf1.train.get_or_create_global_step()
    variables = walk.trainable_variables(walk.ancestors([y]), self.graph)
    gradients = tf1.gradients(y, variables)
    step = tf1.train.get_or_create_global_step()

    def apply():
      return strategies.apply_gradients(
        tf1.train.AdamOptimizer(0.1), zip(gradients, variables), step, "here"
      )

    if where == "outside" or not make:
      train_op = apply()
    else:
      with strategy.scope():
        train_op = apply() if where == "scope" else run(strategy, apply)
    sess = self.session()
    sess.run(strategy.group(train_op) if make else train_op)
    np.testing.assert_allclose(
      sess.run(variables[0]), [-0.1, -0.1, 0.1], atol=1e-6
    )
    self.assertEqual(sess.run(step), 1)


if __name__ == "__main__":
  absltest.main()

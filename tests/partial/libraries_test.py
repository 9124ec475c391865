"""Sub-models of what TensorFlow's own libraries make: split equals joint."""

import unittest

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import strategies
from tests import case
from tests.graphs import strategies_test
from tests.partial import checks


class StrategyTest(case.GraphTestCase):
  def build(self, strategy):
    """Returns a placeholder, what is made of it, and the variables."""
    with strategy.scope():
      w = tf1.get_variable("w", initializer=self.normal(4, 2))
      b = tf1.get_variable("b", initializer=self.normal(2))
      x = tf1.placeholder(tf1.float64, [3, 4])
      return x, tf1.tanh(tf1.matmul(x, w) + b), [w, b]

  @parameterized.named_parameters(
    (f"{name}_{store}_{given}", make, store, given)
    for name, make in strategies_test.STRATEGIES
    for store in checks.STORES
    for given in (False, True)
  )
  def test_variables_of_a_scope_are_found(self, make, store, given):
    strategy = make()
    x, y, variables = self.build(strategy)
    with strategy.scope():
      sub_model = tangle.SubModel(
        [x], [y], variables=variables if given else None, store=store
      )
      sub_model.prepare([True])
    found = [strategies.components(v)[0] for v in variables]
    self.assertLen(sub_model.variables, 2)
    for one, other in zip(sub_model.variables, found):
      self.assertIs(one, other)
    upstream, feed_dict = self.normal(3, 2), {x: self.normal(3, 4)}
    joint = tf1.gradients(y, [x] + found, tf1.constant(upstream))
    sess = self.session()
    call = sub_model.forward(sess, feed_dict)
    desired = sess.run(joint, feed_dict)
    actual = call.backward([upstream])
    for one, other in zip(actual.inputs + actual.variables, desired):
      self.assert_close(one, other)

  @parameterized.named_parameters(*strategies_test.STRATEGIES)
  def test_gradients_are_applied_in_a_call_of_run(self, make):
    strategy = make()
    x, y, variables = self.build(strategy)
    with strategy.scope():
      sub_model = tangle.SubModel([x], [y])

      def update():
        return tf1.train.MomentumOptimizer(0.5, 0.9).apply_gradients(
          list(zip(sub_model.gradients.variables, sub_model.variables))
        )

      train_op = strategy.group(strategies_test.run(strategy, update))
    sess = self.session()
    feed_dict, upstream = {x: self.normal(3, 4)}, self.normal(3, 2)
    found = [strategies.components(v)[0] for v in variables]
    before = sess.run(found)
    gradients = sub_model.forward(sess, feed_dict).backward([upstream])
    sub_model.forward(sess, feed_dict).run(train_op, [upstream])
    for old, new, gradient in zip(before, sess.run(found), gradients.variables):
      self.assert_close(new, old - 0.5 * gradient)

  def test_a_copy_of_several_is_refused_but_in_a_call_of_run(self):
    strategy = strategies_test.mirrored(2)
    x, y, variables = self.build(strategy)
    for given in (None, variables):
      with self.assertRaisesRegex(errors.ArgumentError, "on 2 devices"):
        tangle.SubModel([x], [y], variables=given)
    sub_models = []

    def replica():
      y = tf1.tanh(tf1.matmul(x, variables[0]))
      sub_models.append(tangle.SubModel([x], [y]))
      return sub_models[-1].gradients.variables[0]

    with strategy.scope():
      strategies_test.run(strategy, replica)
    names = [[v.op.name for v in s.variables] for s in sub_models]
    self.assertEqual(names, [["w"], ["w/replica_1"]])
    sess = self.session(cpus=2)
    feed_dict = {x: self.normal(3, 4)}
    found = [
      s.forward(sess, feed_dict).backward([np.ones([3, 2])]).variables[0]
      for s in sub_models
    ]
    self.assert_close(*found)


class _ReadsTwice(tf1.train.GradientDescentOptimizer):
  """Looks at all pairs before it applies them, as some optimizers do."""

  def apply_gradients(self, grads_and_vars, *args, **kwargs):
    if not [variable for _, variable in grads_and_vars]:
      raise ValueError("no variables")
    return super().apply_gradients(grads_and_vars, *args, **kwargs)


def _optimizers():
  """Returns optimizers that read pairs of gradients and variables twice."""
  found = [("own", lambda: _ReadsTwice(0.5))]
  if compat.IS_TF1:
    from tensorflow.contrib import mixed_precision

    scale = mixed_precision.FixedLossScaleManager(2.0)
    found.append(
      (
        "loss_scale",
        lambda: mixed_precision.LossScaleOptimizer(
          tf1.train.GradientDescentOptimizer(0.5), scale
        ),
      )
    )
  return found


class OptimizersTest(case.GraphTestCase):
  @parameterized.named_parameters(*_optimizers())
  def test_gradients_are_lists_that_can_be_read_twice(self, make):
    x = tf1.placeholder(tf1.float32, [3, 4])
    w = self.variable("w", self.normal(4, 2, dtype=np.float32))
    sub_model = tangle.SubModel([x], [tf1.matmul(x, w)])
    self.assertIsInstance(sub_model.gradients.variables, list)
    train_op = make().apply_gradients(
      list(zip(sub_model.gradients.variables, sub_model.variables))
    )
    sess = self.session()
    feed_dict = {x: self.normal(3, 4, dtype=np.float32)}
    upstream = [np.ones([3, 2], np.float32)]
    before = sess.run(w)
    found = sub_model.forward(sess, feed_dict).backward(upstream)
    sub_model.forward(sess, feed_dict).run(train_op, upstream)
    self.assert_close(
      sess.run(w), before - np.float32(0.5) * found.variables[0], 1e-6
    )


@unittest.skipIf(compat.IS_TF1, "1.15 has no tf.function(jit_compile=True)")
class CompiledTest(case.GraphTestCase):
  @parameterized.parameters("device", "host", "session", "auto")
  def test_a_function_for_xla_is_no_loop(self, store):
    x = tf1.placeholder(tf1.float64, [2, 3])
    w = self.variable("w", self.normal(3, 3))
    network = tf.function(
      lambda x: tf1.tanh(tf1.matmul(x, w)) * x, jit_compile=True
    )
    y = network(x)
    sub_model = tangle.SubModel([x], [y], store=store)
    self.assertEqual(sub_model.store, "device" if store == "auto" else store)
    upstream, feed_dict = self.normal(2, 3), {x: self.normal(2, 3)}
    joint = tf1.gradients(y, [x, w], tf1.constant(upstream))
    sess = self.session()
    found = sub_model.forward(sess, feed_dict).backward([upstream])
    desired = sess.run(joint, feed_dict)
    for one, other in zip(found.inputs + found.variables, desired):
      self.assert_close(one, other)


if __name__ == "__main__":
  absltest.main()

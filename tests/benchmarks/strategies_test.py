"""Tests of strategies."""

import functools

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import models, strategies
from tangle.compat import tf1
from tangle.graphs import walk

SIZES = models.ModelSizes(batch=3, units=8, steps=4, target_steps=2)


def train(name, model, steps=3):
  """Returns the losses and the weights of a few steps of a strategy."""
  strategy = strategies.Strategy(name, model)
  with tf1.Session(graph=strategy.graph) as sess:
    strategy.load(sess, strategies.initial_values(strategy))
    losses = [strategy.step(sess) for _ in range(steps)]
    names = {v.name: v for v in strategy.variables}
    return losses, sess.run(names)


@functools.lru_cache(maxsize=None)
def train_jointly(kind):
  """Returns what `train` does for the joint graph of a kind of model."""
  return train(strategies.JOINT, models.make(kind, SIZES))


class StrategiesTest(parameterized.TestCase):
  @parameterized.product(
    name=[n for n in strategies.NAMES if n != strategies.JOINT],
    model=["lstm", "fused_attention"],
  )
  def test_every_strategy_trains_the_same_network(self, name, model):
    joint_losses, joint_weights = train_jointly(model)
    losses, weights = train(name, models.make(model, SIZES))
    np.testing.assert_allclose(losses, joint_losses, rtol=1e-5)
    self.assertEqual(set(weights), set(joint_weights))
    for key, value in joint_weights.items():
      np.testing.assert_allclose(weights[key], value, atol=1e-6)

  @parameterized.parameters(
    strategies.AUTO,
    strategies.UNCHANGED,
    strategies.PIPELINE,
    strategies.PIPELINE_UNCHANGED,
    strategies.PARTIAL_RUN,
  )
  def test_a_loop_on_reference_variables_is_trained(self, name):
    _, joint_weights = train_jointly("reference_rnn")
    _, weights = train(name, models.make("reference_rnn", SIZES))
    for key, value in joint_weights.items():
      np.testing.assert_allclose(weights[key], value, atol=1e-6)

  def test_no_update_of_a_reference_variable_comes_before_a_gradient(self):
    model = models.make("reference_rnn", SIZES)
    graph = strategies.Strategy(strategies.JOINT, model).graph
    updates = [
      op for op in graph.get_operations() if op.type == "ApplyMomentum"
    ]
    self.assertLen(updates, 3)
    gradients = {op.inputs[3].op for op in updates}
    for op in updates:
      found = set(walk.ancestors([op], control=True))
      self.assertTrue(gradients <= found, op.name)

  def test_the_first_gradients_are_the_gradients(self):
    strategy = strategies.Strategy("joint", models.make("mlp", SIZES))
    with tf1.Session(graph=strategy.graph) as sess:
      strategy.load(sess, strategies.initial_values(strategy))
      before = {v.name: sess.run(v) for v in strategy.variables}
      found = strategy.first_gradients(sess)
      for variable in strategy.variables:
        np.testing.assert_allclose(
          before[variable.name] - sess.run(variable),
          1e-3 * found[variable.name],
          atol=3e-7,  # the weights are rounded to float32
        )

  def test_initial_values_do_not_depend_on_the_strategy(self):
    model = models.make("mlp", SIZES)
    first, second = (
      strategies.initial_values(strategies.Strategy(name, model))
      for name in ("joint", "pipeline")
    )
    for name, value in first.items():
      np.testing.assert_array_equal(second[name], value)

  def test_an_unknown_strategy_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'joined'"):
      strategies.Strategy("joined", models.make("mlp", SIZES))


if __name__ == "__main__":
  absltest.main()

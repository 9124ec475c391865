"""Tests of the networks, through their shapes, and of the tasks."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle.benchmarks.frameworks import layers, networks

TINY = networks.SIZES["mlp"]["tiny"]
SIZES = networks.Sizes(2, 8, 3, 2, 5, 1, 2)


def shapes(**feeds):
  return {k: layers.Shape(shape, False) for k, shape in feeds.items()}


class NetworksTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("lstm", "lstm", [(2, 3, 8), (2, 8), (2, 8)]),
    ("gru", "gru", [(2, 3, 8), (2, 8)]),
    ("transformer", "transformer", [(2, 3, 8)]),
  )
  def test_sequences_meet_at_memory_and_state(self, name, boundary):
    lower, upper = networks.NETWORKS[name]
    net = layers.Outline()
    found = lower(net, SIZES, shapes(source=(2, 3, 8)))
    self.assertEqual([x.shape for x in found], boundary)
    feeds = shapes(inputs=(2, 2, 8), targets=(2, 2))
    self.assertEqual(upper(net, SIZES, found, feeds).shape, ())
    self.assertEqual(net.weights["logits/kernel"], (8, 5))

  def test_the_mlp_is_seven_layers(self):
    lower, upper = networks.NETWORKS["mlp"]
    net = layers.Outline()
    found = lower(net, SIZES, shapes(source=(2, 8)))
    upper(net, SIZES, found, shapes(targets=(2,)))
    self.assertLen(net.weights, 2 * 7)
    # The first layer has no gradient to its inputs.
    by_hand = 2 * (2 * 2 * 8 * 8) + 5 * 3 * (2 * 2 * 8 * 8)
    by_hand += 3 * (2 * 2 * 8 * networks.CLASSES)
    self.assertEqual(net.flops, by_hand)

  def test_only_the_decoder_of_a_transformer_is_causal(self):
    seen = []

    class Net(layers.Outline):
      def attend(self, queries, keys, values, heads, scale, causal):
        seen.append(causal)
        return super().attend(queries, keys, values, heads, scale, causal)

    lower, upper = networks.NETWORKS["transformer"]
    net = Net()
    found = lower(net, SIZES, shapes(source=(2, 3, 8)))
    upper(net, SIZES, found, shapes(inputs=(2, 2, 8), targets=(2, 2)))
    self.assertEqual(seen, [False, True, False])


class TasksTest(parameterized.TestCase):
  @parameterized.named_parameters((name, name) for name in networks.NAMES)
  def test_weights_and_batch_are_the_same_each_time(self, name):
    first, second = networks.make(name, TINY), networks.make(name, TINY)
    for part in ("weights", "lower_feeds", "upper_feeds"):
      self.assertEqual(list(getattr(first, part)), list(getattr(second, part)))
      for key, array in getattr(first, part).items():
        np.testing.assert_array_equal(array, getattr(second, part)[key])
    other = networks.make(name, TINY, seed=1)
    self.assertTrue(np.any(other.weights["logits/bias"]))
    self.assertFalse(
      np.array_equal(other.weights["logits/bias"], first.weights["logits/bias"])
    )

  @parameterized.named_parameters((name, name) for name in networks.NAMES)
  def test_weights_are_in_one_part_each(self, name):
    task = networks.make(name, TINY)
    self.assertNotEmpty(task.lower_names)
    upper = set(task.weights) - set(task.lower_names)
    self.assertContainsSubset({"logits/kernel", "logits/bias"}, upper)
    self.assertEqual(task.weights["logits/kernel"].dtype, np.float32)

  def test_arithmetic_grows_with_the_batch(self):
    double = TINY._replace(batch=2 * TINY.batch)
    for name in networks.NAMES:
      single = networks.make(name, TINY).flops
      self.assertEqual(networks.make(name, double).flops, 2 * single)


if __name__ == "__main__":
  absltest.main()

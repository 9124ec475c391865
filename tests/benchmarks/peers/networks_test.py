"""Tests of the networks, through their shapes."""

from absl.testing import absltest, parameterized

from tangle.benchmarks.peers import networks, outline, tasks

SIZES = tasks.Sizes(2, 8, 3, 2, 5, 1, 2)


def shapes(**feeds):
  return {k: outline.Shape(shape, False) for k, shape in feeds.items()}


class NetworksTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("lstm", "lstm", [(2, 3, 8), (2, 8), (2, 8)]),
    ("gru", "gru", [(2, 3, 8), (2, 8)]),
    ("transformer", "transformer", [(2, 3, 8)]),
  )
  def test_sequences_meet_at_memory_and_state(self, name, boundary):
    lower, upper = networks.NETWORKS[name]
    net = outline.Outline()
    found = lower(net, SIZES, shapes(source=(2, 3, 8)))
    self.assertEqual([x.shape for x in found], boundary)
    feeds = shapes(inputs=(2, 2, 8), targets=(2, 2))
    self.assertEqual(upper(net, SIZES, found, feeds).shape, ())
    self.assertEqual(net.weights["logits/kernel"], (8, 5))

  def test_the_mlp_is_seven_layers(self):
    lower, upper = networks.NETWORKS["mlp"]
    net = outline.Outline()
    found = lower(net, SIZES, shapes(source=(2, 8)))
    upper(net, SIZES, found, shapes(targets=(2,)))
    self.assertLen(net.layers, 7)
    # The first layer has no gradient to its inputs.
    by_hand = 2 * (2 * 2 * 8 * 8) + 5 * 3 * (2 * 2 * 8 * 8)
    by_hand += 3 * (2 * 2 * 8 * networks.CLASSES)
    self.assertEqual(net.flops, by_hand)

  def test_only_the_decoder_of_a_transformer_is_causal(self):
    seen = []

    class Net(outline.Outline):
      def attend(self, queries, keys, values, heads, scale, causal):
        seen.append(causal)
        return super().attend(queries, keys, values, heads, scale, causal)

    lower, upper = networks.NETWORKS["transformer"]
    net = Net()
    found = lower(net, SIZES, shapes(source=(2, 3, 8)))
    upper(net, SIZES, found, shapes(inputs=(2, 2, 8), targets=(2, 2)))
    self.assertEqual(seen, [False, True, False])


if __name__ == "__main__":
  absltest.main()

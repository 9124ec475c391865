"""Tests of shapes and counts, against counts by hand."""

from absl.testing import absltest

from tangle.benchmarks.frameworks import layers


def shape(*dimensions, trained=False):
  return layers.Shape(dimensions, trained)


class OutlineTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.net = layers.Outline()

  def test_a_dense_layer_on_data_has_no_product_for_its_inputs(self):
    found = self.net.dense("a", shape(2, 3, 5), 7)
    self.assertEqual(found, layers.Shape((2, 3, 7), True))
    # Forward and the kernel's gradient, 6 rows of 5 by 7 each.
    self.assertEqual(self.net.flops, 2 * (2 * 6 * 5 * 7))
    self.assertEqual(self.net.weights, {"a/kernel": (5, 7), "a/bias": (7,)})

  def test_a_dense_layer_on_a_layer_has_three_products(self):
    self.net.dense("a", shape(6, 5, trained=True), 7)
    self.assertEqual(self.net.flops, 3 * (2 * 6 * 5 * 7))

  def test_an_lstm_has_an_input_and_a_recurrent_product_a_step(self):
    outputs, state = self.net.lstm("a", shape(2, 3, 5), 4)
    self.assertEqual((outputs.shape, len(state)), ((2, 3, 4), 2))
    by_hand = 3 * (2 * (2 * 2 * 5 * 16) + 3 * (2 * 2 * 4 * 16))
    self.assertEqual(self.net.flops, by_hand)
    self.assertEqual(self.net.weights["a/kernel"], (9, 16))

  def test_a_gru_has_three_gates(self):
    _, state = self.net.gru("a", shape(2, 3, 5, trained=True), 4)
    self.assertLen(state, 1)
    by_hand = 3 * 3 * (2 * 2 * 5 * 12 + 2 * 2 * 4 * 12)
    self.assertEqual(self.net.flops, by_hand)
    self.assertEqual(self.net.weights["a_cell/kernel"], (4, 12))

  def test_attention_has_scores_and_contexts(self):
    queries, keys = shape(2, 3, 4, trained=True), shape(2, 5, 4, trained=True)
    self.net.attend(queries, keys, keys)
    # Two products forward, and a gradient of each of their four operands.
    self.assertEqual(self.net.flops, 6 * (2 * 2 * 3 * 4 * 5))

  def test_heads_share_the_depth_so_that_the_count_is_the_same(self):
    queries = shape(2, 3, 4, trained=True)
    self.net.attend(queries, queries, queries)
    one = self.net.flops
    self.net.attend(queries, queries, queries, heads=2)
    self.assertEqual(self.net.flops, 2 * one)

  def test_element_wise_layers_are_not_counted(self):
    x = self.net.normalize("a", shape(2, 3))
    self.assertEqual(self.net.relu(x) + self.net.tanh(x), x)
    self.assertEqual(self.net.concat(x, x).shape, (2, 6))
    self.assertEqual(self.net.flops, 0)
    self.assertEqual(self.net.weights, {"a/gain": (3,), "a/offset": (3,)})


if __name__ == "__main__":
  absltest.main()

import numpy as np
from absl.testing import absltest, parameterized

from tangle.compat import tf1
from tangle.nets import arrays
from tests.nets import support


class ArraysTest(support.NetTestCase):
  def test_known_dimension_is_an_int(self):
    self.assertEqual(arrays.dimension(tf1.zeros([2, 3]), 1), 3)

  def test_unknown_dimension_is_a_tensor(self):
    x = tf1.placeholder(tf1.float32, [None, 3])
    size = arrays.dimension(x, 0, tf1.int64)
    self.assertEqual(size.dtype, tf1.int64)
    self.assertEqual(self.session().run(size, {x: np.zeros([5, 3])}), 5)

  @parameterized.named_parameters(
    ("vector", [3]), ("matrix", [2, 3]), ("rank_four", [2, 1, 2, 3])
  )
  def test_multiplies_the_last_dimension(self, shape):
    x, kernel, bias = self.normal(*shape), self.normal(3, 4), self.normal(4)
    plain = arrays.multiply(tf1.constant(x), tf1.constant(kernel))
    transposed = arrays.multiply(
      tf1.constant(x), tf1.constant(kernel.T), tf1.constant(bias), True
    )
    self.assertEqual(plain.shape.as_list(), shape[:-1] + [4])
    plain, transposed = self.session().run([plain, transposed])
    self.assert_close(plain, x @ kernel)
    self.assert_close(transposed, x @ kernel + bias)

  def test_multiplies_with_several_unknown_dimensions(self):
    x = tf1.placeholder(tf1.float64, [None, None, 3])
    kernel, x_np = self.normal(3, 4), self.normal(2, 5, 3)
    y = arrays.multiply(x, tf1.constant(kernel))
    self.assertEqual(y.shape.as_list(), [None, None, 4])
    self.assert_close(self.session().run(y, {x: x_np}), x_np @ kernel)

  def test_mask_padding_without_lengths_is_the_sequence_itself(self):
    x = tf1.zeros([2, 3, 1])
    self.assertIs(arrays.mask_padding(x, None), x)

  def test_mask_padding_lets_no_nan_through(self):
    x_np = self.normal(2, 3, 2)
    x_np[0, 1:] = np.nan
    x = tf1.constant(x_np)
    masked = arrays.mask_padding(x, tf1.constant([1, 3]))
    gradient = tf1.gradients(tf1.reduce_sum(masked * masked), x)[0]
    masked, gradient = self.session().run([masked, gradient])
    desired = np.where(np.isnan(x_np), 0, x_np)
    self.assert_close(masked, desired, 0)
    self.assert_close(gradient, 2 * desired, 0)

  @parameterized.named_parameters(("all", None), ("lengths", [2, 3, 0]))
  def test_reverse_sequence_reverses_real_steps_and_undoes_itself(
    self, lengths
  ):
    x_np = self.normal(3, 3, 2)
    backward = arrays.reverse_sequence(tf1.constant(x_np), lengths)
    back = arrays.reverse_sequence(backward, lengths)
    backward, back = self.session().run([backward, back])
    self.assert_close(back, x_np, 0)
    for b, length in enumerate(lengths or [3] * 3):
      self.assert_close(backward[b, :length], x_np[b, :length][::-1], 0)
      self.assert_close(backward[b, length:], x_np[b, length:], 0)

  def test_last_state_is_that_of_the_last_real_step(self):
    x, start = self.normal(3, 4, 2), self.normal(3, 2)
    last = arrays.last_state(
      [tf1.constant(x)], tf1.constant([2, 4, 0]), [tf1.constant(start)]
    )
    (last,) = self.session().run(last)
    self.assert_close(last, np.stack([x[0, 1], x[1, 3], start[2]]), 0)


class MaskedSoftmaxTest(support.NetTestCase):
  @parameterized.named_parameters(
    ("half", tf1.float16), ("single", tf1.float32), ("double", tf1.float64)
  )
  def test_a_row_without_steps_is_zero_and_so_is_its_gradient(self, dtype):
    scores = tf1.constant(self.normal(2, 1, 3), dtype)
    mask = tf1.constant([[True, False, True], [False, False, False]])
    weights = arrays.masked_softmax(scores, mask)
    loss = tf1.reduce_sum(weights * tf1.constant(self.normal(2, 1, 3), dtype))
    weights, gradient = self.session().run(
      [weights, tf1.gradients(loss, scores)[0]]
    )
    zeros = np.zeros([1, 3], dtype.as_numpy_dtype)
    self.assert_close(weights[1], zeros, 0)
    self.assert_close(gradient[1], zeros, 0)
    self.assertEqual(weights[0, 0, 1], 0)
    self.assertEqual(gradient[0, 0, 1], 0)
    self.assertTrue(gradient[0, 0, [0, 2]].all())

  def test_no_number_on_the_way_is_infinite_or_nan(self):
    scores = tf1.constant(self.normal(1, 1, 3))
    weights = arrays.masked_softmax(scores, tf1.constant([[False] * 3]))
    tf1.gradients(weights * self.normal(1, 1, 3), scores)
    tensors = [
      tensor
      for op in self.graph.get_operations()
      for tensor in op.outputs
      if tensor.dtype.is_floating
    ]
    for array in self.session().run(tensors):
      self.assertTrue(np.isfinite(array).all())

  def test_masked_scores_have_no_influence_however_high(self):
    mask = tf1.constant([[True, True, False]])
    low = arrays.masked_softmax(tf1.constant([[[1.0, 2.0, -9.0]]]), mask)
    high = arrays.masked_softmax(tf1.constant([[[1.0, 2.0, 1e30]]]), mask)
    low, high = self.session().run([low, high])
    self.assert_close(high, low, 0)


if __name__ == "__main__":
  absltest.main()

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.nets import losses
from tests.nets import reference, support

B, T, V = 3, 4, 5


class MaskedCrossEntropyTest(support.NetTestCase):
  def setUp(self):
    super().setUp()
    self.targets = self.rng.randint(V, size=[B, T])
    self.weights = self.rng.uniform(size=[B, T])
    self.weights[0, 2:] = 0
    self.weights[2] = 0

  @parameterized.named_parameters(
    ("half", tf1.float16, 1e-2),
    ("single", tf1.float32, 1e-6),
    ("double", tf1.float64, 1e-12),
  )
  def test_sums_over_the_steps_of_each_example(self, dtype, rtol):
    logits_np = self.normal(B, T, V)
    logits = tf1.placeholder(dtype, [None, None, V])
    weights = tf1.constant(self.weights, dtype)
    loss = losses.masked_cross_entropy(logits, self.targets, weights)
    self.assertEqual(loss.dtype, dtype)
    self.assertEqual(loss.shape.ndims, 1)
    loss = self.session().run(loss, {logits: logits_np})
    desired = reference.cross_entropy(logits_np, self.targets, self.weights)
    self.assert_close(loss.astype(np.float64), desired, rtol)
    self.assertEqual(loss[2], 0)

  def test_gradient_is_the_numeric_gradient(self):
    logits = tf1.placeholder(tf1.float64, [B, T, V])
    loss = self.weigh(
      losses.masked_cross_entropy(logits, self.targets, self.weights)
    )
    feed = {logits: self.normal(B, T, V)}
    self.assert_gradients(self.session(), loss, feed)

  @parameterized.named_parameters(("negative", -1), ("too_large", V + 3))
  def test_padding_does_not_reach_loss_or_gradient(self, target):
    logits = tf1.placeholder(tf1.float64, [B, T, V])
    targets = tf1.placeholder(tf1.int32, [B, T])
    loss = losses.masked_cross_entropy(logits, targets, self.weights)
    fetches = [loss, tf1.gradients(loss, logits)[0]]
    sess = self.session()
    logits_np = self.normal(B, T, V)
    clean = sess.run(fetches, {logits: logits_np, targets: self.targets})
    padding = self.weights == 0
    dirty = sess.run(
      fetches,
      {
        logits: np.where(padding[:, :, None], 1e3, logits_np),
        targets: np.where(padding, target, self.targets),
      },
    )
    for actual, desired in zip(dirty, clean):
      self.assert_close(actual, desired, 0)
    self.assertFalse(dirty[1][padding].any())

  def test_ops_are_in_the_scope_that_is_named(self):
    logits = tf1.zeros([B, T, V])
    before = self.count_ops()
    losses.masked_cross_entropy(
      logits, self.targets, self.weights.astype(np.float32), name="here"
    )
    self.assert_ops_under("here", before)

  @parameterized.named_parameters(
    ("steps", [B, T + 1, V], "targets must be .B, T. as in logits"),
    ("rank", [B, V], "logits must have rank 3"),
  )
  def test_shapes_that_do_not_fit_raise(self, shape, message):
    with self.assertRaisesRegex(errors.ShapeError, message):
      losses.masked_cross_entropy(
        tf1.zeros(shape, tf1.float64), self.targets, self.weights
      )

  def test_weights_of_another_type_raise(self):
    logits = tf1.zeros([B, T, V])
    weights = tf1.constant(self.weights)
    with self.assertRaisesRegex(errors.DtypeError, "weights must be float32"):
      losses.masked_cross_entropy(logits, self.targets, weights)

  def test_float_targets_raise(self):
    logits = tf1.zeros([B, T, V], tf1.float64)
    with self.assertRaisesRegex(errors.DtypeError, "targets must be int32"):
      losses.masked_cross_entropy(logits, self.weights, self.weights)

  def test_integer_logits_raise(self):
    logits = tf1.zeros([B, T, V], tf1.int32)
    with self.assertRaisesRegex(errors.DtypeError, "logits must be floats"):
      losses.masked_cross_entropy(logits, self.targets, self.weights)

  def test_tensors_from_another_graph_raise(self):
    with tf1.Graph().as_default():
      logits = tf1.zeros([B, T, V], tf1.float64)
    with self.assertRaisesRegex(errors.GraphError, "logits.*another graph"):
      losses.masked_cross_entropy(logits, self.targets, self.weights)


if __name__ == "__main__":
  absltest.main()

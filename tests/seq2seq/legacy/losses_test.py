"""Tests of losses."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.seq2seq.legacy import losses
from tests.seq2seq.legacy import reference, support


class LossesTest(support.LegacyTestCase):
  def setUp(self):
    super().setUp()
    shape = [3, support.BATCH, support.TARGETS]
    self.logits = self.rng.standard_normal(shape).astype(np.float32)
    self.labels = self.target[1:]
    self.weights[:, 2] = 0  # an example that does not count at all

  def call(self, function, **more):
    logits = support.steps(self.logits)
    labels, weights = support.steps(self.labels), support.steps(self.weights)
    return function(logits, labels, weights, **more), logits

  def by_example(self, average=True):
    found = reference.cross_entropy(self.logits, self.labels)
    found = reference.loss_by_example(found, self.weights, average)
    return found.astype(np.float32)

  @parameterized.named_parameters(("mean", True), ("sum", False))
  def test_loss_by_example_is_the_formula(self, average):
    loss, _ = self.call(
      losses.sequence_loss_by_example, average_across_timesteps=average
    )
    found = self.session().run(loss)
    self.assert_close(found, self.by_example(average), 1e-6)
    self.assertEqual(found[2], 0)

  @parameterized.named_parameters(
    ("means", True, True),
    ("sum_over_batch", True, False),
    ("sum_over_time", False, True),
    ("sums", False, False),
  )
  def test_sequence_loss_is_the_formula(self, timesteps, batch):
    more = {
      "average_across_timesteps": timesteps,
      "average_across_batch": batch,
    }
    loss, logits = self.call(losses.sequence_loss, **more)
    desired = np.sum(self.by_example(timesteps))
    desired = np.float32(desired / (support.BATCH if batch else 1))
    sess = self.session()
    self.assert_close(sess.run(loss), desired, 1e-6)
    if support.theirs:
      gradients = tf1.gradients(loss, logits)
      theirs, their_logits = self.call(support.theirs.sequence_loss, **more)
      their_gradients = tf1.gradients(theirs, their_logits)
      self.assert_close(*sess.run([loss, theirs]), rtol=1e-6)
      for found, wanted in zip(*sess.run([gradients, their_gradients])):
        self.assert_close(found, wanted, 1e-6)

  def test_a_loss_function_takes_the_place_of_the_cross_entropy(self):
    def loss_function(labels, logits):
      return tf1.cast(labels, tf1.float32) * logits[:, 0]

    loss, _ = self.call(
      losses.sequence_loss_by_example, softmax_loss_function=loss_function
    )
    desired = reference.loss_by_example(
      self.labels * self.logits[:, :, 0], self.weights
    )
    self.assert_close(self.session().run(loss), np.float32(desired), 1e-6)

  def test_weighted_sums_are_sums(self):
    (total, size, dtype), _ = self.call(
      lambda *lists: losses.weighted_sums(*lists)
    )
    self.assertEqual(dtype, tf1.float32)
    total, size = self.session().run([total, size])
    self.assert_close(total, self.by_example(False), 1e-6)
    self.assert_close(size, self.weights.sum(axis=0), 0)

  @parameterized.named_parameters(
    ("by_example", losses.sequence_loss_by_example),
    ("of_batch", losses.sequence_loss),
  )
  def test_ops_lie_in_the_name_scope(self, function):
    lists = [
      support.steps(array) for array in (self.logits, self.labels, self.weights)
    ]
    before = len(self.graph.get_operations())
    function(*lists, name="mine")
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, "mine/")

  def test_bad_lists_raise(self):
    lists = [
      support.steps(array) for array in (self.logits, self.labels, self.weights)
    ]
    logits, labels, weights = lists
    for arguments, error, message in (
      (
        (logits, labels[1:], weights),
        errors.ArgumentError,
        "targets.*3.*zeros",
      ),
      (
        (logits, labels * 2, weights),
        errors.ArgumentError,
        "targets.*3.* after the last step",
      ),
      ((logits, labels, weights[1:]), errors.ArgumentError, "weights.*3"),
      (([], [], []), errors.ArgumentError, "logits must be a list"),
      ((logits, weights, weights), errors.DtypeError, r"targets\[0\]"),
      ((logits, labels, labels), errors.DtypeError, r"weights\[0\]"),
    ):
      with self.assertRaisesRegex(error, message):
        losses.sequence_loss(*arguments)


if __name__ == "__main__":
  absltest.main()

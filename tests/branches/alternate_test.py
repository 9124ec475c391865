"""Tests of batches of one type each."""

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.branches import alternate
from tangle.compat import tf1
from tests import case
from tests.branches import support


class AlternateTest(case.GraphTestCase):
  def test_a_batch_of_two_types_is_refused(self):
    model = support.make()
    trainer = model.minimize(
      make_optimizer=tf1.train.AdamOptimizer, mode="alternate"
    )
    sess = self.session()
    records = [support.record(self.rng, name) for name in model.paths]
    with self.assertRaisesRegex(errors.ArgumentError, "of one type"):
      trainer.step(sess, model.schema.batch(records))

  def test_a_step_is_that_of_plain_gradients(self):
    model = support.make()
    path, variables = model.paths["token"], model.variables_of(["token"])
    found = tf1.gradients(path.head.loss, variables)
    found = [tf1.convert_to_tensor(g) for g in found]
    trainer = model.minimize(
      make_optimizer=lambda: tf1.train.GradientDescentOptimizer(0.5)
    )
    sess = self.session()
    batch = model.schema.batch(
      [support.record(self.rng, "token") for _ in range(5)]
    )
    values, grads, loss = sess.run(
      [variables, found, path.head.loss],
      {
        path.input_ph: batch.inputs["token"],
        path.targets_ph: batch.targets,
      },
    )
    self.assertAlmostEqual(trainer.step(sess, batch).loss, loss, places=12)
    for value, grad, after in zip(values, grads, sess.run(variables)):
      self.assert_close(after, value - 0.5 * grad)


class ReorderTest(absltest.TestCase):
  def test_losses_go_to_their_rows(self):
    found = alternate.reorder(np.array([5.0, 6.0, 7.0]), np.array([2, 0, 1]))
    self.assertEqual(found.tolist(), [6.0, 7.0, 5.0])


if __name__ == "__main__":
  absltest.main()

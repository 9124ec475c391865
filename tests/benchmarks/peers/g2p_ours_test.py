"""Tests of tangle's legacy model on g2p training."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.peers import g2p_ours, ours, tasks
from tangle.compat import tf1
from tests import case
from tests.benchmarks.peers import g2p_tiny

STILL = tasks.Optimizer("sgd", 1e-12, 1.0)


class G2pOursTest(case.GraphTestCase):
  def weights(self, task):
    """Returns the first weights of a task, by name."""
    with tf1.Graph().as_default():
      g2p_ours.make_pipeline(task).build()
      shapes = {v.op.name: v.shape.as_list() for v in tf1.trainable_variables()}
    return task.draw(shapes)

  @parameterized.parameters(*ours.MODES)
  def test_a_step_is_the_mean_loss_of_the_cycle(self, mode):
    task = g2p_tiny.make(layers=2)
    weights = self.weights(task)
    expected = np.mean([g2p_tiny.loss(task, b, weights) for b in task.batches])
    step, versions = g2p_ours.build(task, STILL, 1, mode)
    np.testing.assert_allclose(step(), expected, rtol=1e-5)
    self.assertEqual(versions, {"tensorflow": tf1.VERSION})

  def test_split_and_joint_train_alike(self):
    task = g2p_tiny.make()
    found = []
    for mode in ours.MODES:
      step, _ = g2p_ours.build(task, tasks.Optimizer("adam", 0.1), 1, mode)
      found.append([step() for _ in range(3)])
    np.testing.assert_allclose(*found, rtol=1e-5)
    self.assertLess(found[0][-1], found[0][0])

  def test_split_has_a_graph_a_bucket_and_joint_one_a_pair(self):
    task = g2p_tiny.make()
    found = g2p_ours.make_pipeline(task)
    found.build()
    buckets = [(c.sub_model, c.bucket) for c in found.graph_counts()]
    expected = [(name, k) for name in ("encoder", "decoder") for k in (2, 3)]
    self.assertEqual(buckets, expected)

  def test_an_unknown_mode_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "split.*'x'"):
      g2p_ours.build(g2p_tiny.make(), STILL, 1, "x")


if __name__ == "__main__":
  absltest.main()

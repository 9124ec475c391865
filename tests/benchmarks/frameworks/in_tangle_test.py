"""Tests of tangle on all tasks."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.frameworks import in_tangle, networks
from tangle.compat import tf1
from tests import case
from tests.benchmarks.frameworks import cases, g2p_tiny, reference

STILL = networks.Optimizer("sgd", 1e-12, 1.0)


class NetworksTest(cases.NetworksCase, case.GraphTestCase):
  framework = "tensorflow"
  build = staticmethod(in_tangle.build_networks)

  def test_both_implementations_of_the_lstm_are_the_same_network(self):
    task = reference.tiny("lstm")
    step, _ = self.build(task, STILL, 1, "split", "cells")
    np.testing.assert_allclose(step(), reference.loss(task), rtol=1e-5)

  def test_threads_inside_an_op_are_set_by_themselves(self):
    made = self.enter_context(
      mock.patch.object(tf1, "Session", wraps=tf1.Session)
    )
    task = reference.tiny("lstm")
    for op_threads in (None, 1):
      self.build(task, STILL, 2, "split", op_threads=op_threads)
      config = made.call_args[1]["config"]
      self.assertEqual(config.inter_op_parallelism_threads, 2)
      self.assertEqual(config.intra_op_parallelism_threads, op_threads or 2)

  def test_runs_that_are_not_prepared_are_the_same(self):
    task = reference.tiny("mlp")
    optimizer = networks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    for mode in in_tangle.MODES:
      step, _ = self.build(task, optimizer, 1, mode, runs="session")
      np.testing.assert_allclose([step(), step()], expected, rtol=1e-5)

  def test_unknown_names_name_those_there_are(self):
    task = reference.tiny("mlp")
    with self.assertRaisesRegex(errors.ArgumentError, "prepared.*'x'"):
      self.build(task, STILL, 1, "split", runs="x")
    with self.assertRaisesRegex(errors.ArgumentError, "split.*'x'"):
      self.build(task, STILL, 1, "x")


class G2pTest(case.GraphTestCase):
  def weights(self, task):
    """Returns the first weights of a task, by name."""
    with tf1.Graph().as_default():
      in_tangle.make_pipeline(task).build()
      shapes = {v.op.name: v.shape.as_list() for v in tf1.trainable_variables()}
    return task.draw(shapes)

  @parameterized.parameters(*in_tangle.MODES)
  def test_a_step_is_the_mean_loss_of_the_cycle(self, mode):
    task = g2p_tiny.make(layers=2)
    weights = self.weights(task)
    expected = np.mean([g2p_tiny.loss(task, b, weights) for b in task.batches])
    step, versions = in_tangle.build_g2p(task, STILL, 1, mode)
    np.testing.assert_allclose(step(), expected, rtol=1e-5)
    self.assertEqual(versions, {"tensorflow": tf1.VERSION})

  def test_split_and_joint_train_alike(self):
    task, found = g2p_tiny.make(), []
    for mode in in_tangle.MODES:
      optimizer = networks.Optimizer("adam", 0.1)
      step, _ = in_tangle.build_g2p(task, optimizer, 1, mode)
      found.append([step() for _ in range(3)])
    np.testing.assert_allclose(*found, rtol=1e-5)
    self.assertLess(found[0][-1], found[0][0])

  def test_split_has_a_graph_per_bucket(self):
    found = in_tangle.make_pipeline(g2p_tiny.make())
    found.build()
    buckets = [(c.sub_model, c.bucket) for c in found.graph_counts()]
    expected = [(name, k) for name in ("encoder", "decoder") for k in (2, 3)]
    self.assertEqual(buckets, expected)

  def test_an_unknown_mode_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "split.*'x'"):
      in_tangle.build_g2p(g2p_tiny.make(), STILL, 1, "x")


class JobsTest(cases.JobsCase, case.GraphTestCase):
  framework = "tensorflow"
  modes = in_tangle.MODES
  build = staticmethod(in_tangle.build_jobs)


if __name__ == "__main__":
  absltest.main()

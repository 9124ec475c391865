"""Tests of tangle on the tasks."""

from unittest import mock

import numpy as np
from absl.testing import parameterized

from tangle import errors
from tangle.benchmarks.peers import ours, tasks
from tangle.compat import tf1
from tests import case
from tests.benchmarks.peers import reference


class OursTest(case.GraphTestCase):
  @parameterized.named_parameters((name, name) for name in tasks.NAMES)
  def test_split_and_joint_train_as_numeric_gradients_do(self, name):
    task = reference.tiny(name)
    optimizer = tasks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    for mode in ours.MODES:
      step, versions = ours.build(task, optimizer, 1, mode)
      losses = [step() for _ in expected]
      np.testing.assert_allclose(losses, expected, rtol=1e-5, err_msg=mode)
      self.assertEqual(versions, {"tensorflow": tf1.VERSION})

  def test_both_implementations_of_the_lstm_are_the_same_network(self):
    task = reference.tiny("lstm")
    step, _ = ours.build(task, tasks.Optimizer(), 1, "split", "cells")
    np.testing.assert_allclose(step(), reference.loss(task), rtol=1e-5)

  def test_threads_inside_an_op_are_set_by_themselves(self):
    made = self.enter_context(
      mock.patch.object(tf1, "Session", wraps=tf1.Session)
    )
    task = reference.tiny("lstm")
    for op_threads in (None, 1):
      ours.build(task, tasks.Optimizer(), 2, "split", op_threads=op_threads)
      config = made.call_args[1]["config"]
      self.assertEqual(config.inter_op_parallelism_threads, 2)
      self.assertEqual(config.intra_op_parallelism_threads, op_threads or 2)

  @parameterized.parameters(*ours.RUNS)
  def test_runs_are_the_same_however_they_are_made(self, runs):
    task = reference.tiny("mlp")
    optimizer = tasks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    for mode in ours.MODES:
      step, _ = ours.build(task, optimizer, 1, mode, runs=runs)
      np.testing.assert_allclose([step(), step()], expected, rtol=1e-5)

  def test_an_unknown_way_to_make_runs_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "prepared.*'x'"):
      ours.build(reference.tiny("mlp"), tasks.Optimizer(), 1, "split", runs="x")

  def test_adam_is_taken(self):
    self.assertIsInstance(
      ours.make_optimizer(tasks.Optimizer("adam")), tf1.train.AdamOptimizer
    )

  def test_an_unknown_mode_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "split.*'x'"):
      ours.build(reference.tiny("mlp"), tasks.Optimizer(), 1, "x")


if __name__ == "__main__":
  tf1.test.main()

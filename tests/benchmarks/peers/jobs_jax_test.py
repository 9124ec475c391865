"""Tests of jax on the real jobs; skipped where it is not installed."""

import importlib

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import jobs
from tests.benchmarks.peers import jobs_tiny


class JobsJaxTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    try:
      importlib.import_module("jax")
    except ImportError:
      self.skipTest("jax is not installed")
    self.peer = importlib.import_module("tangle.benchmarks.peers.jobs_jax")

  def build(self, mode="joint"):
    task = jobs_tiny.make()
    return self.peer.build(task, jobs.optimizer(task.sizes), 1, mode)

  def test_it_trains_as_numeric_gradients_do(self):
    contender, versions = self.build()
    self.assertIn("jax", versions)
    losses = contender.losses(2)["losses"]
    np.testing.assert_allclose(losses, jobs_tiny.first_losses(), rtol=1e-4)
    self.assertNotEqual(contender(), losses[0])  # dropout

  def test_weights_come_back_as_they_were_loaded(self):
    contender, _ = self.build()
    drawn = contender.task.draw()
    found = contender.make(None, drawn, 0.0).weights()
    self.assertEqual(set(found), set(drawn))
    for name, array in drawn.items():
      np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)

  def test_an_epoch_and_both_searches_cover_all_examples(self):
    contender, _ = self.build()
    found = contender.epoch()
    self.assertEqual((found["examples"], found["steps"]), (24, 6))
    for beam_size in (1, 4):
      decoded = contender.decode(beam_size)
      self.assertLen(decoded["checksums"], 6)
      self.assertLessEqual(decoded["lengths"], jobs_tiny.make().longest[1])

  def test_it_is_joint(self):
    with self.assertRaisesRegex(errors.ArgumentError, "joint, got 'split'"):
      self.build("split")


if __name__ == "__main__":
  absltest.main()

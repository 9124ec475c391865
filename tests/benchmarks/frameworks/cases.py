"""What must hold for any framework; skipped where it is not installed."""

import importlib

import numpy as np
from absl.testing import parameterized

from tangle import errors
from tangle.benchmarks.frameworks import jobs, networks
from tests.benchmarks.frameworks import jobs_tiny, reference

FOLDER = "tangle.benchmarks.frameworks"


def load(test, framework, module):
  """Returns a module, or skips the test without the framework."""
  try:
    importlib.import_module(framework)
  except ImportError:
    test.skipTest(f"{framework} is not installed")
  return importlib.import_module(f"{FOLDER}.{module}")


class FrameworkCase(parameterized.TestCase):
  """A subclass sets `framework`, and `build` or the `module` that has it."""

  module = None

  def setUp(self):
    super().setUp()
    if self.module:
      self.build = load(self, self.framework, self.module).build


class NetworksCase(FrameworkCase):
  """What must hold for the networks."""

  @parameterized.named_parameters((name, name) for name in networks.NAMES)
  def test_split_and_joint_train_as_numeric_gradients_do(self, name):
    task = reference.tiny(name)
    optimizer = networks.Optimizer("sgd", 0.1, 0.5)
    expected = reference.first_losses(task, optimizer, 2)
    for mode in ("split", "joint"):
      step, versions = self.build(task, optimizer, 1, mode)
      losses = [step() for _ in expected]
      np.testing.assert_allclose(losses, expected, rtol=1e-5, err_msg=mode)
      self.assertIn(self.framework, versions)

  def test_adam_lowers_the_loss(self):
    step, _ = self.build(
      reference.tiny("mlp"), networks.Optimizer("adam", 0.01), 1, "split"
    )
    losses = [step() for _ in range(5)]
    self.assertLess(losses[-1], losses[0])


class JobsCase(FrameworkCase):
  """What must hold for jobs; a subclass may set `modes`."""

  modes = ("joint",)

  def make(self, mode="joint"):
    task = jobs_tiny.make()
    return self.build(task, jobs.optimizer(task.sizes), 1, mode)

  def test_it_trains_as_numeric_gradients_do(self):
    for mode in self.modes:
      candidate, versions = self.make(mode)
      self.assertIn(self.framework, versions)
      losses = candidate.losses(2)["losses"]
      np.testing.assert_allclose(losses, jobs_tiny.first_losses(), rtol=1e-4)
      self.assertNotEqual(candidate(), losses[0])  # dropout

  def test_weights_come_back_as_they_were_loaded(self):
    candidate, _ = self.make()
    drawn = candidate.task.draw()
    found = candidate.make(None, drawn, 0.0)[1]()
    self.assertEqual(set(found), set(drawn))
    for name, array in drawn.items():
      np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)

  def test_an_epoch_and_both_searches_cover_all_examples(self):
    candidate, _ = self.make(self.modes[0])
    found = candidate.epoch()
    self.assertEqual((found["examples"], found["steps"]), (24, 6))
    for beam_size in (1, 4):
      decoded = candidate.decode(beam_size)
      self.assertLen(decoded["checksums"], 6)
      self.assertLessEqual(decoded["lengths"], jobs_tiny.make().longest[1])

  def test_an_unknown_mode_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "joint.*'both'"):
      self.make("both")

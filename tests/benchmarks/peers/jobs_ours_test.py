"""Tests of tangle on the real jobs."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.peers import jobs, jobs_ours
from tests import case
from tests.benchmarks.peers import jobs_tiny


def build(mode="split"):
  task = jobs_tiny.make()
  return jobs_ours.build(task, jobs.optimizer(task.sizes), 1, mode)


class JobsOursTest(case.GraphTestCase):
  @parameterized.parameters("split", "joint")
  def test_it_trains_as_numeric_gradients_do(self, mode):
    contender, versions = build(mode)
    self.assertIn("tensorflow", versions)
    losses = contender.losses(2)["losses"]
    np.testing.assert_allclose(losses, jobs_tiny.first_losses(), rtol=1e-4)
    self.assertNotEqual(contender(), losses[0])  # dropout

  def test_an_epoch_and_both_searches_cover_all_examples(self):
    contender, _ = build()
    found = contender.epoch()
    self.assertEqual((found["examples"], found["steps"]), (24, 6))
    for beam_size in (1, 4):
      decoded = contender.decode(beam_size)
      self.assertLen(decoded["checksums"], 6)
      self.assertLessEqual(decoded["lengths"], jobs_tiny.make().longest[1])

  def test_an_unknown_mode_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "split.*'both'"):
      build("both")


if __name__ == "__main__":
  absltest.main()

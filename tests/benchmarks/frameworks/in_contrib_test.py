"""Tests of contrib's legacy model, which 1.15 alone has."""

import math

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks.frameworks import in_contrib, in_tangle, jobs, networks
from tangle.compat import IS_TF1
from tests import case
from tests.benchmarks.frameworks import g2p_tiny, jobs_tiny


class InContribTest(case.GraphTestCase):
  @parameterized.parameters(1, 2)
  def test_it_trains_as_tangle(self, layers):
    if not IS_TF1:
      self.skipTest("contrib is in TensorFlow 1.15 only")
    task, optimizer = g2p_tiny.make(layers), networks.Optimizer("adam", 0.1)
    step, versions = in_contrib.build_g2p(task, optimizer, 1)
    other, _ = in_tangle.build_g2p(task, optimizer, 1, "split")
    losses = [step() for _ in range(3)]
    np.testing.assert_allclose(losses, [other() for _ in losses], rtol=1e-4)
    self.assertIn("tensorflow", versions)

  def test_it_does_a_job_and_decodes_with_its_own_weights(self):
    if not IS_TF1:
      self.skipTest("contrib is in TensorFlow 1.15 only")
    task = jobs_tiny.make()
    candidate, _ = in_contrib.build_jobs(task, jobs.optimizer(task.sizes), 1)
    losses = [candidate() for _ in range(5)]
    self.assertLess(losses[-1], losses[0])
    self.assertEqual(candidate.epoch()["examples"], 24)
    found = candidate.decode(1, "not read")
    self.assertLen(found["checksums"], 6)
    self.assertIsNone(candidate.decode(4)["seconds"])
    self.assertFalse(candidate.save("not written")["saved"])
    self.assertTrue(all(map(math.isnan, candidate.losses()["losses"])))

  @parameterized.parameters("build_g2p", "build_jobs")
  def test_there_is_no_split_contrib_and_none_on_tensorflow_2(self, name):
    build = getattr(in_contrib, name)
    message = "must be 'joint', got 'split'" if IS_TF1 else "1.15 as python1"
    with self.assertRaisesRegex(errors.ArgumentError, message):
      build(None, networks.Optimizer(), 1, "split")


if __name__ == "__main__":
  absltest.main()

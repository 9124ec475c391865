"""Tests of contrib's model on the real jobs, which 1.15 alone has."""

import math

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import jobs, jobs_contrib
from tangle.compat import IS_TF1
from tests import case
from tests.benchmarks.peers import jobs_tiny


def build(mode="joint"):
  task = jobs_tiny.make()
  return jobs_contrib.build(task, jobs.optimizer(task.sizes), 1, mode)


class JobsContribTest(case.GraphTestCase):
  def test_it_trains_and_decodes_with_its_own_weights(self):
    if not IS_TF1:
      self.skipTest("contrib is in TensorFlow 1.15 only")
    contender, _ = build()
    losses = [contender() for _ in range(5)]
    self.assertLess(losses[-1], losses[0])
    self.assertEqual(contender.epoch()["examples"], 24)
    found = contender.decode(1, "not read")
    self.assertLen(found["checksums"], 6)
    self.assertIsNone(contender.decode(4)["seconds"])
    self.assertFalse(contender.save("not written")["saved"])
    self.assertTrue(all(map(math.isnan, contender.losses()["losses"])))

  def test_there_is_no_split_contrib_and_none_on_tensorflow_2(self):
    with self.assertRaisesRegex(errors.ArgumentError, "1.15 only.*'split'"):
      build("split")
    if not IS_TF1:
      with self.assertRaisesRegex(errors.ArgumentError, "an interpreter"):
        build()


if __name__ == "__main__":
  absltest.main()

"""Tests of memory."""

import os
import sys
import time
from unittest import mock

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import memory


class MemoryTest(absltest.TestCase):
  def test_an_array_that_is_written_is_resident(self):
    resident = memory.meter()
    before = resident()
    array = np.ones(50 << 20, np.uint8)
    self.assertAlmostEqual(resident() - before, array.nbytes, delta=2 << 20)

  def test_without_psutil_it_says_what_to_install(self):
    with mock.patch.dict(sys.modules, psutil=None):
      with self.assertRaisesRegex(
        errors.MissingPackageError, "psutil is not.*pip"
      ):
        memory.meter()

  def test_a_peak_is_at_least_what_is_resident(self):
    resident = memory.read_status("VmRSS")
    self.assertBetween(resident, 1e6, 1e12)
    self.assertGreaterEqual(memory.read_status("VmHWM"), resident)

  def test_what_a_step_frees_again_is_in_the_peak(self):
    def step():
      array = np.ones(50 << 20, np.uint8)
      time.sleep(0.2)
      del array

    grown = memory.measure_peak(os.getpid(), step)
    self.assertAlmostEqual(grown, 50 << 20, delta=2 << 20)

  def test_many_steps_are_watched_from_the_warm_up_on(self):
    taken, seen = [], iter(range(2**20, 2**20 + 10))
    with mock.patch.object(memory, "meter", lambda: seen.__next__):
      found = memory.watch(taken.append, 28, 10)
    self.assertEqual((found["steps"], taken), (28, list(range(1, 29))))
    self.assertEqual(found["rss_bytes"], list(range(2**20, 2**20 + 10)))
    self.assertEqual(found["first_mib"], 1.0)
    self.assertEqual(found["last_mib"], 1 + 9 / 2**20)
    self.assertEqual(found["growth"], 9 / 2**20)
    self.assertAlmostEqual(found["bytes_a_step"], 0.5)  # every second step

  def test_looks_that_fall_together_count_each(self):
    self.assertLen(memory.watch(lambda k: None, 3, 1)["rss_bytes"], 10)


if __name__ == "__main__":
  absltest.main()

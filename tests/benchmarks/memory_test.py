"""Tests of memory."""

import sys
from unittest import mock

import numpy as np
from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import memory


class MemoryTest(absltest.TestCase):
  def test_an_array_that_is_written_is_resident(self):
    resident = memory.meter("test")
    before = resident()
    array = np.ones(50 << 20, np.uint8)
    self.assertAlmostEqual(resident() - before, array.nbytes, delta=2 << 20)

  def test_without_psutil_it_says_what_to_install(self):
    with mock.patch.dict(sys.modules, psutil=None):
      with self.assertRaisesRegex(errors.MissingPackageError, "^mine:.*pip"):
        memory.meter("mine")

  def test_a_peak_is_at_least_what_is_resident(self):
    resident = memory.read_status("VmRSS")
    self.assertBetween(resident, 1e6, 1e12)
    self.assertGreaterEqual(memory.read_status("VmHWM"), resident)

  def test_many_steps_are_watched_from_the_warm_up_on(self):
    taken, seen = [], iter(range(10))
    with mock.patch.object(memory, "meter", lambda _: seen.__next__):
      marks, found = memory.watch("mine", taken.append, 28, 10)
    self.assertEqual(taken, list(range(1, 29)))
    self.assertEqual(marks, list(range(10, 29, 2)))
    self.assertEqual(found, list(range(10)))

  def test_looks_that_fall_together_count_each(self):
    marks, found = memory.watch("mine", lambda k: None, 3, 1)
    self.assertEqual((len(marks), len(found)), (10, 10))
    figures = memory.describe_growth([2**20, 2**21])
    self.assertEqual((figures["first_mib"], figures["last_mib"]), (1.0, 2.0))
    self.assertEqual(figures["growth"], 1.0)


if __name__ == "__main__":
  absltest.main()

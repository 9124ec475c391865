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


if __name__ == "__main__":
  absltest.main()

"""What pytest does around the tests."""

import gc

from tests import forks


def pytest_configure():
  """Lets programs of all tests be forks of one process; see `forks`."""
  forks.start()


def pytest_collection_finish():
  """Spares the garbage collector what imports made, and some of its rounds.

  That is hundreds of thousands of objects which stay; the cycles that tests
  leave behind, their graphs, are still collected.
  """
  gc.collect()
  gc.freeze()
  gc.set_threshold(10000, 10, 10)

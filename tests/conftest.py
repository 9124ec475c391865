"""What pytest does around the tests."""

import collections
import gc

from tests import forks

SLOWEST = 15


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


def pytest_terminal_summary(terminalreporter):
  """Prints how long the tests of the slowest files took."""
  seconds = collections.Counter()
  for reports in terminalreporter.stats.values():
    for report in reports:
      is_part = hasattr(report, "context")  # a subtest, of a test's time
      if hasattr(report, "duration") and not is_part:
        seconds[report.nodeid.split("::")[0]] += report.duration
  if len(seconds) > SLOWEST:
    terminalreporter.section("seconds of the slowest files")
    for path, total in seconds.most_common(SLOWEST):
      terminalreporter.write_line(f"{total:6.0f}  {path}")
    total = sum(seconds.values())
    terminalreporter.write_line(f"{total:6.0f}  all {len(seconds)} files")

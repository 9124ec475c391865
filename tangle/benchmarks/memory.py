"""Resident memory of a process, and bytes sent over loopback."""

import threading

from tangle import errors


def meter(caller, process_id=None):
  """Returns a function that returns the resident memory in bytes.

  Args:
    caller: name of the caller, for the error message.
    process_id: of the process; this one by default.

  Returns:
    A function without arguments that returns an int.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  process = _psutil(caller).Process(process_id)
  return lambda: process.memory_info().rss


def loopback(caller):
  """Returns a function that returns the bytes sent over loopback so far.

  The bytes of all processes count.

  Args:
    caller: name of the caller, for the error message.

  Returns:
    A function without arguments that returns an int.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  counters = _psutil(caller).net_io_counters
  return lambda: next(
    count.bytes_sent
    for name, count in counters(pernic=True).items()
    if name.startswith("lo")
  )


class Peak:
  """A context that measures by how much a process grows inside it.

  Attributes:
    bytes: the peak of the resident memory, minus that at the start.
  """

  def __init__(self, caller, process_id, every_s=0.001):
    """Measures nothing yet.

    Args:
      caller: name of the caller, for the error message.
      process_id: of the process.
      every_s: seconds between two samples.

    Raises:
      MissingPackageError: if psutil is not installed.
    """
    self._meter = meter(caller, process_id)
    self._every_s = every_s
    self._end = threading.Event()
    self._thread = threading.Thread(target=self._look, daemon=True)
    self.bytes = 0

  def _look(self):
    begin = self._meter()
    while not self._end.wait(self._every_s):
      self.bytes = max(self.bytes, self._meter() - begin)

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, *unused):
    self._end.set()
    self._thread.join()


def _psutil(caller):
  """Returns the module."""
  try:
    import psutil
  except ImportError as error:
    raise errors.MissingPackageError(
      f"{caller}: psutil is not installed. Install it with: "
      "pip install tangle-graph[benchmark]"
    ) from error
  return psutil

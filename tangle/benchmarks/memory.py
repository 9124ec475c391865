"""Resident memory of processes, and bytes sent over loopback."""

import gc
import os
import threading

import numpy as np

from tangle import errors

_STATUS = "/proc/self/status"


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


def read_status(field):
  """Returns a size of this process in bytes, `None` outside Linux.

  `getrusage` would mix it with that of the process that started this one.

  Args:
    field: `"VmHWM"`, the peak of the resident memory, or `"VmRSS"`.
  """
  if not os.path.exists(_STATUS):
    return None
  with open(_STATUS, encoding="ascii", errors="replace") as file:
    sizes = dict(line.split(":", 1) for line in file if ":" in line)
  return 1024 * int(sizes[field].split()[0])


def watch(caller, step, steps, warm_up):
  """Takes many steps, and looks at the resident memory from time to time.

  Args:
    caller: name of the caller, for the error message.
    step: called with the number of the step, from 1.
    steps: how many steps to take.
    warm_up: how many of them are taken before the first look.

  Returns:
    The numbers of steps of ten looks at equal intervals, and the bytes.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  resident, seen = meter(caller), []
  marks = np.linspace(warm_up, steps, 10).astype(int).tolist()
  for k in range(1, steps + 1):
    step(k)
    if k in marks:
      gc.collect()
      seen += [resident()] * marks.count(k)
  return marks, seen


def describe_growth(seen):
  """Returns figures of resident memory.

  Args:
    seen: the bytes at several times.

  Returns:
    A dict: `rss_bytes`, all of them; `first_mib` and `last_mib`; `growth`, the
    last over the first, less 1.
  """
  return {
    "rss_bytes": seen,
    "first_mib": seen[0] / 2**20,
    "last_mib": seen[-1] / 2**20,
    "growth": seen[-1] / seen[0] - 1,
  }


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

"""Resident memory of processes, and bytes sent over loopback."""

import gc
import os
import threading

import numpy as np

from tangle import errors

_STATUS = "/proc/self/status"


def meter(process_id=None):
  """Returns a function that returns the resident memory in bytes.

  Args:
    process_id: of the process; this one by default.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  process = _psutil().Process(process_id)
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


def watch(step, steps, warm_up):
  """Takes many steps, and looks at the resident memory ten times.

  Args:
    step: called with the number of the step, from 1.
    steps: how many steps to take.
    warm_up: how many of them are taken before the first look.

  Returns:
    A dict: `steps`; `rss_bytes`, resident memory at equal intervals from the
    end of the warm-up on; `first_mib` and `last_mib`, the first and the last of
    these; `growth`, the last over the first, less 1; `bytes_a_step`, the slope
    of the least-squares line through them.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  resident, seen = meter(), []
  marks = np.linspace(warm_up, steps, 10).astype(int).tolist()
  for k in range(1, steps + 1):
    step(k)
    if k in marks:
      gc.collect()
      seen += [resident()] * marks.count(k)
  return {
    "steps": steps,
    "rss_bytes": seen,
    "first_mib": seen[0] / 2**20,
    "last_mib": seen[-1] / 2**20,
    "growth": seen[-1] / seen[0] - 1,
    "bytes_a_step": float(np.polyfit(marks, seen, 1)[0]),
  }


def loopback():
  """Returns a function that returns the bytes sent over loopback so far.

  The bytes of all processes count.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  counters = _psutil().net_io_counters
  return lambda: next(
    count.bytes_sent
    for name, count in counters(pernic=True).items()
    if name.startswith("lo")
  )


def measure_peak(process_id, step):
  """Returns by how many bytes a process grows at most while a step runs.

  Args:
    process_id: of the process.
    step: a function without arguments.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  resident, end = meter(process_id), threading.Event()
  seen = [resident()]

  def look():
    while not end.wait(0.001):
      seen.append(resident())

  looking = threading.Thread(target=look, daemon=True)
  looking.start()
  try:
    step()
  finally:
    end.set()
    looking.join()
  return max(seen) - seen[0]


def _psutil():
  with errors.needing("psutil", "tangle-graph[benchmark]"):
    import psutil
  return psutil

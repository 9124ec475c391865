"""What figures depend on: the machine, and how TensorFlow uses it."""

import os
import platform

from tangle import compat
from tangle.compat import tf1


def summarize():
  """Returns a line for people: TensorFlow, its kernels, processor and load."""
  found = describe()
  kernels = "with oneDNN" if found["onednn"] else "without oneDNN"
  return (
    f"TensorFlow {found['tensorflow']} {kernels}, {found['processor']}, "
    f"{found['processors']} cores, load {found['load_at_start']}"
  )


def describe():
  """Returns the properties of the machine that figures depend on, a dict."""
  model, flags = _read_processor()
  found = {
    "tensorflow": tf1.VERSION,
    "onednn": compat.onednn_is_on(),
    "system": platform.platform(),
    "processor": model or platform.processor() or platform.machine(),
    "processors": os.cpu_count(),
    "avx512": "avx512f" in flags if flags else "unknown",
  }
  found["load_at_start"] = describe_load()
  for name in ("TF_ENABLE_ONEDNN_OPTS", "OMP_WAIT_POLICY", "XLA_FLAGS"):
    found[name] = os.environ.get(name, "not set")
  return found


def describe_load():
  """Returns the load average of the last minute."""
  if not hasattr(os, "getloadavg"):
    return "unknown"
  return round(os.getloadavg()[0], 2)


def _read_processor():
  """Returns the processor's name and its set of flags, empty if unknown."""
  found = {}
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      for line in file:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
  except OSError:
    pass
  return found.get("model name", ""), set(found.get("flags", "").split())

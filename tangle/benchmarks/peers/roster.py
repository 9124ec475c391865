"""Who contends, and the comparison of all of them on a task."""

import json
import os
import pathlib
import platform
from typing import Any, Dict, NamedTuple

from tangle import errors
from tangle.benchmarks.peers import figures, harness, tasks

_LAUNCH = str(pathlib.Path(__file__).resolve().parent / "launch.py")


class Entry(NamedTuple):
  """A contender.

  Attributes:
    python: whose interpreter: python2, python1 or torch_python.
    module: of this folder.
    options: arguments of its `build`.
  """

  python: str
  module: str
  options: Dict[str, Any]


def _pair(name, python, module):
  return {
    f"{name}_{mode}": Entry(python, module, {"mode": mode})
    for mode in ("split", "joint")
  }


ENTRIES = dict(
  _pair("tangle", "python2", "ours"),
  **_pair("tangle_tf1", "python1", "ours"),
  **_pair("pytorch", "torch_python", "torch_peer"),
  **_pair("jax", "torch_python", "jax_peer"),
  **_pair("tf2", "python2", "tf2_peer"),
  limit_numpy=Entry("python2", "limit", {"library": "numpy"}),
  limit_torch=Entry("torch_python", "limit", {"library": "torch"}),
  limit_tensorflow=Entry("python2", "limit", {"library": "tensorflow"}),
)
"""Name → `Entry`."""

NAMES = tuple(ENTRIES)
"""Names of the contenders."""

_WITHOUT_TENSORFLOW = ("torch_peer", "jax_peer")


class Settings(NamedTuple):
  """What all contenders of a comparison share.

  Attributes:
    pythons: python2, python1, torch_python → path of an interpreter, empty if
      there is none.
    sizes: a `tasks.Sizes`.
    optimizer: a `tasks.Optimizer`.
    threads: threads of an op, and processors of a process.
    seed: of weights and batch.
    options: module → more arguments of its `build`.
    environment: more variables of all processes, such as `OMP_WAIT_POLICY`.
  """

  pythons: Dict[str, str]
  sizes: tasks.Sizes
  optimizer: tasks.Optimizer = tasks.Optimizer()
  threads: int = 2
  seed: int = 0
  options: Dict[str, Any] = {}
  environment: Dict[str, str] = {}


def compare(task, names, settings, timing=None):
  """Measures contenders on a task.

  Args:
    task: one of `tasks.NAMES`.
    names: of the contenders, of `NAMES`.
    settings: a `Settings`.
    timing: a `harness.Settings`.

  Returns:
    Name → figures, as `figures.make_rows` returns them.

  Raises:
    ArgumentError: if there is no such task or contender.
  """
  for name in names:
    if name not in ENTRIES:
      raise errors.ArgumentError(
        f"roster.compare: contenders must be of {NAMES}, got {name!r}."
      )
  flops = tasks.make(task, settings.sizes, settings.seed).flops
  missing, contenders = {}, {}
  for name in names:
    python = ENTRIES[name].python
    if settings.pythons.get(python):
      contenders[name] = make_contender(name, task, settings)
    else:
      missing[name] = {"reason": f"no interpreter is given by --{python}"}
  found = harness.measure(contenders, timing)
  return figures.make_rows(
    {name: found.get(name) or missing[name] for name in names}, flops
  )


def make_contender(name, task, settings):
  """Returns what to start.

  Args:
    name: one of `NAMES`.
    task: one of `tasks.NAMES`.
    settings: a `Settings`.

  Returns:
    A `harness.Contender`.
  """
  entry = ENTRIES[name]
  light = entry.module in _WITHOUT_TENSORFLOW
  light = light or entry.options.get("library") in ("numpy", "torch")
  spec = {
    "module": entry.module,
    "task": task,
    "sizes": list(settings.sizes),
    "optimizer": list(settings.optimizer),
    "threads": settings.threads,
    "seed": settings.seed,
    "light": light,
    "options": dict(entry.options, **settings.options.get(entry.module, {})),
  }
  threads = str(settings.threads)
  environment = {
    "OMP_NUM_THREADS": threads,
    "OPENBLAS_NUM_THREADS": threads,
    "MKL_NUM_THREADS": threads,
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
  }
  environment.update(settings.environment)
  command = [settings.pythons[entry.python], "-W", "ignore", _LAUNCH]
  return harness.Contender(
    command + [json.dumps(spec)], environment, entry.module == "limit"
  )


def describe_machine():
  """Returns what figures depend on, of the machine: a dict of plain values."""
  found = {
    "system": platform.platform(),
    "processor": _processor(),
    "processors": os.cpu_count(),
  }
  if hasattr(os, "getloadavg"):
    found["load_at_start"] = round(os.getloadavg()[0], 2)
  for name in ("TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS"):
    if name in os.environ:
      found[name] = os.environ[name]
  return found


def _processor():
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      for line in file:
        if line.startswith("model name"):
          return line.split(":", 1)[1].strip()
  except OSError:
    pass
  return platform.processor() or platform.machine()

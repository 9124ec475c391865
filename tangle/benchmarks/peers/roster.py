"""The list of contenders, and their comparison on a task."""

import collections
import json
import os
import pathlib
import tempfile
from typing import Any, Dict, NamedTuple

from tangle import errors
from tangle.benchmarks.peers import (
  figures,
  g2p,
  g2p_data,
  harness,
  jobs,
  jobs_data,
  jobs_figures,
  jobs_measure,
  kinds,
  tasks,
)

_LAUNCH = str(pathlib.Path(__file__).resolve().parent / "launch.py")


class Entry(NamedTuple):
  """A contender.

  Attributes:
    python: its interpreter: python2, python1 or torch_python.
    modules: kind of task → module of this folder.
    options: arguments of its `build`.
  """

  python: str
  modules: Dict[str, str]
  options: Dict[str, Any]


def _pair(name, python, only_joint=None, **modules):
  """Returns the split and the joint contender of a framework."""
  joint = dict(modules, **(only_joint or {}))
  return {
    f"{name}_split": Entry(python, modules, {"mode": "split"}),
    f"{name}_joint": Entry(python, joint, {"mode": "joint"}),
  }


def _jobs(module):
  return dict.fromkeys(jobs.NAMES, module)


def _limit(python, library):
  modules = dict.fromkeys(kinds.KINDS, "limit")
  return Entry(python, modules, {"library": library})


_OURS = dict(_jobs("jobs_ours"), networks="ours", g2p="g2p_ours")

ENTRIES = dict(
  _pair("tangle", "python2", **_OURS),
  **_pair("tangle_tf1", "python1", **_OURS),
  contrib_joint=Entry(
    "python1", dict(_jobs("jobs_contrib"), g2p="g2p_contrib"), {"mode": "joint"}
  ),
  **_pair(
    "pytorch", "torch_python", _jobs("jobs_torch"), networks="torch_peer"
  ),
  **_pair("jax", "torch_python", _jobs("jobs_jax"), networks="jax_peer"),
  **_pair("tf2", "python2", networks="tf2_peer"),
  limit_numpy=_limit("python2", "numpy"),
  limit_torch=_limit("torch_python", "torch"),
  limit_tensorflow=_limit("python2", "tensorflow"),
)
"""Name → `Entry`."""

NAMES = (
  "tangle_split",
  "tangle_joint",
  "tangle_tf1_split",
  "tangle_tf1_joint",
  "contrib_joint",
  "pytorch_split",
  "pytorch_joint",
  "jax_split",
  "jax_joint",
  "tf2_split",
  "tf2_joint",
  "limit_numpy",
  "limit_torch",
  "limit_tensorflow",
)
"""Names of the contenders: the keys of `ENTRIES`."""

_WITHOUT_TENSORFLOW = ("torch_peer", "jax_peer", "jobs_torch", "jobs_jax")


class Settings(NamedTuple):
  """Settings that all contenders of a comparison share.

  Attributes:
    pythons: python2, python1, torch_python → path of an interpreter, empty if
      there is none.
    sizes: the sizes of the task's kind.
    optimizer: a `tasks.Optimizer`.
    threads: threads within an op, and processors per process.
    seed: of weights and batches.
    options: module → additional arguments of its `build`.
    environment: additional environment variables of all processes, such as
      `OMP_WAIT_POLICY`.
    files: task → source and target file, instead of drawn examples.
  """

  pythons: Dict[str, str]
  sizes: Any
  optimizer: tasks.Optimizer = tasks.Optimizer()
  threads: int = 2
  seed: int = 0
  options: Dict[str, Any] = {}
  environment: Dict[str, str] = {}
  files: Dict[str, Any] = {}


def compare(task, names, settings, timing=None):
  """Measures contenders on a task.

  Args:
    task: one of `kinds.NAMES`.
    names: names of the contenders, from `NAMES`.
    settings: a `Settings`.
    timing: a `harness.Settings`.

  Returns:
    Name → figures, as `figures.make_rows` returns them.

  Raises:
    ArgumentError: if a task or contender is unknown.
  """
  for name in names:
    if name not in ENTRIES:
      raise errors.ArgumentError(
        f"roster.compare: contenders must be of {NAMES}, got {name!r}."
      )
  kind = kinds.find(task)
  found, contenders = collections.OrderedDict(), {}
  with tempfile.TemporaryDirectory() as folder:
    data = _write_data(folder, kind, settings)
    made = kinds.make(task, settings.sizes, settings.seed, data)
    for name in names:
      entry = ENTRIES[name]
      found[name] = None
      if kind not in entry.modules:
        found[name] = {"reason": f"it has no model for {task}"}
      elif not settings.pythons.get(entry.python):
        reason = f"no interpreter is given by --{entry.python}"
        found[name] = {"reason": reason}
      else:
        contenders[name] = make_contender(name, task, settings, data)
    if kind in jobs.NAMES:
      found.update(jobs_measure.measure(contenders, timing))
      return jobs_figures.make_rows(found, made.flops)
    found.update(harness.measure(contenders, timing))
  return figures.make_rows(found, made.flops, made.words)


def _write_data(folder, kind, settings):
  """Returns the path of the file that tasks of a kind read; empty if none."""
  path = os.path.join(folder, "data.npz")
  if kind == g2p.NAME:
    g2p_data.write(path, settings.sizes, settings.seed)
    return path
  if kind in jobs.NAMES:
    files = settings.files.get(kind)
    jobs_data.write(path, kind, settings.sizes, settings.seed, files)
    return path
  return ""


def make_contender(name, task, settings, data=""):
  """Returns how to start a contender.

  Args:
    name: one of `NAMES`.
    task: one of `kinds.NAMES`, for which the contender has a module.
    settings: a `Settings`.
    data: path of the task's file of batches, if it reads one.

  Returns:
    A `harness.Contender`.
  """
  entry = ENTRIES[name]
  kind = kinds.find(task)
  module, choose = entry.modules[kind], kinds.KINDS[kind].optimizer
  optimizer = choose(settings.sizes) if choose else settings.optimizer
  light = module in _WITHOUT_TENSORFLOW
  light = light or entry.options.get("library") in ("numpy", "torch")
  spec = {
    "module": module,
    "task": task,
    "sizes": list(settings.sizes),
    "optimizer": list(optimizer),
    "threads": settings.threads,
    "seed": settings.seed,
    "data": data,
    "light": light,
    "options": dict(entry.options, **settings.options.get(module, {})),
  }
  threads = str(settings.threads)
  environment = {
    "OMP_NUM_THREADS": threads,
    "OPENBLAS_NUM_THREADS": threads,
    "MKL_NUM_THREADS": threads,
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
  }
  if entry.python == "python1":
    # TensorFlow 2 sets this variable. 1.15 in a child process would inherit it
    # and take on half of TensorFlow 2's behaviour, and contrib's cells fail.
    environment["TF2_BEHAVIOR"] = "0"
  environment.update(settings.environment)
  command = [settings.pythons[entry.python], "-W", "ignore", _LAUNCH]
  return harness.Contender(
    command + [json.dumps(spec)], environment, module == "limit"
  )

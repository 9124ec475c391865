"""The list of candidates, and their comparison on a task.

A candidate is built by `build(task, optimizer, threads, **options)`, where

    task: a task of one of its kinds.
    optimizer: a `networks.Optimizer`.
    threads: threads within an op, and between ops. XLA's cannot be set; it uses
      as many as the process has processors.
    options: `mode`, split or joint; for a roofline `library`.

It returns a step, which is a function without arguments that trains once (for
g2p, on all batches of the cycle) and returns the loss, or for a job a
`job_training.Training`; and a dict of versions.
"""

import json
import os
import tempfile
from typing import Any, Dict, NamedTuple

from tangle import errors
from tangle.benchmarks import names as names_lib
from tangle.benchmarks.frameworks import (
  figures,
  kinds,
  networks,
  turns,
  worker,
)


class Entry(NamedTuple):
  """A candidate.

  Attributes:
    python: its interpreter: python2, python1 or torch_python.
    builds: kind of task → module of this folder and function.
    options: arguments of these functions.
  """

  python: str
  builds: Dict[str, str]
  options: Dict[str, Any]


def _pair(name, python, only_joint=None, **builds):
  """Returns the split and the joint candidate of a framework."""
  joint = dict(builds, **(only_joint or {}))
  return {
    f"{name}_split": Entry(python, builds, {"mode": "split"}),
    f"{name}_joint": Entry(python, joint, {"mode": "joint"}),
  }


def _roofline(python, library):
  builds = dict.fromkeys(kinds.KINDS, _ROOFLINE)
  return Entry(python, builds, {"library": library})


TANGLE_NETWORKS = "in_tangle.build_networks"
"""Key in `SharedSettings.options` of those of tangle's networks."""

_ROOFLINE = "roofline.build"
_TANGLE = {
  "networks": TANGLE_NETWORKS,
  "g2p": "in_tangle.build_g2p",
  "jobs": "in_tangle.build_jobs",
}
_CONTRIB = {"g2p": "in_contrib.build_g2p", "jobs": "in_contrib.build_jobs"}

ENTRIES = dict(
  _pair("tangle", "python2", **_TANGLE),
  **_pair("tangle_tf1", "python1", **_TANGLE),
  contrib_joint=Entry("python1", _CONTRIB, {"mode": "joint"}),
  **_pair(
    "pytorch",
    "torch_python",
    {"jobs": "in_pytorch_jobs.build"},
    networks="in_pytorch.build",
  ),
  **_pair(
    "jax",
    "torch_python",
    {"jobs": "in_jax_jobs.build"},
    networks="in_jax.build",
  ),
  **_pair("tf2", "python2", networks="in_tensorflow2.build"),
  roofline_numpy=_roofline("python2", "numpy"),
  roofline_torch=_roofline("torch_python", "torch"),
  roofline_tensorflow=_roofline("python2", "tensorflow"),
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
  "roofline_numpy",
  "roofline_torch",
  "roofline_tensorflow",
)
"""Names of the candidates: the keys of `ENTRIES`."""


class SharedSettings(NamedTuple):
  """Settings that all candidates of a comparison share.

  Attributes:
    pythons: python2, python1, torch_python → path of an interpreter, empty if
      there is none.
    sizes: the sizes of the task's kind.
    optimizer: a `networks.Optimizer`; jobs have their scripts' own.
    threads: threads within an op, and processors per process.
    seed: of weights and batches.
    options: module and function → its additional arguments.
    environment: additional environment variables of all processes, such as
      `OMP_WAIT_POLICY`.
    files: task → source and target file, instead of drawn examples.
  """

  pythons: Dict[str, str]
  sizes: Any
  optimizer: networks.Optimizer = networks.Optimizer()
  threads: int = 2
  seed: int = 0
  options: Dict[str, Any] = {}
  environment: Dict[str, str] = {}
  files: Dict[str, Any] = {}


@errors.named("candidates.measure_task")
def measure_task(task, names, settings, timing=None):
  """Measures candidates on a task.

  Args:
    task: one of `kinds.NAMES`.
    names: names of the candidates, from `NAMES`.
    settings: a `SharedSettings`.
    timing: a `turns.TurnSettings`; its defaults for None.

  Returns:
    Name → figures, as `figures.make_rows` returns them.

  Raises:
    ArgumentError: if a task or candidate is unknown.
  """
  for name in names:
    names_lib.check("a candidate", name, NAMES)
  kind = kinds.find(task)
  module, is_job = kinds.KINDS[kind], kind == "jobs"
  found, made = {}, {}
  with tempfile.TemporaryDirectory() as folder:
    data = os.path.join(folder, "data.npz")
    if hasattr(module, "write"):
      files = settings.files.get(task)
      module.write(data, task, settings.sizes, settings.seed, files)
    done = kinds.make(task, settings.sizes, settings.seed, data)
    for name in names:
      entry = ENTRIES[name]
      found[name] = None
      if kind not in entry.builds:
        found[name] = {"reason": f"it has no model for {task}"}
      elif not settings.pythons.get(entry.python):
        reason = f"no interpreter is given by --{entry.python}"
        found[name] = {"reason": reason}
      else:
        made[name] = make_candidate(name, task, settings, data)
    found.update(turns.measure(made, timing, is_job))
  return figures.make_rows(found, done.flops, done.words, is_job)


def make_candidate(name, task, settings, data=""):
  """Returns how to start a candidate, a `turns.Candidate`.

  Args:
    name: one of `NAMES`.
    task: one of `kinds.NAMES`, which the candidate can train.
    settings: a `SharedSettings`.
    data: path of the task's file of data, if it reads one.
  """
  entry = ENTRIES[name]
  kind = kinds.find(task)
  optimizer = settings.optimizer
  if hasattr(kinds.KINDS[kind], "optimizer"):
    optimizer = kinds.KINDS[kind].optimizer(settings.sizes)
  build = entry.builds[kind]
  is_light = build.startswith(("in_pytorch", "in_jax"))
  is_light |= entry.options.get("library") in ("numpy", "torch")
  spec = {
    "build": build,
    "task": task,
    "sizes": list(settings.sizes),
    "optimizer": list(optimizer),
    "threads": settings.threads,
    "seed": settings.seed,
    "data": data,
    "light": is_light,
    "options": dict(entry.options, **settings.options.get(build, {})),
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
  path = os.path.abspath(worker.__file__)
  command = [settings.pythons[entry.python], "-W", "ignore", path]
  command.append(json.dumps(spec))
  return turns.Candidate(command, environment, build == _ROOFLINE)

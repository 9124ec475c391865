"""The process of a candidate: `python worker.py '<spec as JSON>'`.

It is run by its path and not as a module, since the package imports TensorFlow,
which a framework's interpreter may not have. In that case `tangle` and two of
its packages become empty packages with the same modules.

Requests and answers are lines of JSON. The first answer, when all is built, has
`build_s` and `versions`, or a `reason` why the candidate cannot run. Then each
request `{"steps": n}` is answered with `seconds`, one number per step,
`values`, the results of the steps, `cpu_s`, the processor time per step, and
`rss_bytes`, the peak so far. A candidate of a whole job also takes requests
`{"call": name, "arguments": {...}}`, and answers with what its method returned.
"""

import importlib
import json
import os
import pathlib
import platform
import sys
import time
import types
import typing

ROOT = pathlib.Path(__file__).resolve().parents[3]

_PACKAGES = ("tangle", "tangle.seq2seq", "tangle.training")


def _prepare(spec):
  """Prepares the process; returns the file to write answers to.

  Printed text goes to standard error, so that standard output has only the
  answers. Nothing that starts threads may be imported before.
  """
  sys.path[0] = str(ROOT)
  for name in _PACKAGES if spec["light"] else ():
    package = types.ModuleType(name)
    package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
    sys.modules[name] = package
  if spec["light"]:  # hints name types of TensorFlow
    hints = types.ModuleType("tangle.hints")
    hints.__getattr__ = lambda name: typing.Any
    sys.modules["tangle.hints"] = hints
  if hasattr(os, "sched_setaffinity"):
    processors = sorted(os.sched_getaffinity(0))[: spec["threads"]]
    os.sched_setaffinity(0, processors)
  answers = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)
  return answers


def serve(spec, requests, answers):
  """Builds a candidate and steps it until the requests end.

  Args:
    spec: a dict: `build`, module of this folder and function, which takes
      `(task, optimizer, threads, **options)`; the arguments `task`, `sizes` a
      list, `optimizer` a list, `threads`, also the number of processors that
      the process may use, `seed`, `data` a path, `options`; and `light`,
      whether to run without TensorFlow.
    requests: a file of lines to read.
    answers: a file to write lines to.
  """
  step = None
  try:
    step, answer = _build(spec)
  except Exception as error:  # whatever a framework raises is reported
    answer = {"reason": describe(error)}
  print(json.dumps(answer), file=answers, flush=True)
  for line in requests if step else ():
    try:
      request = json.loads(line)
      if "call" in request:
        answer = take_call(step, request["call"], request["arguments"])
      else:
        answer = take_steps(step, request["steps"])
    except Exception as error:
      answer = {"reason": describe(error)}
    print(json.dumps(answer), file=answers, flush=True)


def _build(spec):
  """Returns the step of a candidate, and the first answer."""
  # These are not part of `import_s`, which is that of the framework.
  import numpy as np

  from tangle.benchmarks.frameworks import kinds, networks

  begin = time.perf_counter()
  module, function = spec["build"].split(".")
  found = importlib.import_module(f"tangle.benchmarks.frameworks.{module}")
  import_s = time.perf_counter() - begin
  task = kinds.make(spec["task"], spec["sizes"], spec["seed"], spec["data"])
  optimizer = networks.Optimizer(*spec["optimizer"])
  build = getattr(found, function)
  step, versions = build(task, optimizer, spec["threads"], **spec["options"])
  versions.update(python=platform.python_version(), numpy=np.__version__)
  build_s = time.perf_counter() - begin
  return step, {"build_s": build_s, "import_s": import_s, "versions": versions}


def take_steps(step, count):
  """Takes `count` steps; returns the dict that `serve` answers."""
  seconds, values = [], []
  start = time.process_time()
  for _ in range(count):
    begin = time.perf_counter()
    values.append(float(step()))
    seconds.append(time.perf_counter() - begin)
  return {
    "seconds": seconds,
    "values": values,
    "cpu_s": (time.process_time() - start) / max(count, 1),
    "rss_bytes": _peak_memory(),
  }


def take_call(candidate, name, arguments):
  """Calls a method of a candidate.

  Args:
    candidate: an object with the method.
    name: name of the method.
    arguments: a dict of its arguments.

  Returns:
    What it returned, a dict, with `wall_s`, `cpu_s` and `rss_bytes`.
  """
  begin, start = time.perf_counter(), time.process_time()
  found = getattr(candidate, name)(**arguments)
  wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - start
  return dict(found, wall_s=wall_s, cpu_s=cpu_s, rss_bytes=_peak_memory())


def _peak_memory():
  from tangle.benchmarks import memory

  return memory.read_status("VmHWM") or 0


def describe(error):
  """Returns one line that describes an exception, `error`."""
  if isinstance(error, ImportError) and getattr(error, "name", None):
    return f"{error.name} is not installed here"
  lines = str(error).strip().split("\n")
  return f"{type(error).__name__}: {lines[0][:200]}"


if __name__ == "__main__":
  _spec = json.loads(sys.argv[1])
  serve(_spec, sys.stdin, _prepare(_spec))

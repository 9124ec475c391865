"""The process of one contender: builds, then steps as often as it is told.

Requests and answers are lines of JSON. The first answer, when all is built, has
`build_s` and `versions`, or a `reason` why the contender cannot run. Then each
request `{"steps": n}` is answered by `seconds`, one a step, `values`, what the
steps returned, and `rss_bytes`, the peak so far.
"""

import importlib
import json
import platform
import time

import numpy as np

from tangle.benchmarks.peers import kinds, tasks


def serve(spec, requests, answers):
  """Builds a contender and steps it until the requests end.

  Args:
    spec: a dict: `module` of this folder, which has `build(task, optimizer,
      threads, **options)`, and the arguments: `task`, `sizes` a list,
      `optimizer` a list, `threads`, `seed`, `data` a path, `options`.
    requests: a file of lines to read.
    answers: a file to write lines to.
  """
  try:
    begin = time.perf_counter()
    step, versions = _build(spec)
    answer = {"build_s": time.perf_counter() - begin}
    versions.update(python=platform.python_version(), numpy=np.__version__)
    answer["versions"] = versions
  except Exception as error:  # whatever a framework raises is told
    step, answer = None, {"reason": describe(error)}
  _write(answers, answer)
  if step is None:
    return
  for line in requests:
    try:
      answer = take_steps(step, json.loads(line)["steps"])
    except Exception as error:
      answer = {"reason": describe(error)}
    _write(answers, answer)


def _build(spec):
  """Returns the step of a contender, and the versions of what it runs on."""
  found = importlib.import_module(f"tangle.benchmarks.peers.{spec['module']}")
  task = kinds.make(spec["task"], spec["sizes"], spec["seed"], spec["data"])
  optimizer = tasks.Optimizer(*spec["optimizer"])
  return found.build(task, optimizer, spec["threads"], **spec["options"])


def take_steps(step, count):
  """Times steps.

  Args:
    step: a callable without arguments that returns a number.
    count: how many steps.

  Returns:
    A dict of `seconds`, `values` and `rss_bytes`.
  """
  seconds, values = [], []
  for _ in range(count):
    begin = time.perf_counter()
    values.append(float(step()))
    seconds.append(time.perf_counter() - begin)
  return {"seconds": seconds, "values": values, "rss_bytes": peak_memory()}


def peak_memory():
  """Returns the most memory that has been resident, in bytes; 0 if unknown.

  `getrusage` would count what the starting process had, too.
  """
  try:
    with open("/proc/self/status", encoding="utf-8") as file:
      for line in file:
        if line.startswith("VmHWM:"):
          return 1024 * int(line.split()[1])
  except OSError:
    pass
  return 0


def describe(error):
  """Returns one line that tells of an exception, `error`."""
  if isinstance(error, ImportError) and getattr(error, "name", None):
    return f"{error.name} is not installed here"
  lines = str(error).strip().split("\n")
  return f"{type(error).__name__}: {lines[0][:200]}"


def _write(answers, answer):
  answers.write(json.dumps(answer) + "\n")
  answers.flush()

"""The process of one contender: builds it, then makes the requested steps.

Requests and answers are lines of JSON. The first answer, when all is built, has
`build_s` and `versions`, or a `reason` why the contender cannot run. Then each
request `{"steps": n}` is answered with `seconds`, one number per step,
`values`, the results of the steps, `cpu_s`, the processor time per step, and
`rss_bytes`, the peak so far. A contender that has further functions
(`jobs_contender`) also takes requests `{"call": name, "arguments": {...}}`, and
answers with the function's result.
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
    found = importlib.import_module(f"tangle.benchmarks.peers.{spec['module']}")
    import_s = time.perf_counter() - begin
    step, versions = _build(found, spec)
    answer = {"build_s": time.perf_counter() - begin, "import_s": import_s}
    versions.update(python=platform.python_version(), numpy=np.__version__)
    answer["versions"] = versions
  except Exception as error:  # whatever a framework raises is reported
    step, answer = None, {"reason": describe(error)}
  _write(answers, answer)
  if step is None:
    return
  for line in requests:
    try:
      request = json.loads(line)
      if "call" in request:
        answer = take_call(step, request["call"], request["arguments"])
      else:
        answer = take_steps(step, request["steps"])
    except Exception as error:
      answer = {"reason": describe(error)}
    _write(answers, answer)


def _build(found, spec):
  """Returns the step of a contender, and the versions of its framework."""
  task = kinds.make(spec["task"], spec["sizes"], spec["seed"], spec["data"])
  optimizer = tasks.Optimizer(*spec["optimizer"])
  return found.build(task, optimizer, spec["threads"], **spec["options"])


def take_steps(step, count):
  """Times steps.

  Args:
    step: a callable without arguments that returns a number.
    count: number of steps.

  Returns:
    A dict of `seconds`, `values`, `cpu_s` and `rss_bytes`.
  """
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
    "rss_bytes": peak_memory(),
  }


def take_call(contender, name, arguments):
  """Calls a function of a contender.

  Args:
    contender: an object with the function.
    name: name of the function.
    arguments: a dict of its arguments.

  Returns:
    A dict: `wall_s`, `cpu_s` and `rss_bytes`, and the items that the function
    returned.
  """
  begin, start = time.perf_counter(), time.process_time()
  found = getattr(contender, name)(**arguments)
  return dict(
    found,
    wall_s=time.perf_counter() - begin,
    cpu_s=time.process_time() - start,
    rss_bytes=peak_memory(),
  )


def peak_memory():
  """Returns the peak resident memory in bytes; 0 if unknown.

  `getrusage` would include the peak of the process that started this one.
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
  """Returns one line that describes an exception, `error`."""
  if isinstance(error, ImportError) and getattr(error, "name", None):
    return f"{error.name} is not installed here"
  lines = str(error).strip().split("\n")
  return f"{type(error).__name__}: {lines[0][:200]}"


def _write(answers, answer):
  answers.write(json.dumps(answer) + "\n")
  answers.flush()

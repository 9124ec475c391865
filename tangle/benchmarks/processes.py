"""Calls functions in processes of their own, so that no other work counts."""

import json
import os
import pathlib
import subprocess
import sys

from tangle import errors

_FOLDER = pathlib.Path(__file__).resolve().parent

ROOT = str(_FOLDER.parents[1])
"""Folder of this checkout."""

IMPORT_S = 0.0
"""In a process that `call` started: seconds that `import tensorflow` took."""

# `tangle` may be of another checkout; the benchmarks are those of this one.
_PROGRAM = """
import importlib, json, sys, time
begin = time.perf_counter()
import tensorflow
import_s = time.perf_counter() - begin
folder, module, function, *arguments = sys.argv[1:]
import tangle.benchmarks
tangle.benchmarks.__path__[:] = [folder]
from tangle.benchmarks import processes
processes.IMPORT_S = import_s
found = getattr(importlib.import_module(module), function)
print(json.dumps(found(*map(json.loads, arguments))))
"""


def call(function, *arguments, root=ROOT, remedy="measure something smaller"):
  """Calls a function of the benchmarks in a new process.

  Args:
    function: a function of a module, not of a class.
    *arguments: its arguments: numbers, strings, lists and dicts; each is passed
      as JSON, so that tuples become lists.
    root: folder of the checkout of tangle to use.
    remedy: what to do if the process was killed, for the error message.

  Returns:
    What the function returned, or printed last before it ended the process,
    through JSON.

  Raises:
    TrainingError: if it fails.
  """
  names = function.__module__, function.__name__
  paths = os.pathsep.join([root, *filter(None, sys.path)])
  done = subprocess.run(
    [sys.executable, "-c", _PROGRAM, str(_FOLDER), *names]
    + [json.dumps(argument) for argument in arguments],
    stdout=subprocess.PIPE,
    text=True,
    env=dict(os.environ, PYTHONPATH=paths),
    cwd=root,
  )
  if done.returncode:
    raise errors.TrainingError(
      f"{names[0].rpartition('.')[2]}.{names[1]}: the process that measures "
      f"{arguments[0]!r} ended with {done.returncode}; what it had to say is "
      f"on standard error. If it was killed, {remedy}."
    )
  return json.loads(done.stdout.strip().split("\n")[-1])


def call_each(function, names, *arguments, report, **options):
  """Returns name → result of a function for each of several names, as `call`.

  Args:
    function: as for `call`.
    names: first arguments of the calls.
    *arguments: further arguments of each call.
    report: a `reports.Report`, which shows the progress.
    **options: further keyword arguments of `call`.

  Raises:
    TrainingError: if a process fails.
  """
  found = {}
  for done, name in enumerate(names, 1):
    found[name] = call(function, name, *arguments, **options)
    report.count(done, len(names))
  return found

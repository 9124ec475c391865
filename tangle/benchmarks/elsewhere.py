"""Measures in a new process, whose memory is not affected by other work."""

import json
import os
import subprocess
import sys

from tangle import errors


def run(caller, module, *arguments, remedy="measure something smaller"):
  """Runs a module as a program, and returns the JSON that it prints last.

  Args:
    caller: name of the caller, for the error message.
    module: dotted name of the module.
    *arguments: command-line arguments: numbers, strings, lists and dicts; each
      is passed as JSON.
    remedy: what to do if the process was killed, for the error message.

  Returns:
    The last line of its standard output, parsed as JSON.

  Raises:
    TrainingError: if it fails.
  """
  environment = dict(os.environ)
  environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
  done = subprocess.run(
    [sys.executable, "-m", module, *map(json.dumps, arguments)],
    stdout=subprocess.PIPE,
    text=True,
    env=environment,
  )
  if done.returncode:
    raise errors.TrainingError(
      f"{caller}: the process that measures {arguments[0]!r} ended with "
      f"{done.returncode}; what it had to say is on standard error. If it was "
      f"killed, {remedy}."
    )
  return json.loads(done.stdout.strip().split("\n")[-1])


def run_each(caller, module, names, *arguments, report, **options):
  """Runs a module for each of several names, as `run` does.

  Args:
    caller: name of the caller, for the error message.
    module: dotted name of the module.
    names: first arguments of the runs.
    *arguments: further arguments of each run.
    report: a `reports.Report`, which shows the progress.
    **options: further keyword arguments of `run`.

  Returns:
    A dict from name to result.

  Raises:
    TrainingError: if a process fails.
  """
  found = {}
  for done, name in enumerate(names, 1):
    found[name] = run(caller, module, name, *arguments, **options)
    report.count(done, len(names))
  return found


def answer(function):
  """Calls a function for a process that `run` has started, and prints the JSON.

  Args:
    function: takes the arguments of `run`, with lists for tuples.
  """
  print(json.dumps(function(*map(json.loads, sys.argv[1:]))))

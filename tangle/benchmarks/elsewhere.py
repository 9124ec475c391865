"""Measures in a new process, whose memory holds nothing of other work."""

import json
import os
import subprocess
import sys

from tangle import errors


def run(caller, module, *arguments, remedy="measure something smaller"):
  """Runs a module as a program; what it prints last is what it found.

  Args:
    caller: who asks, for the message.
    module: dotted name of the module.
    *arguments: for its command line, numbers, strings, lists and dicts; each
      is handed over as JSON.
    remedy: what to do if the process was killed, for the message.

  Returns:
    What the last line on its standard output says, as JSON.

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

"""Starts a contender in this process: `python launch.py '<spec as JSON>'`.

It is run by its path and not as a module, since the package imports TensorFlow,
which a framework's interpreter may not have. In that case `tangle` and two of
its packages become empty packages with the same modules.
"""

import json
import os
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[3]

_PACKAGES = ("tangle", "tangle.seq2seq", "tangle.training")


def take_part(spec):
  """Prepares the process, and answers requests until the input ends.

  Printed text goes to standard error, so that standard output has only the
  answers.

  Args:
    spec: a dict, as `worker.serve` takes it. `threads` is the number of
      processors that the process may use, and `light` whether to run without
      TensorFlow.
  """
  sys.path[0] = str(ROOT)
  for name in _PACKAGES if spec["light"] else ():
    package = types.ModuleType(name)
    package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
    sys.modules[name] = package
  if hasattr(os, "sched_setaffinity"):
    processors = sorted(os.sched_getaffinity(0))[: spec["threads"]]
    os.sched_setaffinity(0, processors)
  answers = os.fdopen(os.dup(1), "w")
  os.dup2(2, 1)
  from tangle.benchmarks.peers import worker

  worker.serve(spec, sys.stdin, answers)


if __name__ == "__main__":
  take_part(json.loads(sys.argv[1]))

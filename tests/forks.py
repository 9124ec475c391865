"""Runs programs in processes of their own that need not import TensorFlow.

A server imports TensorFlow, and nothing of tangle. Each program runs in a fork
of it, as `python path` or `python -c code` would run it in a new process, but
for the seconds that the import takes. No session was opened in the server, so
that a program sets TensorFlow up as it likes. What is to be shown of an import
itself needs `subprocess`.
"""

import atexit
import collections
import functools
import json
import multiprocessing
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_S = 300

Done = collections.namedtuple("Done", "returncode stdout stderr")
"""The end of a program: its exit code, or minus the signal, and its texts."""


def run_script(path, *flags):
  """Runs `python path flags`; returns its `Done`."""
  return _run("script", str(path), flags)


def run_code(code, *flags):
  """Runs `python -c code flags`; returns its `Done`."""
  return _run("code", code, flags)


@functools.lru_cache(maxsize=None)
def make_context():
  """Returns what `multiprocessing.get_context("spawn")` does, but for imports.

  Its processes, too, are new to all but the import of TensorFlow.
  """
  context = multiprocessing.get_context("forkserver")
  context.set_forkserver_preload(["tensorflow"])
  return context


def _run(kind, program, flags):
  server = _start()
  with tempfile.TemporaryDirectory() as folder:
    outputs = [os.path.join(folder, name) for name in ("out", "err")]
    request = [kind, program, [str(flag) for flag in flags], outputs]
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    if not answer:
      raise RuntimeError(f"The server of forks ended with {server.wait()}.")
    texts = [pathlib.Path(path).read_text("utf-8") for path in outputs]
  return Done(int(answer), *texts)


@functools.lru_cache(maxsize=None)
def _start():
  """Starts the server of this process, and returns it."""
  environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
  paths = [str(ROOT), environment.get("PYTHONPATH", "")]
  environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
  server = subprocess.Popen(
    [sys.executable, "-W", "ignore", "-m", "tests.forks"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    universal_newlines=True,
    cwd=str(ROOT),
    env=environment,
  )
  atexit.register(_stop, server)
  return server


def _stop(server):
  server.stdin.close()
  server.wait()
  server.stdout.close()


def serve():
  """Answers requests; returns one in its fork, and `None` at the end."""
  while True:
    line = sys.stdin.readline()
    if not line:
      return None
    pid = os.fork()
    if not pid:
      return json.loads(line)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status)
    code = -os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
    print(code, flush=True)


def become(kind, program, flags, outputs):
  """Runs a program of a request in this process."""
  signal.alarm(TIMEOUT_S)
  files = [os.open(os.devnull, os.O_RDONLY)]
  files += [os.open(path, os.O_WRONLY | os.O_CREAT) for path in outputs]
  for number, file in enumerate(files):
    os.dup2(file, number)
    os.close(file)
  if kind == "script":
    sys.argv = [program, *flags]
    sys.path[0] = os.path.dirname(program)
    runpy.run_path(program, run_name="__main__")
  else:
    sys.argv = ["-c", *flags]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(program, "<string>", "exec"), vars(module))


if __name__ == "__main__":
  import tensorflow  # noqa: F401

  found = serve()
  if found:
    become(*found)

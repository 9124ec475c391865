"""Runs Python programs in forks of a process that has imported TensorFlow.

A server imports TensorFlow and tangle, and opens no session. While it is there,
`subprocess` does not start a new interpreter for `python -m module`,
`python -c code` and `python path`: each becomes a fork of the server, with the
arguments, environment, folder and files that it was given, and is spared the
seconds of CPU time that the imports take. That holds for what those programs
start themselves, too. `new_processes` turns it off, for tests of an import or
of the command line.
"""

import atexit
import collections
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pathlib
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_S = 300
ADDRESS = "TANGLE_TEST_FORKS"
"""The variable that names the server's socket; empty for new processes."""

# What these say is read when a process starts, or when TensorFlow is imported.
_EARLY = ("LD_", "MALLOC_", "TF2_BEHAVIOR")
# This one can be changed later, and is asked for by a benchmark.
_THRESHOLD = "MALLOC_MMAP_THRESHOLD_"
_M_MMAP_THRESHOLD = -3  # of malloc.h
# What programs of the tests import; what is not installed is left out.
_PRELOADED = ("tensorflow", "matplotlib.pyplot", "sklearn.datasets", "psutil")
_STATUS = struct.Struct("<q")
_NewProcess = subprocess.Popen
_PYTHON = sys.executable

Done = collections.namedtuple("Done", "returncode stdout stderr")
"""The end of a program: its exit code, or minus the signal, and its texts."""


def run_script(path, *flags):
  """Runs `python path flags`; returns its `Done`."""
  return _run([str(path), *map(str, flags)])


def run_code(code, *flags):
  """Runs `python -c code flags`; returns its `Done`."""
  return _run(["-c", code, *map(str, flags)])


def _run(arguments):
  start()
  environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
  environment["PYTHONPATH"] = _search_path()
  done = subprocess.run(
    [sys.executable, "-W", "ignore", *arguments],
    stdin=subprocess.DEVNULL,
    capture_output=True,
    encoding="utf-8",
    timeout=TIMEOUT_S,
    env=environment,
  )
  return Done(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def new_processes():
  """Makes `subprocess` start new interpreters, as it does by itself."""
  with mock.patch.dict(os.environ, {ADDRESS: ""}):
    yield


def start():
  """Starts a server, unless there is one that this process may use."""
  subprocess.Popen = Popen
  if ADDRESS in os.environ:
    return
  folder = tempfile.TemporaryDirectory(prefix="forks_")
  path = os.path.join(folder.name, "socket")
  with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen(64)  # who connects now waits for the imports
    server = _NewProcess(
      [sys.executable, "-W", "ignore", "-m", "tests.forks"]
      + [str(listener.fileno())],
      stdin=subprocess.PIPE,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      pass_fds=[listener.fileno()],
      cwd=str(ROOT),
      env=dict(os.environ, PYTHONPATH=_search_path(), TF_CPP_MIN_LOG_LEVEL="3"),
    )
  os.environ[ADDRESS] = path
  atexit.register(_stop, server, folder, os.getpid())


def _search_path():
  paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
  return os.pathsep.join(filter(None, paths))


def _stop(server, folder, owner):
  if os.getpid() == owner:
    server.stdin.close()
    server.wait()
    folder.cleanup()


class Popen(_NewProcess):
  """`subprocess.Popen`, whose Python programs are forks of the server."""

  _connection = None

  # The arguments that it takes are the first of many, from Python 3.7 on.
  def _execute_child(self, command, executable, preexec_fn, close_fds, *rest):
    pass_fds, cwd, env = rest[:3]
    environment = dict(os.environ if env is None else env)
    program = _program(command)
    if not program or preexec_fn or pass_fds or not _suits(environment):
      super()._execute_child(command, executable, preexec_fn, close_fds, *rest)
      return
    pairs = ((rest[6], rest[7]), (rest[9], rest[8]), (rest[11], rest[10]))
    files = [k if child == -1 else child for k, (child, _) in enumerate(pairs)]
    folder = os.getcwd() if cwd is None else os.fspath(cwd)
    self._connection = socket.socket(socket.AF_UNIX)
    self._connection.connect(environment[ADDRESS])
    _send(self._connection, [*program, folder, environment], files)
    self.pid = _receive_number(self._connection)
    self._child_created = True
    for child, ours in pairs:
      if -1 not in (child, ours):
        os.close(child)
    if hasattr(self, "_devnull"):
      os.close(self._devnull)
    self._closed_child_pipe_fds = True

  def send_signal(self, sig):
    """Sends a signal; to a fork that has ended, which may be gone, none."""
    try:
      super().send_signal(sig)
    except ProcessLookupError:
      if self._connection is None:
        raise

  def _internal_poll(self, _deadstate=None, **unused):
    if self._connection is None:
      return super()._internal_poll(_deadstate)
    if self.returncode is None and self._waitpid_lock.acquire(False):
      try:
        if self.returncode is None and self._try_wait(os.WNOHANG)[0]:
          self._handle_exitstatus(self._status)
      finally:
        self._waitpid_lock.release()
    return self.returncode

  def _try_wait(self, wait_flags):
    if self._connection is None:
      return super()._try_wait(wait_flags)
    waits = [self._connection]
    if wait_flags & os.WNOHANG and not select.select(waits, [], [], 0)[0]:
      return 0, 0
    self._status = _receive_number(self._connection)
    self._connection.close()
    return self.pid, self._status


def _program(command):
  """Returns the kind, the program and the arguments of a Python command."""
  command = [] if isinstance(command, (str, bytes)) else list(command)
  if not command or command.pop(0) != _PYTHON:
    return None
  if command[:2] == ["-W", "ignore"]:
    del command[:2]
  if len(command) > 1 and command[0] in ("-c", "-m"):
    return command[0], command[1], command[2:]
  if command and not command[0].startswith("-"):
    return "", os.path.abspath(command[0]), command[1:]
  return None


def _suits(environment):
  """Whether a fork of the server may have an environment."""
  ours = {key: os.environ.get(key) for key in {*os.environ, *environment}}
  known = os.environ.get(ADDRESS) and environment.get(ADDRESS)
  return bool(known) and not any(
    key.startswith(_EARLY) and environment.get(key) != value
    for key, value in ours.items()
    if key != _THRESHOLD
  )


def _send(connection, request, files):
  text = json.dumps(request).encode()
  numbers = struct.pack(f"{len(files)}i", *files)
  passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
  connection.sendmsg([_STATUS.pack(len(text))], passed)
  connection.sendall(text)


def _receive(connection, size):
  parts = []
  while size:
    parts.append(connection.recv(size))
    size -= len(parts[-1])
    if not parts[-1]:
      raise RuntimeError("The server of forks has ended.")
  return b"".join(parts)


def _receive_number(connection):
  return _STATUS.unpack(_receive(connection, _STATUS.size))[0]


def serve(listener):
  """Forks for each request; returns it, with its files, in the fork only."""
  forks = {}  # process id → connection
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  signal.set_wakeup_fd(writer)
  signal.signal(signal.SIGCHLD, lambda *_: None)
  while True:
    ready, _, _ = select.select([listener, reader, 0], [], [])
    if reader in ready:
      os.read(reader, 4096)
    for pid, status in _ended():
      with contextlib.suppress(OSError), forks.pop(pid) as connection:
        connection.sendall(_STATUS.pack(status))
    if listener in ready:
      connection, _ = listener.accept()
      try:
        request, files = _take(connection)
      except (OSError, RuntimeError):
        connection.close()
        continue
      pid = os.fork()
      if not pid:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (listener, connection, *forks.values()):
          each.close()
        os.close(reader)
        os.close(writer)
        return request, files
      for file in files:
        os.close(file)
      forks[pid] = connection
      with contextlib.suppress(OSError):
        connection.sendall(_STATUS.pack(pid))
    elif 0 in ready:
      return None


def _ended():
  """Yields the id and the status of each fork that has ended."""
  while True:
    try:
      pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
      return
    if not pid:
      return
    yield pid, status


def _take(connection):
  """Reads a request, and the files that come with it."""
  size = struct.calcsize("3i")
  data, passed, _, _ = connection.recvmsg(_STATUS.size, socket.CMSG_SPACE(size))
  files = [f for _, _, each in passed for f in struct.unpack("3i", each)]
  return json.loads(_receive(connection, _STATUS.unpack(data)[0])), files


def become(request, files):
  """Runs a program of a request in this process."""
  kind, program, arguments, folder, environment = request
  for number, file in enumerate(files):
    os.dup2(file, number)
  for file in files:
    os.close(file)
  os.chdir(folder)
  os.environ.clear()
  os.environ.update(environment)
  if environment.get(_THRESHOLD):
    malloc_options = ctypes.CDLL(None).mallopt
    malloc_options(_M_MMAP_THRESHOLD, int(environment[_THRESHOLD]))
  paths = environment.get("PYTHONPATH", "").split(os.pathsep)
  sys.path[1:1] = [p for p in paths if p and p not in sys.path]
  subprocess.Popen = Popen
  sys.argv = ["-c" if kind == "-c" else program, *arguments]
  if kind == "-m":
    sys.path[0] = folder
    runpy.run_module(program, run_name="__main__", alter_sys=True)
  elif kind == "-c":
    sys.path[0] = ""
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(program, "<string>", "exec"), vars(module))
  else:
    sys.path[0] = os.path.dirname(program)
    runpy.run_path(program, run_name="__main__")


def main():
  """Is the server, and in each fork the program."""
  modules = [p.relative_to(ROOT) for p in sorted(ROOT.glob("tangle/**/*.py"))]
  names = [
    ".".join(path.with_suffix("").parts)
    for path in modules
    if path.name != "__init__.py" and "frameworks" not in path.parts
  ]
  for name in (*_PRELOADED, *names):
    with contextlib.suppress(ImportError):
      importlib.import_module(name)
  gc.collect()
  gc.freeze()  # to look at these would copy the memory of each fork
  with socket.socket(fileno=int(sys.argv[1])) as listener:
    found = serve(listener)
  if found:
    _end(functools.partial(become, *found))


def _end(program):
  """Runs a program and ends the process, but takes nothing apart for that."""
  code = 0
  try:
    program()
  except SystemExit as error:
    code = error.code
    if code is not None and not isinstance(code, int):
      print(code, file=sys.stderr)
      code = 1
  except BaseException:
    sys.excepthook(*sys.exc_info())
    code = 1
  threading._shutdown()
  atexit._run_exitfuncs()
  with contextlib.suppress(OSError, ValueError):
    sys.stdout.flush()
  with contextlib.suppress(OSError, ValueError):
    sys.stderr.flush()
  os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
  main()

"""Clusters of `tf.train.Server`s on this machine, for trials and tests.

Each task is a separate process that listens on a free port and ends with the
process that started it. A server has no authentication and listens on all
interfaces: do not start one on a machine that others can reach.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, List, Mapping, Optional, Sequence

from tangle import errors, files
from tangle.compat import tf1

_READY = "ready"
JOB = "worker"


def device(task: int) -> str:
  """Returns the name of a task's device.

  Args:
    task: its index.

  Returns:
    A string, such as `"/job:worker/task:1"`.
  """
  return f"/job:{JOB}/task:{task}"


def free_ports(count: int) -> List[int]:
  """Finds ports that are free now; another process may take them later.

  Args:
    count: the number of ports.

  Returns:
    A list of ints.
  """
  sockets = [socket.socket() for _ in range(count)]
  try:
    for each in sockets:
      each.bind(("127.0.0.1", 0))
    return [each.getsockname()[1] for each in sockets]
  finally:
    for each in sockets:
      each.close()


class LocalCluster:
  """A TensorFlow cluster on this machine: one job, one process per task.

  Use it as a context manager: the tasks end when the block ends.

  Attributes:
    addresses: `host:port` of each task.
    target: the target of the first task, for `tf.compat.v1.Session`.
    log_dir: the folder of the tasks' logs, `task_0.log` and so on.
  """

  @errors.named("LocalCluster")
  def __init__(
    self,
    tasks: int = 2,
    threads: int = 0,
    log_dir: Optional[str] = None,
    ports: Optional[Sequence[int]] = None,
    *,
    environment: Optional[Mapping[str, str]] = None,
  ) -> None:
    """Starts the tasks and waits until all of them answer.

    Args:
      tasks: the number of tasks.
      threads: the number of threads with which each task computes; one more
        transfers values. With 0, TensorFlow chooses.
      log_dir: the folder for the tasks' logs, made if it is missing; by default
        a new temporary one. `close` does not remove it.
      ports: a port for each task; free ones by default.
      environment: environment variables of the tasks. They are added to those
        of this process, and replace those with the same name.

    Raises:
      ArgumentError: if `tasks` is not positive, `threads` is negative, or
        `ports` are not as many different port numbers.
      TrainingError: if a task does not start.
      FileError: if the logs cannot be written.
    """
    if not isinstance(tasks, int) or tasks < 1:
      raise errors.ArgumentError(
        f"tasks must be a positive int, got {tasks!r}."
      )
    if not isinstance(threads, int) or threads < 0:
      raise errors.ArgumentError(
        f"threads must be an int of 0 or more, got {threads!r}."
      )
    if ports is not None and len(ports) != tasks:
      raise errors.ArgumentError(
        f"got {len(ports)} ports for {tasks} tasks. Give one for each."
      )
    ports = free_ports(tasks) if ports is None else _check_ports(ports)
    self.addresses = [f"127.0.0.1:{port}" for port in ports]
    self.target = f"grpc://{self.addresses[0]}"
    self.log_dir = log_dir or tempfile.mkdtemp(prefix="tangle_cluster_")
    files.make_folder(self.log_dir)
    self._threads, self._environment = threads, dict(environment or {})
    self._processes = [None] * tasks
    try:
      for k in range(tasks):
        self._start(k)
      for k in range(tasks):
        self._wait(k)
    except BaseException:
      self.close()
      raise

  def _start(self, task):
    """Starts a task without waiting for it."""
    environment = {**os.environ, **self._environment}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "tangle.pipeline.clusters"]
    command += [",".join(self.addresses), str(task), str(self._threads)]
    path = self.log_of(task)
    with files.explained(path), open(path, "ab") as log:
      self._processes[task] = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
      )

  @errors.named("LocalCluster")
  def _wait(self, task):
    """Waits until a task answers."""
    line = self._processes[task].stdout.readline()
    if line.decode().strip() != _READY:
      raise errors.TrainingError(
        f"task {task} did not start at {self.addresses[task]}. "
        f"Its log, {self.log_of(task)}, says why; if the port is taken, name "
        f"others by ports."
      )

  def log_of(self, task: int) -> str:
    """Returns the path of a task's log; restarts append to the same file."""
    return os.path.join(self.log_dir, f"task_{task}.log")

  def process_id(self, task: int) -> int:
    """Returns the id of a task's process."""
    return self._processes[task].pid

  def is_alive(self, task: int) -> bool:
    """Whether a task's process exists; true also for a halted one."""
    return self._processes[task].poll() is None

  def kill(self, task: int) -> None:
    """Kills a task and waits for its end; its variables' values are lost."""
    self._processes[task].kill()
    self._processes[task].wait()
    self._close_pipes(task)

  def stop(self, task: int) -> None:
    """Halts a task; it keeps its memory and its connections.

    Returns when all threads of the task have stopped, or the task has ended.

    Args:
      task: its index.
    """
    process = self._processes[task]
    process.send_signal(signal.SIGSTOP)
    # Until the thread that takes the signal is scheduled, the others go on.
    while process.poll() is None and not _is_halted(process.pid):
      time.sleep(0.001)

  def resume(self, task: int) -> None:
    """Resumes a halted task."""
    self._processes[task].send_signal(signal.SIGCONT)

  def restart(self, task: int) -> None:
    """Kills a task and starts a new one, without state, at the same address.

    Args:
      task: its index.

    Raises:
      TrainingError: if it does not start.
    """
    self.kill(task)
    self._start(task)
    self._wait(task)

  def _close_pipes(self, task):
    self._processes[task].stdin.close()
    self._processes[task].stdout.close()

  def close(self) -> None:
    """Kills all tasks; the logs stay on the disk."""
    for task, process in enumerate(self._processes):
      if process is not None:
        self.kill(task)

  def __enter__(self) -> LocalCluster:
    return self

  def __exit__(self, *unused: Any) -> None:
    self.close()


def _check_ports(ports):
  """Returns ports as ints."""
  try:
    found = [int(port) for port in ports]
  except ValueError:
    found = []
  good = [port for port in found if 0 < port < 65536]
  if not found or len(set(good)) < len(ports):
    raise errors.ArgumentError(
      f"ports must be different numbers from 1 to 65535, got {list(ports)}."
    )
  return found


def _is_halted(number):
  """Whether all threads of a process have stopped, or it has ended."""
  folder = f"/proc/{number}/task"
  try:
    threads = os.listdir(folder)
  except FileNotFoundError:
    return True
  for thread in threads:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
      with open(f"{folder}/{thread}/stat") as file:
        state = file.read().rsplit(")", 1)[1].split()[0]
      if state not in "TtZX":
        return False
  return True


def _serve(addresses, task, threads):
  """Runs a task until standard input ends."""
  # Sending a value is an op, too: with only one thread, another task would wait
  # for the value as long as this one computes.
  config = tf1.ConfigProto(
    inter_op_parallelism_threads=threads and threads + 1,
    intra_op_parallelism_threads=threads,
  )
  server = tf1.train.Server(
    {JOB: addresses}, job_name=JOB, task_index=task, config=config
  )
  print(_READY, flush=True)
  while sys.stdin.buffer.read(1):
    time.sleep(0.01)
  del server
  os._exit(0)  # a server has no method to shut down


if __name__ == "__main__":
  _serve(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]))

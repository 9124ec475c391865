"""Executes tasks with dependencies, one after another or in threads."""

import contextlib
import threading
from typing import Any, FrozenSet, NamedTuple


class Task(NamedTuple):
  """A unit of work with its dependencies.

  Attributes:
    work: any object; the argument with which `call` is called for this task.
    after: indices of the tasks that must be done before; all of them come
      earlier in the list.
  """

  work: Any
  after: FrozenSet[int]


def may_overlap(tasks):
  """Whether any two of the tasks may be done at the same time.

  Args:
    tasks: a list of `Task`.

  Returns:
    A bool.
  """
  before = []  # for each task all direct and indirect dependencies
  for k, task in enumerate(tasks):
    before.append(task.after.union(*(before[n] for n in task.after)))
    if len(before[k]) < k:
      return True
  return False


def run_in_turn(tasks, call):
  """Does tasks one after another.

  Args:
    tasks: a list of `Task`.
    call: a function that does the `work` of a task.

  Returns:
    A list of what `call` returned, in the order of `tasks`. An error of `call`
    ends it.
  """
  return [call(task.work) for task in tasks]


def run_at_once(tasks, call, pool, takes_part=True):
  """Does each task as soon as those that it depends on are done.

  The thread that ends a task continues with one that this task makes ready, and
  submits others to the pool: no third thread has to wake up in between.
  When a task fails, no more are begun, and this waits for those in progress.

  Args:
    tasks: a list of `Task`.
    call: a function that does the `work` of a task, in any thread.
    pool: a `concurrent.futures.Executor`.
    takes_part: whether the calling thread does tasks, too.

  Returns:
    A list of what `call` returned, in the order of `tasks`.

  Raises:
    BaseException: what `call` raised, for the first that failed; the results of
      the other tasks are lost.
  """
  return _Progress(tasks, call, pool).run(takes_part)


class _Progress:
  """The progress of a list of tasks.

  A KeyboardInterrupt may stop the calling thread at any line here, even where a
  `with` is left but the lock not yet released. So only the busy threads of the
  pool are counted, and each counts itself.
  """

  def __init__(self, tasks, call, pool):
    self._tasks, self._call, self._pool = tasks, call, pool
    self._results = [None] * len(tasks)
    self._missing = [len(task.after) for task in tasks]
    self._readers = [[] for _ in tasks]  # task → those that depend on it
    for k, task in enumerate(tasks):
      for before in task.after:
        self._readers[before].append(k)
    self._lock = threading.RLock()
    self._left = len(tasks)
    self._busy = 0  # number of pool threads that do a task
    self._idle = threading.Event()  # no task is in progress, none will begin
    self._stopped, self._error = False, None

  def run(self, takes_part):
    """Does all tasks; see `run_at_once`."""
    begin = [k for k, missing in enumerate(self._missing) if not missing]
    try:
      if begin:
        self._work(begin, takes_part)
        self._idle.wait()
    except BaseException as error:
      with contextlib.suppress(RuntimeError):  # once it is not held any more
        while True:
          self._lock.release()
      self._stop(error)
      self._idle.wait()
      if not isinstance(error, Exception):  # such as KeyboardInterrupt
        raise
    error, self._error = self._error, None
    if error is not None:
      raise error
    return self._results

  def _work(self, ready, takes_part=True):
    """Does one ready task, then those that it makes ready.

    Args:
      ready: indices of ready tasks; the pool does all but the first.
      takes_part: whether this thread does the first one; else the pool does.
    """
    while ready:
      for k in ready[int(takes_part) :]:
        self._pool.submit(self._begin, k)
      if not takes_part:
        break
      k = ready[0]
      self._results[k] = self._call(self._tasks[k].work)
      ready = self._end(k)

  def _begin(self, k):
    """Does a task in the pool, unless another one has failed."""
    with self._lock:
      if self._stopped:
        return
      self._busy += 1
    try:
      self._work([k])
    except BaseException as error:  # raised again by the calling thread
      self._stop(error)
    with self._lock:
      self._busy -= 1
      self._look()

  def _end(self, k):
    """Records that a task is done; returns those that become ready."""
    ready = []
    with self._lock:
      self._left -= 1
      for reader in self._readers[k]:
        self._missing[reader] -= 1
        if not self._missing[reader]:
          ready.append(reader)
      self._look()
      return [] if self._stopped else ready

  def _stop(self, error):
    """Prevents more tasks from beginning, after an error."""
    with self._lock:
      self._stopped = True
      self._error = self._error or error
      self._look()

  def _look(self):
    """Wakes the calling thread if nothing is left to wait for."""
    if not self._busy and (self._stopped or not self._left):
      self._idle.set()

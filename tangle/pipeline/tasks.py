"""Tasks that depend on one another, done in turn or at once."""

import threading
from typing import Any, FrozenSet, NamedTuple


class Task(NamedTuple):
  """Something to do.

  Attributes:
    work: what is to be done, whatever `call` makes of it.
    after: indices of the tasks that must be done before, all of them earlier
      ones.
  """

  work: Any
  after: FrozenSet[int]


def may_overlap(tasks):
  """Whether two of the tasks could be done at once.

  Args:
    tasks: a list of `Task`.

  Returns:
    A bool.
  """
  before = []  # for each task all that must be done before, however far
  for k, task in enumerate(tasks):
    before.append(task.after.union(*(before[n] for n in task.after)))
    if len(before[k]) < k:
      return True
  return False


def run_in_turn(tasks, call):
  """Does tasks one after another.

  Args:
    tasks: a list of `Task`.
    call: a function of what is to be done.

  Returns:
    A list of what `call` returned, one for each task.
  """
  return [call(task.work) for task in tasks]


def run_at_once(tasks, call, pool, takes_part=True):
  """Does tasks as soon as those that they depend on are done.

  The thread that ends a task goes on with one that could not begin before, and
  hands others over to the pool: no third thread has to wake up in between.
  When a task fails, no more are begun, and those under way are waited for.

  Args:
    tasks: a list of `Task`.
    call: a function of what is to be done, for any thread.
    pool: a `concurrent.futures.Executor`.
    takes_part: whether the calling thread does tasks, too.

  Returns:
    A list of what `call` returned, one for each task.

  Raises:
    BaseException: what `call` raised, for the first that failed.
  """
  return _Progress(tasks, call, pool).run(takes_part)


class _Progress:
  """How far a list of tasks is done.

  A KeyboardInterrupt may end whatever the calling thread does here, at any
  line. So the threads of the pool alone are counted, when they begin.
  """

  def __init__(self, tasks, call, pool):
    self._tasks, self._call, self._pool = tasks, call, pool
    self._results = [None] * len(tasks)
    self._missing = [len(task.after) for task in tasks]
    self._readers = [[] for _ in tasks]  # task → those that depend on it
    for k, task in enumerate(tasks):
      for before in task.after:
        self._readers[before].append(k)
    self._lock = threading.Lock()
    self._left = len(tasks)
    self._busy = 0  # threads of the pool that do a task
    self._idle = threading.Event()  # no more is begun, and nothing under way
    self._stopped, self._error = False, None

  def run(self, takes_part):
    """Does all tasks; see `run_at_once`."""
    begin = [k for k, missing in enumerate(self._missing) if not missing]
    try:
      if begin:
        self._work(begin, takes_part)
        self._idle.wait()
    except BaseException as error:
      self._stop(error)
      self._idle.wait()
      if not isinstance(error, Exception):  # such as a key press
        raise
    error, self._error = self._error, None
    if error is not None:
      raise error
    return self._results

  def _work(self, ready, takes_part=True):
    """Does one of some tasks, and goes on with what that lets begin.

    Args:
      ready: indices of tasks that can begin; the pool does all but the first.
      takes_part: whether this thread does that one, or the pool, too.
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
    """Notes that a task is done; returns those that can begin now."""
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
    """Has no more tasks begin, after an error."""
    with self._lock:
      self._stopped = True
      self._error = self._error or error
      self._look()

  def _look(self):
    """Lets the calling thread go on, if it may."""
    if not self._busy and (self._stopped or not self._left):
      self._idle.set()

"""Tasks that depend on one another, done in turn or at once."""

import concurrent.futures
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

  When a task fails, no more are begun, and those under way are waited for.

  Args:
    tasks: a list of `Task`.
    call: a function of what is to be done, for any thread.
    pool: a `concurrent.futures.Executor`.
    takes_part: whether the calling thread does tasks, too. While it does one,
      what can be done after the others has to wait.

  Returns:
    A list of what `call` returned, one for each task.

  Raises:
    BaseException: what `call` raised, for the first that failed.
  """
  results = [None] * len(tasks)
  done, waiting, running = set(), list(range(len(tasks))), {}
  try:
    while waiting or running:
      ready = [k for k in waiting if tasks[k].after <= done]
      waiting = [k for k in waiting if k not in ready]
      own = ready[: int(takes_part)]
      others = ready[len(own) :]
      for k in others:
        running[pool.submit(call, tasks[k].work)] = k
      for k in own:
        results[k] = call(tasks[k].work)
        done.add(k)
      first = concurrent.futures.FIRST_COMPLETED
      finished, _ = concurrent.futures.wait(
        running, timeout=0 if own else None, return_when=first
      )
      for future in finished:
        k = running.pop(future)
        results[k] = future.result()
        done.add(k)
  finally:
    concurrent.futures.wait(running)
  return results

"""Recovery from lost tasks of a cluster, in new sessions."""

import time

from tangle import errors
from tangle.pipeline import faults

ERRORS = (errors.TaskLostError, *faults.SUSPECT)
"""The errors that a run raises when a task is lost."""

PAUSE_S = 1.0
"""Seconds between two attempts."""

ATTEMPTS = 3
"""How often in a row the same step may lose a task."""


class Recovery:
  """Waits until all tasks are back, and opens a new session.

  Attributes:
    has_stepped: whether a step was made since the last loss of a task; set by
      the loop.
  """

  def __init__(self, reopen, limit_s, say):
    """Stores the settings.

    Args:
      reopen: a function without arguments that returns a new session; with
        `None` there is no recovery.
      limit_s: the time limit from the loss of a task to the next step, in
        seconds.
      say: called with lines of text.
    """
    self._reopen, self._limit_s, self._say = reopen, limit_s, say
    self._step, self._count, self._end_s = None, 0, 0.0
    self.has_stepped = True

  def session(self, sess, error, step, signals, is_saved=True):
    """Closes a session, and returns a new one once all tasks answer.

    Args:
      sess: the session in which a run failed.
      error: the error that the run raised, one of `ERRORS`.
      step: how many steps had been done.
      signals: an `interrupts.Interrupts`; after a signal there is no waiting.
      is_saved: whether there is a checkpoint to resume from.

    Returns:
      A session, whose variables have no values yet.

    Raises:
      TaskLostError: if there is no checkpoint or no `reopen`, the time limit is
        over, a signal was received, or the same step has lost a task more than
        `ATTEMPTS` times.
      OpError: `error` itself, if no lost task caused it, as in a local session.
      Exception: what `reopen` raises.
    """
    address = faults.address_of(sess)
    if not address:
      raise error
    error = _explain(sess, address, error, step, is_saved)
    if self._reopen is None or not is_saved:
      raise error
    self._count = self._count + 1 if step == self._step else 1
    self._step = step
    if self.has_stepped:
      self._end_s = time.monotonic() + self._limit_s
    self.has_stepped = False
    self._say(f"After step {step}: {error}")
    faults.close(sess)
    while self._count <= ATTEMPTS and not signals.received:
      lost = faults.sweep(sess.graph, address, ())
      if not lost:
        return self._reopen()
      if time.monotonic() >= self._end_s:
        break
      self._say(f"Waiting for {' and '.join(lost)} of {address}.")
      time.sleep(PAUSE_S)
    raise error


def _explain(sess, address, error, step, is_saved):
  """Returns an error that names the lost task, as those of a pipeline do."""
  advice = (
    "Restart the task, and start the run again in the same folder, where it "
    "resumes from its newest checkpoint."
  )
  if not is_saved:
    advice = (
      "Nothing has been saved yet: restart the task, and begin the run again."
    )
  elif isinstance(error, errors.TaskLostError):
    return error
  lost = faults.sweep(sess.graph, address, ())
  is_loss = lost or isinstance(error, errors.TaskLostError)
  if not is_loss and not faults.tells_of_loss(error):
    return error
  found = errors.TaskLostError(
    f"after step {step}, {' and '.join(lost) or 'a task'} of the cluster "
    f"{address} was lost. {advice}"
  )
  found.__cause__ = error
  return found

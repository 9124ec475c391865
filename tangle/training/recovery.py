"""New sessions for those whose tasks of a cluster have been lost."""

import time

from tangle import errors
from tangle.pipeline import faults

ERRORS = (errors.TaskLostError, *faults.SUSPECT)
"""What a run raises when a task is lost."""

PAUSE_S = 1.0
"""Seconds between two attempts."""


class Recovery:
  """Waits until all tasks are back, and opens a new session."""

  def __init__(self, reopen, limit_s, say):
    """Does nothing yet.

    Args:
      reopen: a function without arguments that returns a new session, or
        `None`: a loss is not recovered from.
      limit_s: how many seconds may pass from a loss to the next step.
      say: called with lines of text.
    """
    self._reopen, self._limit_s, self._say = reopen, limit_s, say
    self._step, self._end_s = None, 0.0

  def session(self, sess, error, step, signals):
    """Returns a new session, once all tasks answer.

    Args:
      sess: the session in which a run failed.
      error: what the run raised, one of `ERRORS`.
      step: how many steps had been done.
      signals: an `interrupts.Interrupts`; after a signal nothing is waited for.

    Returns:
      A session, whose variables have no values yet.

    Raises:
      Exception: `error`, if there is no way to open sessions, the session is
        no session of a cluster, or time is over.
    """
    address = faults.address_of(sess)
    if self._reopen is None or not address:
      raise error
    now = time.monotonic()
    if step != self._step:
      self._step, self._end_s = step, now + self._limit_s
    self._say(f"After step {step}: {error}")
    faults.close(sess)
    while True:
      if signals.received or time.monotonic() >= self._end_s:
        raise error
      lost = faults.sweep(sess.graph, address, ())
      if not lost:
        return self._reopen()
      self._say(f"Waiting for {' and '.join(lost)} of {address}.")
      time.sleep(PAUSE_S)

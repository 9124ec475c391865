"""Frees values in the runtime that nobody will read, at the next call."""

import collections
import contextlib
import threading
import weakref
from typing import Any, Callable, NamedTuple

from tangle.compat import tf1
from tangle.partial import monitored


def drain(queue, sess, drop):
  """Drops queued values that nobody will read from a session's runtime.

  An item leaves the queue after it has been dropped, so that the next call
  repeats a drop that was interrupted. The caller must hold the lock that every
  caller with such items holds: two threads that dropped one key at the same
  time could wait for ever.

  Args:
    queue: a deque of items, each with a weak reference `sess` to its session;
      dropped items are removed.
    sess: the session; items of other sessions stay queued, unless their
      session no longer exists.
    drop: a function of an item and its session, which is `None` if it no
      longer exists. What it raises passes to the caller.
  """
  for _ in range(len(queue)):
    try:
      item = queue[0]
    except IndexError:  # another thread took it
      return
    owner = item.sess()
    if owner is not None and owner is not sess:
      queue.rotate(-1)
      continue
    drop(item, owner)
    with contextlib.suppress(ValueError):
      queue.remove(item)


class _Item(NamedTuple):
  sess: Any
  clean: Callable


class Leftovers:
  """Values that failed or interrupted steps may have left in the runtime."""

  def __init__(self):
    """Begins with no items."""
    self._items = collections.deque()
    self._lock = threading.RLock()

  def add(self, sess, clean):
    """Records a function for `clear` to call.

    Args:
      sess: the session of the step, to which a weak reference is kept.
      clean: a function of a session, which removes what the step has left
        there, if anything.
    """
    self._items.append(_Item(weakref.ref(_root(sess)), clean))

  def clear(self, sess):
    """Calls and forgets the functions that were added for a session.

    Errors of their runs are ignored. Functions of sessions that no longer exist
    are forgotten without a call.

    Args:
      sess: the session; each function is called with it.
    """

    def drop(item, owner):
      if owner is not None:
        with contextlib.suppress(tf1.errors.OpError, RuntimeError):
          item.clean(sess)

    if self._items:
      with self._lock:
        drain(self._items, _root(sess), drop)


def _root(sess):
  """Returns the session behind wrappers that last for one step only."""
  sess = getattr(sess, "limited", sess)
  return sess.within if isinstance(sess, monitored.Bound) else sess

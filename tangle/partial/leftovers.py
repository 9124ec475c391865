"""What lies in the runtime for nobody, and goes when the next call is made."""

import collections
import contextlib
import threading
import weakref
from typing import Any, Callable, NamedTuple

from tangle.compat import tf1
from tangle.partial import monitored


def drain(queue, sess, drop):
  """Drops what lies in the runtime of a session for nobody.

  An item leaves the queue when it has been dropped, so that one whose dropping
  is interrupted is dropped again by the next call. The caller holds a lock that
  all have who drop such items: two threads that dropped one key at once could
  wait for ever.

  Args:
    queue: a deque of items, each with a weak reference `sess` to its session.
    sess: the session; items of others stay, unless their session is gone.
    drop: a function of an item and its session, `None` if that is gone.
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
  """What steps may have left in the runtime that failed or were interrupted."""

  def __init__(self):
    """Holds nothing yet."""
    self._items = collections.deque()
    self._lock = threading.RLock()

  def add(self, sess, clean):
    """Notes how to remove something, which `clear` will do.

    Args:
      sess: the session of the step.
      clean: a function of a session, which removes what there is, if there is
        any.
    """
    self._items.append(_Item(weakref.ref(_root(sess)), clean))

  def clear(self, sess):
    """Removes what lies in the runtime of a session; errors are no matter.

    Args:
      sess: the session.
    """

    def drop(item, owner):
      if owner is not None:
        with contextlib.suppress(tf1.errors.OpError, RuntimeError):
          item.clean(sess)

    if self._items:
      with self._lock:
        drain(self._items, _root(sess), drop)


def _root(sess):
  """Returns the session that lasts longer than a step."""
  sess = getattr(sess, "limited", sess)
  return sess.within if isinstance(sess, monitored.Bound) else sess

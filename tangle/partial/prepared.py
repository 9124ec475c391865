"""Prepares runs of a session once, to repeat them at little cost.

In a training step of a few milliseconds, `Session.run` spends most of the time
looking up what to fetch and to feed. Here that is done once per session.

The ops run in TensorFlow's threads, as those of `Session.run` do. The runtime
can also run them in the calling thread, which takes some 25 microseconds less
per run. But TensorFlow's threads flush denormal numbers to zero and the calling
thread does not, so that the results would not be bit-identical.
"""

import operator
import threading

import numpy as np

from tangle import compat
from tangle.compat import tf1

_ATTRIBUTE = "_tangle_callables"


class Runs:
  """A cache of prepared runs, by what they fetch and what they are fed."""

  def __init__(self):
    """Begins with an empty cache."""
    self._runs = {}
    self._lock = threading.RLock()

  def run(self, sess, fetches, feed_dict):
    """Does what `sess.run(fetches, feed_dict)` does.

    The runtime does not check the shapes of fed arrays. `sess.run` itself is
    called, with all its checks, if the session is not a plain local one,
    something other than ops and tensors is fetched, a fed tensor is fetched,
    nothing is fetched, or a value cannot be converted to its tensor's dtype.

    Args:
      sess: a session.
      fetches: dicts, lists and tuples of tensors, of ops, or of whatever else
        a session fetches. The key of the cache is the identity of these items
        and of the fed tensors, with the nesting; the dicts and lists
        themselves may be new. Each new key adds a run, which stays.
      feed_dict: tensor → array; tensors of any shapes.

    Returns:
      Arrays, in dicts, lists and tuples as `fetches` has them, `None` for ops.

    Raises:
      OpError, RuntimeError, TypeError, ValueError: as `Session.run`.
    """
    if not compat.is_plain(sess):
      return sess.run(fetches, feed_dict)
    return self.get(fetches, feed_dict)(sess, feed_dict.values(), plain=True)

  def get(self, fetches, feeds):
    """Returns the run of these fetches and feeds, made at the first call.

    Args:
      fetches: as for `run`.
      feeds: the tensors that are fed, of any shapes; their order is that of
        the arrays that the run takes.

    Returns:
      A `Run`, to call with a session and the arrays.
    """
    # Keys are ids, as tensors cannot always be hashed on 2.x. The run holds
    # references to the objects, so that no others get the same ids.
    key = (tuple(map(id, feeds)), _identify(fetches))
    found = self._runs.get(key)
    if found is None:
      with self._lock:
        found = self._runs.setdefault(key, Run(fetches, feeds))
    return found


class Run:
  """One run, a callable of a session and arrays: its feeds and fetches.

  It makes TensorFlow's callable for a session at the first call with it. The
  session holds that callable, and frees it at its end.
  """

  def __init__(self, fetches, feeds):
    """Prepares nothing yet.

    Args:
      fetches: as `Runs.run` takes them.
      feeds: the tensors that are fed, of any shapes.
    """
    self._feeds = list(feeds)
    self._fed = {tensor.name for tensor in self._feeds}
    self._dtypes = [tensor.dtype.as_numpy_dtype for tensor in self._feeds]
    self._fetches = fetches
    self._tensors, self._targets, self._positions = [], [], {}
    self._is_simple = True
    self._restore = self._compile(fetches)

  def _compile(self, fetches):
    """Returns a function from the list of arrays to the nest of `fetches`."""
    if isinstance(fetches, dict):
      parts = [(key, self._compile(value)) for key, value in fetches.items()]
      return lambda found: {key: part(found) for key, part in parts}
    if type(fetches) in (list, tuple):
      kind, items = type(fetches), [self._compile(value) for value in fetches]
      return lambda found: kind([item(found) for item in items])
    if isinstance(fetches, tf1.Operation):
      self._targets.append(fetches)
      return lambda found: None
    # A callable cannot fetch a fed tensor; `Session.run` can.
    is_tensor = isinstance(fetches, tf1.Tensor)
    self._is_simple &= is_tensor and fetches.name not in self._fed
    # One array for each tensor, however often it is fetched, as `run` gives it.
    position = self._positions.setdefault(id(fetches), len(self._tensors))
    if position == len(self._tensors):
      self._tensors.append(fetches)
    return operator.itemgetter(position)

  def __call__(self, sess, arrays, plain=False):
    """Makes the run.

    Args:
      sess: a session.
      arrays: one for each of the feeds, in their order.
      plain: whether the caller has checked that `sess` is a plain local
        session.

    Returns:
      As `Runs.run`.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    simple = self._is_simple and (self._tensors or self._targets)
    if not simple or not (plain or compat.is_plain(sess)):
      return sess.run(self._fetches, dict(zip(self._feeds, arrays)))
    calls = vars(sess).get(_ATTRIBUTE)
    if calls is None:
      calls = vars(sess).setdefault(_ATTRIBUTE, {})
    call = calls.get(self)
    if call is None:
      made = compat.make_callable(
        sess, self._feeds, self._tensors, self._targets
      )
      call = calls.setdefault(self, made)
    try:
      values = [_convert(a, dtype) for a, dtype in zip(arrays, self._dtypes)]
    except (TypeError, ValueError, OverflowError, NotImplementedError):
      # The session's own error message is the clearest.
      return sess.run(self._fetches, dict(zip(self._feeds, arrays)))
    return self._restore(call(*values))


def _convert(value, dtype):
  """Returns a fed value as an array of `dtype`."""
  array = np.asarray(value, dtype)
  if isinstance(value, int) and array != value:
    raise ValueError(f"{value} is no {dtype}")
  return array


def _identify(fetches):
  """Returns a key for `fetches`, made of the ids of its leaves."""
  if isinstance(fetches, dict):
    return tuple((key, _identify(value)) for key, value in fetches.items())
  if type(fetches) in (list, tuple):
    return (type(fetches),) + tuple(map(_identify, fetches))
  return id(fetches)

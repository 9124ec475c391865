"""Runs of a session that are prepared once and made many times.

A training step of a few milliseconds is mostly `Session.run` looking up what to
fetch and to feed. Here that is done once for each session.

The ops run in TensorFlow's threads, as those of `Session.run` do. Its runtime
can also run them in the calling thread, which takes some 25 microseconds less
for a run. But its threads flush denormal numbers to zero and the calling
thread does not, so that the results would have other bits.
"""

import operator
import threading

import numpy as np

from tangle import compat
from tangle.compat import tf1

_ATTRIBUTE = "_tangle_callables"


class Runs:
  """The runs that something makes over and over, prepared."""

  def __init__(self):
    """Holds nothing yet."""
    self._runs = {}
    self._lock = threading.Lock()

  def run(self, sess, fetches, feed_dict):
    """Does what `sess.run(fetches, feed_dict)` does.

    The shapes of what is fed are not checked. A session that is not a plain
    local one is run as it is.

    Args:
      sess: a session.
      fetches: dicts, lists and tuples of tensors, of ops, or of whatever else
        a session fetches: always the same objects, lest runs heap up.
      feed_dict: tensor → array; tensors of any shapes.

    Returns:
      Arrays, in dicts, lists and tuples as `fetches` has them, `None` for ops.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    if not compat.is_plain(sess):
      return sess.run(fetches, feed_dict)
    return self.get(fetches, feed_dict)(sess, feed_dict.values(), plain=True)

  def get(self, fetches, feeds):
    """Returns the run of certain fetches and feeds, which is there but once.

    Args:
      fetches: as for `run`.
      feeds: the tensors that are fed, of any shapes.

    Returns:
      A `Run`.
    """
    # By identity, as tensors cannot be hashed everywhere on 2.x. The run holds
    # on to them, so that no others take their places.
    key = (tuple(map(id, feeds)), _identify(fetches))
    found = self._runs.get(key)
    if found is None:
      with self._lock:
        found = self._runs.setdefault(key, Run(fetches, feeds))
    return found


class Run:
  """One run: what it is fed and what it fetches.

  Sessions keep what is prepared for them, so that it goes with them.
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
    """Returns a function from the list of arrays to what was fetched."""
    if isinstance(fetches, dict):
      parts = [(key, self._compile(value)) for key, value in fetches.items()]
      return lambda found: {key: part(found) for key, part in parts}
    if type(fetches) in (list, tuple):
      kind, items = type(fetches), [self._compile(value) for value in fetches]
      return lambda found: kind([item(found) for item in items])
    if isinstance(fetches, tf1.Operation):
      self._targets.append(fetches)
      return lambda found: None
    # What is fed and fetched at once, too, only a session itself gives back.
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
      arrays: what is fed, one for each of the feeds, in their order.
      plain: whether the caller knows that `sess` is a plain local session.

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
      # The session says best what is wrong with it.
      return sess.run(self._fetches, dict(zip(self._feeds, arrays)))
    return self._restore(call(*values))


def _convert(value, dtype):
  """Returns an array of what is fed."""
  array = np.asarray(value, dtype)
  if isinstance(value, int) and array != value:
    raise ValueError(f"{value} is no {dtype}")
  return array


def _identify(fetches):
  """Returns what tells `fetches` from others, by identity."""
  if isinstance(fetches, dict):
    return tuple((key, _identify(value)) for key, value in fetches.items())
  if type(fetches) in (list, tuple):
    return (type(fetches),) + tuple(map(_identify, fetches))
  return id(fetches)

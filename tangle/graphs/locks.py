"""One lock for each graph, held by a thread that adds ops to it.

Name scopes are a thread's own, but the stacks of control dependencies and of
devices are the graph's: two threads that add ops at once, even for different
sub-models, leave them in disorder.
"""

import threading
import weakref

_locks = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def of(graph):
  """Returns the lock of a graph, made when it is first asked for.

  Args:
    graph: a `tf.Graph`.

  Returns:
    A `threading.RLock`, which lives as long as the graph.
  """
  with _guard:
    return _locks.setdefault(graph, threading.RLock())

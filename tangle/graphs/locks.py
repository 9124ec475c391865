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


def keep_runs_out(graph):
  """Keeps other threads from running a graph while its ops are changed.

  A session takes over, as it begins a run, the ops that were added since the
  last one; a change of their inputs comes too late then.

  Args:
    graph: a `tf.Graph`, of which this thread runs nothing until it leaves.

  Returns:
    A context manager. What adds ops may nest in it, in any thread.
  """
  # No public API does that. The method is the same in 1.15 and 2.x.
  return graph._mutation_lock()

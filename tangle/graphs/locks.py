"""One lock for each graph, held by a thread that adds ops to it.

Each thread has its own name scopes, but the stacks of control dependencies and
of devices belong to the graph: two threads that add ops at the same time, even
for different sub-models, corrupt them.
"""

import threading
import weakref

_locks = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def of(graph):
  """Returns the lock of a graph, made at the first call.

  Args:
    graph: a `tf.Graph`.

  Returns:
    A `threading.RLock`, which lives as long as the graph.
  """
  with _guard:
    return _locks.setdefault(graph, threading.RLock())


def keep_runs_out(graph):
  """Keeps other threads from beginning a run of a graph that is being changed.

  When a session begins a run, it copies the ops that were added since its last
  run. A later change of their inputs would be ignored. Runs that have begun
  before are not stopped, and continue.

  Args:
    graph: a `tf.Graph`. This thread must not begin a run of it within the
      context.

  Returns:
    A context manager. Within it, this thread may add ops, and may change the
    inputs of ops that it has added there.
  """
  # There is no public API. The method is the same in 1.15 and 2.x.
  return graph._mutation_lock()

"""Monitored sessions, which replace the session within them when it fails.

When a worker is lost, a `tf.train.MonitoredSession` makes a new session and
repeats the run in it. The new session lacks what earlier runs kept, so that a
run that reads it would wait for ever.
"""

from tangle import errors


def bind(sess):
  """Binds a monitored session to the `tf.Session` that is now within it.

  Args:
    sess: a session.

  Returns:
    A `Bound` for a monitored session; `sess` itself for any other.
  """
  return Bound(sess) if hasattr(sess, "run_step_fn") else sess


class Bound:
  """A monitored session, usable until the session within it is replaced.

  The hooks are called for `run`, but not for partial runs.

  Attributes:
    graph: the graph of the session.
    within: the `tf.Session` within it.
  """

  def __init__(self, sess):
    """Records which session is within `sess` now.

    Args:
      sess: a `tf.train.MonitoredSession`.
    """
    self.graph = sess.graph
    self._sess = sess
    self.within = _within(sess)

  def run(self, fetches, feed_dict=None, options=None, run_metadata=None):
    """Does what `sess.run` does, but does not retry in a new session.

    Args:
      fetches: as a session takes them.
      feed_dict: as a session takes it.
      options: as a session takes them.
      run_metadata: as a session takes it.

    Returns:
      The fetched values.

    Raises:
      CallError: if the session has been replaced, or is replaced by this run.
      OpError, RuntimeError: as the session.
    """
    begun = []

    def step(step_context):
      if begun or step_context.session is not self.within:
        raise _replaced()
      begun.append(True)
      return step_context.run_with_hooks(
        fetches, feed_dict, options, run_metadata
      )

    return self._sess.run_step_fn(step)

  def partial_run_setup(self, fetches, feeds=None):
    """Does what `Session.partial_run_setup` does.

    Args:
      fetches: as a session takes them.
      feeds: as a session takes them.

    Returns:
      A handle.

    Raises:
      CallError: if the session has been replaced.
    """
    self._check()
    return self.within.partial_run_setup(fetches, feeds)

  def partial_run(self, handle, fetches, feed_dict=None):
    """Does what `Session.partial_run` does.

    Args:
      handle: what `partial_run_setup` returned.
      fetches: as a session takes them.
      feed_dict: as a session takes it.

    Returns:
      The fetched values.

    Raises:
      CallError: if the session has been replaced.
    """
    self._check()
    return self.within.partial_run(handle, fetches, feed_dict)

  def _check(self):
    if _within(self._sess) is not self.within:
      raise _replaced()


def _within(sess):
  """Returns the `tf.Session` within a monitored session."""
  return sess.run_step_fn(lambda step_context: step_context.session)


def _replaced():
  return errors.CallError(
    "the monitored session has lost its session, with all that forward runs "
    "kept there, and has a new one. Call forward again; repeat the step."
  )

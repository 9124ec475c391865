"""Runs of a session in two parts, forward and backward.

TensorFlow's `partial_run` holds a run open between the two. An unfinished run
is never freed, and after one that fails its session cannot be used any more
(measured on 1.15 and 2.21).
"""

import threading

from tangle import errors


class PartialRun:
  """The feeds and fetches of the two parts of a run."""

  def __init__(self, feeds, fetches, late_feeds, late_fetches):
    """Adds nothing to the graph.

    Args:
      feeds: the tensors that the first part is fed, of any shapes.
      fetches: the tensors that it fetches, none of them fed.
      late_feeds: the tensors that the second part is fed.
      late_fetches: the tensors that the second part fetches.
    """
    self._feeds = list(feeds)
    self._fetches = list(fetches)
    self._late_feeds = list(late_feeds)
    self._late_fetches = list(late_fetches)

  def begin(self, sess, arrays):
    """Makes the first part.

    Args:
      sess: a session that has partial runs.
      arrays: one for each of the feeds, in their order.

    Returns:
      A handle for `finish`, and the list of the fetched values.

    Raises:
      CallError: if `sess` has no partial runs.
      OpError, RuntimeError: as `Session.partial_run`.
    """
    sess = raw_session(sess)
    handle = sess.partial_run_setup(
      self._fetches + self._late_fetches, self._feeds + self._late_feeds
    )
    fed = dict(zip(self._feeds, arrays))
    return handle, sess.partial_run(handle, self._fetches, fed)

  def finish(self, sess, handle, arrays):
    """Makes the second part.

    Args:
      sess: the session of the first part.
      handle: what `begin` returned.
      arrays: one for each of the late feeds, in their order.

    Returns:
      The list of the fetched values.

    Raises:
      CallError: if `sess` has no partial runs.
      OpError, RuntimeError: as `Session.partial_run`.
    """
    fed = dict(zip(self._late_feeds, arrays))
    return raw_session(sess).partial_run(handle, self._late_fetches, fed)


@errors.named("forward")
def raw_session(sess):
  """Returns the session that makes the partial runs of `sess`.

  Args:
    sess: a `tf.Session`, or a monitored session, whose hooks are not called for
      runs of the session within.

  Returns:
    A `tf.Session`.

  Raises:
    CallError: if `sess` is another kind of session, which has no partial runs.
  """
  if hasattr(sess, "partial_run"):
    return sess
  if not hasattr(sess, "run_step_fn"):
    raise errors.CallError(
      f"a {type(sess).__name__} has no partial_run, which TensorFlow "
      f"1 style loops need. Use a tf.compat.v1.Session."
    )
  return sess.run_step_fn(lambda step_context: step_context.session)


def without_interrupts(function):
  """Calls a function that a KeyboardInterrupt must not end.

  Only the main thread gets a KeyboardInterrupt, so another thread makes the
  call; from any other thread, the call is made at once. An interrupt during
  the call is raised when the call has returned.

  Args:
    function: a function without arguments.

  Returns:
    What `function` returns. An exception that it raises is raised here.
  """
  if threading.current_thread() is not threading.main_thread():
    return function()
  right, found, done = [None], [], threading.Event()

  def work():
    try:
      right.pop()  # if two threads try, only one succeeds
    except IndexError:
      return
    try:
      found.append((function(), None))
    except BaseException as error:
      found.append((None, error))
    done.set()

  try:
    threading.Thread(target=work, daemon=True).start()
    done.wait()
  except BaseException:
    try:
      right.pop()  # the call has not begun, and now will not
    except IndexError:
      done.wait()
    raise
  result, error = found[0]
  if error is not None:
    raise error
  return result

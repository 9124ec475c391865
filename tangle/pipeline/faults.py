"""Detects that a task of the cluster is lost, and ends the step.

Runs in a local session are not changed. In a session of a cluster each run has
a time limit, since a run that waits for a lost task may never end. When a run
fails and a lost task may be the cause, each task is queried by a separate
session, which also removes what the step has left there.

The variables of a lost task are lost, too: only a checkpoint has them.
"""

import contextlib
import numbers
import re
import threading
import time

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.partial import monitored, staging

TIMEOUT_S = 300.0
"""The default time limit of a run on a cluster, in seconds."""

GRACE_S = 1.0
"""Seconds to wait, beyond its time limit, for a run to return."""

ANSWER_S = 3.0
"""Seconds within which a task must answer, else it counts as lost."""

_MARGIN_S = 1.8  # after the time limit, to find out which task is lost

SUSPECT = (
  tf1.errors.UnavailableError,
  tf1.errors.AbortedError,
  tf1.errors.DeadlineExceededError,
  tf1.errors.CancelledError,
)
"""Errors that runs raise when a task is lost, and sometimes otherwise."""

_RESTARTED = re.compile(r'"(/job:\w+/replica:\d+/task:\d+)"\)? (?:just|was)')
_REMOTE = re.compile(r"remote target (/job:\w+/replica:\d+/task:\d+)")
_TRANSPORT = re.compile(
  r"grpc_status|GRPC error|Socket closed|Connection re|failed to connect"
  r"|restarted|Session (?:handle )?.*is not found"
)


class Limited:
  """A session of a cluster for one step, whose runs have a time limit.

  After a run has failed with one of `SUSPECT`, no more runs are made.

  Attributes:
    graph: the graph of the session.
    limited: the session.
    address: the target that the session was opened with.
    keys: the keys that runs have been fed.
    timed_out: whether a run exceeded its time limit.
    due: the time by which to report the lost tasks, by `time.monotonic`.
    updating: whether the run that changes the variables has begun.
  """

  def __init__(self, sess, address, timeout_s):
    """Makes no run.

    Args:
      sess: a session.
      address: the target that it was opened with.
      timeout_s: the time limit of a run, in seconds.
    """
    self.graph, self.limited, self.address = sess.graph, sess, address
    self.keys, self.timed_out, self.updating = set(), False, False
    self.due = 0.0
    self._timeout_s, self._failure = timeout_s, None
    milliseconds = max(1, int(timeout_s * 1000))
    self._options = tf1.RunOptions(timeout_in_ms=milliseconds)

  def run(self, fetches, feed_dict=None, options=None, run_metadata=None):
    """Does what `Session.run` does, within the time limit.

    Args:
      fetches, feed_dict, options, run_metadata: as a session takes them.

    Returns:
      The fetched values.

    Raises:
      OpError, RuntimeError: as `Session.run`; a `DeadlineExceededError` after
        the time limit; after an error of `SUSPECT`, the same error again.
    """
    for tensor, value in (feed_dict or {}).items():
      if tensor.dtype == tf1.int64 and np.ndim(value) == 0:
        self.keys.add(int(value))
    if isinstance(fetches, dict) and "update" in fetches:
      self.updating = True
    if options is None:
      return self._call(self.limited.run, fetches, feed_dict, self._options)
    both = tf1.RunOptions()
    both.MergeFrom(options)
    both.MergeFrom(self._options)
    return self._call(self.limited.run, fetches, feed_dict, both, run_metadata)

  def partial_run_setup(self, fetches, feeds=None):
    """Does what `Session.partial_run_setup` does, within the time limit.

    Args:
      fetches, feeds: as a session takes them.

    Returns:
      A handle.

    Raises:
      OpError, RuntimeError: as `run`.
    """
    return self._call(self.limited.partial_run_setup, fetches, feeds)

  def partial_run(self, handle, fetches, feed_dict=None):
    """Does what `Session.partial_run` does, within the time limit.

    Args:
      handle: what `partial_run_setup` returned.
      fetches, feed_dict: as a session takes them.

    Returns:
      The fetched values.

    Raises:
      OpError, RuntimeError: as `run`.
    """
    return self._call(self.limited.partial_run, handle, fetches, feed_dict)

  def _call(self, function, *arguments):
    """Calls a method of the session in a thread that may be abandoned."""
    if self._failure is not None:
      raise self._failure
    begin = time.monotonic()
    try:
      call = _Thread(function, arguments, self.graph)
      return call.result(self._timeout_s + GRACE_S)
    except SUSPECT as error:
      self._failure = error
      self.due = begin + self._timeout_s + _MARGIN_S
      if isinstance(error, tf1.errors.DeadlineExceededError):
        self.timed_out |= time.monotonic() - begin >= self._timeout_s
      raise


class _Thread:
  """A call in a separate thread, which need not be waited for."""

  def __init__(self, function, arguments, graph):
    self._found, self._error = None, None
    self._done = threading.Event()
    self._work = function, arguments, graph
    threading.Thread(target=self._run, daemon=True).start()

  def _run(self):
    function, arguments, graph = self._work
    try:
      with graph.as_default():
        self._found = function(*arguments)
    except BaseException as error:
      self._error = error
    self._done.set()

  def result(self, seconds):
    """Returns what the call returned, or raises what it raised."""
    if not self._done.wait(max(0.0, seconds)):
      raise tf1.errors.DeadlineExceededError(
        None, None, f"No answer in {seconds:.1f} s."
      )
    if self._error is not None:
      raise self._error
    return self._found


def check_timeout(timeout_s):
  """Returns the time limit of a pipeline.

  Args:
    timeout_s: the time limit, in seconds.

  Returns:
    `timeout_s`.

  Raises:
    ArgumentError: if it is not a positive number.
  """
  if not (isinstance(timeout_s, numbers.Real) and timeout_s > 0):
    raise errors.ArgumentError(
      f"timeout_s must be a positive number of seconds, got {timeout_s!r}."
    )
  return timeout_s


def address_of(sess):
  """Returns the target of a session, empty if the session is local.

  Args:
    sess: a session, or what `monitored.bind` returned.

  Returns:
    A string.
  """
  if isinstance(sess, monitored.Bound):
    sess = sess.within
  address = getattr(sess, "sess_str", None) or ""
  return address.decode() if isinstance(address, bytes) else address


def call(pipeline, sess, work):
  """Makes the runs of a step; closes the session if a task is lost.

  Args:
    pipeline: the `Pipeline`.
    sess: a session.
    work: a function that makes the runs, called with `sess` if that is local,
      else with a `Limited`.

  Returns:
    What `work` returns.

  Raises:
    TaskLostError: if a task is lost, or a run exceeds the time limit. Other
      errors of `work` pass as they are.
  """
  address = address_of(sess)
  if not address:
    return work(sess)
  left = pipeline.left_keys  # of steps in earlier sessions
  if left and not sweep(pipeline.graph, address, left):
    left.clear()
  limited = Limited(sess, address, pipeline.timeout_s)
  try:
    return work(limited)
  except SUSPECT as error:
    rest = limited.due - time.monotonic()
    seconds = min(max(rest, _MARGIN_S - GRACE_S), ANSWER_S)
    lost = sweep(pipeline.graph, address, limited.keys, seconds)
    message = _explain(pipeline, limited, str(error), lost)
    if message is None:
      raise
    pipeline.left_keys.update(limited.keys)
    session = sess.within if isinstance(sess, monitored.Bound) else sess
    close(session)
    raise errors.TaskLostError(message) from error
  except Exception:
    raise
  except BaseException:  # such as KeyboardInterrupt; a run may be in progress
    pipeline.left_keys.update(limited.keys)
    raise


def close(sess):
  """Closes a session in a thread, as it may wait for a lost task.

  Args:
    sess: a session, which may be closed already. Its errors are ignored.
  """

  def end():
    with contextlib.suppress(tf1.errors.OpError, RuntimeError):
      sess.close()

  threading.Thread(target=end, daemon=True).start()


def _explain(pipeline, limited, text, lost):
  """Returns the error message, or `None` if no task has been lost."""
  named = _RESTARTED.findall(text) or _REMOTE.findall(text)
  first, more = "Open", ""
  if lost:
    several = len(lost) > 1
    what = f"{' and '.join(lost)} of the cluster {limited.address} "
    what += "are lost" if several else "is lost"
    first = f"Restart the task{'s' * several}, open"
  elif limited.timed_out:
    what = (
      f"a run on the cluster {limited.address} took longer than "
      f"timeout_s={pipeline.timeout_s:g}, though all tasks answer now"
    )
    more = (
      " If no task has been restarted, the run was only too slow: give "
      "tangle.Pipeline a longer timeout_s, too."
    )
  elif tells_of_loss(text):
    who = named[-1].replace("/replica:0", "") if named else "a task"
    what = f"{who} of the cluster {limited.address} was lost and is back, empty"
  else:
    return None
  state = "Trainable variables are as before this step"
  if limited.updating:
    state = "The update had begun and may be applied on some tasks only"
  return (
    f"{what}. {state}. {first} a new session (this one is closed), and restore "
    f"all variables from the last checkpoint.{more}"
  )


def sweep(graph, address, keys, seconds=ANSWER_S):
  """Removes the values under certain keys, on each task that answers.

  Threads continue to query the tasks that do not answer in time.

  Args:
    graph: the graph whose staging areas are emptied.
    address: the target to open sessions with.
    keys: ints.
    seconds: how long to wait for answers.

  Returns:
    A sorted list of the tasks that do not answer, as `"/job:worker/task:1"`.
  """
  areas = {task: {} for task in _tasks(graph)}
  for op in graph.get_operations():
    if op.type == "MapStage":
      place = (op.get_attr("shared_name"), op.device)
      areas.setdefault(_task_of(op.device), {})[place] = op
  unplaced = areas.pop("", {})
  threads = {
    task: _Thread(_drop, (address, [task], list(ops.values()), keys), graph)
    for task, ops in areas.items()
  }
  lost = sorted(_failed(threads, seconds))
  if unplaced:
    filters = [task for task in threads if task not in lost] if lost else []
    arguments = address, filters, list(unplaced.values()), keys
    _Thread(_drop, arguments, graph)
  return lost


def ask(address, tasks, seconds=ANSWER_S):
  """Finds out whether tasks of a cluster answer.

  `Session.list_devices` would wait for a lost task, and block all other Python
  threads meanwhile.

  Args:
    address: the target to open sessions with.
    tasks: a list such as `["/job:worker/task:1"]`; `""` in it stands for all.
    seconds: how long to wait until all have answered.

  Returns:
    A dict from each of `tasks` that does not answer to the error.
  """
  threads = {
    task: _Thread(_drop, (address, [task] if task else [], [], ()), tf1.Graph())
    for task in tasks
  }
  return _failed(threads, seconds)


def _failed(threads, seconds):
  """Returns task → error, for threads that failed or did not end in time."""
  found, end = {}, time.monotonic() + seconds
  for task, thread in threads.items():
    try:
      thread.result(end - time.monotonic())
    except (tf1.errors.OpError, RuntimeError) as error:
      found[task] = error
  return found


def tells_of_loss(error):
  """Whether the message of a TensorFlow error says that a task is lost."""
  text = str(error)
  return any(
    pattern.search(text) for pattern in (_RESTARTED, _REMOTE, _TRANSPORT)
  )


def _tasks(graph):
  """Returns the tasks on which ops of a graph are placed."""
  devices = {op.device for op in graph.get_operations()}
  return {_task_of(device) for device in devices} - {""}


def _task_of(device):
  """Returns the task of a device, empty if it names none."""
  spec = tf1.DeviceSpec.from_string(device)
  return "" if spec.job is None else f"/job:{spec.job}/task:{spec.task or 0}"


def _drop(address, tasks, puts, keys):
  """Drops keys on certain tasks only, in a new session."""
  config = tf1.ConfigProto(device_filters=tasks, operation_timeout_in_ms=16000)
  with tf1.Graph().as_default() as graph:
    key_ph = tf1.placeholder(tf1.int64, [])
    drops = [staging.StagingArea.of(op).drop(key_ph) for op in puts]
    with tf1.device(tasks[0] if tasks else None):
      answer = tf1.random.uniform([])
  sess = tf1.Session(address, graph=graph, config=config)
  try:
    sess.run(answer)
    for key in sorted(keys) if drops else ():
      sess.run(drops, {key_ph: key})
  finally:
    sess.close()

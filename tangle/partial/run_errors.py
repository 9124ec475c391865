"""Explains errors of session runs in one line, with a remedy.

TensorFlow's messages name ops; these name the feeds and variables of the user.
Nothing here runs unless a run has failed. Errors that are not known here are
not explained, and their callers let them pass unchanged.
"""

import collections
import functools
import re
from typing import Any, NamedTuple

import numpy as np

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import walk

ERRORS = (tf1.errors.OpError, RuntimeError)
"""The errors that `Session.run` raises when a run fails."""

_SHOWN = 3  # how many variables a message names
_MOST_READS = 8  # of reference variables, one run each


UNFED = {
  "forward": "Feed it.",
  "backward": "A backward run is fed upstream gradients only: fetch what is "
  "computed from SubModel.gradients, and run other ops by sess.run() with "
  "their feeds. Keep a setting that changes, such as a learning rate, in a "
  "variable.",
}
"""What to do about a placeholder that a run is not fed, for each kind of run.

Nothing else can be fed to a backward run.
"""


class Fed(NamedTuple):
  """A value that was fed to a run.

  Attributes:
    label: how messages name it.
    tensor: the tensor that it was fed for, of any shape.
    value: the array.
  """

  label: str
  tensor: Any
  value: Any


def check_session(sess, graph, call, remedy):
  """Refuses an argument that is not a session on a graph.

  Args:
    sess: the argument.
    graph: the graph that the session must run.
    call: how to call, such as `"step(sess, batch)"`.
    remedy: the expression that gives the graph, such as `"pipeline.graph"`.

  Raises:
    ArgumentError: if `sess` is no session.
    SessionError: if it is a monitored session that is closed.
    GraphError: if it runs another graph.
  """
  graph_of = getattr(sess, "graph", sess)
  if graph_of is graph and hasattr(sess, "run"):
    return
  if isinstance(sess, type) or graph_of is sess or not hasattr(sess, "run"):
    given = f"the class {sess.__name__}" if isinstance(sess, type) else None
    raise errors.ArgumentError(
      f"sess must be a session, got {given or type(sess).__name__}. "
      f"Call {call} with an open session first."
    )
  if graph_of is None:
    raise errors.SessionError(_closed())
  raise errors.GraphError(
    f"the session runs another graph. Open it with "
    f"tf.compat.v1.Session(graph={remedy})."
  )


def reraise(error, sess, fed=(), unfed=UNFED["forward"]):
  """Raises an explanation of an error of a run, if there is one.

  Returns if the error is not known here; the caller must then raise `error`
  again. May run `sess` to find the variables without values.

  Args:
    error: the error that the run raised.
    sess: its session.
    fed: the `Fed` values of the run.
    unfed: what to do about a placeholder that is not fed, one of `UNFED`.

  Raises:
    SessionError: if the session is closed or was cancelled, or a variable or a
      table has no value.
    ArgumentError: if a placeholder is not fed, or an id is out of range.
    ShapeError: if shapes do not fit one another.
  """
  found = explain(error, sess, fed, unfed)
  if found is not None:
    raise found from error


def explain(error, sess, fed=(), unfed=UNFED["forward"]):
  """Returns an error that explains an error of a run, `None` if it cannot.

  Args:
    error: the error that the run raised.
    sess: its session.
    fed: the `Fed` values of the run.
    unfed: as for `reraise`.

  Returns:
    One of the errors of `reraise`, which is not raised here; `None` also for a
    `TangleError`.
  """
  is_known = isinstance(error, ERRORS)
  if not is_known or isinstance(error, errors.TangleError):
    return None
  text = errors.summarize(error)
  if not isinstance(error, tf1.errors.OpError):
    known = "closed Session" in text
    return errors.SessionError(_closed()) if known else None
  without = functools.partial(_unfed, unfed)
  for make in (_cancelled, _uninitialized, without, _out_of_range, _misfit):
    found = make(error, text, sess, fed)
    if found is not None:
      return found
  return None


def _closed():
  return "the session is closed. Open a new session for this call."


def _cancelled(error, text, sess, fed):
  """Explains a cancelled run of a local session, but not of a queue."""
  is_local = not getattr(sess, "sess_str", None) and hasattr(sess, "sess_str")
  if not isinstance(error, tf1.errors.CancelledError) or not is_local:
    return None
  try:
    sess.run([])
  except RuntimeError:
    return errors.SessionError(
      "the session was closed during the run. Open a new session, "
      "and close it after the last run."
    )
  if re.search(r"(Run call was|RecvAsync is|Step was) cancelled", text):
    return errors.SessionError(
      "the run was cancelled. TensorFlow cancels a session in which "
      "a partial run, as of store='session', has failed. Open a new session."
    )
  return None


_NO_VALUE = re.compile(
  r"uninitialized value ([\w./\\-]+)"
  r"|Could not find variable (.+?)\. "
  r"|reading resource variable (\S+) from"
  r"|Could not find resource: \w+/([^)]+)\)"
  r"|Resource \w+/(.+)/\S+ does not exist"
)


def _uninitialized(error, text, sess, fed):
  """Explains that variables or tables have no values."""
  if "Table not initialized" in text:
    return errors.SessionError(
      f"a lookup table has no entries yet. Run "
      f"{_line(sess, 'tables_initializer')} before."
    )
  match = _NO_VALUE.search(text)
  if match is None:
    return None
  name = next(group for group in match.groups() if group)
  variables = collections.OrderedDict(
    (variable.op.name, (variable, line))
    for key, line in (
      (tf1.GraphKeys.LOCAL_VARIABLES, "local_variables_initializer"),
      (tf1.GraphKeys.GLOBAL_VARIABLES, "global_variables_initializer"),
    )
    for variable in sess.graph.get_collection(key)
    if hasattr(variable, "op")
  )
  if name not in variables and isinstance(error, tf1.errors.NotFoundError):
    return None  # another resource, such as a lookup table
  line = variables.get(name, (None, "global_variables_initializer"))[1]
  others = [v for v, own in variables.values() if own == line]
  names = _without_value(sess, others) or [name]
  shown = ", ".join(map(repr, names[:_SHOWN]))
  more = len(names) - _SHOWN  # not all reference variables are looked at
  if more > 0:
    is_count = all(map(compat.is_resource_variable, others))
    shown += f" and {more} more" if is_count else " and more"
  verb = "variable {} has no value"
  if len(names) > 1:
    verb = "variables {} have no values"
  return errors.SessionError(
    f"the {verb.format(shown)} in this session. Run "
    f"{_line(sess, line)} after everything is built, or restore a checkpoint."
  )


def _line(sess, initializer):
  """Returns the line of code that runs an initializer."""
  line = f"sess.run(tf.compat.v1.{initializer}())"
  if tf1.executing_eagerly() or tf1.get_default_graph() is not sess.graph:
    return f"`with sess.graph.as_default(): {line}`"
  return line


def _without_value(sess, variables):
  """Names the variables without values, as far as existing ops can tell."""
  if not compat.is_plain(sess):
    return []
  probes, names, runs = {}, [], 0
  for variable in variables:
    readers = {op.type: op for op in variable.op.outputs[0].consumers()}
    for kind in ("VarIsInitializedOp", "IsVariableInitialized"):
      if kind in readers:
        probes[variable.op.name] = readers[kind].outputs[0]
        break
    else:  # a reference variable, read in a run of its own
      if "Identity" in readers and runs < _MOST_READS and len(names) <= _SHOWN:
        runs += 1
        try:
          sess.run(readers["Identity"])
        except tf1.errors.FailedPreconditionError:
          names.append(variable.op.name)
        except ERRORS:
          return []
  try:
    found = sess.run(probes)
  except ERRORS:  # a partial run that failed has cancelled the session
    return []
  return names + [name for name, has_value in found.items() if not has_value]


_DTYPES = {"float": "float32", "double": "float64", "half": "float16"}


def _unfed(remedy, error, text, sess, fed):
  """Explains that a placeholder was not fed."""
  match = re.search(
    r"You must feed a value for placeholder tensor '(.+?)' with dtype (\w+)"
    r"(?: and shape (\[.*?\]))?",
    text,
  )
  if match is None:
    return None
  name, dtype, shape = match.groups()
  return errors.ArgumentError(
    f"the placeholder '{name}:0' needs a value, "
    f"{_DTYPES.get(dtype, dtype)} of shape {shape or 'any'}, and is not fed. "
    f"{remedy}"
  )


_RANGE = re.compile(
  r"indices(?:\[[\d,]*\])? = (-?\d+) is not in \[(-?\d+), ?(-?\d+)\)"
  r"|label value of (-?\d+) which is outside the valid range of "
  r"\[(-?\d+), ?(-?\d+)\)"
)


def _out_of_range(error, text, sess, fed):
  """Explains that an id is not in the range of a table or of the classes."""
  match = _RANGE.search(text)
  if match is None:
    return None
  value, low, high = (int(group) for group in match.groups() if group)
  holders = []
  for each in _sources(error, fed):
    array = np.asarray(each.value)
    if array.dtype.kind in "iu":
      places = np.argwhere(array == value)
      if len(places):
        place = places[0].tolist()
        holders.append(f"{each.label} has the id {value} at {place}")
  what = " and ".join(holders) or f"an id is {value}"
  op = f" of the op {error.op.name!r}" if error.op is not None else ""
  return errors.ArgumentError(
    f"{what}, which is out of the range{op}: ids must be from {low} "
    f"to {high - 1}. Correct the ids, or build the network for more of them."
  )


def _sources(error, fed):
  """Returns those of `fed` on which the op of an error depends, or all."""
  if error.op is None:
    return fed
  ops = walk.ancestors([error.op])
  found = {tensor.name for op in ops for tensor in op.outputs}
  return [each for each in fed if each.tensor.name in found] or fed


_SHAPES = re.compile(
  r"[Ii]ncompatible shapes|broadcastable|size-incompatible|In\[0\] mismatch"
  r"|same first dimension|must have the same (?:size and )?shape"
  r"|ConcatOp : Dimension|Shapes of all inputs must match"
  r"|Input to reshape is a tensor with|must match length of targets"
  r"|same size as dimension 0"
)


def _misfit(error, text, sess, fed):
  """Explains that shapes do not fit one another, such as batch sizes."""
  if _SHAPES.search(text) is None:
    return None
  shapes = {each.label: np.shape(each.value) for each in fed}
  rows = {
    np.shape(each.value)[0]
    for each in fed
    if np.ndim(each.value) and _is_free(each.tensor.shape)
  }
  listed = ", ".join(f"{label} {shape}" for label, shape in shapes.items())
  at = f" at the op {error.op.name!r}" if error.op is not None else ""
  if len(rows) > 1:
    return errors.ShapeError(
      f"the batch sizes differ: {listed}. TensorFlow says{at}: "
      f"{text.rstrip('.')}. Feed arrays with the same number of rows."
    )
  fed_shapes = f" The fed shapes are: {listed}." if listed else ""
  return errors.ShapeError(
    f"shapes do not fit one another{at}: {text.rstrip('.')}."
    f"{fed_shapes} Correct a fed shape, or how the network uses it."
  )


def _is_free(shape):
  """Whether the first dimension of a static shape is unknown."""
  return shape.rank is None or (
    shape.rank > 0 and tf1.dimension_value(shape[0]) is None
  )

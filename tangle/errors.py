"""The exceptions that tangle raises, in one tree.

Every class derives from `TangleError` and from the builtin exception that a
caller who does not know tangle would catch. A message names the caller, the
argument, what was expected, what was given, and the remedy.
"""


def summarize(error):
  """Returns what an error says in one line.

  Args:
    error: an exception; one of TensorFlow's says where its op was made, too,
      and on TensorFlow 2 that comes first.

  Returns:
    A string without line breaks, "" if it says nothing.
  """
  text = getattr(error, "message", None) or str(error)
  lines = [line.strip() for line in str(text).split("\n")]
  for number, line in enumerate(lines):
    if number and line.startswith(("[[{{node", "[[node")):
      return lines[number - 1]
  return lines[0]


class TangleError(Exception):
  """Base of every exception that tangle raises on purpose."""


class ArgumentError(TangleError, ValueError):
  """An argument has a value that the callee cannot take."""


class ShapeError(TangleError, ValueError):
  """A tensor or an array has another shape than it must have."""


class DtypeError(TangleError, TypeError):
  """A tensor or an array has another dtype than it must have."""


class GraphError(TangleError, ValueError):
  """A tensor belongs to another graph, or may not be fed or fetched."""


class DisconnectedError(TangleError, ValueError):
  """A tensor does not depend on what it must depend on."""


class CutError(TangleError, ValueError):
  """The graph cannot be cut here, or not with this store."""


class CallError(TangleError, RuntimeError):
  """A forward call is used twice, after its end, or with another session."""


class BucketError(TangleError, ValueError):
  """An example does not fit the largest bucket."""


class DataError(TangleError, ValueError):
  """A record of the data cannot be used."""


class MissingPackageError(TangleError, ImportError):
  """An optional package is needed and not installed."""


class TaskLostError(TangleError, RuntimeError):
  """A task of a cluster does not answer, or has lost what it held."""


class TrainingError(TangleError, RuntimeError):
  """A training run cannot go on."""


class FileError(TangleError, OSError):
  """A file cannot be read or written; the message says which, and what to do.

  Its `errno` is that of the system's error, or `None`.
  """

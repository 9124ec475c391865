"""The exceptions that tangle raises, in one tree.

Every class derives from `TangleError` and from the builtin exception that a
caller who does not know tangle would catch. A message names the caller, the
argument, what was expected, what was given, and the remedy.
"""

from __future__ import annotations

import difflib
import re
import sys
import types
from typing import Iterable

_PROGRAMS = ("tangle.benchmarks.", "tangle.experiments.")
_THROUGH = (  # packages through which tangle calls its own functions
  "concurrent",
  "contextlib",
  "copy",
  "functools",
  "keras",
  "numpy",
  "pickle",
  "tensorflow",
  "tensorflow_core",  # the package of TensorFlow 1.15
  "tensorflow_estimator",
  "threading",
  "tree",
  "weakref",
  "wrapt",
)


def caller() -> str:
  """Returns the name with which a message of tangle begins.

  This is the public function of tangle that the user called, however deep in
  tangle the message is made: `"mux.route"`, `"Replicas.add"`, or `"Replicas"`
  for its constructor. If tangle calls a function of the user, and that calls
  tangle again, the name is that of the second call.

  An object with an attribute `_error_label` is called so, not by its class:
  `"Pipeline 'p': build"`. The labels of the objects that functions on the way
  have as first arguments follow: `"Pipeline 'p': build, sub-model 'encoder'"`.

  This reads the stack, which takes a while: call it only for a message.
  """
  frames, own = [], None  # the innermost frame first
  frame = sys._getframe(1)
  while frame is not None:
    package = _package(frame)
    if package not in _THROUGH:
      own = own or package
      if package != own:
        break
      frames.append(frame)
    frame = frame.f_back
  name = None
  for frame in reversed(frames):
    name = name or _public_name(frame)
    label = _label(_first_argument(frame))
    if (
      name
      and label
      and not re.search(rf"(?<!\w){re.escape(label)}(?!\w)", name)
    ):
      name += f", {label}"
  return name or frames[-1].f_globals["__name__"].split(".")[-1]


def _package(frame):
  """Returns the package of a frame; a module of a program is its own."""
  module = frame.f_globals.get("__name__", "")
  return module if module.startswith(_PROGRAMS) else module.split(".")[0]


def _receiver(frame):
  """Returns the object or class whose method runs, `None` for a function."""
  return frame.f_locals.get("self", frame.f_locals.get("cls"))


def _first_argument(frame):
  names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
  return frame.f_locals.get(names[0]) if names else None


def _label(value):
  label = getattr(value, "_error_label", None)
  return label if isinstance(label, str) else None


def _public_name(frame):
  """Returns the name of a public function or method, otherwise `None`."""
  module = frame.f_globals["__name__"]
  path = _owner(frame.f_code, frame.f_globals, module) or frame.f_code.co_name
  path = path.split(".<locals>")[0].split(".")
  is_special = path[-1].startswith("__") and len(path) > 1
  if any(p.startswith(("_", "<")) for p in path[: -1 if is_special else None]):
    return None
  if len(path) == 1:
    return _qualify(module, path[0])
  receiver = _receiver(frame)
  label, kind = _label(receiver), path[-2]
  if receiver is not None:
    kind = receiver if isinstance(receiver, type) else type(receiver)
    kind = kind.__name__
  if is_special:
    return label or kind
  return f"{label}: {path[-1]}" if label else f"{kind}.{path[-1]}"


def _qualify(module, function):
  """Returns such as `"mux.route"`, with the package that exports a function."""
  path = module.split(".")
  for k in reversed(range(1, len(path))):
    package = sys.modules.get(".".join(path[:k]))
    if function in getattr(package, "__all__", ()):
      return ".".join(path[1:k] + [function])
  return f"{path[-1]}.{function}"


def _owner(code, namespace, module):
  """Returns the path of the function that has or contains `code`, or `None`."""
  for value in list(namespace.values()):
    value = getattr(value, "__func__", getattr(value, "fget", value))
    value = getattr(value, "__wrapped__", value)
    found = None
    if isinstance(value, type) and value.__module__ == module:
      found = _owner(code, vars(value), module)
    elif isinstance(value, types.FunctionType) and value.__module__ == module:
      found = value.__qualname__ if _contains(value.__code__, code) else None
    if found:
      return found
  return None


def _contains(outer, code):
  return outer is code or any(
    _contains(inner, code)
    for inner in outer.co_consts
    if isinstance(inner, types.CodeType)
  )


def suggest(name: object, known: Iterable[object]) -> str:
  """Returns a sentence that names what a misspelt name may stand for.

  Args:
    name: the name that was given.
    known: the names that exist.

  Returns:
    A string that begins with a space; "" if no known name is similar.
  """
  near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
  return f" Perhaps {near[0]!r} is meant." if near else ""


def summarize(error: BaseException) -> str:
  """Returns the message of an error as one line.

  Args:
    error: an exception. The message of a TensorFlow error also tells where its
      op was made; on TensorFlow 2 this part comes first and is skipped.

  Returns:
    A string without line breaks, "" if the error has no message.
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
  """An argument has a value that the callee does not accept."""


class ShapeError(TangleError, ValueError):
  """A tensor or an array has a wrong shape."""


class DtypeError(TangleError, TypeError):
  """A tensor or an array has a wrong dtype."""


class GraphError(TangleError, ValueError):
  """A tensor belongs to another graph, or may not be fed or fetched."""


class DisconnectedError(TangleError, ValueError):
  """A tensor does not depend on a tensor or variable on which it must."""


class CutError(TangleError, ValueError):
  """The graph cannot be cut here, or not with this store."""


class CallError(TangleError, RuntimeError):
  """A forward call is used again after it has ended, or in another session."""


class SessionError(TangleError, RuntimeError):
  """A session is closed, or lacks the values of variables or tables."""


class BucketError(TangleError, ValueError):
  """An example does not fit the largest bucket."""


class DataError(TangleError, ValueError):
  """A record of the data cannot be used."""


class MissingPackageError(TangleError, ImportError):
  """An optional package is needed and not installed."""


class TaskLostError(TangleError, RuntimeError):
  """A task of a cluster does not answer, or has lost its state."""


class TrainingError(TangleError, RuntimeError):
  """A training run cannot continue."""


class FileError(TangleError, OSError):
  """A file cannot be read or written; the message names it and the remedy.

  Its `errno` is that of the system's error, or `None`.
  """

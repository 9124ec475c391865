"""The exceptions that tangle raises, in one tree.

Every class derives from `TangleError` and from the builtin exception that a
caller who does not know tangle would catch. A message names the function that
was called, the argument, what was expected, what was given, and the remedy.

The function's name is put before the message where the error leaves it, by
`named`: what a public function calls raises errors without a name.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import re
import string
from typing import Any, Callable, Iterable, Iterator, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


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


def show(value: object) -> str:
  """Returns a value as a short text in one line, for messages.

  Args:
    value: any object. Of an array or an eager tensor, the text has the dtype
      and the shape, not the elements.

  Returns:
    A string.
  """
  kind = _ARRAYS.get(type(value).__name__)
  if kind is not None and hasattr(value, "shape") and hasattr(value, "dtype"):
    is_text = getattr(value.dtype, "kind", "") in ("S", "U")
    dtype = "strings" if is_text else getattr(value.dtype, "name", value.dtype)
    shape = getattr(value.shape, "as_list", lambda: value.shape)()
    return f"{kind} of {dtype}, shape {tuple(shape)}"
  text = " ".join(repr(value).split())
  return text if len(text) <= 60 else f"{text[:60]}…"


_ARRAYS = {"ndarray": "an array", "EagerTensor": "an eager tensor"}


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


def join_lines(error: BaseException) -> str:
  """Returns the whole message of an error as one line.

  Args:
    error: an exception, such as one of Keras, which puts the reason below a
      heading, and colours it for terminals.

  Returns:
    A string without line breaks and colours.
  """
  return " ".join(_COLOUR.sub("", str(error)).split())


_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class TangleError(Exception):
  """Base of every exception that tangle raises on purpose.

  Attributes:
    is_named: whether the message begins with the name of the function that was
      called. `named` puts it there once: in the innermost function that has it.
  """

  is_named = False

  _is_about = False

  def begin_with(self, part: str) -> None:
    """Puts `part` before the message, unless it has a name already."""
    if not self.is_named:
      between = ", " if self._is_about else ": "
      self.args = (f"{part}{between}{self}", *self.args[1:])
      self._is_about = True


class ArgumentError(TangleError, ValueError):
  """An argument has a value that the callee does not accept."""


class ShapeError(TangleError, ValueError):
  """A tensor or an array has a wrong shape."""


class DtypeError(TangleError, TypeError):
  """A tensor or an array has a wrong dtype."""


class GraphError(TangleError, ValueError):
  """A graph, or a tensor of it, cannot be used in this call.

  Examples are a tensor of another graph, a tensor that may not be fed or
  fetched, a finalized graph that needs more ops, and a `.meta` file that cannot
  be imported.
  """


class DisconnectedError(TangleError, ValueError):
  """A tensor does not depend on a tensor or variable on which it must."""


class CutError(TangleError, ValueError):
  """The graph cannot be cut here, with this store, or within this budget."""


class CallError(TangleError, RuntimeError):
  """A forward call is used again after it has ended, or in another session.

  Also raised if a monitored session has replaced the session that the forward
  run used, or if a session has no partial runs and the store needs them.
  """


class SessionError(TangleError, RuntimeError):
  """A session is closed, or lacks the values of variables or tables."""


class BucketError(TangleError, ValueError):
  """An example does not fit the largest bucket."""


class DataError(TangleError, ValueError):
  """A record, a file or a checkpoint is damaged, or does not fit its use."""


class MissingPackageError(TangleError, ImportError):
  """An optional package, or a program that it calls, is not installed."""

  __str__ = Exception.__str__  # that of ImportError keeps the first message


class TaskLostError(TangleError, RuntimeError):
  """A task of a cluster does not answer, or has lost its state."""


class TrainingError(TangleError, RuntimeError):
  """A training run cannot continue."""


class FileError(TangleError, OSError):
  """A file cannot be read or written; the message names it and the remedy.

  Its `errno` is that of the system's error, `None` if there was none.
  """


class _Heads(string.Formatter):
  """Formats the names of functions; what `!r` shows is short, by `show`."""

  def convert_field(self, value, conversion):
    return show(value) if conversion == "r" else value


_HEADS = _Heads()


def named(template: str) -> Callable[[_Function], _Function]:
  """Returns a decorator that puts a function's name before its errors.

  Only a `TangleError` that has no name yet is changed; it is the same object,
  with the same traceback.

  Args:
    template: the name as users know it, such as `"residuals"`. Arguments of the
      function may be in it, as in `"Pipeline {name!r}"`: see `str.format`.

  Returns:
    A decorator. A generator function stays one. What is decorated last, above
    it, may be `property`, `classmethod` or `staticmethod`, but not
    `contextmanager`: an error of the body of a `with` is not the function's.
  """

  def decorate(function):
    def name(error, args, kwargs):
      if error.is_named:
        return
      bound = inspect.signature(function).bind(*args, **kwargs)
      bound.apply_defaults()
      error.begin_with(_HEADS.vformat(template, (), bound.arguments))
      error.is_named = True

    if inspect.isgeneratorfunction(function):

      @functools.wraps(function)
      def wrapper(*args, **kwargs):
        try:
          return (yield from function(*args, **kwargs))
        except TangleError as error:
          name(error, args, kwargs)
          raise

    else:

      @functools.wraps(function)
      def wrapper(*args, **kwargs):
        try:
          return function(*args, **kwargs)
        except TangleError as error:
          name(error, args, kwargs)
          raise

    return wrapper

  return decorate


@contextlib.contextmanager
def needing(package: str, install: str) -> Iterator[None]:
  """Says what to install if an import in its body fails.

  Args:
    package: name of the package.
    install: what `pip install` takes, such as `"tangle-graph[plot]"`.

  Yields:
    `None`.

  Raises:
    MissingPackageError: in place of an `ImportError`.
  """
  try:
    yield
  except ImportError as error:
    raise MissingPackageError(
      f"{package} is not installed. Install it with: pip install {install}"
    ) from error


@contextlib.contextmanager
def about(part: str) -> Iterator[None]:
  """Puts `part` before the errors of its body that have no name yet.

  Args:
    part: what the body is about, such as `"inputs"`; the function's name comes
      before it later.

  Yields:
    `None`.
  """
  try:
    yield
  except TangleError as error:
    error.begin_with(part)
    raise

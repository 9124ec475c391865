"""Manifests: what a checkpoint is made of, and how to tell that it is whole.

A manifest is a JSON file in the folder of the checkpoint. It has the size and
the SHA-256 of each other file there, the state that goes with the weights, and
a SHA-256 of itself.
"""

import contextlib
import errno
import hashlib
import json
import os
from typing import Any, NamedTuple, Optional

from tangle import errors, files

NAME = "manifest.json"

_FORMAT = 1
_LIMIT = 1 << 26  # bytes
# What a damaged folder makes the system say; else the machine is at fault.
_DAMAGES = {
  *(None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
  *(errno.ENXIO, errno.ENAMETOOLONG, errno.EIO),
}


class Manifest(NamedTuple):
  """What goes with the weights.

  Attributes:
    step: how many steps had been done.
    score: what validation gave there, lower is better; `None` if unknown.
    state: whatever was given, as JSON gives it back.
  """

  step: int
  score: Optional[float]
  state: Any


def check(caller, manifest):
  """Refuses a manifest that JSON would not give back as it is.

  Args:
    caller: what the message names.
    manifest: a `Manifest`.

  Raises:
    ArgumentError: if the state has something else than dicts with strings as
      keys, lists, strings, numbers, bools and `None`.
  """
  text = None
  try:
    text = json.dumps(manifest._asdict(), sort_keys=True)
  except (TypeError, ValueError) as error:
    why = str(error)
  else:
    why = _difference(manifest.state, json.loads(text)["state"], "state")
  if why:
    raise errors.ArgumentError(
      f"{caller}: the state must be dicts with strings as keys, lists, "
      f"strings, Python numbers, bools and None, so that JSON gives it back as "
      f"it is: {why}. Turn it into these."
    )


def _difference(given, found, where):
  """Tells where JSON has made something else of a value; "" if nowhere."""
  if type(given) is not type(found):
    return f"{where} is a {type(given).__name__}"
  if isinstance(given, dict):
    if list(map(str, given)) != list(given):
      return f"{where} has keys that are no strings"
    parts = ((f"{where}[{k!r}]", given[k], found[k]) for k in given)
  elif isinstance(given, list):
    parts = (
      (f"{where}[{k}]", a, b) for k, (a, b) in enumerate(zip(given, found))
    )
  else:
    return ""
  return next(filter(None, (_difference(a, b, w) for w, a, b in parts)), "")


def write(folder, manifest):
  """Writes the manifest of the files that are in a folder, the last of them.

  All of them have reached the disk before it is there.

  Args:
    folder: the folder, which has no other folders.
    manifest: a `Manifest` that passes `check`.
  """
  listed = {}
  for name in sorted(os.listdir(folder)):
    path = os.path.join(folder, name)
    files.sync(path)  # FileError, if the disk is full
    listed[name] = {
      "bytes": os.path.getsize(path),
      "sha256": files.digest(path),
    }
  content = dict(manifest._asdict(), format=_FORMAT, files=listed)
  whole = {"sha256": _digest(content), "content": content}
  text = json.dumps(whole, sort_keys=True, indent=1)
  files.write_text(os.path.join(folder, NAME), text + "\n")


def read(folder, deep=True):
  """Reads the manifest of a folder, and checks the files against it.

  Args:
    folder: the folder.
    deep: whether to check the files too, which reads all of them.

  Returns:
    A `Manifest`.

  Raises:
    DataError: if something is damaged; it says which file, and why.
    FileError: if a file cannot be read for a reason that is not its own, such
      as too many open files.
  """
  with _named(NAME):
    whole = files.read_json(os.path.join(folder, NAME), _LIMIT)
  try:
    content = whole["content"]
    sound = whole["sha256"] == _digest(content)
    found = content["format"]
    parts = [content[name] for name in Manifest._fields]
    listed = content["files"] if sound else {}
  except (TypeError, KeyError, RecursionError):
    raise errors.DataError(f"{NAME} is no manifest") from None
  if not sound:
    raise errors.DataError(f"{NAME} has changed since it was written")
  if found != _FORMAT:
    raise errors.DataError(
      f"{NAME} is of format {found!r}, and only format {_FORMAT} is known here"
    )
  if not _has_types(listed, *parts):
    raise errors.DataError(f"{NAME} is no manifest")
  for name, wanted in listed.items() if deep else ():
    _check_file(folder, name, wanted)
  return Manifest(*parts)


def _has_types(listed, step, score, state):
  """Whether the parts of a manifest are of the types that `write` gives."""
  del state  # it is checked by what reads it
  return (
    type(step) is int
    and step >= 0
    and (score is None or type(score) in (int, float))
    and isinstance(listed, dict)
    and len(listed) > 0
    and all(
      isinstance(wanted, dict)
      and type(wanted.get("bytes")) is int
      and isinstance(wanted.get("sha256"), str)
      for wanted in listed.values()
    )
  )


@contextlib.contextmanager
def _named(name):
  """Names the file in what is raised, when the file is at fault."""
  try:
    yield
  except errors.FileError as error:
    if error.errno not in _DAMAGES:
      raise
    why = os.strerror(error.errno) if error.errno else "it is no regular file"
    raise errors.DataError(f"{name} cannot be read: {why}") from None
  except errors.DataError as error:
    raise errors.DataError(f"{name} is damaged: {error}") from None


def _check_file(folder, name, wanted):
  if name != os.path.basename(name) or name in ("", ".", "..", NAME):
    raise errors.DataError(
      f"{NAME} names {name!r}, which is no file of its folder"
    )
  path = os.path.join(folder, name)
  with _named(name):
    with files.reading(path) as file:
      size = os.fstat(file.fileno()).st_size
    sha256 = files.digest(path) if size == wanted["bytes"] else ""
  if size != wanted["bytes"]:
    raise errors.DataError(
      f"{name} has {size} bytes, and had {wanted['bytes']} when it was written"
    )
  if sha256 != wanted["sha256"]:
    raise errors.DataError(
      f"{name} has changed since it was written: its SHA-256 is another"
    )


def _digest(content):
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode("utf-8")).hexdigest()

"""Manifests: the list of a checkpoint's files, with checksums.

A manifest is a JSON file in the folder of the checkpoint. It has the size and
the SHA-256 of each other file there, the state saved with the weights, and a
SHA-256 of itself.
"""

import contextlib
import errno
import json
import os
from typing import Any, NamedTuple, Optional

from tangle import errors, files

NAME = "manifest.json"

_FORMAT = 1
_LIMIT = 1 << 26  # bytes
# Errors that a damaged folder causes; any others are the machine's fault.
_DAMAGES = {
  *(None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
  *(errno.ENXIO, errno.ENAMETOOLONG, errno.EIO),
}


class Manifest(NamedTuple):
  """The content of a manifest, beside the files.

  Attributes:
    step: how many steps had been done.
    score: the validation score at this step, lower is better; `None` if
      unknown.
    state: any state, as JSON returns it.
  """

  step: int
  score: Optional[float]
  state: Any


def check(manifest):
  """Checks that a manifest survives a round trip through JSON unchanged.

  Args:
    manifest: a `Manifest`.

  Raises:
    ArgumentError: if the state has anything but dicts with strings as keys,
      lists, strings, bools, `None`, and Python's ints and floats, which may be
      NaN or infinite.
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
      f"the state must be dicts with strings as keys, lists, "
      f"strings, Python numbers, bools and None, so that JSON gives it back as "
      f"it is: {why}. Convert it to these."
    )


def _difference(given, found, where):
  """Says where a round trip through JSON changed a value; "" if nowhere."""
  if type(given) is not type(found):
    return f"{where} is a {type(given).__name__}"
  if isinstance(given, dict):
    if list(map(str, given)) != list(given):
      return f"{where} has keys that are not strings"
    parts = ((f"{where}[{k!r}]", given[k], found[k]) for k in given)
  elif isinstance(given, list):
    parts = (
      (f"{where}[{k}]", a, b) for k, (a, b) in enumerate(zip(given, found))
    )
  else:
    return ""
  return next(filter(None, (_difference(a, b, w) for w, a, b in parts)), "")


def write(folder, manifest):
  """Writes the manifest of the files in a folder, as its last file.

  All other files have reached the disk before it is written.

  Args:
    folder: the folder, which has no subfolders.
    manifest: a `Manifest` that passes `check`.

  Raises:
    FileError: if a file cannot be read, or the manifest cannot be written.
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
  whole = {"sha256": files.digest_json(content), "content": content}
  text = json.dumps(whole, sort_keys=True, indent=1)
  files.write_text(os.path.join(folder, NAME), text + "\n")


def read(folder, deep=True):
  """Reads the manifest of a folder, and checks the files against it.

  Args:
    folder: the folder.
    deep: whether to also check sizes and contents of all files, by reading
      them; if not, only the manifest itself is read and checked.

  Returns:
    A `Manifest`.

  Raises:
    DataError: if something is damaged; the message names the file and says why.
    FileError: if a file cannot be read although it may be intact, for example
      because too many files are open.
  """
  with _named(NAME):
    whole = files.read_json(os.path.join(folder, NAME), _LIMIT)
  try:
    content = whole["content"]
    sound = whole["sha256"] == files.digest_json(content)
    found = content["format"]
    parts = [content[name] for name in Manifest._fields]
    listed = content["files"] if sound else {}
  except (TypeError, KeyError, RecursionError):
    raise errors.DataError(f"{NAME} is not a manifest") from None
  if not sound:
    raise errors.DataError(f"{NAME} has changed since it was written")
  if found != _FORMAT:
    raise errors.DataError(
      f"{NAME} is of format {found!r}, and only format {_FORMAT} is known here"
    )
  if not _has_types(listed, *parts):
    raise errors.DataError(f"{NAME} is not a manifest")
  for name, wanted in listed.items() if deep else ():
    _check_file(folder, name, wanted)
  return Manifest(*parts)


def _has_types(listed, step, score, state):
  """Whether the parts of a manifest have the types that `write` uses."""
  del state  # checked by the objects that restore it
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
  """Names the file in an error, if the file is at fault."""
  try:
    yield
  except errors.FileError as error:
    if error.errno not in _DAMAGES:
      raise
    why = "it is not a regular file"
    if error.errno:
      why = os.strerror(error.errno)
    raise errors.DataError(f"{name} cannot be read: {why}") from None
  except errors.DataError as error:
    raise errors.DataError(f"{name} is damaged: {error}") from None


def _check_file(folder, name, wanted):
  if not files.is_plain_name(name) or name == NAME:
    raise errors.DataError(
      f"{NAME} names {name!r}, which is not the name of a file in its "
      f"folder: a manifest lists plain names, without a path"
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

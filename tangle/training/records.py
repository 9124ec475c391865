"""Figures of a run, one JSON object per line."""

import hashlib
import json
import math
import os

import numpy as np

from tangle import errors, files

NAME = "metrics.jsonl"


class Records:
  """Appends records to `metrics.jsonl` in a folder.

  Attributes:
    path: the file.
  """

  def __init__(self, out_dir, state=None):
    """Creates the folder and opens the file.

    Args:
      out_dir: the folder.
      state: `None` starts an empty file, in place of one that exists. A value
        that `state` returned continues the existing file: the records up to
        that state are kept, and later ones are removed, so that no step has two
        records.

    Raises:
      DataError: if the records up to that state have changed since, or are
        missing.
      FileError: if the file cannot be read or written.
    """
    files.make_folder(out_dir)
    self.path = os.path.join(out_dir, NAME)
    kept = b"" if state is None else _read(self.path, state)
    self._bytes, self._digest = len(kept), hashlib.sha256(kept)
    files.write_text(self.path, kept)

  def write(self, **figures):
    """Appends one record.

    Args:
      **figures: names and values, as `to_json` takes them.

    Raises:
      FileError: if the record cannot be written.
      TypeError: as `to_json`.
    """
    # In JSON, the escape of a lone surrogate stands for itself.
    line = (to_json(figures) + "\n").encode("utf-8", "backslashreplace")
    with files.explained(self.path), open(self.path, "ab") as file:
      file.write(line)
    self._bytes += len(line)
    self._digest.update(line)

  def sync(self):
    """Waits until all records have reached the disk.

    Raises:
      FileError: if the records cannot be written.
    """
    files.sync(self.path)

  def state(self):
    """Returns a dict: `bytes` and `sha256`, those of the records so far."""
    return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}


def is_begun(out_dir):
  """Returns whether a folder has records.

  Args:
    out_dir: the folder, which need not exist.

  Returns:
    A bool; `False` for an empty file.

  Raises:
    FileError: if the folder or the file cannot be read.
  """
  path = os.path.join(out_dir, NAME)
  with files.explained(path, "read"):
    return os.path.lexists(path) and os.stat(path).st_size > 0


@errors.named("Records")
def _read(path, state):
  """Returns the records that were there when `state` was made."""
  found = b""
  if os.path.lexists(path):
    with files.reading(path) as file:
      if os.fstat(file.fileno()).st_size >= state["bytes"]:
        found = file.read(state["bytes"])
  if hashlib.sha256(found).hexdigest() != state["sha256"]:
    raise errors.DataError(
      f"the first {state['bytes']:,} bytes of {path!r}, which were "
      f"there at the checkpoint, have changed since or are missing. Put a copy "
      f"of the file back, or give another folder."
    )
  return found


def to_json(figures):
  """Returns `figures` as one line of JSON.

  JSON has no non-finite numbers: they become `null`.

  Args:
    figures: nested dicts, lists and tuples of strings, ints, floats, bools,
      `None`, and numpy values of these.

  Returns:
    A string without line breaks; the order of keys is kept.

  Raises:
    TypeError: if a value is anything else.
  """
  return json.dumps(_plain(figures), ensure_ascii=False, allow_nan=False)


def _plain(value):
  """Returns a value of a figure as a type that `json` accepts."""
  if isinstance(value, (np.ndarray, np.generic)):
    value = value.tolist()
  if isinstance(value, dict):
    return {key: _plain(part) for key, part in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(part) for part in value]
  if isinstance(value, float):
    return value if math.isfinite(value) else None
  if value is None or isinstance(value, (str, int)):
    return value
  raise TypeError(f"to_json: cannot write {value!r}. Make it a number or text.")

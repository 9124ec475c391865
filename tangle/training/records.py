"""Figures of a run, one JSON object a line."""

import json
import math
import os

import numpy as np

from tangle import errors
from tangle.training import files


class Records:
  """Appends records to `metrics.jsonl` in a folder.

  Attributes:
    path: the file.
  """

  def __init__(self, out_dir, resume_step=None):
    """Makes the folder and starts the file.

    Args:
      out_dir: the folder.
      resume_step: `None` starts an empty file. A number goes on with the file
        that is there: it keeps the records with a `step` up to this one, so
        that no step is there twice. A record without a step is of the end of
        a run; it goes, too, and so does a last line that a kill has cut off.

    Raises:
      DataError: if a line of the file, other than the last, is no JSON object.
    """
    os.makedirs(out_dir, exist_ok=True)
    self.path = os.path.join(out_dir, "metrics.jsonl")
    kept = []
    if resume_step is not None and os.path.exists(self.path):
      kept = _lines_up_to(self.path, resume_step)
    files.write_text(self.path, "".join(kept))

  def write(self, **figures):
    """Appends one record.

    Args:
      **figures: names and values, numpy scalars and arrays among them.
    """
    with open(self.path, "a", encoding="utf-8", newline="\n") as file:
      file.write(to_json(figures) + "\n")

  def sync(self):
    """Waits until all records have reached the disk."""
    files.sync(self.path)


def _lines_up_to(path, step):
  """Returns the lines of the records with a step of at most `step`."""
  with open(path, encoding="utf-8", errors="replace") as file:
    lines = [line for line in file.read().split("\n") if line]
  kept = []
  for number, line in enumerate(lines, 1):
    try:
      record = json.loads(line)
      found = record.get("step")
    except (ValueError, AttributeError):
      if number == len(lines):
        break
      raise errors.DataError(
        f"Records: line {number} of {path!r} is no JSON object: {line[:60]!r}. "
        f"Remove the line, or give another folder."
      ) from None
    if isinstance(found, (int, float)) and found <= step:
      kept.append(line + "\n")
  return kept


def to_json(figures):
  """Returns `figures` as one line of JSON.

  JSON has no numbers that are not finite: they become `null`.

  Args:
    figures: nested dicts and lists of strings, numbers, and numpy values.

  Returns:
    A string without line breaks.
  """
  return json.dumps(_plain(figures), ensure_ascii=False, allow_nan=False)


def _plain(value):
  """Returns a value of a figure as `json` takes it."""
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

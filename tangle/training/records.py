"""Figures of a run, one JSON object a line."""

import json
import os

import numpy as np


class Records:
  """Appends records to `metrics.jsonl` in a folder.

  Attributes:
    path: the file.
  """

  def __init__(self, out_dir):
    """Makes the folder and starts an empty file.

    Args:
      out_dir: the folder.
    """
    os.makedirs(out_dir, exist_ok=True)
    self.path = os.path.join(out_dir, "metrics.jsonl")
    with open(self.path, "w"):
      pass

  def write(self, **figures):
    """Appends one record.

    Args:
      **figures: names and values, numpy scalars and arrays among them.
    """
    with open(self.path, "a") as file:
      file.write(to_json(figures) + "\n")


def to_json(figures):
  """Returns `figures` as one line of JSON.

  Args:
    figures: nested dicts and lists of strings, numbers, and numpy values.

  Returns:
    A string without line breaks.
  """
  return json.dumps(figures, default=_plain, ensure_ascii=False)


def _plain(value):
  if isinstance(value, (np.ndarray, np.generic)):
    return value.tolist()
  raise TypeError(f"to_json: cannot write {value!r}. Make it a number or text.")

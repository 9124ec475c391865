"""What is in the folder of a run, for tests that compare it."""

import json
import os
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "runs.md"


def contents(folder):
  """Returns the content of each file in a folder and those below it.

  Args:
    folder: the folder.

  Returns:
    A dict: path from the folder on → bytes.
  """
  found = {}
  for parent, _, names in os.walk(folder):
    for name in names:
      path = os.path.join(parent, name)
      with open(path, "rb") as file:
        found[os.path.relpath(path, folder)] = file.read()
  return found


def without_unit(folder):
  """Returns the figures of a run that the page on runs does not explain.

  Args:
    folder: that of the run.

  Returns:
    A list of names, in order.
  """
  known = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))
  with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
    names = {name for line in file for name in json.loads(line)}
  found = [re.sub("^(validation|test)_", "", name) for name in names]
  return sorted(set(found) - known)

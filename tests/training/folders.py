"""What is in the folder of a run, for tests that compare it."""

import os


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

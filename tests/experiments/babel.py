"""Three made-up languages, word for word the same, for the tests here."""

import os
import tempfile

import numpy as np

LINES = {"train": 96, "validation": 12, "test": 12}
NAMES = ("aa", "bb", "cc")


def write(case):
  """Writes aligned files such as `train.aa`; returns their folder.

  Args:
    case: the test, which removes them at its end.
  """
  folder = tempfile.TemporaryDirectory()
  case.addCleanup(folder.cleanup)
  rng = np.random.RandomState(5)
  for split, count in LINES.items():
    lines = [rng.randint(0, 6, rng.randint(2, 6)) for _ in range(count)]
    lines[0] = np.arange(5)  # the longest is in every split
    for name in NAMES:
      path = os.path.join(folder.name, f"{split}.{name}")
      with open(path, "w") as file:
        for line in lines:
          file.write(" ".join(f"{name}{word}" for word in line) + "\n")
  return folder.name

"""A small dictionary for the tests, in the place of CMUdict."""

import numpy as np


def entries(count=400):
  """Makes words that are spelled as they sound, one phoneme a letter."""
  rng = np.random.RandomState(0)
  found = []
  for _ in range(count):
    letters = rng.randint(0, 4, rng.randint(1, 6))
    word = "".join("abcd"[k] for k in letters)
    found.append((word, [("AA1", "B", "K", "D")[k] for k in letters]))
  return found

"""Images of handwritten digits, few of them labelled."""

import collections

import numpy as np

from tangle import errors

HELD_OUT = 597
"""Number of held-out images, which are never trained on."""

Images = collections.namedtuple("Images", ["pixels", "digits"])
Images.__doc__ = """Labelled images.

Attributes:
  pixels: `[B, 64]` float32 from 0 to 1.
  digits: `[B]` ints from 0 to 9.
"""


def load():
  """Returns scikit-learn's copy of the UCI test set of handwritten digits.

  Source: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits",
  UCI Machine Learning Repository.

  Returns:
    Two `Images`: 1200 to draw labelled images from, and the last 597, which
    are never trained on.

  Raises:
    MissingPackageError: if scikit-learn is not installed.
  """
  with errors.needing("scikit-learn", "tangle-graph[digits]"):
    from sklearn import datasets
  found = datasets.load_digits()
  pixels = (found.data / 16).astype(np.float32)
  return (
    Images(pixels[:-HELD_OUT], found.target[:-HELD_OUT]),
    Images(pixels[-HELD_OUT:], found.target[-HELD_OUT:]),
  )


def draw(images, count, rng):
  """Draws labelled images, equally many of each class, none of them twice.

  Args:
    images: the `Images` to draw from.
    count: how many per class.
    rng: a `np.random.RandomState`.

  Returns:
    `Images`, 10 × count of them, class by class.

  Raises:
    ArgumentError: if a class has fewer images, or `count` is less than 1.
  """
  chosen = []
  for digit in range(10):
    rows = np.flatnonzero(images.digits == digit)
    if not 1 <= count <= len(rows):
      raise errors.ArgumentError(
        f"handwriting.draw: count must be from 1 to {len(rows)}, the number of "
        f"images of a {digit}, got {count}."
      )
    chosen.extend(rng.permutation(rows)[:count])
  return Images(images.pixels[chosen], images.digits[chosen])

"""The arithmetic that a calculator learns: digits, formats and operations.

A digit from 0 to 9 is written in binary, four bits from the highest to the
lowest, or in decimal, one-hot. Results beyond 9 wrap modulo 10.
"""

import collections

import numpy as np

from tangle import errors

FORMATS = ("binary", "decimal")
DEPTHS = {"binary": 4, "decimal": 10}
"""How many numbers a digit has in each format."""

OPERATIONS = {
  "plus1": lambda digits: (digits + 1) % 10,
  "times2": lambda digits: (digits * 2) % 10,
}


class Path(collections.namedtuple("Path", ["encoder", "operation", "decoder"])):
  """A route through `calculator.Networks`: a format, an operation, a format."""

  __slots__ = ()

  def __str__(self):
    return "/".join(self)


PATHS = tuple(
  Path(encoder, operation, decoder)
  for encoder in FORMATS
  for operation in OPERATIONS
  for decoder in FORMATS
)
"""All eight."""


def write(digits, form):
  """Writes digits in a format: `[B, 4]` or `[B, 10]` float32 of 0 and 1."""
  digits = np.asarray(digits)
  if form == "decimal":
    return np.eye(10, dtype=np.float32)[digits]
  bits = (digits[:, np.newaxis] >> np.array([3, 2, 1, 0])) & 1
  return bits.astype(np.float32)


def read(logits, form):
  """Converts logits of a decoder to digits.

  Args:
    logits: `[B, 4]`, positive for a 1, or `[B, 10]`, the largest for the digit.
    form: `"binary"` or `"decimal"`.

  Returns:
    `[B]` ints; those from binary logits may be above 9, which is a wrong
    answer.
  """
  if form == "decimal":
    return np.argmax(logits, 1)
  return (np.asarray(logits) > 0) @ np.array([8, 4, 2, 1])


def parse_path(text):
  """Returns the `Path` of a text such as `"binary/plus1/decimal"`."""
  for path in PATHS:
    if str(path) == str(text):
      return path
  raise errors.ArgumentError(
    f"parse_path: there is no path {text!r}; there are "
    f"{', '.join(map(str, PATHS))}."
  )


def make_lessons(held_out=None):
  """Lists the lessons: per encoder and operation, the digits and the answers.

  Args:
    held_out: `Path` → the digits that are held out of its training, or `None`
      for all.

  Returns:
    A dict from a pair (encoder, operation) to a `Lesson` of all ten digits.
  """
  digits = np.arange(10)
  hidden = {
    parse_path(path): digits if those is None else list(those)
    for path, those in (held_out or {}).items()
  }
  lessons = {}
  for encoder in FORMATS:
    for operation, compute in OPERATIONS.items():
      results = compute(digits)
      weights = np.ones([len(FORMATS), 10], np.float32)
      for k, decoder in enumerate(FORMATS):
        weights[k, hidden.get(Path(encoder, operation, decoder), [])] = 0
      lessons[encoder, operation] = Lesson(
        inputs={form: write(digits, form) for form in FORMATS},
        targets={form: write(results, form) for form in FORMATS},
        weights=dict(zip(FORMATS, weights)),
        results=results,
      )
  return lessons


Lesson = collections.namedtuple(
  "Lesson", ["inputs", "targets", "weights", "results"]
)
Lesson.__doc__ = """Ten digits through one encoder and one operation.

Attributes:
  inputs: format → the digits.
  targets: format → the results.
  weights: format of the decoder → `[10]`, 0 for what it is not shown.
  results: `[10]` ints.
"""


def accuracy(logits, path, digits=None):
  """Returns the accuracy of a path's logits `[10, D]` on digits, or on all."""
  expected = OPERATIONS[path.operation](np.arange(10))
  right = read(logits, path.decoder) == expected
  return float(np.mean(right if digits is None else right[list(digits)]))

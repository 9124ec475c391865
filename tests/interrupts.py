"""Raises `KeyboardInterrupt` at any line of tangle's own code."""

import os
import sys

import tangle

_ROOT = os.path.dirname(tangle.__file__)


def at_line(number, function):
  """Calls a function and raises at one of the lines that it runs.

  Lines of tangle count, in this thread alone, which is the one that a key press
  interrupts.

  Args:
    number: of the line, from 1.
    function: a function without arguments.

  Returns:
    Whether there was such a line.
  """
  left = [number]

  def trace(frame, event, unused_argument):
    if not frame.f_code.co_filename.startswith(_ROOT):
      return None
    if event == "line":
      left[0] -= 1
      if not left[0]:
        raise KeyboardInterrupt
    return trace

  before = sys.gettrace()
  sys.settrace(trace)
  try:
    function()
  except KeyboardInterrupt:
    pass
  finally:
    sys.settrace(before)
  return left[0] <= 0

"""Follows what tangle's messages advise, as the owner of a program would."""

import math
import re

from tangle.compat import tf1
from tests.fuzz import programs

_DEAD = re.compile(r"depends on the input '([^']+)'")
_AT_LEAST = re.compile(r"take at least ([\d,]+) .* keeps ([\d,]+)\)")


def follow(program, message):
  """Changes a program as the message of a refusal says.

  Args:
    program: a `Program` that was refused.
    message: what was said.

  Returns:
    Another `Program`, or `None` if the message advises nothing that is
    understood here.
  """
  dead, least = _DEAD.search(message), _AT_LEAST.search(message)
  if dead:
    return _without_input(program, dead.group(1))
  if least:
    kept, frontier = [int(n.replace(",", "")) for n in least.groups()]
    fraction = math.ceil(1e4 * kept / max(frontier, 1)) / 1e4
    return program._replace(residuals=f"budget of {fraction}")
  if "Leave out residuals=" in message:
    return program._replace(residuals="frontier")
  if 'Use store="auto" or "session"' in message:
    return program._replace(store="auto")
  if 'Use store="device"' in message:
    return program._replace(store="device")
  return None


def _without_input(program, name):
  """Returns the program without the input called `name`, or `None`."""
  with tf1.Graph().as_default():
    inputs = programs.build(program).inputs
  lines = program.source.splitlines()
  place = next(k for k, line in enumerate(lines) if line[:9] == "inputs = ")
  listed = lines[place][len("inputs = [") : -1].split(", ")
  kept = [text for text, t in zip(listed, inputs) if t.name != name]
  if not kept:
    return None
  lines[place] = f"inputs = [{', '.join(kept)}]"
  return program._replace(source="\n".join(lines) + "\n")

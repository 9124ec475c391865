"""Paired timing: contenders step in turn, so that noise affects all alike."""

import time
from typing import NamedTuple

import numpy as np


class Ratio(NamedTuple):
  """Median of paired ratios, with its quartiles."""

  median: float
  low: float
  high: float


def run_in_turn(steps, rounds, warm_up=3):
  """Times steps A B C A B C ....

  Args:
    steps: name → callable without arguments.
    rounds: how often each is timed.
    warm_up: how often each runs before the timed steps.

  Returns:
    Name → array `[rounds]` of seconds; entries of one index are a pair.
  """
  for _ in range(warm_up):
    for step in steps.values():
      step()
  seconds = {name: np.zeros(rounds) for name in steps}
  for k in range(rounds):
    for name, step in steps.items():
      begin = time.perf_counter()
      step()
      seconds[name][k] = time.perf_counter() - begin
  return seconds


def ratio(seconds, base):
  """Returns the `Ratio` of two arrays `[rounds]` of paired seconds."""
  low, median, high = np.percentile(seconds / base, [25, 50, 75])
  return Ratio(float(median), float(low), float(high))

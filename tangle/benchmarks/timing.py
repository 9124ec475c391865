"""Paired timing: contenders step in turn, so that noise affects all alike."""

import time
from typing import NamedTuple

import numpy as np

from tangle.compat import tf1


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


def make_rows(seconds, **bases):
  """Computes figures from the times of contenders.

  Args:
    seconds: as `run_in_turn` returns it.
    **bases: suffix → name of a contender. One that was not timed is skipped.

  Returns:
    Name → a dict: `step_s`, the median; for each base `to_<suffix>`, the median
    of paired ratios, and `to_<suffix>_quartiles`.
  """
  rows = {}
  for name, found in seconds.items():
    row = rows[name] = {"step_s": float(np.median(found))}
    for suffix, base in bases.items():
      if base in seconds:
        pair = ratio(found, seconds[base])
        row[f"to_{suffix}"] = pair.median
        row[f"to_{suffix}_quartiles"] = [pair.low, pair.high]
  return rows


def session_config(threads):
  """Returns a `ConfigProto` for a number of threads within and between ops.

  Args:
    threads: the number; 0 for TensorFlow's default.
  """
  return tf1.ConfigProto(
    intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
  )

"""Runs the real jobs with all contenders: an epoch each, then steps in turn.

The order: an epoch in a fresh process, the losses for comparison, decoding with
the same weights for all, and paired steps.
"""

import os
import tempfile

from tangle.benchmarks.peers import harness

BEAM_SIZE = 4

SEARCHES = (("greedy", 1), ("beam", BEAM_SIZE))
"""Name of each decoding in figures → its beam size."""

_LIMIT_S = 7200.0  # of an epoch, or of decoding


def measure(contenders, settings=None):
  """Measures contenders that are `jobs_contender.Contender`s.

  Args:
    contenders: name → `harness.Contender`.
    settings: a `harness.Settings`.

  Returns:
    Name → dict as `harness.measure` returns it, and `epoch`, `greedy` and
    `beam`: the results of `epoch` and `decode` in the fastest repeat, with
    `wall_s` and `cpu_s`. `losses` are those without dropout, and `first_step_s`
    is the time from the beginning of the epoch to the end of its first step.
    Contenders that are `single` only take steps.
  """
  settings = settings or harness.Settings()
  found = {}
  for _ in range(settings.repeats):
    turns = harness.Turns(contenders, settings)
    working = [k for k, one in contenders.items() if not one.single]
    try:
      turns.start()
      done = _work(turns, working)
      turns.first_steps()
      now = turns.measure()
    finally:
      turns.close()
    for name, row in done.items():
      if "reason" not in now[name]:
        now[name].update(row)
    before, found = found, harness.join(found, now)
    for name, row in found.items():
      for key in ("epoch",) + tuple(key for key, _ in SEARCHES):
        both = [kept[name] for kept in (before, now) if name in kept]
        both = [one[key] for one in both if key in one]
        if both and "reason" not in row:
          row[key] = min(both, key=lambda one: one.get("seconds") or 0)
  return found


def _work(turns, names):
  """Runs all but the paired steps; returns name → results."""
  done = {name: {} for name in names}
  for name in _running(turns, names):
    answer = turns.call(name, "epoch", _LIMIT_S)
    if answer is not None:
      answer["seconds"] = answer["wall_s"]
      done[name].update(epoch=answer, first_step_s=answer["first_step_s"])
  for name in _running(turns, names):
    answer = turns.call(name, "losses", _LIMIT_S)
    if answer is not None:
      done[name]["losses"] = answer["losses"]
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "weights.npz")
    for name in _running(turns, names):
      answer = turns.call(name, "save", _LIMIT_S, path=path)
      if answer is not None and answer["saved"]:
        break
    for key, beam_size in SEARCHES:
      for name in _running(turns, names):
        answer = turns.call(
          name, "decode", _LIMIT_S, beam_size=beam_size, path=path
        )
        if answer is not None and answer["seconds"] is not None:
          done[name][key] = answer
  return done


def _running(turns, names):
  return [name for name in names if name in turns.running]

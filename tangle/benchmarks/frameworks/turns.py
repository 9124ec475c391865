"""Steps candidates in turn, each in its own process.

The order is A B C A B C ..., with one process working at a time, so that other
load on the machine affects all alike and the figures of one round are pairs. A
candidate that cannot start, fails or does not answer gets a `reason`; the
others continue. Candidates of a whole job first do all else, one after another:
an epoch in the fresh process, the losses for comparison, and decoding with the
same weights for all.
"""

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from typing import Dict, List, NamedTuple

import numpy as np

from tangle import errors

FIRST_STEPS = 3

SEARCHES = (("greedy", 1), ("beam", 4))
"""Name of each decoding in figures → its beam size."""

_LIMIT_S = 7200.0  # of an epoch, or of decoding


class Candidate(NamedTuple):
  """How to start a candidate.

  Attributes:
    command: interpreter and arguments of a process with the protocol of
      `worker`.
    environment: environment variables, added to those of this process.
    single: whether a turn always has one step; it takes no part in jobs.
  """

  command: List[str]
  environment: Dict[str, str]
  single: bool = False


class TurnSettings(NamedTuple):
  """Settings of the measurement.

  Attributes:
    rounds: the most turns of each candidate.
    least_rounds: the least number of turns.
    budget_s: no round begins after this time.
    turn_s: intended duration of a turn of the fastest candidate.
    most_steps: the most steps per turn.
    settle: untimed steps at the beginning of a turn, as the caches hold none of
      the process's data then.
    warm_up: untimed turns at the beginning.
    pause_s: pause between turns, in which threads of the last process stop
      spinning.
    at_once: how many processes are started in parallel.
    start_s: time limit of building.
    answer_s: time limit of a turn.
    repeats: how often to repeat everything with new processes, since the memory
      layout of a process changes step times by some percent.
  """

  rounds: int = 20
  least_rounds: int = 5
  budget_s: float = 60.0
  turn_s: float = 0.1
  most_steps: int = 20
  settle: int = 1
  warm_up: int = 1
  pause_s: float = 0.02
  at_once: int = 2
  start_s: float = 300.0
  answer_s: float = 120.0
  repeats: int = 1


class Process:
  """The process of a `Candidate`, and the answers that it prints."""

  def __init__(self, candidate):
    """Starts the process of a `Candidate`, `candidate`.

    Raises:
      TrainingError: if the program does not exist.
    """
    self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by close
    try:
      self._process = subprocess.Popen(
        candidate.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=self._errors,
        env=dict(os.environ, **candidate.environment),
      )
    except OSError as error:
      self._errors.close()
      raise errors.TrainingError(
        f"{candidate.command[0]} cannot be started: {error.strerror}"
      ) from error
    self._answers = queue.Queue()
    threading.Thread(target=self._listen, daemon=True).start()

  def _listen(self):
    for line in self._process.stdout:
      self._answers.put(line)
    self._answers.put(None)

  def answer(self, timeout_s):
    """Returns an answer, a dict, as soon as there is one.

    Args:
      timeout_s: how long to wait.

    Raises:
      TrainingError: if there is none, it is not JSON, or it has a `reason`.
    """
    try:
      line = self._answers.get(timeout=timeout_s)
    except queue.Empty:
      raise errors.TrainingError(f"no answer in {timeout_s:g} s") from None
    if line is None:
      raise errors.TrainingError(f"the process ended: {self._last_words()}")
    try:
      found = json.loads(line.decode())
    except ValueError:
      raise errors.TrainingError(
        f"an answer is no JSON: {line[:80]!r}"
      ) from None
    if "reason" in found:
      raise errors.TrainingError(found["reason"])
    return found

  def _last_words(self):
    self._process.wait()
    self._errors.seek(0)
    lines = self._errors.read().decode(errors="replace").strip().split("\n")
    return f"{lines[-1][:200]} (exit code {self._process.returncode})"

  def ask(self, request, timeout_s):
    """Sends a `request`, as `worker.serve` takes it; returns as `answer`."""
    with contextlib.suppress(OSError):  # it has ended; the answer has a reason
      self._process.stdin.write((json.dumps(request) + "\n").encode())
      self._process.stdin.flush()
    return self.answer(timeout_s)

  def close(self):
    """Ends the process."""
    with contextlib.suppress(OSError):
      self._process.stdin.close()
    try:
      self._process.wait(5)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.wait()
    self._errors.close()


def measure(candidates, settings=None, is_job=False):
  """Steps candidates in turn.

  Args:
    candidates: name → `Candidate`.
    settings: a `TurnSettings`; its defaults for None.
    is_job: whether they are `job_training.Training`s, which first do the job.

  Returns:
    Name → dict: `reason`, or `build_s`, `import_s`, `versions`, `first_step_s`,
    `losses` of the first steps, `seconds` per step `[rounds]`, where entries of
    one index are a pair, `values` `[rounds]`, the results of the last step of
    each turn, `cpu_s` `[rounds]`, the processor time per step, and `rss_bytes`.
    For a job also `epoch`, `greedy` and `beam`: the results of `epoch` and
    `decode` in the fastest repeat, with `wall_s` and `cpu_s`; `losses` are
    those without dropout, and `first_step_s` is the time from the beginning of
    the epoch to the end of its first step.
  """
  settings = settings or TurnSettings()
  found = {}
  for _ in range(settings.repeats):
    turns = _Turns(candidates, settings)
    try:
      turns.start()
      done = turns.do_job() if is_job else {}
      turns.take_first_steps()
      turns.take_turns()
    finally:
      turns.close()
    for name, row in turns.found.items():
      if "reason" not in row:
        row.update(done.get(name, {}))
    found = _join(found, turns.found)
  return found


def _join(before, found):
  """Returns the results of a repeat, merged with those of earlier ones."""
  if not before:
    return found
  for name, row in found.items():
    other = before[name]
    if "reason" in other or "reason" in row:
      found[name] = other if "reason" in other else row
      continue
    # All rows keep the same turns, so that entries of one index are pairs.
    for key in ("seconds", "values", "cpu_s"):
      row[key] = other[key] + row[key]
    row["rss_bytes"] = max(other["rss_bytes"], row["rss_bytes"])
    for key in ("build_s", "first_step_s"):
      row[key] = min(other[key], row[key])
    for key in ("epoch", *dict(SEARCHES)):
      both = [one[key] for one in (other, row) if key in one]
      if both:
        row[key] = min(both, key=lambda one: one["seconds"])
  return found


class _Turns:
  """The running processes, and in `found` their results by name."""

  def __init__(self, candidates, settings):
    self._candidates = candidates
    self._settings = settings
    self._running = {}
    self.found = {name: {} for name in candidates}

  def start(self):
    """Starts all, a few in parallel; waits until all have built."""
    names = list(self._candidates)
    waiting = []
    while names or waiting:
      while names and len(waiting) < self._settings.at_once:
        name = names.pop(0)
        process = self._attempt(name, Process, self._candidates[name])
        if process is not None:
          self._running[name] = process
          waiting.append(name)
      if waiting:
        name = waiting.pop(0)
        answer = self._running[name].answer
        ready = self._attempt(name, answer, self._settings.start_s)
        self.found[name].update(ready or {})

  def _attempt(self, name, call, *arguments):
    """Calls; on failure records the reason, and drops the candidate."""
    try:
      return call(*arguments)
    except errors.TrainingError as error:
      self.found[name] = {"reason": str(error)}
      if name in self._running:
        self._running.pop(name).close()
      return None

  def _take_steps(self, name, count):
    time.sleep(self._settings.pause_s)
    request, limit_s = {"steps": count}, self._settings.answer_s
    return self._attempt(name, self._running[name].ask, request, limit_s)

  def _call_each(self, method, **arguments):
    """Yields name and result of a method of each that still runs."""
    request = {"call": method, "arguments": arguments}
    for name in list(self._running):
      if not self._candidates[name].single:
        ask = self._running[name].ask
        answer = self._attempt(name, ask, request, _LIMIT_S)
        if answer is not None:
          yield name, answer

  def do_job(self):
    """Does all of a job but the paired steps; returns name → results."""
    done = {}
    for name, answer in self._call_each("epoch"):
      epoch = dict(answer, seconds=answer["wall_s"])
      done[name] = {"epoch": epoch, "first_step_s": answer["first_step_s"]}
    for name, answer in self._call_each("losses"):
      done[name]["losses"] = answer["losses"]
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "weights.npz")
      for _, answer in self._call_each("save", path=path):
        if answer["saved"]:
          break
      for key, beam_size in SEARCHES:
        given = {"beam_size": beam_size, "path": path}
        for name, answer in self._call_each("decode", **given):
          if answer["seconds"] is not None:
            done[name][key] = answer
    return done

  def take_first_steps(self):
    """Takes the first steps, whose losses are compared."""
    for name in list(self._running):
      answer = self._take_steps(name, FIRST_STEPS)
      if answer is not None:
        self.found[name].update(
          first_step_s=answer["seconds"][0],
          losses=answer["values"],
          rss_bytes=answer["rss_bytes"],
          seconds=[],
          values=[],
          cpu_s=[],
          last_s=answer["seconds"][-1],
        )

  def take_turns(self):
    """Takes the turns that are timed."""
    settings = self._settings
    last = [
      self.found[name].pop("last_s")
      for name in self._running
      if not self._candidates[name].single
    ]
    steps = int(settings.turn_s / max(min(last, default=1.0), 1e-6))
    steps = min(max(steps, 1), settings.most_steps)
    begin = time.perf_counter()
    for k in range(settings.warm_up + settings.rounds):
      late = time.perf_counter() - begin > settings.budget_s
      if late and k >= settings.warm_up + settings.least_rounds:
        break
      for name in list(self._running):
        single = self._candidates[name].single
        settle = 0 if single else settings.settle
        answer = self._take_steps(name, 1 if single else settle + steps)
        if answer is not None and k >= settings.warm_up:
          row = self.found[name]
          row["seconds"].append(float(np.mean(answer["seconds"][settle:])))
          row["values"].append(answer["values"][-1])
          row["cpu_s"].append(answer.get("cpu_s", 0.0))
          row["rss_bytes"] = answer["rss_bytes"]
    for row in self.found.values():
      row.pop("last_s", None)

  def close(self):
    """Ends all processes."""
    for process in self._running.values():
      process.close()
    self._running = {}

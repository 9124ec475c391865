"""Steps contenders in turn, each in its own process.

The order is A B C A B C ..., with one process working at a time, so that other
load on the machine affects all alike and the figures of one round are pairs. A
contender that cannot start, fails or does not answer gets a `reason`; the
others continue.
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


class Contender(NamedTuple):
  """How to start a contender.

  Attributes:
    command: interpreter and arguments of a process with the protocol of
      `worker`.
    environment: environment variables, added to those of this process.
    single: whether a turn always has one step.
  """

  command: List[str]
  environment: Dict[str, str]
  single: bool = False


class Settings(NamedTuple):
  """Settings of the measurement.

  Attributes:
    rounds: the most turns of each contender.
    least_rounds: the least number of turns.
    budget_s: no round begins after this time.
    turn_s: intended duration of a turn of the fastest contender.
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
  """A running contender."""

  def __init__(self, contender):
    """Starts the process.

    Args:
      contender: a `Contender`.

    Raises:
      TrainingError: if the program does not exist.
    """
    self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by close
    try:
      self._process = subprocess.Popen(
        contender.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=self._errors,
        env=dict(os.environ, **contender.environment),
      )
    except OSError as error:
      self._errors.close()
      raise errors.TrainingError(
        f"{contender.command[0]} cannot be started: {error.strerror}"
      ) from error
    self._answers = queue.Queue()
    threading.Thread(target=self._listen, daemon=True).start()

  def _listen(self):
    for line in self._process.stdout:
      self._answers.put(line)
    self._answers.put(None)

  def answer(self, timeout_s):
    """Waits for an answer.

    Args:
      timeout_s: how long to wait.

    Returns:
      A dict.

    Raises:
      TrainingError: if there is no answer, it is not a JSON object, or it has a
        `reason`.
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

  def steps(self, count, timeout_s):
    """Requests steps.

    Args:
      count: number of steps.
      timeout_s: how long to wait.

    Returns:
      The answer, as `worker.take_steps` returns it.

    Raises:
      TrainingError: if it fails or does not answer.
    """
    return self.ask({"steps": count}, timeout_s)

  def ask(self, request, timeout_s):
    """Sends a request and waits for the answer.

    Args:
      request: a dict, as `worker.serve` takes it.
      timeout_s: how long to wait.

    Returns:
      The answer, a dict.

    Raises:
      TrainingError: if it fails or does not answer.
    """
    try:
      self._process.stdin.write((json.dumps(request) + "\n").encode())
      self._process.stdin.flush()
    except OSError:
      pass  # it has ended; the answer has the reason
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


def measure(contenders, settings=None):
  """Steps contenders in turn.

  Args:
    contenders: name → `Contender`.
    settings: a `Settings`.

  Returns:
    Name → dict: `reason`, or `build_s`, `versions`, `first_step_s`, `losses`
    of the first steps, `seconds` per step `[rounds]`, where entries of one
    index are a pair, `values` `[rounds]`, the results of the last step of each
    turn, `cpu_s` `[rounds]`, the processor time per step, and `rss_bytes`.
  """
  settings = settings or Settings()
  found = {}
  for _ in range(settings.repeats):
    turns = Turns(contenders, settings)
    try:
      turns.start()
      turns.first_steps()
      found = join(found, turns.measure())
    finally:
      turns.close()
  return found


def join(before, found):
  """Merges the results of two repeats.

  Args:
    before: the merged results of all earlier repeats; empty at first.
    found: what `Turns.measure` returned; it is changed.

  Returns:
    The merged results of all repeats.
  """
  if not before:
    return found
  for name, row in found.items():
    other = before[name]
    if "reason" in other or "reason" in row:
      found[name] = other if "reason" in other else row
      continue
    # All rows keep the same turns, so that entries of one index are pairs.
    row["seconds"] = other["seconds"] + row["seconds"]
    row["values"] = other["values"] + row["values"]
    row["cpu_s"] = other["cpu_s"] + row["cpu_s"]
    row["rss_bytes"] = max(other["rss_bytes"], row["rss_bytes"])
    for key in ("build_s", "first_step_s"):
      row[key] = min(other[key], row[key])
  return found


class Turns:
  """The running processes, and their results."""

  def __init__(self, contenders, settings):
    """Does not start the processes yet.

    Args:
      contenders: name → `Contender`.
      settings: a `Settings`.
    """
    self._contenders = contenders
    self._settings = settings
    self._running = {}
    self._found = {name: {} for name in contenders}

  def start(self):
    """Starts all, a few in parallel; waits until all have built."""
    names = list(self._contenders)
    waiting = []
    while names or waiting:
      while names and len(waiting) < self._settings.at_once:
        name = names.pop(0)
        process = self._attempt(name, Process, self._contenders[name])
        if process is not None:
          self._running[name] = process
          waiting.append(name)
      if waiting:
        name = waiting.pop(0)
        answer = self._running[name].answer
        ready = self._attempt(name, answer, self._settings.start_s)
        if ready is not None:
          self._found[name].update(ready)

  def _attempt(self, name, call, *arguments):
    """Calls; on failure records the reason, and drops the contender."""
    try:
      return call(*arguments)
    except errors.TrainingError as error:
      self._found[name] = {"reason": str(error)}
      if name in self._running:
        self._running.pop(name).close()
      return None

  def _ask(self, name, steps):
    ask = self._running[name].steps
    time.sleep(self._settings.pause_s)
    return self._attempt(name, ask, steps, self._settings.answer_s)

  @property
  def running(self):
    """A list of the names of the running contenders."""
    return list(self._running)

  def call(self, name, function, timeout_s, **arguments):
    """Has a contender call one of its functions.

    Args:
      name: name of a running contender.
      function: name of the function.
      timeout_s: how long to wait.
      **arguments: arguments of the function.

    Returns:
      The answer, as `worker.take_call` returns it; None if the contender failed
      and so was stopped.
    """
    ask = self._running[name].ask
    request = {"call": function, "arguments": arguments}
    return self._attempt(name, ask, request, timeout_s)

  def first_steps(self):
    """Takes the first steps, whose losses are compared."""
    for name in list(self._running):
      answer = self._ask(name, FIRST_STEPS)
      if answer is not None:
        self._found[name].update(
          first_step_s=answer["seconds"][0],
          losses=answer["values"],
          rss_bytes=answer["rss_bytes"],
          seconds=[],
          values=[],
          cpu_s=[],
        )
        self._found[name]["last_s"] = answer["seconds"][-1]

  def measure(self):
    """Takes turns; returns the results."""
    settings, found = self._settings, self._found
    last = [
      found[name].pop("last_s")
      for name in self._running
      if not self._contenders[name].single
    ]
    steps = int(settings.turn_s / max(min(last, default=1.0), 1e-6))
    steps = min(max(steps, 1), settings.most_steps)
    begin = time.perf_counter()
    for k in range(settings.warm_up + settings.rounds):
      late = time.perf_counter() - begin > settings.budget_s
      if late and k >= settings.warm_up + settings.least_rounds:
        break
      for name in list(self._running):
        single = self._contenders[name].single
        settle = 0 if single else settings.settle
        answer = self._ask(name, 1 if single else settle + steps)
        if answer is not None and k >= settings.warm_up:
          seconds = answer["seconds"][settle:]
          found[name]["seconds"].append(float(np.mean(seconds)))
          found[name]["values"].append(answer["values"][-1])
          found[name]["cpu_s"].append(answer.get("cpu_s", 0.0))
          found[name]["rss_bytes"] = answer["rss_bytes"]
    for row in found.values():
      row.pop("last_s", None)
    return found

  def close(self):
    """Ends all processes."""
    for process in self._running.values():
      process.close()
    self._running = {}

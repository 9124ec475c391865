"""Schedules: the order of training on batches of one type each.

A schedule is an object with

    choose(waiting)          returns the next type; `waiting` is an ordered dict
                             from each type with waiting batches to its number
                             of records
    report(losses)           takes a dict type → loss after each step
    state(), restore(state)  for checkpoints, an exact JSON value

`restore` raises `KeyError` for a state that lacks a key.

Random draws depend only on the seed and on the number of earlier draws, so that
a state is a few numbers.
"""

from __future__ import annotations

import collections
import math
from typing import Any, Iterable, Iterator, Mapping, Optional

import numpy as np

from tangle import errors, hints
from tangle.branches import records


class RoundRobin:
  """Takes the types in turn; skips types without waiting batches."""

  @errors.named("RoundRobin")
  def __init__(self, types: Iterable[str]) -> None:
    """Stores the order.

    Args:
      types: the names of the types.

    Raises:
      ArgumentError: if there are none.
    """
    self._types = list(types)
    self._next = 0
    if not self._types:
      raise errors.ArgumentError("types is empty. Give at least one.")

  @errors.named("RoundRobin")
  def choose(self, waiting: Mapping[str, int]) -> str:
    """Returns the next type that has a batch waiting, and ends its turn.

    Args:
      waiting: type → number of waiting records; not empty.

    Returns:
      A key of `waiting`.

    Raises:
      ArgumentError: if `waiting` is empty, or has an unknown type.
    """
    _check_waiting(waiting, self._types)
    while True:
      name = self._types[self._next]
      self._next = (self._next + 1) % len(self._types)
      if name in waiting:
        return name

  def report(self, losses: Mapping[str, float]) -> None:
    """Does nothing: the order does not depend on losses.

    Args:
      losses: ignored.
    """

  def state(self) -> hints.State:
    """Returns a dict: `next` is the index of the type whose turn is next."""
    return {"next": self._next}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Resumes from a state.

    Args:
      state: what `state` returned.
    """
    self._next = state["next"]


class Proportional:
  """Draws a type by its weight, or by the number of its waiting records."""

  @errors.named("Proportional")
  def __init__(
    self, weights: Optional[Mapping[str, float]] = None, seed: int = 0
  ) -> None:
    """Stores the weights.

    Args:
      weights: type → weight, positive. By default the number of waiting
        records: of all remaining records, if `arrange` has no limit `ahead`.
      seed: seed of the draws.

    Raises:
      ArgumentError: if there are no weights, or one is not positive or not
        finite.
    """
    self._weights = None if weights is None else dict(weights)
    self._seed, self._drawn = seed, 0
    if weights is None:
      return
    if not self._weights:
      raise errors.ArgumentError(
        "weights is empty. Give one for each type, or None."
      )
    for name, weight in self._weights.items():
      if not (weight > 0 and math.isfinite(weight)):
        raise errors.ArgumentError(
          f"the weight of {name!r} must be positive and finite, "
          f"got {weight}. Leave out the records of a type that is not wanted."
        )

  @errors.named("Proportional")
  def choose(self, waiting: Mapping[str, int]) -> str:
    """Draws a type that has a batch waiting.

    Args:
      waiting: type → number of waiting records; not empty.

    Returns:
      A key of `waiting`.

    Raises:
      ArgumentError: if `waiting` is empty, or has a type without a weight.
    """
    _check_waiting(waiting, self._weights)
    weights = waiting
    if self._weights is not None:
      weights = {name: self._weights[name] for name in waiting}
    self._drawn += 1
    return _draw([self._seed, self._drawn], weights)

  def report(self, losses: Mapping[str, float]) -> None:
    """Does nothing: the order does not depend on losses.

    Args:
      losses: ignored.
    """

  def state(self) -> hints.State:
    """Returns a dict: `drawn` is the number of draws so far."""
    return {"drawn": self._drawn}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Resumes from a state.

    Args:
      state: what `state` returned.
    """
    self._drawn = state["drawn"]


class ByLoss:
  """Draws a type by its recent loss; types with a larger loss more often.

  The weight of a type is `floor + m`, where `m` is the moving mean of its
  losses, `m ← decay * m + (1 - decay) * loss`, initially the first loss. A
  waiting type without a reported loss is chosen first, without a draw.
  """

  @errors.named("ByLoss")
  def __init__(
    self, decay: float = 0.9, floor: float = 0.01, seed: int = 0
  ) -> None:
    """Sets the decay and the seed.

    Args:
      decay: from 0 to below 1.
      floor: positive; with it, a type whose loss is near 0 is still drawn.
      seed: seed of the draws.

    Raises:
      ArgumentError: if `decay` or `floor` is out of range.
    """
    if not 0 <= decay < 1:
      raise errors.ArgumentError(
        f"decay must be at least 0 and below 1, got {decay}. The larger it is, "
        f"the longer losses count; with 0 only the last one does."
      )
    if not (floor > 0 and math.isfinite(floor)):
      raise errors.ArgumentError(
        f"floor must be positive and finite, got {floor}. Give a small number, "
        f"such as 0.01, so that a type whose loss is near 0 is still drawn."
      )
    self._decay, self._floor, self._seed = decay, floor, seed
    self._means, self._drawn = {}, 0

  @errors.named("ByLoss")
  def choose(self, waiting: Mapping[str, int]) -> str:
    """Draws a type that has a batch waiting.

    Args:
      waiting: type → number of waiting records, which has no effect here; not
        empty.

    Returns:
      A key of `waiting`.

    Raises:
      ArgumentError: if `waiting` is empty.
    """
    _check_waiting(waiting)
    for name in waiting:
      if name not in self._means:
        return name
    weights = {name: self._floor + self._means[name] for name in waiting}
    self._drawn += 1
    return _draw([self._seed, self._drawn], weights)

  @errors.named("ByLoss")
  def report(self, losses: Mapping[str, float]) -> None:
    """Adds the losses of a step to the moving means.

    Args:
      losses: type → loss, as `Result.losses`.

    Raises:
      ArgumentError: if a loss is negative or not finite.
    """
    for name, loss in losses.items():
      if not (loss >= 0 and math.isfinite(loss)):
        raise errors.ArgumentError(
          f"the loss of {name!r} must be finite and at least 0, got "
          f"{loss}. Choose another schedule for losses below 0."
        )
      mean = self._means.get(name, loss)
      self._means[name] = self._decay * mean + (1 - self._decay) * loss

  def state(self) -> hints.State:
    """Returns a dict: `means`, type → moving mean; `drawn`, number of draws."""
    return {"means": dict(self._means), "drawn": self._drawn}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Resumes from a state.

    Args:
      state: what `state` returned.
    """
    self._means, self._drawn = dict(state["means"]), state["drawn"]


@errors.named("schedules.arrange")
def arrange(
  batches: Iterable[records.Batch], schedule: Any, ahead: Optional[int] = None
) -> Iterator[records.Batch]:
  """Yields batches in the order of a schedule, each once.

  Batches of one type keep their order. A type can be chosen only while one of
  its batches waits: with a larger `ahead`, the order is closer to the schedule.

  Args:
    batches: an iterable of `Batch`es of one type each.
    schedule: a schedule. Call its `report` with the losses of each step; this
      function does not.
    ahead: the largest number of waiting batches, at least 1. None for no limit:
      all batches are read before the first is yielded.

  Yields:
    The batches. The schedule is shown the waiting types sorted by name.

  Raises:
    ArgumentError: when the next batch is requested, if `ahead` is less than 1,
      a batch is of several types, or the schedule does not know a type.
  """
  if ahead is not None and ahead < 1:
    raise errors.ArgumentError(f"ahead must be at least 1, got {ahead}.")
  source, ended = iter(batches), False
  queues = collections.OrderedDict()
  while True:
    count = sum(map(len, queues.values()))
    while not ended and (ahead is None or count < ahead):
      batch = next(source, None)
      if batch is None:
        ended = True
        break
      if len(batch.inputs) != 1:
        raise errors.ArgumentError(
          f"a batch has records of {list(batch.inputs)}; "
          f"each must be of one type. Make them with streams.by_type."
        )
      (name,) = batch.inputs
      queues.setdefault(name, collections.deque()).append(batch)
      count += 1
    waiting = collections.OrderedDict(
      (name, sum(len(b.targets) for b in queues[name]))
      for name in sorted(queues)
      if queues[name]
    )
    if not waiting:
      return
    yield queues[schedule.choose(waiting)].popleft()


def _check_waiting(waiting, known=None):
  """Refuses to choose a type of none, or of one that the schedule lacks."""
  if not waiting:
    raise errors.ArgumentError("waiting is empty. Choose while records wait.")
  for name in waiting:
    if known is not None and name not in known:
      raise errors.ArgumentError(
        f"records of type {name!r} wait; the schedule knows "
        f"{list(known)}. Give the schedule every type of the data."
      )


def _draw(seed, weights):
  """Draws a key of `weights`; each draw has its own seed."""
  names = list(weights)
  values = np.array([weights[name] for name in names], np.float64)
  limits = np.cumsum(values) / values.sum()
  place = np.random.RandomState(seed).random_sample()
  return names[
    min(int(np.searchsorted(limits, place, "right")), len(names) - 1)
  ]

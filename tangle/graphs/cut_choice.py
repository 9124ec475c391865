"""Chooses which of the places where a graph can be cut to list."""

import bisect
import collections
import itertools
from typing import NamedTuple

from tangle.graphs import gradient_paths, live_sets

_NEAR = 0.25
"""A set is left out if less than this fraction of the work lies between the
smaller sets (or ends of the graph) before and after it."""

_ACTIVATIONS = gradient_paths.VIEWS | frozenset(
  ["Elu", "LeakyRelu", "Relu", "Relu6", "Selu", "Sigmoid", "Softplus", "Tanh"]
)
"""Types of ops with which a layer ends."""


class Work:
  """The fraction of the forward pass that lies below a position."""

  def __init__(self, sweep, counter):
    """Counts the operations.

    Args:
      sweep: a `live_sets.Sweep`.
      counter: a `flops.Counter`.
    """
    counts = [0] * (sweep.length + 1)
    for op in sweep.ops:
      place = sweep.position.get(op)
      if place is None:
        place = sweep.spans[op].first if op in sweep.spans else sweep.length
      counts[place] += counter.count(op)
    self._below = list(itertools.accumulate(counts))
    self._length = sweep.length

  def share(self, position):
    """Returns the fraction of the floating-point operations up to a position.

    Args:
      position: a position of the sweep, 0 or more.

    Returns:
      A float, 0 to 1, with the op at `position`; 0 if none are counted.
    """
    total = self._below[-1]
    return self._below[position] / total if total else 0.0

  def between(self, first, last):
    """Returns the fraction of the work between two positions, 0 to 1.

    Args:
      first: a position, or -1.
      last: a later one.

    Returns:
      The mean of the fractions of floating-point operations and of ops.
    """
    ops = (last - first) / self._length
    below = self.share(first) if first >= 0 else 0.0
    if not self._below[-1]:
      return ops
    return (self.share(last) - below + ops) / 2


class _Candidate(NamedTuple):
  """A place that may be listed.

  Attributes:
    place: a `live_sets.Place`.
    bytes: of its tensors.
    is_ended: whether no heavy op and no variable lies above.
  """

  place: live_sets.Place
  bytes: int
  is_ended: bool = False


class Choice:
  """Chooses the places to list, smaller sets first.

  Between two heavy ops (see `live_sets.Sweep`) it lists at most one set of each
  size, and only if that has fewer bytes than all smaller sets there. It lists
  several single tensors if each has fewer bytes than the one before.
  """

  def __init__(self, sweep, shapes, work):
    """Begins with no places.

    Args:
      sweep: a `live_sets.Sweep`.
      shapes: the `flops.Shapes` of its ops.
      work: the `Work` below its positions.
    """
    self._sweep = sweep
    self._shapes = shapes
    self._work = work
    spans = sweep.variable_spans.values()
    self._first = min((span.first for span in spans), default=sweep.length)
    # The last op may add regularization of variables to the loss.
    self._last = max(
      (span.last for span in spans if span.last < sweep.top), default=-1
    )
    self._singles = collections.OrderedDict()  # stretch → candidates
    self._sets = []

  def add(self, place):
    """Adds a place; call it in the order from inputs to outputs.

    Args:
      place: a `live_sets.Place`.
    """
    stretch = self._sweep.heavy[place.position]
    if not stretch and place.position < self._first:
      return  # only cheap ops without a variable lie below
    if len(place.tensors) > 1:
      self._sets.append(place)
      return
    total = self._bytes(place)
    before = self._singles.setdefault(stretch, [])
    if before and total > before[-1].bytes:
      return  # larger than the one before, with only cheap ops between
    is_ended = stretch == self._sweep.heavy[-1] and place.position >= self._last
    if before and total == before[-1].bytes:
      # After the last layer the loss begins.
      if before[-1].is_ended and not self._is_activation(place):
        return
      if before[-1].is_ended and place.position > before[-1].place.position + 1:
        return
      before.pop()
    before.append(_Candidate(place, total, is_ended))

  def _is_activation(self, place):
    return any(tensor.op.type in _ACTIVATIONS for tensor in place.tensors)

  def _bytes(self, place):
    return sum(self._shapes.bytes(tensor) for tensor in place.tensors)

  def places(self):
    """Returns the list of places to list, from inputs to outputs."""
    heavy = self._sweep.heavy
    chosen, least = {}, {}  # position → place, stretch → bytes
    for stretch, candidates in self._singles.items():
      chosen.update((c.place.position, c.place) for c in candidates)
      least[stretch] = candidates[-1].bytes
    for size in sorted({len(place.tensors) for place in self._sets}):
      ends = [-1] + sorted(chosen) + [self._sweep.length]
      best = {}
      for place in self._sets:
        if len(place.tensors) != size:
          continue
        k = bisect.bisect(ends, place.position)
        if self._work.between(ends[k - 1], ends[k]) < _NEAR:
          continue
        stretch, total = heavy[place.position], self._bytes(place)
        if stretch in least and total >= least[stretch]:
          continue
        if stretch not in best or total <= best[stretch].bytes:
          best[stretch] = _Candidate(place, total)
      for stretch, candidate in best.items():
        chosen[candidate.place.position] = candidate.place
        least[stretch] = candidate.bytes
    return [chosen[position] for position in sorted(chosen)]

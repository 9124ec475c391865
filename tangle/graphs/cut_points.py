"""Lists where a graph can be cut, so that its owner need not search it.

A cut point is a tensor, or a small set of tensors, that all gradient paths from
below lead through: `SubModel(inputs, point.tensors)` and
`SubModel(point.tensors, outputs)` have the gradients of the joint graph. A
variable that both read gets its gradient as the sum of two.
"""

import bisect
import collections
import itertools
from typing import Any, NamedTuple, Tuple

from tangle import errors
from tangle.graphs import cut, flops, gradient_paths, live_sets, walk

MOST = 4
"""How many tensors a cut point has at most, unless said otherwise."""

_NEAR = 0.25
"""A set is left out if a smaller one lies before and one behind it, and less
than this share of the work is between the two."""

_ACTIVATIONS = gradient_paths.VIEWS | frozenset(
  ["Elu", "LeakyRelu", "Relu", "Relu6", "Selu", "Sigmoid", "Softplus", "Tanh"]
)
"""Types of ops that a layer ends with."""


class CutPoint(NamedTuple):
  """A tensor or a few, at which a graph can be cut.

  Attributes:
    tensors: the outputs of the sub-model below and inputs of the one above, of
      any shapes. One may be an input of the whole graph, which both read: its
      gradient flows through the cut, too.
    bytes: of all of them, for one example: an unknown dimension counts as 1.
    variables_below: the trainable variables that get a gradient below.
    variables_above: those that get one above; some may be among both.
    share: of the floating-point operations of the forward pass, 0 to 1, those
      below.
    drawn_twice: names of random and other stateful ops that run both below and
      above. The two runs give other values than the joint graph, which has one,
      unless what such an op gives is fed.
  """

  tensors: Tuple[Any, ...]
  bytes: int
  variables_below: Tuple[Any, ...]
  variables_above: Tuple[Any, ...]
  share: float
  drawn_twice: Tuple[str, ...]

  @property
  def names(self):
    """The names of the tensors."""
    return tuple(tensor.name for tensor in self.tensors)


class CutPoints(tuple):
  """A sequence of `CutPoint`, from inputs to outputs, printable as a table."""

  def __str__(self):
    rows = [
      (
        "",
        "tensors",
        "dtype",
        "shape",
        "bytes",
        "variables below",
        "above",
        "flops below",
      )
    ]
    for k, point in enumerate(self):
      mark = "*" if point.drawn_twice else ""
      ends = (
        f"{point.bytes:,}",
        f"{len(point.variables_below)}",
        f"{len(point.variables_above)}",
        f"{point.share:.1%}{mark}",
      )
      for n, tensor in enumerate(point.tensors):
        kind = (tensor.name, tensor.dtype.base_dtype.name, _shape_of(tensor))
        rows.append(
          (f"{k}",) + kind + ends if n == 0 else ("",) + kind + ("",) * 4
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
      "  ".join(
        cell.ljust(width) if 0 < column < 4 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths))
      ).rstrip()
      for row in rows
    ]
    lines.append(
      f"{len(self)} cut points; bytes are for one example, unknown dimensions "
      f"count as 1"
    )
    twice = dict.fromkeys(
      itertools.chain.from_iterable(point.drawn_twice for point in self)
    )
    if twice:
      lines.append(
        f"* not exact unless these are fed, which both sides would run: "
        f"{', '.join(twice)}"
      )
    return "\n".join(lines)

  def to_dicts(self):
    """Returns the points as dicts of names and numbers, for JSON."""
    return [
      {
        "tensors": {
          t.name: f"{t.dtype.base_dtype.name} {_shape_of(t)}"
          for t in point.tensors
        },
        "bytes": point.bytes,
        "variables_below": [v.name for v in point.variables_below],
        "variables_above": [v.name for v in point.variables_above],
        "share": point.share,
        "drawn_twice": list(point.drawn_twice),
      }
      for point in self
    ]


def _shape_of(tensor):
  """Returns the shape as text, the same on both TensorFlows."""
  if tensor.shape.ndims is None:
    return "?"
  sizes = ["?" if n is None else str(n) for n in tensor.shape.as_list()]
  return f"[{', '.join(sizes)}]"


def cut_points(inputs, outputs, most=MOST):
  """Lists the tensors, and small sets of them, where a graph can be cut.

  All gradient paths from a variable or an input below a cut point to an output
  lead through its tensors. What no gradient flows through may cross besides,
  such as masks and lengths: what both sides read of it is computed on both, and
  so is what depends on variables alone.

  Of single tensors that only cheap ops lie between (element-wise ops,
  reductions, moves of data), one is listed of each size in bytes that is less
  than that before: the last, which later layers read, or, above all variables,
  the one that the last layer gives. A set of
  several tensors is listed where no smaller one is near: where a quarter of the
  work or more lies between the smaller ones before and behind it. Inputs of
  the graph that a set contains do not count. Places are left out that only
  cheap ops without a variable lie below.

  Floating-point operations are those that TensorFlow's profiler counts, by
  static shapes. An unknown dimension counts as 1. A TensorFlow 1 style loop
  counts as if it ran once; what functions do, as the body of a TensorFlow 2
  style loop, does not count.

  Args:
    inputs: tensors of any shapes where the graph begins. An input that a run
      may be fed but that is not listed can be needed on both sides.
    outputs: tensors of any shapes that gradients come from, such as the loss.
    most: how many tensors a cut point has at most, besides inputs.

  Returns:
    A `CutPoints`, in an order in which each lies above the one before, so that
    several can be used at once. It is empty if there is none.

  Raises:
    ArgumentError: if inputs or outputs are not sequences of tensors, or empty,
      or `most` is not positive.
    GraphError: if the tensors belong to several graphs.
    DisconnectedError: if no gradient path leads from `outputs` to any input or
      variable.
  """
  caller = "cut_points"
  outputs = walk.check_tensors(caller, "outputs", outputs)
  for argument, value in (("outputs", outputs), ("inputs", inputs)):
    if not isinstance(value, list) or value:
      continue
    raise errors.ArgumentError(
      f"{caller}: {argument} is empty; give at least one tensor."
    )
  inputs = walk.check_tensors(caller, "inputs", inputs, outputs[0].graph)
  if not isinstance(most, int) or most < 1:
    raise errors.ArgumentError(
      f"{caller}: most must be a positive int, got {most!r}."
    )
  sweep = live_sets.Sweep(inputs, outputs)
  if not sweep.length:
    raise errors.DisconnectedError(
      f"{caller}: no gradient flows from the outputs "
      f"{[t.name for t in outputs]} to any trainable variable or floating "
      f"input through what depends on the inputs {[t.name for t in inputs]}. "
      f"Give the loss, or what it is computed from, as output."
    )
  shapes = flops.Shapes(sweep.ops, sweep.inputs)
  selection = _Selection(sweep, shapes)
  for place in sweep.places(most):
    selection.add(place)
  return CutPoints(_describe(selection.choose(), sweep, selection.work, shapes))


class _Work:
  """How much of the forward pass lies below a position."""

  def __init__(self, sweep, counter):
    counts = [0] * (sweep.length + 1)
    for op in sweep.ops:
      place = sweep.position.get(op)
      if place is None:
        place = sweep.spans[op].first if op in sweep.spans else sweep.length
      counts[place] += counter.count(op)
    self._below = list(itertools.accumulate(counts))
    self._length = sweep.length

  def share(self, position):
    """Returns the share of floating-point operations, 0 to 1."""
    total = self._below[-1]
    return self._below[position] / total if total else 0.0

  def between(self, first, last):
    """Returns the share of operations and of ops, in the mean, 0 to 1."""
    ops = (last - first) / self._length
    below = self.share(first) if first >= 0 else 0.0
    if not self._below[-1]:
      return ops
    return (self.share(last) - below + ops) / 2


class _Candidate(NamedTuple):
  """A place that may be listed.

  Attributes:
    place: a `live_sets.Place`.
    bytes: of its tensors but inputs.
    is_ended: whether neither heavy ops nor variables lie above.
  """

  place: live_sets.Place
  bytes: int
  is_ended: bool = False


class _Selection:
  """Chooses the places to list, smaller sets first.

  In each stretch between heavy ops there is one place of a size at most, which
  has fewer bytes than those of smaller size; of single tensors there are
  several if each has fewer bytes than the one before.

  Attributes:
    work: the `_Work` below each position.
  """

  def __init__(self, sweep, shapes):
    self._sweep = sweep
    self._shapes = shapes
    self._inputs = walk.names(sweep.inputs)
    self.work = _Work(sweep, flops.Counter(shapes))
    spans = sweep.variable_spans.values()
    self._first = min((span.first for span in spans), default=sweep.length)
    # The last op may add what regularizes variables to the loss.
    self._last = max(
      (span.last for span in spans if span.last < sweep.top), default=-1
    )
    self._singles = collections.OrderedDict()  # stretch → candidates
    self._sets = []

  def add(self, place):
    """Takes a place into account, from inputs to outputs.

    Args:
      place: a `live_sets.Place`.
    """
    stretch = self._sweep.heavy[place.position]
    if not stretch and place.position < self._first:
      return  # only cheap ops without a variable lie below
    if place.size > 1:
      self._sets.append(place)
      return
    total = self._bytes(place)
    before = self._singles.setdefault(stretch, [])
    if before and total > before[-1].bytes:
      return  # of no use: there is nothing but cheap ops between the two
    is_ended = stretch == self._sweep.heavy[-1] and place.position >= self._last
    if before and total == before[-1].bytes:
      # Once the last layer has ended, a loss begins.
      if before[-1].is_ended and not self._is_activation(place):
        return
      if before[-1].is_ended and place.position > before[-1].place.position + 1:
        return
      before.pop()
    before.append(_Candidate(place, total, is_ended))

  def _is_activation(self, place):
    return any(
      tensor.op.type in _ACTIVATIONS
      for tensor in place.tensors
      if tensor.name not in self._inputs
    )

  def _bytes(self, place):
    return sum(
      self._shapes.bytes(tensor)
      for tensor in place.tensors
      if tensor.name not in self._inputs
    )

  def choose(self):
    """Returns the list of places to list, from inputs to outputs."""
    heavy = self._sweep.heavy
    chosen, least = {}, {}  # position → place, stretch → bytes
    for stretch, candidates in self._singles.items():
      chosen.update((c.place.position, c.place) for c in candidates)
      least[stretch] = candidates[-1].bytes
    for size in sorted({place.size for place in self._sets}):
      ends = [-1] + sorted(chosen) + [self._sweep.length]
      best = {}
      for place in self._sets:
        if place.size != size:
          continue
        k = bisect.bisect(ends, place.position)
        if self.work.between(ends[k - 1], ends[k]) < _NEAR:
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


def _describe(places, sweep, work, shapes):
  """Yields the `CutPoint` of each place."""
  taps = sweep.taps()
  stateful = [
    (op, sweep.position[op], sweep.position[op])
    if op in sweep.position
    else (op,) + sweep.spans[op]
    for op in cut.stateful_ops(sweep.ops)
    if op in sweep.position or op in sweep.spans
  ]
  for place in places:
    position = place.position
    below, above = [], []
    for variable in sweep.variables:
      span = sweep.variable_spans.get(variable.name)
      if span is not None and span.first <= position:
        below.append(variable)
      if span is not None and span.last > position:
        above.append(variable)
    yield CutPoint(
      tensors=tuple(place.tensors),
      bytes=sum(shapes.bytes(tensor) for tensor in place.tensors),
      variables_below=tuple(below),
      variables_above=tuple(above),
      share=work.share(position),
      drawn_twice=_drawn_twice(place, stateful, taps),
    )


def _drawn_twice(place, stateful, taps):
  """Names the stateful ops that both sides of a cut would run."""
  position, names = place.position, walk.names(place.tensors)
  # Above, what is read of the gradient's way below is computed once more.
  repeated = max(
    (
      made
      for tensor, made, last in taps
      if made <= position < last and tensor.name not in names
    ),
    default=-1,
  )
  return tuple(
    op.name
    for op, first, last in stateful
    if first <= position < last or first <= repeated
  )

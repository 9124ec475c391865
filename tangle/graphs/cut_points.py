"""Lists the places where a graph can be cut, so that users need not search.

A cut point is a tensor, or a small set of tensors, through which all gradient
paths from below lead. So two sub-models have the gradients of the joint graph:

    lower = SubModel(point.inputs_below, point.tensors)
    upper = SubModel(point.tensors + point.inputs_above, outputs)

The gradient of a variable or an input that both read is the sum of two parts.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from tangle import errors, hints
from tangle.compat import tf1
from tangle.graphs import cut, cut_choice, flops, live_sets, walk

MOST = 4
"""The default of the largest number of tensors that a cut point has."""


class CutPoint(NamedTuple):
  """One or several tensors at which a graph can be cut.

  Attributes:
    tensors: the outputs of the sub-model below and inputs of the one above, of
      any shapes.
    bytes: the bytes of all `tensors` together, where an unknown dimension, such
      as that of the batch, counts as 1.
    inputs_below: the inputs that the sub-model below reads, in the order given.
    inputs_above: the inputs that the sub-model above reads besides `tensors`.
      The gradient of an input that both read is the sum of two parts.
    variables_below: the trainable variables that get a gradient below.
    variables_above: those that get a gradient above; some may be in both.
    share: the fraction, 0 to 1, of the floating-point operations of the forward
      pass that lie below.
    drawn_twice: names of random and other stateful ops that run both below and
      above; empty if there are none. The two runs draw different values, while
      the joint graph draws once. To avoid this, feed the op's output to both.
  """

  tensors: Tuple[tf1.Tensor, ...]
  bytes: int
  inputs_below: Tuple[tf1.Tensor, ...]
  inputs_above: Tuple[tf1.Tensor, ...]
  variables_below: Tuple[hints.Variable, ...]
  variables_above: Tuple[hints.Variable, ...]
  share: float
  drawn_twice: Tuple[str, ...]

  @property
  def names(self) -> Tuple[str, ...]:
    """The names of the tensors."""
    return tuple(tensor.name for tensor in self.tensors)


class CutPoints(Tuple[CutPoint, ...]):
  """A sequence of `CutPoint`, from inputs to outputs, printable as a table."""

  def __str__(self):
    rows = [
      (
        "",
        "tensors",
        "dtype",
        "shape",
        "bytes",
        "inputs below",
        "inputs above",
        "variables below",
        "variables above",
        "flops below",
      )
    ]
    for k, point in enumerate(self):
      mark = "*" if point.drawn_twice else ""
      ends = (
        f"{point.bytes:,}",
        f"{len(point.inputs_below)}",
        f"{len(point.inputs_above)}",
        f"{len(point.variables_below)}",
        f"{len(point.variables_above)}",
        f"{point.share:.1%}{mark}",
      )
      for n, tensor in enumerate(point.tensors):
        kind = (tensor.name, tensor.dtype.base_dtype.name, _shape_of(tensor))
        rows.append(
          (f"{k}",) + kind + ends
          if n == 0
          else ("",) + kind + ("",) * len(ends)
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

  def to_dicts(self) -> List[Dict[str, Any]]:
    """Returns the points as dicts, for JSON, in their order.

    The keys of each dict are the names of the attributes of `CutPoint`. The
    value of `"tensors"` is a dict from tensor name to dtype and shape, such as
    `"float32 [?, 8]"`. Inputs and variables are lists of names.
    """
    return [
      {
        "tensors": {
          t.name: f"{t.dtype.base_dtype.name} {_shape_of(t)}"
          for t in point.tensors
        },
        "bytes": point.bytes,
        "inputs_below": [t.name for t in point.inputs_below],
        "inputs_above": [t.name for t in point.inputs_above],
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


@errors.named("cut_points")
def cut_points(
  inputs: Sequence[tf1.Tensor], outputs: Sequence[tf1.Tensor], most: int = MOST
) -> CutPoints:
  """Lists the tensors, and small sets of them, where a graph can be cut.

  All gradient paths from a variable or an input below a cut point to an output
  lead through its tensors. The exception is an input that is also read above:
  it is an input there too. Tensors without a gradient, such as masks and
  lengths, may cross the cut: if both sides read one, both compute it. The same
  holds for tensors that depend only on variables.

  Where several single tensors have only cheap ops (element-wise ops,
  reductions, moves of data) between them, a tensor is listed if it has fewer
  bytes than those before. Of tensors of the same size only the last is listed,
  the one that later layers read. Where no layer follows, the output of the last
  layer is listed instead, not what the loss computes from it.

  Between two ops that are not cheap, at most one set of each size is listed. It
  must have fewer bytes than all smaller sets there, and a quarter of the work
  or more must lie between the smaller sets before and after it. Work is the
  mean of the fraction of floating-point operations and the fraction of ops. A
  place is left out if only cheap ops without a variable lie below it.

  Floating-point operations are those that TensorFlow's profiler counts, by
  static shapes. An unknown dimension counts as 1. A TensorFlow 1 style loop
  counts as if it ran once. Operations inside functions, such as the body of a
  TensorFlow 2 style loop, are not counted.

  This adds no ops to the graph, and runs nothing.

  Args:
    inputs: tensors of any shapes where the graph begins. A fed tensor that is
      not listed here may be needed on both sides.
    outputs: tensors of any shapes that gradients come from, such as the loss.
    most: the largest number of tensors that a cut point may have.

  Returns:
    A `CutPoints`. Each lies above the one before, so that several can be used
    at once. It is empty if there is none.

  Raises:
    ArgumentError: if inputs or outputs are not sequences of tensors, or empty,
      or `most` is not positive.
    GraphError: if the tensors belong to several graphs.
    DisconnectedError: if no gradient path leads from `outputs` to any input or
      variable.
  """
  graph = None
  ends = []
  for argument, tensors in (("outputs", outputs), ("inputs", inputs)):
    ends.append(walk.check_tensors(argument, tensors, graph))
    if not ends[-1]:
      raise errors.ArgumentError(
        f"{argument} is empty; give at least one tensor."
      )
    graph = ends[-1][0].graph
  outputs, inputs = ends
  if not isinstance(most, int) or most < 1:
    raise errors.ArgumentError(f"most must be a positive int, got {most!r}.")
  sweep = live_sets.Sweep(inputs, outputs)
  if not sweep.length:
    raise errors.DisconnectedError(
      f"no gradient flows from the outputs "
      f"{[t.name for t in outputs]} to any trainable variable or floating "
      f"input through what depends on the inputs {[t.name for t in inputs]}. "
      f"Give the loss, or what it is computed from, as output."
    )
  shapes = flops.Shapes(sweep.ops, sweep.inputs)
  work = cut_choice.Work(sweep, flops.Counter(shapes))
  choice = cut_choice.Choice(sweep, shapes, work)
  for place in sweep.places(most):
    choice.add(place)
  return CutPoints(_describe(choice.places(), sweep, work, shapes))


def _describe(places, sweep, work, shapes):
  """Yields the `CutPoint` of each place."""
  taps = sweep.taps()
  stateful = [
    (op, sweep.position[op], sweep.position[op])
    if op in sweep.position
    else (op,) + sweep.spans[op]
    for op in cut.stateful_ops(sweep.all_ops)
    if (op in sweep.position or op in sweep.spans) and not _is_handle(op)
  ]
  for place in places:
    position, names = place.position, walk.names(place.tensors)
    # The part above recomputes tensors below that it reads without a gradient.
    repeated = max(
      (
        made
        for tensor, made, last in taps
        if made <= position < last and tensor.name not in names
      ),
      default=-1,
    )
    inputs_below, inputs_above = _sides(
      sweep.inputs, sweep.input_spans, position, repeated
    )
    below, above = _sides(sweep.variables, sweep.variable_spans, position)
    yield CutPoint(
      tensors=tuple(place.tensors),
      bytes=sum(shapes.bytes(tensor) for tensor in place.tensors),
      inputs_below=inputs_below,
      inputs_above=inputs_above,
      variables_below=below,
      variables_above=above,
      share=work.share(position),
      drawn_twice=tuple(
        op.name
        for op, first, last in stateful
        if first <= position < last or first <= repeated
      ),
    )


def _is_handle(op):
  """Whether `op` only returns the handle of a resource, such as a queue."""
  return all(tensor.dtype.base_dtype == tf1.resource for tensor in op.outputs)


def _sides(sources, spans, position, repeated=-1):
  """Returns the `sources` that are read below, and those read above."""
  found = [(s, spans[s.name]) for s in sources if s.name in spans]
  below = tuple(source for source, span in found if span.first <= position)
  above = tuple(
    source
    for source, span in found
    if span.last > position or span.first <= repeated
  )
  return below, above

"""Draws the cut of a sub-model: which tensors are kept, recomputed, and read.

The picture is text in graphviz's language, from which the `graphviz` package
and its program `dot` make an SVG or PNG. The tensors that `tangle.cut_points`
returns, at which the piece could be cut in two, have a double border. A small
piece is drawn op by op. In a large one, scopes that differ only in numbers,
such as the steps of an unrolled network, are drawn as one; if that is not
enough, so are all ops of a scope.
"""

import collections
import re

from tangle import errors, files
from tangle.graphs import cut, cut_points

MOST = 60
"""The most boxes in a picture, unless there are more top-level scopes."""

_KINDS = {
  "input": ("#dddddd", "input"),
  "variable": ("#c6dbef", "variable"),
  "kept": ("#fdae6b", "kept"),
  "again": ("#a1d99b", "computed again"),
  "once": ("#ffffff", "computed once"),
}


def draw(path, piece, residuals, recomputed):
  """Writes the picture of a cut.

  Args:
    path: the file to write or replace; it ends with `.dot`, `.svg` or `.png`.
    piece: a `split.Split`.
    residuals: its `Residuals`.
    recomputed: the forward ops that the backward pass reruns.

  Raises:
    ArgumentError, FileError, MissingPackageError: as `write`.
  """
  write(path, lambda: to_dot(piece, residuals, recomputed))


def write(path, make_text):
  """Writes a picture as graphviz's text, or as what graphviz makes of it.

  Args:
    path: the file to write or replace; it ends with `.dot`, `.svg` or `.png`.
    make_text: a function that returns the picture in graphviz's language. It
      is called only if `path` and the package are there.

  Raises:
    ArgumentError: if `path` has another ending.
    FileError: if the file cannot be written, as in a directory that is missing.
    MissingPackageError: if an SVG or PNG is asked for, and the package
      `graphviz` or the program `dot` is missing.
  """
  path = str(path)
  kind = path.rpartition(".")[2]
  if kind not in ("dot", "svg", "png"):
    raise errors.ArgumentError(
      f"path must end with .dot, .svg or .png, got {path!r}. For other "
      f"formats write a .dot file, which the program dot converts."
    )
  render = str.encode if kind == "dot" else _renderer(kind)
  content = render(make_text())
  files.write_text(path, content)


def _renderer(kind):
  """Returns the function from dot text to the bytes of a picture."""
  with errors.needing(
    "graphviz", "tangle-graph[draw] (or draw to a .dot file)"
  ):
    import graphviz

  def render(text):
    try:
      return graphviz.Source(text).pipe(kind)
    except graphviz.ExecutableNotFound as error:
      raise errors.MissingPackageError(
        "the program dot of Graphviz is not installed. Install "
        "Graphviz (on Debian: apt-get install graphviz), or write a .dot file."
      ) from error

  return render


def to_dot(piece, residuals, recomputed, most=MOST):
  """Returns the picture in graphviz's language.

  Args:
    piece: a `split.Split`.
    residuals: its `Residuals`.
    recomputed: the forward ops that the backward pass reruns.
    most: the largest number of boxes. There are more if even the joined
      top-level scopes are more.

  Returns:
    A string.
  """
  ops = [op for op in piece.all_ops if op.type not in cut.FREE]
  ops += _missing(piece, residuals, ops)
  graph = _Graph(piece, residuals, recomputed, ops)
  group = _grouping([op.name for op in ops], most)
  return "\n".join(graph.lines(group))


def _missing(piece, residuals, ops):
  """Lists ops of kept tensors that the outputs do not depend on."""
  known = {op.name for op in ops}
  names = [record.name.split(":")[0] for record in residuals]
  names += [tensor.op.name for tensor in piece.inputs]
  return [
    piece.graph.get_operation_by_name(name)
    for name in collections.OrderedDict.fromkeys(names)
    if name not in known
  ]


def _grouping(names, most):
  """Returns a function from op name to the name of its box."""
  deepest = max([name.count("/") for name in names], default=0) + 1
  ways = [lambda name: name, _join_scopes, _join_all]
  for depth in range(deepest - 1, 0, -1):
    for way in (lambda name: name, _join_all):
      ways.append(
        lambda name, depth=depth, way=way: way(
          "/".join(name.split("/")[:depth])
        )
      )
  for way in ways:
    if len({way(name) for name in names}) <= most:
      return way
  return ways[-1]


def _join_scopes(name):
  """Returns `name` without the numbers of its scopes, as of `step_12/Tanh`."""
  return re.sub(r"_?\d+(?=/)", "*", name)


def _join_all(name):
  return re.sub(r"_?\d+(?=/|$)", "*", name)


class _Graph:
  """The ops of a piece, each kept, recomputed, or run once."""

  def __init__(self, piece, residuals, recomputed, ops):
    self._ops = ops
    self._residuals = residuals
    self._bytes = collections.defaultdict(int)
    self._kept = set()
    self._outputs = {tensor.op.name for tensor in piece.outputs}
    for record in residuals:
      name = record.name.split(":")[0]
      self._kept.add(name)
      if not record.is_variable:
        self._bytes[name] += record.bytes or 0
    self._again = {op.name for op in recomputed}
    self._inputs = {tensor.op.name for tensor in piece.inputs}
    points = ()
    if piece.differentiable_ops():
      points = cut_points.cut_points(piece.inputs, piece.outputs)
    self._places = {t.op.name for point in points for t in point.tensors}

  def _kind(self, op):
    if op.type in cut.VARIABLE_READS or op.type in cut.REFERENCES:
      return "variable"
    if op.name in self._again:
      return "again"
    if op.name in self._kept:
      return "kept"
    return "input" if op.name in self._inputs else "once"

  def lines(self, group):
    """Yields the lines of the text; `group` maps an op name to its box."""
    boxes = collections.OrderedDict()
    for op in self._ops:
      boxes.setdefault(group(op.name), []).append(op)
    places = {name: k for k, name in enumerate(boxes)}
    yield "digraph cut {"
    yield f"  label={quote(self._title())}; labelloc=t;"
    yield '  rankdir=TB; fontname="Helvetica"; nodesep=0.15; ranksep=0.25;'
    yield '  node [shape=box, style=filled, fontname="Helvetica", fontsize=10];'
    yield '  edge [color="#777777", arrowsize=0.6];'
    yield from self._legend()
    for name, ops in boxes.items():
      yield f"  n{places[name]} [{self._attributes(name, ops)}];"
    edges = collections.OrderedDict()
    for op in self._ops:
      for tensor in op.inputs:
        ends = places.get(group(tensor.op.name)), places[group(op.name)]
        if ends[0] is not None and ends[0] != ends[1]:
          edges[ends] = edges.get(ends, False) or tensor.op.name in self._kept
    for (tail, head), kept in edges.items():
      style = ' [color="#e6550d", penwidth=2]' if kept else ""
      yield f"  n{tail} -> n{head}{style};"
    yield "}"

  def _title(self):
    variables = sum(record.is_variable for record in self._residuals)
    again = sum(
      op.type not in cut.FREE for op in self._ops if op.name in self._again
    )
    return (
      f"{len(self._residuals)} residuals, {self._residuals.bytes:,} bytes "
      f"besides {variables} values of variables\n{again} ops computed again"
    )

  def _legend(self):
    yield "  subgraph cluster_legend {"
    yield '    label=""; color="#ffffff";'
    for kind, (color, text) in _KINDS.items():
      yield f"    {kind} [label={quote(text)}, fillcolor={quote(color)}];"
    yield '    place [label="place to cut", fillcolor="#ffffff",'
    yield "           peripheries=2];"
    yield "  }"

  def _attributes(self, name, ops):
    kinds = collections.Counter(self._kind(op) for op in ops)
    size = sum(self._bytes[op.name] for op in ops)
    if len(ops) == 1:
      text = [ops[0].type, name]
    else:
      text = [f"{name} ({len(ops)} ops)"]
      text += [
        f"{kinds[kind]} {_KINDS[kind][1]}" for kind in _KINDS if kinds[kind]
      ]
    if any(op.name in self._kept for op in ops) and size:
      text.append(f"{size:,} bytes")
    order = ["kept", "again", "variable", "input", "once"]
    colors = [_KINDS[kind][0] for kind in order if kinds[kind]]
    found = [f"label={quote(chr(10).join(text))}"]
    if len(ops) == 1:
      found.append(f"fillcolor={quote(colors[0])}")
    else:  # a stripe for each kind
      share = sum(kinds.values())
      present = [kind for kind in order if kinds[kind]]
      parts = [f"{_KINDS[k][0]};{kinds[k] / share:.3f}" for k in present[:-1]]
      stripes = ":".join(parts + colors[-1:])  # the last takes the rest
      several = len(colors) > 1
      style = "striped" if several else "filled"
      found.append(
        f'style={style}, fillcolor="{stripes if several else colors[0]}"'
      )
    if any(op.name in self._outputs for op in ops):
      found.append("penwidth=2.5")
    if any(op.name in self._places for op in ops):
      found.append("peripheries=2")
    return ", ".join(found)


def quote(text):
  """Returns `text` as a string of graphviz's language."""
  escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
  return f'"{escaped}"'

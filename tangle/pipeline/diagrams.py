"""Shows a pipeline: a picture, and a table of its residuals.

The picture has the sub-models and the boundaries between them. It is text in
graphviz's language, as that of `partial.drawing`. A box is a sub-model. It
lists the outputs that others read, with the bytes that cross to each reader in
a step; as many bytes of gradients return.
"""

import collections
import html
import textwrap

from tangle.graphs import walk
from tangle.partial import drawing, residuals
from tangle.pipeline import pieces

_WITH_VARIABLES = "#c6dbef"
_WITHOUT = "#ffffff"
_WIDTH = 40  # characters of a line in a box


def to_dot(pipeline):
  """Returns the picture in graphviz's language.

  Args:
    pipeline: a `Pipeline` whose graphs are built.

  Returns:
    A string.
  """
  return "\n".join(_lines(pipeline))


def _lines(pipeline):
  places = {name: f"n{k}" for k, name in enumerate(pipeline.nodes)}
  variables = {name: _variables(node) for name, node in pipeline.nodes.items()}
  read = collections.defaultdict(list)  # sub-model → outputs that are read
  for node in pipeline.nodes.values():
    for source in (s for sources in node.reads.values() for s in sources):
      if source.output not in read[source.sub_model]:
        read[source.sub_model].append(source.output)
  yield "digraph pipeline {"
  total = {v.name: v for own in variables.values() for v in own}.values()
  title = (
    f"{pipeline.name}: sub-models {len(places)}, parameters {_count(total)}\n"
    f"blue: has variables; double border: has a loss; dashed: a batch chooses"
  )
  yield f"  label={drawing.quote(title)}; labelloc=t;"
  yield '  rankdir=TB; fontname="Helvetica"; nodesep=0.3; ranksep=0.4;'
  yield '  node [shape=box, style=filled, fontname="Helvetica", fontsize=10];'
  yield '  edge [color="#777777", arrowsize=0.6, fontname="Helvetica",'
  yield "    fontsize=9];"
  for name, node in pipeline.nodes.items():
    text = _label(node, variables[name], read[name])
    has_loss = next(iter(node.graphs.values())).piece.loss is not None
    color = _WITH_VARIABLES if variables[name] else _WITHOUT
    yield (
      f"  {places[name]} [label=<{text}>, fillcolor={drawing.quote(color)}, "
      f"peripheries={1 + has_loss}];"
    )
  for node in pipeline.nodes.values():
    for tail, names, style in _edges(node):
      text = drawing.quote("\n".join(names))
      yield f"  {places[tail]} -> {places[node.name]} [label={text}{style}];"
  yield "}"


def _edges(node):
  """Yields, for each sub-model that `node` reads, the names and the style.

  What a read may choose among has a dashed line.
  """
  found = collections.OrderedDict()
  for read, sources in node.reads.items():
    for source in sources:
      name = source.output
      text = name if name == read else f"{name} as {read}"
      key = source.sub_model, len(sources) > 1
      found.setdefault(key, []).append(text)
  for (tail, is_choice), names in found.items():
    yield tail, names, ", style=dashed" if is_choice else ""


def _variables(node):
  """Lists the trainable variables of a sub-model; its buckets share them."""
  graph = next(iter(node.graphs.values()))
  ends = list(graph.piece.outputs.values())
  ends += [] if graph.piece.loss is None else [graph.piece.loss]
  stop = [tensor for tensor, _, _ in graph.reads.values()]
  ops = walk.ancestors(ends, stop=stop)
  return walk.trainable_variables(ops, graph.graph)


def _count(variables):
  """Returns how many parameters variables have, as text."""
  return f"{sum(v.shape.num_elements() or 0 for v in variables):,}"


def _label(node, variables, outputs):
  """Returns the content of a box, in graphviz's HTML."""
  lines = []
  piece = next(iter(node.graphs.values())).piece
  if piece.feeds:
    lines.append(f"feeds {', '.join(piece.feeds)}")
  if node.buckets != [None]:
    lines.append(f"buckets {', '.join(map(str, node.buckets))}")
  kinds = f"variables {len(variables)}, parameters {_count(variables)}"
  lines.append(kinds if variables else "no variables")
  if piece.loss is not None:
    lines.append("has a loss")
  if node.device is not None:
    lines.append(f"on {node.device}")
  text = f"<B>{html.escape(node.name)}</B><BR/>"
  for line in lines:
    for part in textwrap.wrap(line, _WIDTH):
      text += f"{html.escape(part)}<BR/>"
  for output in outputs:
    tensors = [graph.piece.outputs[output] for graph in node.graphs.values()]
    text += f"<B>{html.escape(output)}</B>: {html.escape(describe(tensors))}"
    text += '<BR ALIGN="LEFT"/>'
  return text


def describe(tensors):
  """Describes a boundary.

  Args:
    tensors: the tensor of any shape that crosses it, for each bucket.

  Returns:
    A string: dtype, shape and size, as `"float32 [?, 20], 80 bytes per
    example"`. If only the first dimension is unknown, it counts as the batch.
    The size is a range if buckets differ, and said to be unknown before a run
    if it is not static.
  """
  shape = pieces.common_shape(tensor.shape for tensor in tensors)
  sizes = "unknown rank"
  if shape.rank is not None:
    sizes = ", ".join("?" if n is None else str(n) for n in shape.as_list())
    sizes = f"[{sizes}]"
  found = [static_bytes(tensor) for tensor in tensors]
  text = f"{tensors[0].dtype.base_dtype.name} {sizes}, "
  if None in found or len({unit for _, unit in found}) > 1:
    return text + "bytes unknown before a run"
  least, most = min(found)[0], max(found)[0]
  number = f"{least:,}" if least == most else f"{least:,} to {most:,}"
  return f"{text}{number} bytes per {found[0][1]}"


def static_bytes(tensor):
  """Returns the bytes of a tensor of any shape and their unit.

  Args:
    tensor: the tensor.

  Returns:
    A pair of an int and `"example"` or `"batch"`; `None`, not a pair, if the
    size is not static, as of a string or a handle. If only the first dimension
    is unknown, it counts as the batch.
  """
  size = residuals.static_bytes(tensor)
  if size is not None:
    return size, "batch"
  shape = tensor.shape
  if not residuals.needs_measuring(tensor) or not shape.rank:
    return None
  if not shape[1:].is_fully_defined():
    return None
  return shape[1:].num_elements() * tensor.dtype.size, "example"


def list_residuals(pipeline):
  """Lists what the passes of training steps keep, by static shapes.

  Args:
    pipeline: a `Pipeline`, after `minimize`.

  Returns:
    A list with a dict for each pass that has a backward run: `sub-model`,
    `bucket`, `residuals` (their number), `bytes per example`, `bytes per batch`
    of those without an unknown dimension, and `unknown`, the number of those
    whose size is not static. Values of variables are left out.
  """
  return [
    {"sub-model": node.name, "bucket": graph.bucket, **_sizes(current)}
    for node in pipeline.nodes.values()
    for graph in node.graphs.values()
    for current in graph.passes
    if current.backward is not None
  ]


def _sizes(current):
  """Returns the figures of the residuals of a pass."""
  records = residuals.describe(current.residuals)
  own = [t for t, r in zip(current.residuals, records) if not r.is_variable]
  known = [found for found in map(static_bytes, own) if found]
  sums = collections.Counter()
  for size, unit in known:
    sums[unit] += size
  return {
    "residuals": len(own),
    "bytes per example": sums["example"],
    "bytes per batch": sums["batch"],
    "unknown": len(own) - len(known),
  }

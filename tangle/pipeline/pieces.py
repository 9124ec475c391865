"""Pieces: the feeds, outputs, loss and metrics that a builder returns."""

import types
from typing import (
  Any,
  Callable,
  Dict,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
  Union,
)

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import walk

_NOT_VALUES = (tf1.resource, tf1.variant)
_NOTHING = types.MappingProxyType({})


class Piece(NamedTuple):
  """The static graph of one sub-model, at one bucket.

  Attributes:
    feeds: name → placeholder that a batch feeds. A batch may omit one that has
      a default.
    outputs: name → tensor that other sub-models may read, of any shape.
    loss: a scalar to be minimized; `None` if the sub-model has no loss.
    metrics: name → tensor that a step returns, of any shape.
    updates: ops to run once per training step, such as those of the moving
      averages of a batch normalization; with micro-batches, once per
      micro-batch.
  """

  feeds: Mapping[str, tf1.Tensor]
  outputs: Mapping[str, tf1.Tensor] = _NOTHING
  loss: Optional[tf1.Tensor] = None
  metrics: Mapping[str, tf1.Tensor] = _NOTHING
  updates: Sequence[Union[tf1.Operation, tf1.Tensor]] = ()


Builder = Callable[[Any, Dict[str, tf1.Tensor]], Piece]
"""Builds a sub-model: a function of a bucket and of read name → tensor."""

BucketOf = Callable[[Dict[str, np.ndarray]], Any]
"""Picks a bucket: a function of the feeds of a batch, name → array."""

ReadNames = Mapping[str, Union[str, Sequence[str]]]
"""Read name → `"sub_model.output"`, or a list of these."""


class Reads(dict):
  """The tensors that a builder may read; names a read that does not exist."""

  def __init__(self, tensors):
    """Stores the arguments.

    Args:
      tensors: read name → tensor of any shape.
    """
    super().__init__(tensors)

  def __missing__(self, name):
    hint = errors.suggest(name, self)
    if not hint:
      hint = f" Add it to Pipeline.add: reads={{{name!r}: 'sub_model.output'}}."
    raise errors.ArgumentError(
      f"its builder takes reads[{name!r}]; the reads are {list(self)}.{hint}"
    )


def build(node, bucket, tensors, graph):
  """Calls the builder of a sub-model, which adds its ops to the graph.

  Args:
    node: the `Node` of the sub-model.
    bucket: one of its buckets.
    tensors: read name → tensor of any shape.
    graph: the graph of the pipeline, which is the default graph.

  Returns:
    The `Piece` that the builder returned.

  Raises:
    ArgumentError: if the builder takes a read that does not exist.
    TangleError: as `check_piece`.
  """
  piece = node.build(bucket, Reads(tensors))
  check_piece(piece, tensors.values(), graph)
  return piece


def check_piece(piece, reads, graph):
  """Refuses a piece that cannot be part of a pipeline.

  Args:
    piece: what a builder returned.
    reads: the tensors that the builder was given, of any shapes.
    graph: the graph of the pipeline.

  Raises:
    ArgumentError: if it is no `Piece`, one of its parts is no dict of tensors,
      the loss is no tensor, or it depends on a placeholder that is neither
      among its feeds nor read.
    DtypeError: if the loss is not floating, or an output is a handle.
    GraphError: if a tensor or an update op belongs to another graph, or a feed
      may not be fed.
    ShapeError: if the loss is not a scalar.
  """
  if not isinstance(piece, Piece):
    raise errors.ArgumentError(
      f"the builder must return a tangle.Piece, got "
      f"{type(piece).__name__}. Return tangle.Piece(feeds=..., outputs=..., "
      f"loss=...)."
    )
  for part in ("feeds", "outputs", "metrics"):
    tensors = getattr(piece, part)
    if not hasattr(tensors, "values"):
      raise errors.ArgumentError(
        f"{part} of its tangle.Piece must be a dict from name to "
        f"tensor, got {errors.show(tensors)}. Give a dict, such as "
        f"{part}={{'x': x}}."
      )
    walk.check_tensors(part, list(tensors.values()), graph)
  for update in piece.updates:
    if getattr(update, "graph", None) is not graph:
      raise errors.GraphError(
        f"updates has {update!r}, which is not an op of the "
        f"pipeline's graph. Make it in the builder."
      )
  for name, tensor in piece.feeds.items():
    if not graph.is_feedable(tensor):
      raise errors.GraphError(
        f"the feed {name!r} is the tensor {tensor.name!r} "
        f"({tensor.op.type}), which TensorFlow does not allow to be fed. Give "
        f"a placeholder."
      )
  for name, tensor in piece.outputs.items():
    # A gradient could flow through it, but a boundary would not carry it back.
    if tensor.dtype.base_dtype in _NOT_VALUES:
      raise errors.DtypeError(
        f"the output {name!r} is {tensor.name!r} of dtype "
        f"{tensor.dtype.name}, which is a handle and not a value. Output the "
        f"values: read the variable, or stack the tensor list or array."
      )
  if piece.loss is not None:
    _check_loss(piece.loss, graph)
  _check_placeholders(piece, list(reads))


def _check_loss(loss, graph):
  walk.check_tensors("loss", [loss], graph)
  if not loss.dtype.is_floating:
    raise errors.DtypeError(
      f"the loss {loss.name!r} must be floating, got "
      f"{loss.dtype.name}. Compute it from floating tensors, so that it has a "
      f"gradient; a cast of the loss would have none."
    )
  if loss.shape.rank not in (0, None):
    raise errors.ShapeError(
      f"the loss {loss.name!r} must be a scalar, got shape "
      f"{loss.shape}. Take its sum or its mean."
    )


def _check_placeholders(piece, reads):
  """Refuses a piece with a placeholder that no step feeds."""
  parts = {
    "outputs": piece.outputs.values(),
    "loss": [] if piece.loss is None else [piece.loss],
    "metrics": piece.metrics.values(),
    "updates": piece.updates,
  }
  for part, items in parts.items():
    for placeholder in unfed(items, list(piece.feeds.values()) + reads):
      raise errors.ArgumentError(
        f"the placeholder {placeholder.name!r} is needed for the "
        f"{part}, but is not among the feeds {list(piece.feeds)}. Add it to "
        f"the feeds. If it belongs to another sub-model, read that sub-model's "
        f"output through reads."
      )


def unfed(items, fed):
  """Lists the placeholders that items depend on and that nothing feeds.

  Placeholders with a default are left out.

  Args:
    items: tensors of any shapes, variables and ops to be run.
    fed: the tensors that have a value in that run.

  Returns:
    A list of tensors.
  """
  ops = walk.ancestors(items, stop=fed, control=True)
  return [op.outputs[0] for op in ops if op.type == "Placeholder"]


def check_pad(pad, feeds):
  """Raises if `pad` has a name that is not the name of a feed.

  Args:
    pad: feed name → value.
    feeds: feed name → placeholder.

  Raises:
    ArgumentError: if there is such a name.
  """
  for name in pad:
    if name not in feeds:
      hint = errors.suggest(name, feeds) or " Use the name of a feed."
      raise errors.ArgumentError(
        f"pad has {name!r}; the feeds are {list(feeds)}.{hint}"
      )


def check_alike(graphs):
  """Refuses buckets of one sub-model that differ in more than their shapes.

  Args:
    graphs: bucket → `Piece`, at least one.

  Raises:
    ArgumentError: if they have not feeds of the same names, outputs of the same
      names and dtypes, and losses of the same dtype, or none. Metrics and the
      dtypes of feeds may differ.
  """
  (first, piece), *others = graphs.items()
  wanted = _signature(piece)
  for bucket, other in others:
    found = _signature(other)
    for part in wanted:
      if found[part] != wanted[part]:
        raise errors.ArgumentError(
          f"all buckets must have the same {part}; bucket {first!r} "
          f"has {wanted[part]}, bucket {bucket!r} has {found[part]}. Let the "
          f"builder give the same for each."
        )


def _signature(piece):
  """Describes the parts of a piece, in words for messages."""

  def dtypes(tensors):
    return {name: tensor.dtype.name for name, tensor in tensors.items()}

  losses = {} if piece.loss is None else {"loss": piece.loss}
  return {
    "feeds": sorted(piece.feeds),
    "outputs": dtypes(piece.outputs),
    "loss": dtypes(losses),
  }


def is_optional(placeholder):
  """Whether a batch may omit the feed `placeholder`."""
  return placeholder.op.type == "PlaceholderWithDefault"


def common_shape(shapes):
  """Returns the static shape that all of `shapes` fit.

  Args:
    shapes: at least one `tf.TensorShape`.

  Returns:
    A `tf.TensorShape` with the sizes that all agree on, unknown elsewhere. Its
    rank is unknown if their ranks differ or one is unknown.
  """
  shapes = list(shapes)
  first = shapes[0]
  for shape in shapes[1:]:
    if shape.rank is None or first.rank is None or shape.rank != first.rank:
      return tf1.TensorShape(None)
    first = tf1.TensorShape(
      [a if a == b else None for a, b in zip(first.as_list(), shape.as_list())]
    )
  return first


def check_shared_variables(found, graph):
  """Refuses buckets that do not share their trainable variables.

  Args:
    found: bucket → `Piece`.
    graph: the graph of the pipeline.

  Raises:
    ArgumentError: if the outputs and the loss of one bucket depend on a
      trainable variable on which those of another do not.
  """
  names = {}
  for bucket, piece in found.items():
    ends = list(piece.outputs.values())
    ends += [] if piece.loss is None else [piece.loss]
    ops = walk.ancestors(ends)
    names[bucket] = {v.name for v in walk.trainable_variables(ops, graph)}
  first = next(iter(names))
  for bucket, own in names.items():
    if own != names[first]:
      raise errors.ArgumentError(
        f"bucket {bucket!r} and bucket {first!r} do not share the "
        f"variables {sorted(own ^ names[first])}. Make the networks outside "
        f"the builder and call them inside it, or reuse the variable scope."
      )

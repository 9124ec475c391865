"""What a user hands to a pipeline: the parts of one sub-model's graph."""

from typing import Any, Dict, NamedTuple, Optional, Sequence

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import walk


class Piece(NamedTuple):
  """The static graph of one sub-model, at one bucket.

  Attributes:
    feeds: name → placeholder that a batch feeds. One that has a default may
      be left out of a batch.
    outputs: name → tensor that other sub-models may read, of any shape.
    loss: a scalar to be minimized, or `None`.
    metrics: name → tensor that a step returns, of any shape.
    updates: ops to run once in each training step, such as those of the
      moving averages of a batch normalization.
  """

  feeds: Dict[str, Any]
  outputs: Dict[str, Any] = {}
  loss: Optional[Any] = None
  metrics: Dict[str, Any] = {}
  updates: Sequence[Any] = ()


def check_piece(caller, piece, graph):
  """Refuses a piece that cannot be part of a pipeline.

  Args:
    caller: what messages name as the place of an error.
    piece: what a builder returned.
    graph: the graph of the pipeline.

  Raises:
    ArgumentError: if it is no `Piece`, or the loss can have no gradient.
    GraphError: if a tensor belongs to another graph.
    ShapeError: if the loss is not a scalar.
  """
  if not isinstance(piece, Piece):
    raise errors.ArgumentError(
      f"{caller}: the builder must return a tangle.Piece, got "
      f"{type(piece).__name__}."
    )
  for part in ("feeds", "outputs", "metrics"):
    tensors = list(getattr(piece, part).values())
    walk.check_tensors(caller, part, tensors, graph)
  if piece.loss is None:
    return
  walk.check_tensors(caller, "loss", [piece.loss], graph)
  if not compat.is_differentiable(piece.loss.dtype):
    raise errors.ArgumentError(
      f"{caller}: the loss {piece.loss.name!r} is {piece.loss.dtype.name} and "
      f"can have no gradient. Make it floating."
    )
  if piece.loss.shape.rank not in (0, None):
    raise errors.ShapeError(
      f"{caller}: the loss {piece.loss.name!r} must be a scalar, got shape "
      f"{piece.loss.shape}. Take its sum or its mean."
    )


def is_optional(placeholder):
  """Whether a batch may leave out what `placeholder` stands for."""
  return placeholder.op.type == "PlaceholderWithDefault"


def common_shape(shapes):
  """Returns the static shape that all of `shapes` fit.

  Args:
    shapes: at least one `tf.TensorShape`.

  Returns:
    A `tf.TensorShape` with the sizes that all agree on, unknown elsewhere.
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

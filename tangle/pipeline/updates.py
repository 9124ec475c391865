"""The update of a training step: all gradients are applied at once."""

import numbers
from typing import Any, NamedTuple, Optional

from tangle import errors, gradients
from tangle.compat import tf1
from tangle.graphs import strategies
from tangle.nets import half
from tangle.pipeline import pieces as pieces_lib


class Update(NamedTuple):
  """The op that updates the variables.

  Attributes:
    op: the op.
    norm: the global norm before clipping, a scalar; `None` without clipping.
    closing: the sub-model whose backward run includes the op, which reads the
      gradients computed there; `None` if it takes all gradients from staging
      areas, or if a single run of the joint graph computes and applies them.
  """

  op: Any
  norm: Any
  closing: Optional[str]

  def fetches(self, others=()):
    """Returns the fetches of the run that applies the update.

    Args:
      others: other ops of that run.

    Returns:
      A dict: `update`, a list of ops; and `norm`, a list of the norm or empty.
    """
    norm = [] if self.norm is None else [self.norm]
    return {"update": [self.op, *others], "norm": norm}


class Part(NamedTuple):
  """The gradients of one sub-model.

  Attributes:
    name: the sub-model.
    variables: its `VariableGradients`.
    direct: whether they are computed in the run that applies them.
  """

  name: str
  variables: Any
  direct: bool


@errors.named("Pipeline {pipeline.name!r}")
def check_settings(pipeline, clip_norm, loss_weights):
  """Checks what `Pipeline.minimize` takes for the loss and the gradients.

  Args:
    pipeline: the `Pipeline`.
    clip_norm: a number, a tensor or `None`.
    loss_weights: sub-model name → weight.

  Raises:
    ArgumentError: if `clip_norm` is a string or a number that is not positive,
      or a weight is not a number. The value of a tensor is not checked.
  """
  is_text = isinstance(clip_norm, (str, bytes))
  if is_text or (isinstance(clip_norm, numbers.Real) and not clip_norm > 0):
    raise errors.ArgumentError(
      f"clip_norm must be positive, got "
      f"{clip_norm!r}. Pass clip_norm=None to turn clipping off."
    )
  for name, weight in loss_weights.items():
    if not isinstance(weight, numbers.Real):
      raise errors.ArgumentError(
        f"the loss weight of {name!r} must "
        f"be a number, got {weight!r}. If the weight changes from step to "
        f"step, multiply the loss by it in the builder."
      )


@errors.named("Pipeline {pipeline.name!r}")
def check_losses(pipeline, pieces, loss_weights):
  """Checks that there is a loss to minimize, and each weight is of a loss.

  Args:
    pipeline: the `Pipeline`.
    pieces: sub-model → `Piece`, at any bucket.
    loss_weights: sub-model name → weight.

  Raises:
    ArgumentError: if no sub-model has a loss, or `loss_weights` has the name
      of a sub-model without a loss.
  """
  with_loss = [name for name, p in pieces.items() if p.loss is not None]
  if not with_loss:
    raise errors.ArgumentError(
      "no sub-model has a loss. Give the Piece of at least one of them a loss."
    )
  for name in loss_weights:
    if name not in with_loss:
      raise errors.ArgumentError(
        f"loss_weights has {name!r}; the "
        f"sub-models with a loss are {with_loss}."
        f"{errors.suggest(name, with_loss) or ' Use these names.'}"
      )


@errors.named("Pipeline {pipeline.name!r}")
def check_batch(pipeline, pieces):
  """Checks that the sub-models of a batch have a loss.

  Args:
    pipeline: the `Pipeline`.
    pieces: sub-model → `Piece`, of those that the batch names.

  Raises:
    ArgumentError: if none of them has a loss.
  """
  if all(piece.loss is None for piece in pieces.values()):
    with_loss = [
      name
      for name, node in pipeline.nodes.items()
      if any(graph.piece.loss is not None for graph in node.graphs.values())
    ]
    hint = f", such as {with_loss[0]!r}" if with_loss else ""
    raise errors.ArgumentError(
      f"none of the sub-models {list(pieces)} has "
      f"a loss. Add a sub-model with a loss to the batch{hint}."
    )


@errors.named("Pipeline {pipeline.name!r}")
def refuse(pipeline):
  """Raises the error for a step that would change no variable.

  Args:
    pipeline: the `Pipeline`.

  Raises:
    ArgumentError: in any case.
  """
  raise errors.ArgumentError(
    "no trainable variable gets a gradient from "
    "the loss. Check that variables are trainable and that no gradient is "
    "stopped on the way, or use forward, which changes no variable."
  )


def parts_of(passes, apart=False):
  """Lists the gradients that a step applies, and where they are computed.

  The last backward run, of the first sub-model that has one, applies them all,
  unless it is the second part of a partial run.

  Args:
    passes: sub-model → `Pass`, in the order of the pipeline.
    apart: whether a separate run applies them.

  Returns:
    A list of `Part` in the order of `passes`, of those with gradients of
    variables.
  """
  backward = (name for name, p in passes.items() if p.backward is not None)
  closing = None if apart else next(backward, None)
  if closing is not None and passes[closing].is_real is not None:
    closing = None
  return [
    Part(name, p.variables, name == closing)
    for name, p in passes.items()
    if p.variables is not None
  ]


def identify(parts):
  """Returns a key for an update: updates with equal keys are the same.

  Args:
    parts: a list of `Part`, of one pipeline.

  Returns:
    A tuple that can be hashed; empty if there are no parts. Direct
    parts are equal if their `VariableGradients` are the same object, others if
    the signatures of these are equal.
  """
  return tuple(
    (name, id(variables) if direct else variables.signature)
    for name, variables, direct in parts
  )


def build(pipeline, parts, variables, optimizer, clip_norm, global_step):
  """Adds an update to the default graph.

  A variable of several sub-models gets the sum of its gradients. Nothing is
  applied before all gradients are computed.

  Args:
    pipeline: the `Pipeline`.
    parts: a list of `Part`.
    variables: the variables that have gradients; the optimizer may add its
      slot variables for them.
    optimizer: a `tf.compat.v1.train.Optimizer`.
    clip_norm: the global norm to which gradients are scaled down, or `None`.
    global_step: a variable to which 1 is added, or `None`.

  Returns:
    An `Update`.

  Raises:
    ArgumentError: if the update needs a placeholder that no step feeds. The
      ops stay in the graph.
  """
  found = _gather(pipeline, parts)
  totals = []
  for variable in variables:
    with tf1.device(variable.device):  # an empty string changes nothing
      totals.append(gradients.total(found[variable.name]))
  norm, waits = None, []
  closing = next((part.name for part in parts if part.direct), None)
  if clip_norm is not None:
    totals, norm = half.clip_by_global_norm(totals, clip_norm)
  elif closing is not None:
    waits = [tf1.group(*totals, name="all")]
  with tf1.control_dependencies(waits):
    op = strategies.apply_gradients(
      optimizer, zip(totals, variables), global_step
    )
  check_placeholders(
    pipeline, op, [node.key for node in pipeline.nodes.values()]
  )
  return Update(op, norm, closing)


@errors.named("Pipeline {pipeline.name!r}")
def check_placeholders(pipeline, op, fed):
  """Refuses an update that depends on what no step feeds.

  Args:
    pipeline: the `Pipeline`.
    op: the op of the update.
    fed: the placeholders that a step feeds.

  Raises:
    ArgumentError: if it depends on another one.
  """
  for placeholder in pieces_lib.unfed([op], fed):
    raise errors.ArgumentError(
      f"the update needs the placeholder "
      f"{placeholder.name!r}, which no step feeds. Make it a variable, which "
      f"can be set between steps."
    )


def _gather(pipeline, parts):
  """Returns variable name → its gradients, dense or `IndexedSlices`."""
  found = {}
  collection = pipeline.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)
  shapes = {variable.name: variable.shape for variable in collection}
  for name, group, direct in parts:
    tensors = group.tensors
    if not direct:
      tensors = group.area.read(group.shapes, pipeline.nodes[name].key)
    rest = iter(tensors)
    for variable, indices in group.signature:
      value = next(rest)
      if indices is not None:
        shape = tf1.constant(shapes[variable].as_list())
        value = tf1.IndexedSlices(value, next(rest), dense_shape=shape)
      found.setdefault(variable, []).append(value)
  return found

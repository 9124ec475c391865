"""The parts that all ways of training branches share."""

from __future__ import annotations

import numbers
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from tangle import errors, hints
from tangle.branches import records, updates
from tangle.compat import tf1
from tangle.graphs import strategies


class Result(NamedTuple):
  """The result of a step.

  Attributes:
    loss: the mean over the batch's records.
    losses: type → mean loss over its records, for the types in the batch.
    types: a tuple of the types in the batch, in the order of the model.
    global_norm: the norm of all gradients before clipping; `None` without
      clipping.
  """

  loss: float
  losses: Mapping[str, float]
  types: Sequence[str]
  global_norm: Optional[float]


class Trainer:
  """Base class of the ways to train a model; see `Model.minimize`.

  A step changes the branches whose types are in the batch, and the head. All
  other variables, and their optimizer slots, stay unchanged, bit by bit.

  Attributes:
    model: the `Model`.
    mode: the argument `mode` of `Model.minimize`.
  """

  mode = None

  @errors.named("Training of branches with mode={self.mode!r}")
  def __init__(self, model, optimizer, clip_norm, global_step):
    """Stores the settings.

    Args:
      model: the `Model`.
      optimizer: an `updates.Optimizers`.
      clip_norm: global norm that gradients are scaled down to, or `None`.
      global_step: a variable that each step increments by 1, or `None`.

    Raises:
      ArgumentError: if `clip_norm` is not positive, or `global_step` is no
        variable.
      GraphError: if `global_step` belongs to another graph.
    """
    self.model = model
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._global_step = global_step
    self._updates = {}
    strategies.check_global_step(global_step, model.graph)
    if isinstance(clip_norm, numbers.Real) and not clip_norm > 0:
      raise errors.ArgumentError(
        f"clip_norm must be positive, got {clip_norm}. Pass "
        f"clip_norm=None to turn clipping off."
      )

  @errors.named("Training of branches with mode={self.mode!r}")
  def prepare(self, types: Iterable[str]) -> None:
    """Adds the ops for steps with records of exactly these types to the graph.

    Does nothing if they exist. `step` adds them on demand, but cannot once the
    graph is finalized.

    Args:
      types: a list of at least one name of a type, in any order.

    Raises:
      ArgumentError: if a type is not declared, the mix is not supported, or no
        variable gets a gradient.
      GraphError: if the ops do not exist and the graph is finalized.
    """
    types = list(types)
    if not types:
      raise errors.ArgumentError(
        f"prepare has no types. Give the types of a batch, of "
        f"{list(self.model.paths)}."
      )
    for k in types:
      if k not in self.model.paths:
        raise errors.ArgumentError(
          f"prepare names the type {k!r}; there are {list(self.model.paths)}. "
          f"Give some of these."
        )
    self._prepare(self._order(types))

  @errors.named("Training of branches with mode={self.mode!r}")
  def step(self, sess: hints.Session, batch: records.Batch) -> Result:
    """Trains on one batch, and increments `global_step` if there is one.

    Losses are those from before the update. The first batch with new types adds
    ops; see `prepare`.

    Args:
      sess: a session on the model's graph.
      batch: a `Batch`.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: if `batch` is not a `Batch`, is empty, has records of an
        undeclared type or inconsistent `places`, or has several types and
        `mode` does not support this combination; or, at the first batch with
        these types, if no variable gets a gradient.
      DtypeError: if an array of the batch has another dtype than declared.
      GraphError: if the session runs another graph, or the graph is finalized
        and has no ops for batches with these types.
      ShapeError: if an array of the batch has another shape than declared.
    """
    if sess.graph is not self.model.graph:
      raise errors.GraphError(
        "the session runs another graph than the model's. "
        "Open it with tf.compat.v1.Session(graph=model.graph)."
      )
    self.model.schema.check(batch)
    types = self._order(batch.inputs)
    self._prepare(types)
    losses, norm = self._run(sess, types, batch)
    by_type = {k: float(np.mean(losses[batch.places[k]])) for k in types}
    loss = float(np.mean(losses))
    return Result(loss, by_type, types, None if norm is None else float(norm))

  def _order(self, types):
    return tuple(k for k in self.model.paths if k in types)

  def _prepare(self, types):
    """Builds the ops for batches with these types, unless they exist."""
    if types in self._updates:
      return
    self._check_types(types)
    if self.model.graph.finalized:
      raise errors.GraphError(
        f"the graph is finalized, and has no update for a "
        f"batch of the types {list(types)}. Call prepare({list(types)}) before "
        f"the graph is finalized."
      )
    with self.model.graph.as_default(), tf1.control_dependencies(None):
      with tf1.name_scope(f"{self._scope}update_{'_'.join(types)}/"):
        self._updates[types] = self._build(types)

  def _check_types(self, types):
    """Refuses types that may not be in one batch."""

  def _build(self, types):
    """Returns the ops that `_run` needs for a batch of exactly these types."""
    raise NotImplementedError

  def _run(self, sess, types, batch):
    """Runs a step; returns `[B]` losses, and the global norm or `None`."""
    raise NotImplementedError

  @errors.named("Training of branches with mode={self.mode!r}")
  def _apply(self, loss, gradients, variables):
    """Returns the op that applies gradients, and their norm or `None`."""
    pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
    if not pairs:
      raise errors.ArgumentError(
        "no trainable variable gets a gradient from the loss. "
        "Check that variables are trainable and that no gradient is stopped "
        "on the way."
      )
    gradients, variables = zip(*pairs)
    return updates.apply(
      self._optimizer,
      gradients,
      variables,
      loss,
      self._clip_norm,
      self._global_step,
    )


def fetch(sess, update, losses, feed_dict) -> Any:
  """Runs an update.

  Args:
    sess: a session.
    update: a pair: the op, and the tensor of the norm or `None`.
    losses: tensor `[B]`.
    feed_dict: the feeds.

  Returns:
    A pair: the losses, an array `[B]`, and the norm, a scalar, or `None`.
  """
  op, norm = update
  fetches = [losses, op] + ([] if norm is None else [norm])
  found = sess.run(fetches, feed_dict)
  return found[0], None if norm is None else found[-1]

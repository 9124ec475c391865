"""Separate optimizer steps, one loss after the other: the baseline."""

from __future__ import annotations

from typing import List, Optional, Sequence

from tangle import errors, hints
from tangle.compat import tf1
from tangle.graphs import strategies, walk


@errors.named("gradients.take_turns")
def take_turns(
  losses: Sequence[tf1.Tensor],
  optimizers: Sequence[tf1.train.Optimizer],
  variables: Optional[Sequence[hints.Variable]] = None,
  name: str = "take_turns",
) -> List[tf1.Operation]:
  """Makes an op for each loss that minimizes it alone.

  Run them one after the other, each in its own `session.run`, so that a loss
  sees the changes made for the one before. (In one run, all would read the same
  weights, and write them in any order.) Each loss has its own optimizer with
  its own slots, so that Adam's scale is that of the loss.

  Args:
    losses: K scalars.
    optimizers: K `tf.compat.v1.train.Optimizer`, no two the same.
    variables: the variables to change; by default the trainable ones of the
      losses' graph. A loss changes those that it reaches.
    name: name scope of the new ops.

  Returns:
    A list of K ops, in the order of `losses`. They advance no global step.

  Raises:
    ArgumentError: if there is no loss, there are not K optimizers, two of them
      are the same object, or one is not an optimizer.
    DisconnectedError: if a loss reaches none of the variables, or there are
      none.
    GraphError: if the losses belong to several graphs.
  """
  losses = walk.check_tensors("losses", losses)
  optimizers = list(optimizers)
  if not losses or len({id(found) for found in optimizers}) != len(losses):
    raise errors.ArgumentError(
      f"there must be at least one loss, and a separate optimizer "
      f"for each, got {len(losses)} losses and {len(optimizers)} optimizers, "
      f"{len({id(found) for found in optimizers})} of them different. Make an "
      f"optimizer for each loss."
    )
  for optimizer in optimizers:
    strategies.check_optimizer(optimizer, computes=True)
  if variables is None:
    variables = losses[0].graph.get_collection(
      tf1.GraphKeys.TRAINABLE_VARIABLES
    )
  variables, step_ops = list(variables), []
  if not variables:
    raise errors.DisconnectedError(
      "there are no variables to train. Make them before, or pass them."
    )
  with tf1.name_scope(name):
    for k, (loss, optimizer) in enumerate(zip(losses, optimizers)):
      pairs = [
        (gradient, variable)
        for gradient, variable in optimizer.compute_gradients(loss, variables)
        if gradient is not None
      ]
      if not pairs:
        raise errors.DisconnectedError(
          f"losses[{k}], {loss.name!r}, reaches none of the "
          "variables. Leave it out, or pass the variables that it reads."
        )
      step_ops.append(optimizer.apply_gradients(pairs, name=f"step_{k}"))
  return step_ops

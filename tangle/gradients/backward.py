"""The combined gradient of several losses, by the fewest backward passes."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from tangle import errors, hints
from tangle.compat import tf1
from tangle.gradients import combining, totals
from tangle.gradients import options as options_lib
from tangle.graphs import walk
from tangle.nets import checks, half


@errors.named("gradients.of_losses")
def of_losses(
  losses: Sequence[tf1.Tensor],
  variables: Sequence[hints.Variable],
  method: str = "sum",
  shared: Optional[Sequence[hints.Variable]] = None,
  boundary: Optional[Sequence[tf1.Tensor]] = None,
  name: str = "of_losses",
  **options: Any,
) -> combining.CombinedGradients:
  """Combines the gradients of K losses to the variables.

  The number of backward passes depends on the method:

  - `sum`, `mean`, `weighted`: one pass through everything, with the weights as
    upstream gradients. (One loss that couples several outputs needs no method:
    pass a list of one loss.)
  - The others, on the shared variables: K passes through everything.
  - The others, with a `boundary`: K passes through the ops above it, one per
    loss. The K gradients with respect to the boundary are combined, and one
    pass runs below it, from the combined gradient.

  With the methods of one pass, all variables get the weighted sum. With the
  others, a variable that only one loss reaches, or that is reached above the
  boundary, gets the plain sum of its losses' gradients. If a path from below
  the boundary reaches a loss around it, its gradient is added in the same way.

  Source: for the boundary Sener & Koltun 2018, section 3.3 (MGDA-UB).

  Args:
    losses: K scalars, at least one.
    variables: V variables, at least one: shared ones and others.
    method: the name of a method; see the table of `combine`.
    shared: the variables whose gradients are combined, some of `variables`. By
      default those that more than one loss reaches, or all for K = 1. Not with
      a boundary.
    boundary: a list of tensors, the shared representation; `None` to combine on
      the variables. For the methods that need one pass it is only checked.
    name: name scope of the new ops.
    **options: the options of the method; see the table of `combine`.

  Returns:
    A `CombinedGradients` of V gradients in the order of `variables`, `None` for
    a variable that no loss reaches. `weights` and `gramian` describe the
    gradients that were combined.

  Raises:
    ArgumentError: if there is no loss or no variable, no such method or option,
      `shared` and `boundary` are both given, a variable of `shared` is not
      among `variables`, or an option is out of range as for `combine`.
    DisconnectedError: if, with any method, a loss does not reach the boundary,
      or reaches none of the shared variables, or has no gradient there.
    DtypeError: if a gradient, or a tensor of weights, is not of a floating
      type.
    GraphError: if tensors belong to different graphs.
    ShapeError: if a loss is not a scalar, or a tensor of weights is not `[K]`.
  """
  losses, variables = _check(losses, variables, shared, boundary)
  options_lib.check_method(method, options, len(losses))
  if boundary is not None:
    boundary = walk.check_tensors("boundary", boundary, losses[0].graph)
    _check_reach(losses, boundary, "the boundary")
  else:
    shared = _find_shared(losses, variables, shared)
    _check_reach(losses, [_handle(v) for v in shared], "a shared variable")
  with tf1.name_scope(name):
    if method in options_lib.LINEAR:
      return _pass_once(losses, variables, method, options)
    if boundary is not None:
      return _pass_boundary(losses, variables, boundary, method, options)
    return _pass_each(losses, variables, shared, method, options)


def _check(losses, variables, shared, boundary):
  losses = walk.check_tensors("losses", losses)
  variables = list(variables)
  if not losses or not variables:
    raise errors.ArgumentError(
      f"there must be at least one loss and one variable, got "
      f"{len(losses)} losses and {len(variables)} variables. Give the losses "
      f"to combine, and the variables to train, such as "
      f"tf.compat.v1.trainable_variables()."
    )
  for loss in losses:
    if loss.shape.ndims != 0:
      raise errors.ShapeError(
        f"losses must be scalars, got {checks.describe(loss)}. Take "
        "the mean, or call set_shape([])."
      )
  if shared is not None and boundary is not None:
    raise errors.ArgumentError(
      "shared and boundary are both given. Leave one of them out: "
      "gradients are combined on one or the other."
    )
  known = {variable.name for variable in variables}
  for variable in shared or ():
    if variable.name not in known:
      raise errors.ArgumentError(
        f"shared has {variable.name!r}, which is not among the "
        "variables. Pass it there, too."
      )
  return losses, variables


def _handle(variable):
  """Returns the tensor that all readers of a variable depend on."""
  return variable.op.outputs[0]


def _find_shared(losses, variables, shared):
  if shared is not None:
    return list(shared)
  masks = walk.reach(losses, walk.ancestors(losses))
  counts = [bin(masks.get(_handle(v).name, 0)).count("1") for v in variables]
  return [v for v, count in zip(variables, counts) if count > (len(losses) > 1)]


def _check_reach(losses, tensors, what):
  masks = walk.reach(losses, walk.ancestors(losses))
  reached = 0
  for tensor in tensors:
    reached |= masks.get(tensor.name, 0)
  for k, loss in enumerate(losses):
    if not reached >> k & 1:
      names = ", ".join(repr(tensor.name) for tensor in tensors[:4]) or "none"
      raise errors.DisconnectedError(
        f"losses[{k}], {loss.name!r}, does not depend on {what} "
        f"(there are: {names}). Leave it out, and add its own gradient, or "
        f"pass what it shares with the others."
      )


@errors.named("gradients.of_losses")
def _check_gradients(k, loss, gradients, what):
  """Raises if a loss depends on the shared part, but has no gradient there."""
  if all(gradient is None for gradient in gradients):
    raise errors.DisconnectedError(
      f"losses[{k}], {loss.name!r}, has no gradient with respect to "
      f"{what}. Look for an op without a gradient, or tf.stop_gradient."
    )


def _pass_once(losses, variables, method, options):
  weights = options_lib.linear_weights(method, len(losses), **options)
  upstream = [tf1.cast(weights[k], loss.dtype) for k, loss in enumerate(losses)]
  if method == "sum":
    upstream = [tf1.ones([], loss.dtype) for loss in losses]
  found = tf1.gradients(losses, variables, upstream, name="backward")
  return combining.CombinedGradients(found, weights, None)


def _pass_each(losses, variables, shared, method, options):
  names = {variable.name for variable in shared}
  rows = []
  for k, loss in enumerate(losses):
    rows.append(tf1.gradients(loss, variables, name=f"backward_{k}"))
    own = [g for g, v in zip(rows[-1], variables) if v.name in names]
    _check_gradients(k, loss, own, "a shared variable")
  places = [n for n, v in enumerate(variables) if v.name in names]
  picked = [[row[n] for n in places] for row in rows]
  result = combining.explain(picked, method, **options)
  joined = dict(zip(places, result.gradients))
  found = [
    joined[n] if n in joined else totals.total([row[n] for row in rows])
    for n in range(len(variables))
  ]
  return result._replace(gradients=found)


def _pass_boundary(losses, variables, boundary, method, options):
  count = len(boundary)
  above, rows = [], []
  for k, loss in enumerate(losses):
    found = tf1.gradients(
      loss,
      boundary + variables,
      stop_gradients=boundary,
      name=f"backward_{k}",
    )
    _check_gradients(k, loss, found[:count], "the boundary")
    rows.append(found[:count])
    above.append(found[count:])
  result = combining.explain(rows, method, **options)
  # A boundary tensor for which no loss has a gradient passes none down.
  pairs = [
    (tensor, half.densify(gradient))
    for tensor, gradient in zip(boundary, result.gradients)
    if gradient is not None
  ]
  below = tf1.gradients(
    [tensor for tensor, _ in pairs],
    variables,
    [gradient for _, gradient in pairs],
    name="backward",
  )
  found = [
    totals.total([below[n]] + [row[n] for row in above])
    for n in range(len(variables))
  ]
  return result._replace(gradients=found)

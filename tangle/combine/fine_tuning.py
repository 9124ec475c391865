"""Fine-tuning: freezing, learning rates per part, and gradual unfreezing.

A frozen part keeps its weights, its moving averages and its optimizer state,
bit by bit. Zero gradients would not do that: Adam and momentum move by their
accumulated state, and weight decay moves every weight.
"""

from __future__ import annotations

import collections
import math
import numbers
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from tangle import compat, errors, hints
from tangle.combine import variables as variables_lib
from tangle.compat import tf1
from tangle.graphs import strategies, walk
from tangle.nets import half


class Group(NamedTuple):
  """Parts that train alike, from some step on.

  Attributes:
    part: a part or network that has created its variables, or a list of these
      or of variables.
    learning_rate: a number, or a scalar tensor.
    unfreeze_step: the global step at which training starts; frozen before.
  """

  part: Any
  learning_rate: hints.Scalar
  unfreeze_step: int = 0


class Tuning(NamedTuple):
  """The result of `minimize`.

  Attributes:
    train_op: runs a training step, and increments `global_step` if given.
    variables: for each group, in order, the list of variables that it trains.
    optimizers: the optimizer of each group, in the same order.
    active: for each group a scalar bool tensor: whether it trains at this step.
  """

  train_op: tf1.Operation
  variables: List[List[hints.Variable]]
  optimizers: List[tf1.train.Optimizer]
  active: List[tf1.Tensor]


# The variables of a group, and the ops of its calls that change them.
_Members = collections.namedtuple("_Members", "trained names updates")


@errors.named("combine.gradual")
def gradual(
  networks: Sequence[Any],
  learning_rate: hints.Scalar,
  steps: int,
  decay: float = 2.6,
) -> List[Group]:
  """Makes groups for gradual unfreezing with discriminative learning rates.

  The last network trains from the beginning, the one before from step `steps`
  on, and so on. Each has the rate of the one after it, divided by `decay`.

  Source: Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text
  Classification", sections 3.2 and 3.3; there `steps` is an epoch.

  Args:
    networks: from the lowest to the highest, as `Group.part` takes them.
    learning_rate: the rate of the highest network, a number or scalar tensor.
    steps: how many steps later each lower network starts.
    decay: positive and finite; at least 1 in the source.

  Returns:
    A list of `Group`, in the order of `networks`.

  Raises:
    ArgumentError: if `steps` is not a whole number of at least 0, or `decay` is
      not positive and finite.
  """
  if not isinstance(steps, numbers.Integral) or steps < 0:
    raise errors.ArgumentError(
      f"steps must be a whole number, at least 0, got {steps!r}."
    )
  if not 0 < decay < math.inf:
    raise errors.ArgumentError(f"decay must be positive, got {decay!r}.")
  below = range(len(networks) - 1, -1, -1)
  return [
    Group(network, learning_rate / decay**k, int(steps) * k)
    for k, network in zip(below, networks)
  ]


@errors.named("combine.minimize")
def minimize(
  loss: tf1.Tensor,
  groups: Sequence[Group],
  frozen: Sequence[Any] = (),
  optimizer_at_rate: Callable[[Any], Any] = tf1.train.AdamOptimizer,
  global_step: Optional[hints.Variable] = None,
  clip_norm: Optional[hints.Scalar] = None,
  gradients: Optional[Sequence[Tuple[hints.Gradient, hints.Variable]]] = None,
  name: str = "fine_tune",
) -> Tuning:
  """Trains groups of parts, each with its own optimizer and learning rate.

  Before its `unfreeze_step`, a group does nothing: the ops that change its
  variables and the slots of its optimizer are inside a conditional. The ops of
  its calls that update moving averages (`Part.updates`, and those in the
  collection of update ops) run with it.

  Source: discriminative learning rates and gradual unfreezing, Howard & Ruder
  2018, "Universal Language Model Fine-tuning for Text Classification".

  Args:
    loss: a scalar. If it was made in the scope of a distribution strategy, it
      is trained in a call of the strategy's `run`; only strategies with a
      single device are supported.
    groups: list of `Group`.
    frozen: list of parts that are never trained, each as for `Group.part`. A
      trainable variable that the loss reaches must be in a group or here.
    optimizer_at_rate: a function from the learning rate of a group to its
      `tf.compat.v1.train.Optimizer`; a class is one.
    global_step: a variable that counts steps; required if a group starts later
      than at step 0.
    clip_norm: the gradients of the groups that train at a step are scaled down
      to this global norm; None for no clipping.
    gradients: list of pairs of gradient and variable to use instead of the
      gradients of `loss`, such as gradients combined from several losses. A
      variable without a pair is not trained.
    name: name scope of the new ops.

  Returns:
    A `Tuning`.

  Raises:
    ArgumentError: if there is no group, two groups share a variable, one has no
      trainable variable, a rate, a step or `clip_norm` is out of range,
      `optimizer_at_rate` makes no optimizer, the loss reaches a variable that
      is neither in a group nor frozen, `global_step` is missing for a group
      that starts later or is no variable, or an update or reference variable of
      such a group cannot be put into a conditional.
    CutError: if an update of a frozen part runs with the loss.
    DisconnectedError: if the loss reaches no variable of a group.
    GraphError: if `global_step` belongs to another graph.
    ShapeError: if the loss is not a scalar.
  """
  groups = [Group(*group) for group in groups]
  _check_groups(groups, global_step, clip_norm)
  strategies.check_global_step(global_step, loss.graph)
  rates = [group.learning_rate for group in groups]
  optimizers = strategies.make_optimizers(optimizer_at_rate, rates)
  if loss.shape.ndims != 0:
    raise errors.ShapeError(
      f"loss must be a scalar, got {loss.name!r} of shape "
      f"{loss.shape}. Take its mean."
    )
  below = walk.ancestors([loss], control=True)
  running = {op.name for op in below}
  members = [_members(group.part, running) for group in groups]
  still = _members(list(frozen), running)
  _check_members(loss, below, members, still)
  waiting = [m for m, group in zip(members, groups) if group.unfreeze_step]
  _check_updates(running, waiting, still)
  with loss.graph.as_default(), tf1.name_scope(name):
    lists = _gradients(loss, members, gradients)
    later = [group.unfreeze_step > 0 for group in groups]
    active = [
      tf1.cast(global_step, tf1.int64) >= group.unfreeze_step
      if wait
      else tf1.constant(True)
      for group, wait in zip(groups, later)
    ]
    if clip_norm is not None:
      lists = _clip(lists, active, later, clip_norm)
    done = []
    for k, pairs in enumerate(lists):
      changes = _Changes(optimizers[k], pairs, members[k].updates)
      if later[k]:
        done.append(
          tf1.cond(active[k], changes.put_off(), lambda: tf1.constant(False))
        )
      else:
        done.extend(changes.now())
    train_op = tf1.group(*[_op(item) for item in done], name="train")
    if global_step is not None:
      with tf1.control_dependencies([train_op]):
        # The comparison with the step runs before any change: all depend on it.
        train_op = _op(tf1.assign_add(global_step, 1, name="step"))
  trained = [[variable for _, variable in pairs] for pairs in lists]
  return Tuning(train_op, trained, optimizers, active)


class _Changes:
  """The changes that a step makes to a group."""

  def __init__(self, optimizer, pairs, updates):
    self._optimizer, self._pairs = optimizer, pairs
    self._updates = updates

  def now(self):
    """Adds the ops outside any conditional; returns the list of them."""
    return [
      strategies.apply_gradients(self._optimizer, self._pairs)
    ] + self._updates

  def put_off(self):
    """Returns a function that makes the ops inside a conditional."""

    values = [(op, op.inputs[1]) for op in self._updates]

    def apply():
      ops = [self._optimizer.apply_gradients(self._pairs)]
      for op, value in values:
        ops.append(_op(_assign(op, value)))
      with tf1.control_dependencies(ops):
        return tf1.constant(True)

    return apply


def _op(item):
  return item if isinstance(item, tf1.Operation) else item.op


def _assign(op, value):
  """Makes an op with the same effect as `op`."""
  variable = variables_lib.changed_by(op)
  return getattr(variable, variables_lib.ASSIGNMENTS[op.type])(value)


def _members(part, running):
  """Returns the variables and updates of the members of a group.

  For a part, only the updates of those calls that have an op in `running`:
  there may be further calls, on other inputs.
  """
  several = isinstance(part, (list, tuple))
  found, updates = collections.OrderedDict(), collections.OrderedDict()
  other = set()
  for item in part if several else [part]:
    itself = hasattr(item, "op")
    for variable in (
      variables_lib.unwrapped([item]) if itself else variables_lib.listed(item)
    ):
      found[variable.op.name] = variable
    # The updates that Keras 1.15 lists are not in the graph's collection.
    listed = [] if itself else getattr(item, "updates", None) or []
    if hasattr(item, "updates_for"):
      other.update(op.name for op in listed)
      listed = item.updates_for(running)
    for op in listed:
      updates[_op(op).name] = _op(op)
  trained = variables_lib.trainable(list(found.values()))
  if found:
    graph = next(iter(found.values())).graph
    for item in graph.get_collection(tf1.GraphKeys.UPDATE_OPS):
      target = variables_lib.changed_by(_op(item))
      mine = target is not None and target.op.name in found
      if mine and _op(item).name not in other:
        updates[_op(item).name] = _op(item)
  return _Members(trained, set(found), list(updates.values()))


def _check_groups(groups, global_step, clip_norm):
  if not groups:
    raise errors.ArgumentError("give at least one group, got none.")
  for k, group in enumerate(groups):
    rate, step = group.learning_rate, group.unfreeze_step
    if isinstance(rate, numbers.Real) and not 0 < rate < math.inf:
      raise errors.ArgumentError(
        f"the learning rate of group {k} must be positive and "
        f"finite, got {rate!r}. Put what does not learn into frozen=."
      )
    if not isinstance(step, numbers.Integral) or step < 0:
      raise errors.ArgumentError(
        f"unfreeze_step of group {k} must be a whole number, at "
        f"least 0, got {step!r}."
      )
    if step > 0 and global_step is None:
      raise errors.ArgumentError(
        f"group {k} has unfreeze_step={step}, for which steps must "
        f"be counted. Pass global_step, such as "
        f"tf.compat.v1.train.get_or_create_global_step()."
      )
  if clip_norm is not None and not clip_norm > 0:
    raise errors.ArgumentError(
      f"clip_norm must be positive, got {clip_norm!r}. Pass clip_norm=None to "
      f"turn clipping off."
    )


def _check_members(loss, below, members, still):
  """Checks that each variable that the loss reaches has exactly one place."""
  places = dict.fromkeys(still.names, "frozen")
  for k, group in enumerate(members):
    if not group.trained:
      raise errors.ArgumentError(
        f"group {k} has no trainable variable, of {group.names}. "
        f"Call the network before, which makes them."
      )
    for name in sorted(group.names):
      if name in places:
        raise errors.ArgumentError(
          f"variable {name!r} is in group {k} and in {places[name]}. Leave it "
          f"out of one of them."
        )
      places[name] = f"group {k}"
    strategies.check(group.trained)
  reached = walk.trainable_variables(below, loss.graph)
  odd = [v.op.name for v in reached if v.op.name not in places]
  if odd:
    raise errors.ArgumentError(
      f"the loss reaches {odd}, which are in no group. Add them to "
      f"one, or to frozen=."
    )


def _check_updates(running, waiting, still):
  """Checks that the updates of frozen parts can be held back."""
  for kept in [still] + waiting:
    for op in kept.updates:
      if op.name in running:
        raise errors.CutError(
          f"update {op.name!r} of a frozen part runs with the loss, "
          f"which depends on it. Leave the control dependency out."
        )
  for kept in waiting:
    if strategies.needed(kept.trained) is not None:
      raise errors.ArgumentError(
        f"a distribution strategy keeps "
        f"{kept.trained[0].op.name!r}, and changes it in no conditional. Begin "
        f"its group at step 0."
      )
    targets = kept.trained + [
      variables_lib.changed_by(op) for op in kept.updates
    ]
    for variable in targets:
      if variable is None or compat.is_resource_variable(variable):
        continue
      if tf1.control_flow_v2_enabled():
        raise errors.ArgumentError(
          f"reference variable {variable.op.name!r} cannot be "
          f"changed in a TensorFlow 2 style conditional. Make it with "
          f"use_resource=True, or begin its group at step 0."
        )
    for op in kept.updates:
      if variables_lib.changed_by(op) is None or compat.in_v1_control_flow(op):
        raise errors.ArgumentError(
          f"update {op.name!r} of type {op.type} cannot be put off. "
          f"Begin its group at step 0, or freeze it permanently."
        )


def _gradients(loss, members, given):
  """Returns a list of pairs of gradient and variable for each group."""
  variables = [variable for group in members for variable in group.trained]
  if given is None:
    found = dict(
      zip(
        [variable.op.name for variable in variables],
        tf1.gradients(loss, variables),
      )
    )
  else:
    found = {variable.op.name: gradient for gradient, variable in given}
  lists = []
  for k, group in enumerate(members):
    pairs = [(found.get(v.op.name), v) for v in group.trained]
    pairs = [(g, v) for g, v in pairs if g is not None]
    if not pairs:
      raise errors.DisconnectedError(
        f"the loss reaches no variable of group {k}: "
        f"{[v.op.name for v in group.trained]}. Leave the group out, or "
        f"compute the loss from what its variables give."
      )
    lists.append(pairs)
  return lists


def _clip(lists, active, later, clip_norm):
  """Clips the gradients of the groups that train now to a global norm."""
  squares = []
  for pairs, learns, wait in zip(lists, active, later):
    square = tf1.square(half.global_norm([gradient for gradient, _ in pairs]))
    # No multiplication by 0: the gradient of a frozen part may be infinite.
    zero = tf1.zeros_like(square)
    squares.append(tf1.where_v2(learns, square, zero) if wait else square)
  norm = tf1.sqrt(tf1.add_n(squares))
  clipped = []
  for pairs in lists:
    values, _ = half.clip_by_global_norm(
      [gradient for gradient, _ in pairs], clip_norm, use_norm=norm
    )
    clipped.append([(g, v) for g, (_, v) in zip(values, pairs)])
  return clipped

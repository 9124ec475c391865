"""Networks made of recurrent layers: side by side, or stacked.

A part that was not called before creates its variables below the composite's
variable scope, and shares them when it is called on its own later.
"""

from __future__ import annotations

import collections
import contextlib
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import base, feedforward, recurrent


class BidirectionalState(NamedTuple):
  """The final states of both directions.

  Attributes:
    forward: state after each example's last real step.
    backward: state after each example's first step, where this layer ends.
  """

  forward: hints.Nest
  backward: hints.Nest


class Composite(base.Network):
  """A network of networks; it has their variables, and none of its own.

  A network that was not called before creates its variables in a scope of this
  one, so that networks of the same name do not collide.
  """

  def __init__(self, children: List[Tuple[str, Any]], name: str) -> None:
    """Names the parts; makes neither ops nor variables.

    The composite has the dtype of the first part.

    Args:
      children: list, not empty, of pairs of a label, which is the part's
        variable scope, and a network.
      name: variable scope around those of the parts.

    Raises:
      ArgumentError: if `name` cannot name a scope.
    """
    super().__init__(name, children[0][1].dtype)
    self._children = children

  @property
  def variables(self) -> List[hints.Variable]:
    """The variables, part by part; a shared variable is listed once.

    Empty before the first call, unless a part was called before.
    """
    unique = collections.OrderedDict(
      (id(variable), variable)
      for _, child in self._children
      for variable in child.variables
    )
    return list(unique.values())

  @contextlib.contextmanager
  def child_scope(self, label: str) -> Iterator[None]:
    """Opens the variable scope of a part.

    Args:
      label: the part's label.

    Yields:
      Nothing.

    Raises:
      ArgumentError: if another network has the composite's name in the current
        variable scope.
    """
    with self._variable_scope():
      with tf1.variable_scope(label, auxiliary_name_scope=False):
        yield

  @errors.named("{self._name}")
  def check_states(
    self, argument: str, states: Optional[Sequence[Any]]
  ) -> List[Any]:
    """Returns one state per part.

    Args:
      argument: the argument's name, for the message.
      states: list or tuple of states; None for a list of `None`. The states
        themselves are not checked.

    Returns:
      A list with one state or `None` per part, in the order of the parts.

    Raises:
      ArgumentError: if `states` is not a list or tuple, or has another length.
    """
    count = len(self._children)
    if states is None:
      return [None] * count
    if not isinstance(states, (tuple, list)) or len(states) != count:
      raise errors.ArgumentError(
        f"{argument} must be a list of {count} states, one per "
        f"layer, got {states!r}. Pass None for zeros."
      )
    return list(states)


class Bidirectional(Composite):
  """Two layers in opposite directions over the same inputs.

  Source: Schuster & Paliwal 1997, "Bidirectional Recurrent Neural Networks".
  """

  @errors.named("{name}")
  def __init__(
    self,
    forward: recurrent.RecurrentLayer,
    backward: recurrent.RecurrentLayer,
    name: str = "bidirectional",
  ) -> None:
    """Joins two layers; makes neither ops nor variables.

    Args:
      forward: a recurrent layer with `reverse=False`, of depth U.
      backward: a recurrent layer with `reverse=True`, of depth W.
      name: variable scope around those of the layers, which are `forward` and
        `backward` with the layer's own name below; default name scope of
        calls.

    Raises:
      ArgumentError: if a layer runs in the wrong direction or has none, or
        `name` cannot name a scope.
    """
    super().__init__([("forward", forward), ("backward", backward)], name)
    for argument, layer, wanted in (
      ("forward", forward, False),
      ("backward", backward, True),
    ):
      reverse = getattr(layer, "reverse", None)
      if reverse is not wanted:
        raise errors.ArgumentError(
          f"{argument} must be a layer with reverse={wanted}, got "
          f"{layer.name!r} with reverse={reverse}. Make it with "
          f"reverse={wanted}."
        )
    self._forward = forward
    self._backward = backward

  @property
  def units(self) -> int:
    """U + W, depth of the outputs."""
    return self._forward.units + self._backward.units

  def __call__(
    self,
    inputs: hints.Value,
    lengths: Optional[hints.Value] = None,
    initial_state: Optional[Sequence[hints.Nest]] = None,
    name: Optional[str] = None,
  ) -> recurrent.RecurrentResult:
    """Runs both layers.

    Args:
      inputs: `[B, T, D]`.
      lengths: `[B]` int, each from 0 to T; None if all are T.
      initial_state: a `BidirectionalState`, or a pair in that order; zeros for
        None and for a state that is None.
      name: name scope of the new ops.

    Returns:
      A `RecurrentResult`: outputs `[B, T, U + W]`, forward first, and a
      `BidirectionalState` of the layers' final states. That of `backward`
      is the state after each example's first step.

    Raises:
      ArgumentError: if `initial_state` is not a pair, or another network has
        this one's name in the current variable scope. The layers also raise
        the errors of `RecurrentLayer.__call__`.
    """
    states = self.check_states("initial_state", initial_state)
    with self.enter(name):
      with self.child_scope("forward"):
        forward = self._forward(inputs, lengths, states[0], name="forward")
      with self.child_scope("backward"):
        backward = self._backward(inputs, lengths, states[1], name="backward")
      outputs = tf1.concat([forward.outputs, backward.outputs], axis=2)
    state = BidirectionalState(forward.state, backward.state)
    return recurrent.RecurrentResult(outputs, state)


class Stack(Composite):
  """Stacked layers: each reads the outputs of the one below."""

  @errors.named("{name}")
  def __init__(self, layers: Sequence[Any], name: str = "stack") -> None:
    """Stacks the layers; makes neither ops nor variables.

    Args:
      layers: recurrent layers, also `Bidirectional` ones, from the lowest to
        the highest.
      name: variable scope around those of the layers, which are `layer_0`,
        `layer_1` and so on with the layer's own name below; default name scope
        of calls.

    Raises:
      ArgumentError: if there is no layer, or `name` cannot name a scope.
    """
    layers = list(layers)
    if not layers:
      raise errors.ArgumentError(
        "layers must not be empty. Pass at least one recurrent layer."
      )
    named = [(f"layer_{k}", layer) for k, layer in enumerate(layers)]
    super().__init__(named, name)
    self._layers = layers

  @property
  def units(self) -> int:
    """Depth of the outputs, that of the highest layer."""
    return self._layers[-1].units

  def __call__(
    self,
    inputs: hints.Value,
    lengths: Optional[hints.Value] = None,
    initial_state: Optional[Sequence[hints.Nest]] = None,
    dropout_rate: hints.Scalar = 0,
    seed: Optional[hints.Seed] = None,
    name: Optional[str] = None,
  ) -> recurrent.RecurrentResult:
    """Runs all layers.

    Args:
      inputs: `[B, T, D]`.
      lengths: `[B]` int, each from 0 to T; None if all are T.
      initial_state: list of one state per layer, from the lowest; zeros for
        None and for a state that is None.
      dropout_rate: rate of the dropout between the layers, not below the lowest
        nor above the highest: a number or a scalar tensor.
      seed: seed as for `feedforward.dropout`; each place between layers gets
        its own mask.
      name: name scope of the new ops.

    Returns:
      A `RecurrentResult`: outputs `[B, T, U]` of the highest layer, and the
      list of final states, from the lowest layer to the highest.

    Raises:
      ArgumentError: if `initial_state` does not have one state per layer, the
        number `dropout_rate` is not in `[0, 1)` with two or more layers, or
        another network has this one's name in the current variable scope.
        The layers also raise the errors of `RecurrentLayer.__call__`.
    """
    states = self.check_states("initial_state", initial_state)
    outputs, final = inputs, []
    with self.enter(name):
      for k, (layer, state) in enumerate(zip(self._layers, states)):
        if k > 0:
          outputs = feedforward.dropout(
            outputs, dropout_rate, feedforward.shift_seed(seed, k)
          )
        label = f"layer_{k}"
        with self.child_scope(label):
          outputs, state = layer(outputs, lengths, state, name=label)
        final.append(state)
    return recurrent.RecurrentResult(outputs, final)

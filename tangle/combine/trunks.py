"""One trunk, several heads; and the sum of their losses."""

from __future__ import annotations

import collections
import math
import numbers
from typing import Mapping, Optional, Sequence, Union

from tangle import errors, hints
from tangle.combine import fitting, parts
from tangle.compat import tf1
from tangle.nets import checks


class Shared(parts.Combined):
  """One trunk, several heads; see `shared`.

  Attributes:
    heads: names of the heads, in their order.
  """

  @errors.named("shared {name!r}")
  def __init__(
    self,
    trunk: hints.Network,
    heads: Union[Mapping[str, hints.Network], Sequence[parts.Named]],
    name: str,
  ) -> None:
    """Checks the declared shapes; `shared` has the arguments and errors."""
    self._named = hasattr(heads, "items")
    if not self._named and not isinstance(heads, (list, tuple)):
      raise errors.ArgumentError(
        f"heads must be a mapping from name to network, or a list, "
        f"got {heads!r}."
      )
    items = list(heads.items()) if self._named else list(heads)
    if not items:
      raise errors.ArgumentError("give at least one head, got none.")
    label = "trunk" if parts.default_name(trunk) == "network" else None
    first = trunk if label is None else (label, trunk)
    self._trunk, *self._heads = parts.make_parts([first] + items)
    for head in self._heads:
      fitting.check_declared(self._trunk, head)
    self.heads = [head.name for head in self._heads]
    unique = {part.name: part for part in [self._trunk] + self._heads}
    super().__init__(list(unique.values()), name)

  @property
  def trunk(self) -> parts.Part:
    """The trunk, a `Part`."""
    return self._trunk

  @property
  def input_depth(self) -> Optional[int]:
    """The last dimension of the trunk's input, None if unknown."""
    return self._trunk.input_depth

  @errors.named("shared {self._name!r}")
  def __call__(
    self, inputs: hints.Nest, name: Optional[str] = None
  ) -> hints.Nest:
    """Runs the trunk once, and all heads on its output.

    Args:
      inputs: the input of the trunk.
      name: name scope of the new ops.

    Returns:
      The outputs of the heads, in their order: a dict by name, or a list if the
      heads were given as a list.

    Raises:
      DtypeError: if a head does not take the type of the trunk's output.
      ShapeError: if a head does not take its shape.
    """
    with self.enter(name), self._variable_scope():
      value = fitting.call("the input", self._trunk, inputs)
      giver = repr(self._trunk.name)
      found = []
      for head in self._heads:
        fitted = fitting.fit(giver, head, value, (), None)
        found.append(fitting.call(giver, head, fitted))
    if self._named:
      return collections.OrderedDict(zip(self.heads, found))
    return found


def shared(
  trunk: hints.Network,
  heads: Union[Mapping[str, hints.Network], Sequence[parts.Named]],
  name: str = "shared",
) -> Shared:
  """Puts several heads on one trunk: `h_k(trunk(x))`, the trunk run once.

  Args:
    trunk: a callable from a tensor or nest to a tensor or nest; `combine.cut`
      makes one from a network in a graph.
    heads: a mapping from names to callables that take the trunk's output, or a
      list of callables or of pairs of a name and a callable.
    name: variable scope around those of the parts, and default name scope of
      calls.

  Returns:
    A `Shared`, a network. A call with the trunk's input returns the outputs of
    the heads: a dict by name if `heads` is a mapping, else a list. Its `parts`
    maps names to the trunk and the heads; its `trunk` is the trunk.

  Raises:
    ArgumentError: if there is no head, `heads` is neither a mapping nor a list
      or tuple, a network is not callable, or given names are not unique.
    ShapeError: if the declared shapes of trunk and head do not fit.
  """
  return Shared(trunk, heads, name)


@errors.named("{name}")
def weighted_loss(
  losses: Union[Sequence[tf1.Tensor], Mapping[str, tf1.Tensor]],
  weights: Union[Sequence[float], Mapping[str, float], None] = None,
  name: str = "weighted_loss",
) -> tf1.Tensor:
  """Adds losses: `sum_k weights[k] * losses[k]`.

  Args:
    losses: a list of K scalars, or a mapping from name to scalar.
    weights: a list of K numbers, at least 0 and finite, not all 0; for a
      mapping of losses, a mapping with the same names. None for 1 each.
    name: name scope of the new ops.

  Returns:
    A scalar.

  Raises:
    ArgumentError: if there is no loss, `weights` does not have one weight per
      loss, by the same names if losses have names, a weight is negative, not
      finite or not a number, or all are 0.
    ShapeError: if a loss is not a scalar.
  """
  named = hasattr(losses, "keys")
  keys = list(losses) if named else list(range(len(losses)))
  if not keys:
    raise errors.ArgumentError("give at least one loss, got none.")
  values = [losses[key] for key in keys]
  factors = [1.0] * len(keys)
  if weights is not None:
    known = list(weights) if hasattr(weights, "keys") else None
    if named != (known is not None) or len(weights) != len(keys):
      raise errors.ArgumentError(
        f"weights must be one for each of the losses {keys}, and named "
        f"as they are, got {weights!r}."
      )
    if known is not None and set(known) != set(keys):
      raise errors.ArgumentError(
        f"weights must be one for each of the losses {keys}, got them "
        f"for {known}."
      )
    factors = [weights[key] for key in keys]
  for key, factor in zip(keys, factors):
    good = isinstance(factor, numbers.Real) and math.isfinite(factor)
    if not good or factor < 0:
      raise errors.ArgumentError(
        f"the weight of loss {key!r} must be a finite number, at least "
        f"0, got {factor!r}. Multiply the loss by what is a tensor."
      )
  if not any(factors):
    raise errors.ArgumentError(
      "all weights are 0. Give a positive weight to one of them."
    )
  with tf1.name_scope(name):
    terms = []
    for key, value, factor in zip(keys, values, factors):
      value = tf1.convert_to_tensor(value)
      if value.shape.ndims != 0:
        raise errors.ShapeError(
          f"loss {key!r} must be a scalar, got "
          f"{checks.describe(value)}. Take its mean."
        )
      terms.append(value if factor == 1 else factor * value)
    return tf1.add_n(terms)

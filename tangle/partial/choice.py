"""Chooses the tensors to keep, as the argument `residuals=` asks.

`"min_cut"` keeps the fewest bytes, and among equal choices recomputes the least
work. A `Budget` recomputes little work and stays within a number of bytes. Its
choice is a minimum cut too, of

    bytes kept + rate * nanoseconds recomputed,

with the highest rate that stays within the budget, found by bisection. No
other choice with that number of bytes recomputes less. A budget between two
such choices is not used up, though a better choice may exist. Equal layers
would all be recomputed from the same rate on; so the cost of an op counts a
little more the earlier it runs, and the rate selects one layer after another.
"""

from typing import Any, NamedTuple, Optional

import numpy as np

from tangle import errors
from tangle.graphs import cheap, min_cut, walk
from tangle.partial import policies
from tangle.partial import sizes as sizes_lib

_TILT = 0.2  # how much more the first op costs than the last
_RATES = np.log(1e-9), np.log(1e6)  # bytes a nanosecond, least and most
_STEPS = 40  # of the bisection
_CLOSE = 0.005  # fraction of the budget that may be left unused


class Policy(NamedTuple):
  """The arguments that specify the residuals.

  Attributes:
    residuals: the policy.
    recompute: a predicate: which tensors besides cheap ones may be recomputed;
      `None` for no others.
    keep: a predicate: which tensors may not be recomputed; `None` for none.
    sizes: how to find the bytes of tensors, as for `sizes.of`.
  """

  residuals: Any = policies.FRONTIER
  recompute: Optional[Any] = None
  keep: Optional[Any] = None
  sizes: Any = None


class Plan(NamedTuple):
  """A cut and its predicted memory.

  Attributes:
    cut: a `Cut`.
    bytes: predicted bytes of the kept tensors, without values of variables;
      `None` for policies that do not predict bytes.
  """

  cut: Any
  bytes: Optional[int] = None


def make(residuals, recompute=None, keep=None, sizes=None):
  """Checks the arguments that specify the residuals.

  Args:
    residuals: a name of a policy, a `Budget`, or a predicate of a tensor; or a
      `Policy`, which is returned as it is, whatever the other arguments are.
    recompute: a predicate of a tensor, or `None`.
    keep: a predicate of a tensor, or `None`.
    sizes: as for `sizes.of`.

  Returns:
    A `Policy`.

  Raises:
    ArgumentError: if an argument is invalid, or has no effect with `residuals`.
  """
  if isinstance(residuals, Policy):
    return residuals
  if policies.is_planned(residuals):
    if isinstance(residuals, policies.Budget):
      policies.check_budget(residuals)
    sizes_lib.check(sizes)
    for name, value in (("recompute", recompute), ("keep", keep)):
      if value is not None and not callable(value):
        raise errors.ArgumentError(
          f"{name} must be a predicate of a tensor, got {value!r}."
        )
    return Policy(residuals, recompute, keep, sizes)
  policies.predicate(residuals)
  given = {"recompute": recompute, "keep": keep, "sizes": sizes}
  for name, value in given.items():
    if value is not None:
      raise errors.ArgumentError(
        f"{name} applies with residuals='min_cut' or a "
        f"tangle.Budget only, got residuals={residuals!r}. Leave it out, or "
        f"give a predicate of a tensor for residuals."
      )
  return Policy(residuals)


def seen_through(policy, copy):
  """Translates a policy, so that it applies to a copy of the ops.

  Args:
    policy: a `Policy` that knows the original tensors.
    copy: a `cloning.Clone`.

  Returns:
    A `Policy` that takes the copied tensors.
  """

  def translate(function):
    if not callable(function):
      return function
    return lambda tensor: function(copy.original(tensor))

  sizes = translate(policy.sizes)
  if isinstance(sizes, dict):
    sizes = {
      copy.name_of(sizes_lib.name_of(key)): shape
      for key, shape in sizes.items()
    }
  return Policy(
    translate(policy.residuals),
    translate(policy.recompute),
    translate(policy.keep),
    sizes,
  )


def find(policy, search, targets, shapes, have, bytes_of, besides=()):
  """Finds the cut that a policy specifies.

  Args:
    policy: a `Policy`.
    search: `cut.cut` with all but its arguments `keep`, `shapes` and `have`,
      which are given by name.
    targets: the gradients to compute, tensors of any shapes.
    shapes: the `Shapes` of the piece.
    have: names of tensors that are kept already and add no bytes.
    bytes_of: a function from tensor to bytes, for policies that predict them.
    besides: tensors that are kept in any case.

  Returns:
    A `Plan`.

  Raises:
    CutError: if a budget is smaller than the fewest bytes that can be kept.
    ArgumentError: if `bytes_of` raises it, as that of `sizes.of` does.
  """
  if not policies.is_planned(policy.residuals):
    keep = policies.predicate(policy.residuals)
    return Plan(search(keep=keep, shapes=shapes, have=have))

  def may_repeat(tensor):
    if policy.keep is not None and policy.keep(tensor):
      return False
    asked = policy.recompute is not None and policy.recompute(tensor)
    return bool(asked) or cheap.is_cheap(tensor.op)

  reach = search(keep=lambda t: not may_repeat(t), shapes=None)
  problem = _Problem(policy, reach, targets, have, bytes_of)
  is_budget = isinstance(policy.residuals, policies.Budget) and not have
  extra = sum(bytes_of(tensor) for tensor in besides)
  while True:
    if is_budget:
      repeated, limit = problem.within(policy.residuals, extra)
    else:
      repeated, limit = problem.least(), np.inf
    kept = problem.kept_names(repeated)
    found = search(
      keep=lambda t, kept=kept: t.name in kept or not may_repeat(t),
      shapes=shapes,
      have=have,
    )
    together = {t.name: t for t in list(besides) + found.kept}
    total = sum(bytes_of(tensor) for tensor in together.values())
    if total <= limit:
      return Plan(found, total)
    extra = total - problem.bytes_kept(repeated)  # includes shapes by now


class _Problem:
  """The choice which tensors to keep and which ops to recompute."""

  def __init__(self, policy, reach, targets, have, bytes_of):
    self._network = min_cut.Network(reach, targets)
    self._tensors = self._network.tensors
    self.bytes = np.array([bytes_of(t) for t in self._tensors], np.float64)
    known = np.array([t.name in have for t in self._tensors], bool)
    if policy.keep is not None:  # what must be kept costs nothing more
      known |= np.array([bool(policy.keep(t)) for t in self._tensors], bool)
    self._prices = np.where(known, 0.0, self.bytes)
    costs = [cheap.cost(op, bytes_of) for op in self._network.ops]
    tilt = np.linspace(1.0 + _TILT, 1.0, len(costs))
    places = _places(self._network.ops, reach.kept)
    self._costs = np.array(costs, np.float64) * tilt[places]

  def least(self):
    """Chooses the ops to recompute so that the fewest bytes are kept.

    Returns:
      A bool array `[ops]`; of such choices, the one with the least work.
    """
    # All costs together count less than the smallest difference of bytes.
    return self._solve(0.5 / max(self._costs.sum(), 1.0))

  def _solve(self, rate):
    return self._network.solve(self._prices, rate * self._costs)

  def bytes_kept(self, repeated):
    """Returns the bytes of the tensors that a choice keeps.

    Args:
      repeated: bool array `[ops]`, true for the ops to recompute.

    Returns:
      A float, without the bytes that are kept in any case.
    """
    return float(self.bytes[self._network.kept(repeated)].sum())

  def kept_names(self, repeated):
    """Returns the names of the tensors that a choice keeps.

    Args:
      repeated: bool array `[ops]`, true for the ops to recompute.

    Returns:
      A set of names.
    """
    kept = np.flatnonzero(self._network.kept(repeated))
    return walk.names([self._tensors[k] for k in kept])

  def within(self, budget, extra):
    """Chooses few ops to recompute, so that a budget suffices.

    Args:
      budget: a `Budget`.
      extra: bytes that are kept in any case.

    Returns:
      A bool array `[ops]`, true for those to recompute, and the budget in
      bytes.

    Raises:
      CutError: if no choice stays within the budget.
    """
    nothing = np.zeros(len(self._costs), bool)
    frontier = extra + self.bytes_kept(nothing)
    limit = budget.bytes
    if limit is None:
      limit = budget.fraction * frontier
    if frontier <= limit:
      return nothing, limit
    best = self.least()
    lowest = extra + self.bytes_kept(best)
    if lowest > limit:
      raise errors.CutError(
        f"{budget} allows {limit:,.0f} bytes, but the residuals take "
        f"at least {lowest:,.0f} ('frontier' keeps {frontier:,.0f}). "
        f"Allow that much, or allow more recomputation by recompute=."
      )
    low, high = _RATES
    for _ in range(_STEPS):
      middle = 0.5 * (low + high)
      found = self._solve(np.exp(middle))
      taken = extra + self.bytes_kept(found)
      if taken > limit:
        high = middle
        continue
      low, best = middle, found
      if taken >= (1 - _CLOSE) * limit:
        break
    return best, limit


def _places(ops, kept):
  """Returns the position of each of `ops` when they run one by one."""
  stop = walk.names(kept)
  # An op with one kept output may be recomputed for another output.
  ends = [t for op in ops for t in op.outputs if t.name not in stop]
  among = {op.name for op in ops}
  order = [op for op in walk.ancestors(ends, kept) if op.name in among]
  places = {op.name: k for k, op in enumerate(order)}
  return np.array([places[op.name] for op in ops], np.int64)

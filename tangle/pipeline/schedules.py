"""How a batch is divided, and in which order sub-models work on the parts.

There are two schedules. GPipe (Huang et al., 2019) runs all parts forward, then
all backward. 1F1B (one forward, one backward; PipeDream, Narayanan et al.,
2019) begins backward runs as soon as possible, so that a sub-model keeps the
residuals of no more parts than there are sub-models on the longest path from it
to a loss.
"""

import numpy as np

from tangle import errors
from tangle.compat import tf1

SCHEDULES = ("1f1b", "gpipe")


def check(count, schedule):
  """Refuses invalid settings.

  Args:
    count: the number of micro-batches into which a batch is divided.
    schedule: the name of a schedule.

  Raises:
    ArgumentError: if `count` is not a positive int, or the schedule unknown.
  """
  if not isinstance(count, int) or isinstance(count, bool) or count < 1:
    raise errors.ArgumentError(
      f"micro_batches must be a positive int, got {count!r}."
    )
  if schedule not in SCHEDULES:
    raise errors.ArgumentError(
      f"schedule must be one of {SCHEDULES}, got {schedule!r}."
      f"{errors.suggest(schedule, SCHEDULES)}"
    )


def divide(plan, given, count):
  """Divides the fed arrays along their first axis.

  Args:
    plan: a `runs.Plan`.
    given: sub-model → a list of the arrays to feed, in the order of its
      `Active.feeds`. Scalars go to all parts.
    count: the number of parts to make, as equal as possible.

  Returns:
    A list of `count` dicts like `given`, the rows in their order, and a list of
    the number of rows of each part.

  Raises:
    ArgumentError: if the arrays differ in their number of rows, there are
      fewer rows than parts, or a placeholder takes a fixed number of rows.
  """
  rows, first = None, None
  for active in plan.active:
    for placeholder, array in zip(active.feeds, given[active.node.name]):
      if not np.ndim(array):
        continue
      name = f"{placeholder.name!r} of {active.node.name!r}"
      if rows is None:
        rows, first = len(array), name
      if len(array) != rows:
        raise errors.ArgumentError(
          f"micro_batches divide the first axis of all that is fed, "
          f"but {first} has {rows} rows and {name} has {len(array)}. Put the "
          f"batch first, and make what has no rows a scalar or a variable. "
          f"Replicas take batches whose rows are a multiple of them."
        )
      static = placeholder.shape
      size = tf1.dimension_value(static[0]) if static.rank else None
      if size is not None:
        raise errors.ArgumentError(
          f"micro_batches divide the batch, but {name} takes exactly "
          f"{size} rows. Leave the first dimension of its placeholder unknown, "
          f"such as [None, 3], so that a part of the batch fits."
        )
  if rows is None or rows < count:
    raise errors.ArgumentError(
      f"a batch of {rows or 'no'} rows cannot be divided into "
      f"{count} micro-batches, each of at least one row. Feed more rows, or "
      f"make micro_batches smaller."
    )
  ends = [rows * k // count for k in range(count + 1)]
  parts = [
    {
      name: [array[a:b] if np.ndim(array) else array for array in arrays]
      for name, arrays in given.items()
    }
    for a, b in zip(ends, ends[1:])
  ]
  return parts, [b - a for a, b in zip(ends, ends[1:])]


def depths(plan, passes):
  """Returns the distance of each sub-model from the end of the pipeline.

  Args:
    plan: a `runs.Plan`.
    passes: sub-model → `Pass`, of those that compute gradients.

  Returns:
    Sub-model → the number of sub-models with a pass on the longest path from it
    to one that no other reads, itself not counted.
  """
  found = {}
  for active in reversed(plan.active):
    name = active.node.name
    found.setdefault(name, 0)
    for source in active.sources.values():
      below = found[name] + (name in passes)
      found[source.sub_model] = max(found.get(source.sub_model, 0), below)
  return found


def order_of(count, ahead):
  """Lists the runs of one sub-model in order.

  Args:
    count: the number of micro-batches.
    ahead: the number of forward runs before the first backward run, at least 1.

  Returns:
    Pairs of a bool, whether the run is backward, and the micro-batch, from 0.
  """
  found = [(False, m) for m in range(min(ahead, count))]
  for m in range(count):
    found.append((True, m))
    if m + ahead < count:
      found.append((False, m + ahead))
  return found

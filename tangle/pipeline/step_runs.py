"""The prepared runs of a training step."""

import contextlib
from typing import Any, Dict, NamedTuple

from tangle.compat import tf1
from tangle.partial import partial_runs


class Step(NamedTuple):
  """The values that all runs of one step share.

  Attributes:
    sess: the session.
    keys: sub-model → key.
    plain: as `prepared.Run` takes it.
    begun: `id` of a `RunInParts` → handle of its first part.
  """

  sess: Any
  keys: Dict[str, Any]
  plain: bool
  begun: Dict[int, str]


class PreparedRun:
  """A run of a plan; each step passes its keys and arrays.

  Plans with the same run share its preparation, so that N and M buckets of two
  sub-models are prepared N + M times, not N × M times.
  """

  def __init__(self, prepared, fetches, keys, feeds=()):
    """Gets the run from `prepared`.

    Args:
      prepared: the `prepared.Runs` that holds the run.
      fetches: as for `prepared.Runs.run`.
      keys: pairs of a placeholder and the sub-model whose key is fed to it.
      feeds: the other placeholders that are fed.
    """
    placeholders = list(feeds) + [placeholder for placeholder, _ in keys]
    self._owners = [owner for _, owner in keys]
    self._run = prepared.get(fetches, placeholders)

  def __call__(self, step, arrays=()):
    """Makes the run.

    Args:
      step: a `Step`.
      arrays: one for each of the feeds.

    Returns:
      The fetched values.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    given = [*arrays, *(step.keys[owner] for owner in self._owners)]
    return self._run(step.sess, given, step.plain)


class RunInParts:
  """The runs of one sub-model in a step, as the parts of a `PartialRun`.

  The first part is the forward run, the second the backward run, which takes
  gradients from the runtime. Used where residuals cannot be kept for another
  run, as in TensorFlow 1 style loops.
  """

  def __init__(self, fetches, keys, feeds, is_real):
    """Prepares the first part.

    Args:
      fetches: dicts and lists of the tensors that it fetches.
      keys: as for `PreparedRun`.
      feeds: as for `PreparedRun`.
      is_real: the bool placeholder of the second part.
    """
    self._feeds = list(feeds) + [placeholder for placeholder, _ in keys]
    self._owners = [owner for _, owner in keys]
    self._fetches = fetches
    self._is_real = is_real
    self._run = None

  def prepare(self, late_fetches):
    """Prepares the second part, which fetches a list of tensors."""
    self._run = partial_runs.PartialRun(
      self._feeds,
      tf1.nest.flatten(self._fetches),
      [self._is_real],
      late_fetches,
    )

  def begin(self, step, arrays):
    """Makes the first part, and records its handle in `step.begun`.

    Args:
      step: a `Step`.
      arrays: one for each of the feeds.

    Returns:
      The fetched values, nested as `fetches`.

    Raises:
      OpError, RuntimeError: as `Session.partial_run`.
    """
    given = [*arrays, *(step.keys[owner] for owner in self._owners)]

    def begin():
      handle, found = self._run.begin(step.sess, given)
      step.begun[id(self)] = handle
      return found

    found = partial_runs.without_interrupts(begin)
    return tf1.nest.pack_sequence_as(self._fetches, found)

  def finish(self, step, arrays):
    """Makes the second part, with gradients; returns nothing.

    Args:
      step: the `Step` that `begin` was called with.
      arrays: ignored.

    Raises:
      OpError, RuntimeError: as `Session.partial_run`.
    """
    del arrays
    self._end(step, True)

  def give_up(self, step):
    """Makes the second part without gradients, if only the first was made.

    Its errors are ignored.

    Args:
      step: the `Step` that `begin` was called with, with an open session.
    """
    if id(self) in step.begun:
      # Its end may have been interrupted, or have failed.
      with contextlib.suppress(tf1.errors.OpError, RuntimeError):
        self._end(step, False)

  def _end(self, step, is_real):
    self._run.finish(step.sess, step.begun[id(self)], [is_real])
    step.begun.pop(id(self), None)

"""The runs of a training step, prepared once for each choice of buckets."""

import collections
import contextlib

from tangle import compat
from tangle.compat import tf1
from tangle.pipeline import runs


class Program:
  """The steps of one `Plan`: its runs, in order.

  A run forward for each sub-model; a run backward for each that keeps
  something for it, in the opposite order; and the update, which is part of the
  last run backward where that has gradients of variables, and a run of its own
  elsewhere.
  """

  def __init__(self, pipeline, plan, passes, update, weights):
    """Prepares the runs; adds no ops.

    Args:
      pipeline: the `Pipeline`.
      plan: a `Plan`.
      passes: sub-model → `Pass`, of those that have gradients to make.
      update: an `updates.Update` of their gradients.
      weights: sub-model → factor of its loss.
    """
    self._plan = plan
    self._weights = weights
    given = set()  # the boundaries that have a gradient already
    self._forward = [
      runs.PreparedRun(
        _forward_fetches(active, passes, given), active.keys, feeds
      )
      for active, feeds in zip(plan.active, plan.feeds)
    ]
    takes = [pipeline.take_op(source) for source in runs.sources_of(plan)]
    last = {"update": [update.op, *takes], "norm": []}
    if update.norm is not None:
      last["norm"].append(update.norm)
    self._backward = []
    for active in reversed(plan.active):
      name = active.node.name
      current = passes.get(name)
      if current is None or current.backward is None:
        continue
      ops = current.backward + _give(active, passes, given)
      if name == update.closing:
        last["update"] += ops
      else:
        ops = ops + _puts(current)
        self._backward.append(runs.PreparedRun(ops, active.keys))
    keys = collections.OrderedDict()
    for active in plan.active:
      keys.update((id(pair[0]), pair) for pair in active.keys)
    self._last = runs.PreparedRun(last, list(keys.values()))
    self._drops = runs.drop_boundaries(pipeline, plan)
    for current in passes.values():
      self._drops = self._drops + current.drops

  def step(self, sess, given):
    """Makes a step.

    Args:
      sess: the session.
      given: for each sub-model of the plan the arrays to feed.

    Returns:
      A `Result`.

    Raises:
      OpError, RuntimeError: as `Session.run`; nothing is left in the runtime.
    """
    keys = runs.new_keys(self._plan)
    plain = compat.is_plain(sess)
    found = {}
    try:
      for active, run, arrays in zip(self._plan.active, self._forward, given):
        found[active.node.name] = run(sess, keys, arrays, plain)
      for run in self._backward:
        run(sess, keys, (), plain)
      norm = self._last(sess, keys, (), plain)["norm"]
    except BaseException:
      self._clean(sess, keys)
      raise
    norm = float(norm[0]) if norm else None
    return runs.make_result(self._plan, found, self._weights, global_norm=norm)

  def _clean(self, sess, keys):
    """Removes whatever a step that failed has left in the runtime."""
    feed_dict = {key: keys[name] for key, name in runs.key_feeds(self._plan)}
    with contextlib.suppress(tf1.errors.OpError, RuntimeError):
      sess.run(self._drops, feed_dict)


def _forward_fetches(active, passes, given):
  """Returns what the forward run of a sub-model fetches."""
  fetches = runs.fetches_of(active)
  fetches["updates"] = list(active.graph.piece.updates)
  current = passes.get(active.node.name)
  if current is not None:
    fetches["pass"] = current.forward
    if current.backward is None:
      fetches["reads"] = _give(active, passes, given) + _puts(current)
  return fetches


def _give(active, passes, given):
  """Returns the ops that hand the gradients of a sub-model's reads back."""
  ops = []
  for read, (first, later) in passes[active.node.name].reads.items():
    source = active.sources[read]
    if source.sub_model in passes:  # where somebody takes it
      ops.append(later if source in given else first)
      given.add(source)
  return ops


def _puts(current):
  """Returns the ops that put the gradients of a pass's variables away."""
  return [] if current.variables is None else [current.variables.put]

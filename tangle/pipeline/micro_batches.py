"""Steps with micro-batches, so that sub-models work at the same time.

A batch is divided along the first axis of the fed arrays. Its parts, the
micro-batches, go through the pipeline one after another: while one sub-model
runs a part forward, another runs another part, forward or backward. The
gradients of all parts are summed on the devices of the weights, and applied at
once.
"""

import collections
import contextlib
import functools
import time
from typing import Any, NamedTuple

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.partial import staging
from tangle.pipeline import programs, runs, schedules

WEIGHT = "weight of a micro-batch"


class Ran(NamedTuple):
  """A record of one run of a step.

  Attributes:
    sub_model: its name, `None` for the update.
    is_backward: whether it was a backward run; a sub-model that no other reads
      has none, as its forward run computes its gradients too.
    micro_batch: its number, from 0; 0 for the update.
    begin_s: when the client began it, by `time.perf_counter`.
    end_s: when the client had its results.
  """

  sub_model: Any
  is_backward: bool
  micro_batch: int
  begin_s: float
  end_s: float


class Sums:
  """The ops that add up the gradients of micro-batches, for one trainer.

  Attributes:
    weight: the placeholder of a micro-batch's fraction of the rows.
    timeline: a list to which a `Ran` per run is appended; `None` for no record.
  """

  timeline = None

  def __init__(self):
    """Adds the placeholder to the default graph."""
    self.weight = tf1.placeholder(tf1.float64, [], name="weight_ph")
    self._keys = {}
    self._ops = {}

  def key(self, name):
    """Returns the placeholder of the key of a sub-model's gradient sum.

    The first call for a sub-model adds it to the default graph.

    Args:
      name: the sub-model.

    Returns:
      A scalar int64 placeholder.
    """
    if name not in self._keys:
      self._keys[name] = tf1.placeholder(tf1.int64, [], name="sum_key_ph")
    return self._keys[name]

  def ops(self, name, group, device):
    """Returns the ops that add the gradients of one run to the sum.

    The first call with a `group` adds them to the default graph.

    Args:
      name: the sub-model.
      group: its `VariableGradients`.
      device: its device, or `None`.

    Returns:
      An op to run for the first micro-batch of a step, which begins the sum,
      and one for each later micro-batch.
    """
    if id(group) not in self._ops:
      key = self.key(name)
      with tf1.device(device), tf1.control_dependencies(None):
        values, kinds = [], []
        rest = iter(group.tensors)
        for _, indices in group.signature:
          value = next(rest)
          values.append(value * tf1.cast(self.weight, value.dtype))
          kinds.append(indices is None)
          if indices is not None:
            values.append(next(rest))
            kinds.append(False)
        first = group.area.put(values, key, name="put_first")
        with tf1.control_dependencies(values):
          before = group.area.read(group.shapes, key)
        totals = [
          a + b if is_dense else tf1.concat([a, b], 0)
          for a, b, is_dense in zip(before, values, kinds)
        ]
        later = group.area.put(totals, key, name="put_later")
      self._ops[id(group)] = first, later, group
    return self._ops[id(group)][:2]


class MicroProgram(programs.Program):
  """The runs of a `Trainer`'s step with micro-batches, for one `runs.Plan`."""

  def __init__(
    self, pipeline, plan, passes, update, weights, sums, count, schedule, pool
  ):
    """Prepares the runs; adds no ops, as the trainer has made those of `sums`.

    Args:
      pipeline: the `Pipeline`.
      plan: a `Plan`.
      passes: sub-model → `Pass`, of those that compute gradients.
      update: an `updates.Update` that takes all gradients from staging areas.
      weights: sub-model → factor of its loss.
      sums: the `Sums` of the trainer.
      count: the number of micro-batches.
      schedule: `"1f1b"` or `"gpipe"`.
      pool: the executor of runs that do not depend on one another.
    """
    super().__init__(pipeline, plan, pool)
    self._client_works = False
    self._passes = passes
    self._weights = weights
    self._sums = sums
    self._count = count
    self._forward = {}  # (sub-model, micro-batch) → its task
    self._givers = {}  # (source, micro-batch) → tasks that put its gradient
    self._has_sum = set()  # sub-models whose sum an earlier task began
    self._takes = [pipeline.takes[source] for source in runs.sources_of(plan)]
    self._add_all(schedule)
    keys = [(a.node.key, ("sum", a.node.name)) for a in plan.active]
    run = self._prepare(update.fetches(), keys)
    self._add(run, None, "update", range(len(self._tasks)))
    self._drops = runs.drop_all(pipeline, plan, passes)

  def _add_all(self, schedule):
    """Adds the runs of all parts, each after those that it depends on."""
    depth = schedules.depths(self._plan, self._passes)
    waiting = collections.OrderedDict()
    for active in self._plan.active:
      name = active.node.name
      current = self._passes.get(name)
      if current is None or current.backward is None:
        steps = [(False, m) for m in range(self._count)]
      else:
        ahead = self._count if schedule == "gpipe" else depth[name] + 1
        steps = schedules.order_of(self._count, ahead)
      waiting[name] = active, collections.deque(steps)
    left = collections.Counter(
      m for _, steps in waiting.values() for _, m in steps
    )
    done = {}  # sub-model → its last task so far
    while any(steps for _, steps in waiting.values()):
      for name, (active, steps) in waiting.items():
        after = self._needed(active, *steps[0]) if steps else None
        if after is None:
          continue
        is_backward, m = steps.popleft()
        left[m] -= 1
        if name in done:
          after.add(done[name])
        if not left[m]:  # no run reads the boundaries of this part any more
          after.update(
            k
            for k, task in enumerate(self._tasks)
            if task.work.micro_batch == m
          )
        done[name] = self._add_part(active, is_backward, m, after, not left[m])

  def _needed(self, active, is_backward, m):
    """Returns the tasks that a run needs, `None` if one is not yet added."""
    name = active.node.name
    if not is_backward:
      before = [(source.sub_model, m) for source in active.sources.values()]
      if any(key not in self._forward for key in before):
        return None
      return {self._forward[key] for key in before}
    found = {self._forward[name, m]}
    for reader in self._plan.active:
      current = self._passes.get(reader.node.name)
      for read, source in reader.sources.items():
        if source.sub_model != name or current is None:
          continue
        if read in current.reads:
          given = self._givers.get((source, m), {})
          if reader.node.name not in given:
            return None
          found.add(given[reader.node.name])
    return found

  def _add_part(self, active, is_backward, m, after, is_last):
    """Adds a run of a sub-model; returns its task."""
    name = active.node.name
    current = self._passes.get(name)
    keys, feeds, ops = list(active.keys), (), []
    if is_backward:
      ops += current.backward
    gives = current is not None and (is_backward or current.backward is None)
    if gives:
      ops += self._give(active, m, after)
      if current.variables is not None:
        first, later = self._sums.ops(
          name, current.variables, active.graph.device
        )
        ops.append(later if name in self._has_sum else first)
        self._has_sum.add(name)
        keys += [(self._sums.key(name), ("sum", name))]
        keys += [(self._sums.weight, WEIGHT)]
    if is_last:
      ops += self._takes
      keys += [(a.node.key, a.node.name) for a in self._plan.active]
    fetches, kind = {"ops": ops}, "backward"
    if not is_backward:
      self._forward[name, m] = len(self._tasks)
      feeds, kind = active.feeds, programs.kind_of_forward(current)
      fetches.update(runs.training_fetches(active, current))
    run = self._prepare(fetches, runs.distinct(keys), feeds)
    return self._add(run, name, kind, after, not is_backward, m)

  def _give(self, active, m, after):
    """Returns the ops of the next task that put gradients of its reads."""
    ops, name = [], active.node.name
    for read, (first, later) in self._passes[name].reads.items():
      source = active.sources[read]
      if source.sub_model in self._passes:
        given = self._givers.setdefault((source, m), {})
        ops.append(later if given else first)
        after.update(given.values())
        given[name] = len(self._tasks)
    return ops

  def _call(self, work, step, arrays):
    begin = time.perf_counter()
    found = super()._call(work, step, arrays)
    if self._sums.timeline is not None:
      label = work.sub_model, work.kind == "backward", work.micro_batch
      self._sums.timeline.append(Ran(*label, begin, time.perf_counter()))
    return found

  @errors.named("Pipeline {self._pipeline.name!r}")
  def step(self, sess, given):
    """Makes a step.

    Args:
      sess: the session.
      given: sub-model → a list of the arrays to feed, in the order of its
        `Active.feeds`.

    Returns:
      A `Result`: losses are means over all rows, metrics whose first
      dimension is unknown before a run are joined along it, others are means.

    Raises:
      ArgumentError: if the batch cannot be divided, as `schedules.divide`.
      OpError, RuntimeError: as `Session.run`; nothing is left in the runtime.
    """
    parts, rows = schedules.divide(self._plan, given, self._count)
    sums = {
      ("sum", active.node.name): np.array(staging.new_key(), np.int64)
      for active in self._plan.active
    }
    shares = [count / sum(rows) for count in rows]
    steps = [
      self._step(
        sess,
        {**runs.new_keys(self._plan), **sums, WEIGHT: np.array(s, np.float64)},
      )
      for s in shares
    ]
    results = self._make_runs(steps, parts)
    found = {
      active.node.name: _join(
        [
          results[self._forward[active.node.name, m]]
          for m in range(self._count)
        ],
        shares,
        active.graph.piece.metrics,
      )
      for active in self._plan.active
    }
    return runs.make_result(
      found,
      self._weights,
      self._plan.buckets,
      global_norm=programs.norm_of(results[-1]),
    )

  def _clean(self, sess, steps):
    keys = runs.key_feeds(self._plan)
    feeds = [{key: step.keys[name] for key, name in keys} for step in steps]
    feeds.append({key: steps[0].keys["sum", name] for key, name in keys})
    for fed in feeds:
      with contextlib.suppress(tf1.errors.OpError, RuntimeError):
        sess.run(self._drops, fed)


def _join(found, shares, tensors):
  """Joins the fetched values of the forward runs of one sub-model."""
  losses = zip(*(values["loss"] for values in found))  # one or none
  metrics = {}
  for name in found[0]["metrics"]:
    values = [np.asarray(values["metrics"][name]) for values in found]
    is_joined = has_rows(tensors[name]) and values[0].ndim
    join = np.concatenate if is_joined else functools.partial(_mean, shares)
    metrics[name] = join(values)
  return {"loss": [_mean(shares, each) for each in losses], "metrics": metrics}


def has_rows(metric):
  """Whether the first dimension of a metric is taken to be the batch.

  Args:
    metric: a tensor.

  Returns:
    A bool: whether the rank, or the size of that dimension, is unknown before
    a run. A scalar has no rows.
  """
  shape = metric.shape
  if shape.rank is None:
    return True
  return shape.rank > 0 and tf1.dimension_value(shape[0]) is None


def _mean(shares, values):
  """Returns the mean of values, weighted by `shares`."""
  return sum(share * value for share, value in zip(shares, values))

"""The runs of a training step, prepared once per choice of buckets."""

import copy

from tangle import compat
from tangle.compat import tf1
from tangle.pipeline import runs, step_runs, tasks


class Program:
  """The steps of one `Plan`: its runs and their dependencies.

  There is a forward run per sub-model; a backward run per sub-model that keeps
  residuals, in the opposite order; and the update. The update is part of the
  last backward run if that computes gradients of variables, and otherwise a
  separate run.
  """

  def __init__(self, pipeline, plan, passes, update, weights, pool=None):
    """Prepares the runs; adds no ops.

    Args:
      pipeline: the `Pipeline`.
      plan: a `Plan`.
      passes: sub-model → `Pass`, of those that compute gradients.
      update: an `updates.Update` of their gradients.
      weights: sub-model → factor of its loss.
      pool: the executor of runs that do not depend on one another; `None` to
        make all runs in turn.
    """
    self._prepared = pipeline.prepared
    self._leftovers = pipeline.leftovers
    self._plan = plan
    self._weights = weights
    self._passes = passes
    self._givers = {}  # source → the tasks that put its gradient, in order
    self._tasks = []
    self._labels = []  # of each task: its sub-model and kind, micro-batch 0
    self._in_parts = {}  # sub-model → its `RunInParts`
    self._add_forward()
    takes = [pipeline.takes[source] for source in runs.sources_of(plan)]
    last = update.fetches(takes)
    self._add_backward(update.closing, last)
    keys = runs.distinct(pair for a in plan.active for pair in a.keys)
    self._add(last, keys, range(len(self._tasks)))
    both = "update" if update.closing is None else "backward and update"
    self._labels.append((update.closing, both, 0))
    self._drops = runs.drop_all(pipeline, plan, passes)
    self._pool = pool if tasks.may_overlap(self._tasks) else None

  def _add(self, fetches, keys, after, feeds=(), turn=None):
    """Adds a run; `turn` is the index of its arrays in `given` of `step`."""
    run = step_runs.PreparedRun(self._prepared, fetches, keys, feeds)
    self._tasks.append(tasks.Task((run, turn), frozenset(after)))

  def _add_forward(self):
    """Adds the forward runs, the first tasks, in the order of the plan."""
    turns = {a.node.name: k for k, a in enumerate(self._plan.active)}
    for active, feeds in zip(self._plan.active, self._plan.feeds):
      current = self._passes.get(active.node.name)
      fetches = runs.training_fetches(active, current)
      self._labels.append((active.node.name, kind_of_forward(current), 0))
      after = {turns[source.sub_model] for source in active.sources.values()}
      if current is not None and current.backward is None:
        gives, before = self._give(active)
        fetches["reads"] = gives + _puts(current)
        after |= before
      turn = turns[active.node.name]
      if current is not None and current.is_real is not None:
        self._add_begin(active, fetches, after, feeds, turn)
      else:
        self._add(fetches, active.keys, after, feeds, turn)

  def _add_begin(self, active, fetches, after, feeds, turn):
    """Adds the first part of a partial run; a later task is the second."""
    current = self._passes[active.node.name]
    run = step_runs.RunInParts(fetches, active.keys, feeds, current.is_real)
    self._in_parts[active.node.name] = run
    self._tasks.append(tasks.Task((run.begin, turn), frozenset(after)))

  def _add_backward(self, closing, last):
    """Adds the backward runs; adds the ops of `closing` to fetches `last`."""
    for turn, active in reversed(list(enumerate(self._plan.active))):
      name = active.node.name
      current = self._passes.get(name)
      if current is None or current.backward is None:
        continue
      taken = {
        task
        for source, givers in self._givers.items()
        for task in givers
        if source.sub_model == name
      }
      gives, before = self._give(active)
      ops = current.backward + gives
      if name in self._in_parts:
        run = self._in_parts[name]
        run.prepare(ops + _puts(current))
        after = taken | before | {turn}
        self._tasks.append(tasks.Task((run.finish, None), frozenset(after)))
        self._labels.append((name, "backward", 0))
      elif name == closing:
        last["update"] += ops
      else:
        after = taken | before | {turn}
        self._add(ops + _puts(current), active.keys, after)
        self._labels.append((name, "backward", 0))

  def _give(self, active):
    """Makes the next task put the gradients of a sub-model's reads.

    Returns:
      The ops, and the earlier tasks that put gradients of the same sources.
    """
    ops, before = [], set()
    for read, (first, later) in self._passes[active.node.name].reads.items():
      source = active.sources[read]
      if source.sub_model in self._passes:  # else no run takes the gradient
        givers = self._givers.setdefault(source, [])
        ops.append(later if givers else first)
        before.update(givers)
        givers.append(len(self._tasks))
    return ops, before

  @property
  def may_overlap(self):
    """Whether a step may make several runs at the same time."""
    return self._pool is not None

  def with_runs(self, wrap):
    """Returns a copy of this program that makes other runs.

    Args:
      wrap: called as `wrap(run, sub_model, kind, micro_batch)`, with the last
        three as in `profiles.Run`; returns the run to make in place of `run`.

    Returns:
      A `Program`.
    """
    found = copy.copy(self)
    found._tasks = [
      task._replace(work=(wrap(task.work[0], *label), task.work[1]))
      for task, label in zip(self._tasks, self._labels)
    ]
    return found

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
    self._leftovers.clear(sess)
    keys = runs.new_keys(self._plan)
    plain = compat.is_plain(sess)
    step = step_runs.Step(sess, keys, plain, {})

    def call(work):
      run, turn = work
      return run(step, () if turn is None else given[turn])

    try:
      # Several threads may run a session of a cluster, too.
      session = getattr(sess, "limited", None)
      at_once = plain or isinstance(session, tf1.Session)
      if self._pool is not None and at_once:
        results = tasks.run_at_once(self._tasks, call, self._pool)
      else:
        results = tasks.run_in_turn(self._tasks, call)
    except BaseException:
      left = step._replace(sess=None)
      self._leftovers.add(sess, lambda to: self._clean(to, left))
      self._leftovers.clear(sess)
      raise
    found = {a.node.name: r for a, r in zip(self._plan.active, results)}
    norm = results[-1]["norm"]
    norm = float(norm[0]) if norm else None
    return runs.make_result(self._plan, found, self._weights, global_norm=norm)

  def _clean(self, sess, step):
    """Removes what a failed step has left in the runtime."""
    keys = runs.key_feeds(self._plan)
    feed_dict = {key: step.keys[name] for key, name in keys}
    for run in self._in_parts.values():
      run.give_up(step._replace(sess=sess))
    sess.run(self._drops, feed_dict)


def kind_of_forward(current):
  """Returns the kind of a forward run, as in `profiles.Run`.

  Args:
    current: the `Pass` of the sub-model, `None` if it has none.

  Returns:
    A string.
  """
  is_both = current is not None and current.backward is None
  return "forward and backward" if is_both else "forward"


def _puts(current):
  """Returns the ops that put the gradients of a pass for variables."""
  return [] if current.variables is None else [current.variables.put]

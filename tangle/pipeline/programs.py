"""The runs that a batch takes, prepared once per choice of buckets.

A program lists runs and what each of them depends on. `ForwardProgram` and
`TrainingProgram` are here, `micro_batches.MicroProgram` has micro-batches.
"""

import copy
import itertools
from typing import Any, NamedTuple, Optional

from tangle import compat, errors
from tangle.compat import tf1
from tangle.pipeline import batches, faults, runs, step_runs, tasks


class Work(NamedTuple):
  """A run of a program, the `work` of a `tasks.Task`.

  Attributes:
    run: a function of a `step_runs.Step` and the arrays to feed.
    sub_model: name of its sub-model; `None` for a separate update, and for all
      sub-models together.
    kind: as in `profiles.Run`.
    is_fed: whether it is fed the arrays of its sub-models.
    micro_batch: its number; 0 without micro-batches.
  """

  run: Any
  sub_model: Optional[str]
  kind: str
  is_fed: bool = False
  micro_batch: int = 0


class Program:
  """The runs of a step, by one `runs.Plan`, and what each has to wait for."""

  def __init__(self, pipeline, plan, pool=None):
    """Begins without runs.

    Args:
      pipeline: the `Pipeline`.
      plan: a `Plan`.
      pool: the executor of runs that do not depend on one another; `None` to
        make all runs in turn.
    """
    self._pipeline, self._plan, self._pool = pipeline, plan, pool
    self._tasks = []
    self._client_works = True  # whether the calling thread makes runs, too
    self._leaves_values = False  # in the runtime, even if no run fails

  def _add(self, run, name, kind, after, is_fed=False, m=0):
    """Adds a run, which needs the tasks `after`; returns its task."""
    work = Work(run, name, kind, is_fed, m)
    self._tasks.append(tasks.Task(work, frozenset(after)))
    return len(self._tasks) - 1

  def _prepare(self, fetches, keys, feeds=()):
    return step_runs.PreparedRun(self._pipeline.prepared, fetches, keys, feeds)

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
      A program.
    """
    found = copy.copy(self)
    found._tasks = []
    for task in self._tasks:
      work = task.work
      run = wrap(work.run, work.sub_model, work.kind, work.micro_batch)
      found._tasks.append(task._replace(work=work._replace(run=run)))
    return found

  def call(self, sess, given, bound=None):
    """Does what `step` does; explains its error if there is one.

    Args:
      sess: the session.
      given: sub-model → the arrays to feed, as `step` takes them.
      bound: what makes the runs; `sess` by default.

    Returns:
      A `runs.Result`.

    Raises:
      TangleError: as `faults.call` and `run_errors.reraise`.
    """
    with runs.explained(sess, runs.fed_by(self._plan, given)):
      return faults.call(
        self._pipeline, bound or sess, lambda to: self.step(to, given)
      )

  def _step(self, sess, keys):
    """Returns the `Step` of runs that share keys."""
    return step_runs.Step(sess, keys, compat.is_plain(sess), {})

  def _make_runs(self, steps, given):
    """Makes all runs, and removes what they have left in the runtime.

    Args:
      steps: for each micro-batch a `Step`.
      given: for each micro-batch a dict: sub-model → the arrays to feed.

    Returns:
      For each task what its run returned.
    """
    sess, leftovers = steps[0].sess, self._pipeline.leftovers
    leftovers.clear(sess)

    def call(work):
      m = work.micro_batch
      arrays = given[m][work.sub_model] if work.is_fed else ()
      return self._call(work, steps[m], arrays)

    try:
      if self._pool is not None and _takes_threads(sess):
        results = tasks.run_at_once(
          self._tasks, call, self._pool, self._client_works
        )
      else:
        results = tasks.run_in_turn(self._tasks, call)
      if self._leaves_values:
        self._leave(steps)
      return results
    except BaseException:
      self._leave(steps)
      raise
    finally:
      leftovers.clear(sess)

  def _make_all(self, sess, given):
    """Makes all runs of a step without micro-batches; see `_make_runs`."""
    return self._make_runs(
      [self._step(sess, runs.new_keys(self._plan))], [given]
    )

  def _leave(self, steps):
    """Lets the end of this step, or else the next one, call `_clean`."""
    left = [step._replace(sess=None) for step in steps]
    clean = self._clean
    self._pipeline.leftovers.add(steps[0].sess, lambda to: clean(to, left))

  def _call(self, work, step, arrays):
    return work.run(step, arrays)

  def _clean(self, sess, steps):
    """Removes what failed runs have left in the runtime."""
    raise NotImplementedError


class ForwardProgram(Program):
  """The runs of `Pipeline.forward`: one for each sub-model of a `runs.Plan`."""

  def __init__(self, pipeline, plan, wanted, with_loss=True):
    """Prepares the runs; adds no ops.

    Args:
      pipeline: the `Pipeline`.
      plan: a `Plan`.
      wanted: sub-model → a dict of tensors to fetch.
      with_loss: whether to compute losses and metrics.
    """
    super().__init__(pipeline, plan)
    self._drops = runs.drop_all(pipeline, plan)
    self._leaves_values = bool(self._drops)
    for active in plan.active:
      name = active.node.name
      fetches = runs.fetches_of(active, with_loss), wanted.get(name, {})
      run = self._prepare(list(fetches), active.keys, active.feeds)
      self._add(run, name, "forward", range(len(self._tasks)), is_fed=True)

  def step(self, sess, given):
    """Makes the runs, and leaves nothing in the runtime.

    Args:
      sess: the session.
      given: as for `TrainingProgram.step`.

    Returns:
      A `runs.Result`.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    results = self._make_all(sess, given)
    names = [active.node.name for active in self._plan.active]
    outputs = {k: v for _, got in results for k, v in got.items()}
    found = dict(zip(names, (values for values, _ in results)))
    return runs.make_result(found, {}, self._plan.buckets, outputs)

  def _clean(self, sess, steps):
    if self._drops:
      keys = runs.key_feeds(self._plan)
      fed = {key: steps[0].keys[name] for key, name in keys}
      self._pipeline.prepared.run(sess, self._drops, fed)


@errors.named("Pipeline.forward")
def forward_of(pipeline, plan, fetch, with_loss):
  """Returns the `ForwardProgram` of a plan, made at the first call.

  Args:
    pipeline: the `Pipeline`.
    plan: a `Plan`.
    fetch: a list of `"sub_model.output"` names to return.
    with_loss: whether to compute losses and metrics.

  Returns:
    A `ForwardProgram`.

  Raises:
    ArgumentError: if `fetch` is a string, or has a name that is not an output
      of a sub-model of the plan.
  """
  pieces = {a.node.name: a.graph.piece for a in plan.active}
  wanted = batches.find_outputs(pieces, fetch)
  names = itertools.chain.from_iterable(wanted.values())
  key = id(plan), tuple(names), bool(with_loss)
  if key not in pipeline.forwards:
    found = ForwardProgram(pipeline, plan, wanted, with_loss)
    pipeline.forwards[key] = found
  return pipeline.forwards[key]


class TrainingProgram(Program):
  """A training step.

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
      pool: as for `Program`.
    """
    super().__init__(pipeline, plan, pool)
    self._weights = weights
    self._passes = passes
    self._givers = {}  # source → the tasks that put its gradient, in order
    self._forward = {}  # sub-model → the task of its forward run
    self._in_parts = {}  # sub-model → its `RunInParts`
    for active in plan.active:
      self._add_forward(active)
    last = update.fetches(
      [pipeline.takes[source] for source in runs.sources_of(plan)]
    )
    for active in reversed(plan.active):
      current = passes.get(active.node.name)
      if current is not None and current.backward is not None:
        self._add_backward(active, current, update.closing, last)
    keys = runs.distinct(pair for a in plan.active for pair in a.keys)
    kind = "update" if update.closing is None else "backward and update"
    everything = range(len(self._tasks))
    self._add(self._prepare(last, keys), update.closing, kind, everything)
    self._drops = runs.drop_all(pipeline, plan, passes)
    if not tasks.may_overlap(self._tasks):
      self._pool = None

  def _add_forward(self, active):
    """Adds a forward run, or the first part of a partial run."""
    name = active.node.name
    current = self._passes.get(name)
    fetches = runs.training_fetches(active, current)
    after = {self._forward[s.sub_model] for s in active.sources.values()}
    if current is not None and current.backward is None:
      gives, before = self._give(active)
      fetches["reads"] = gives + _puts(current)
      after |= before
    if current is not None and current.is_real is not None:
      parts = step_runs.RunInParts(
        fetches, active.keys, active.feeds, current.is_real
      )
      self._in_parts[name], run = parts, parts.begin
    else:
      run = self._prepare(fetches, active.keys, active.feeds)
    kind = kind_of_forward(current)
    self._forward[name] = self._add(run, name, kind, after, is_fed=True)

  def _add_backward(self, active, current, closing, last):
    """Adds a backward run; adds the ops of `closing` to fetches `last`."""
    name = active.node.name
    taken = {
      task
      for source, givers in self._givers.items()
      for task in givers
      if source.sub_model == name
    }
    gives, before = self._give(active)
    ops = current.backward + gives
    after = taken | before | {self._forward[name]}
    if name in self._in_parts:
      self._in_parts[name].prepare(ops + _puts(current))
      self._add(self._in_parts[name].finish, name, "backward", after)
    elif name == closing:
      last["update"] += ops
    else:
      run = self._prepare(ops + _puts(current), active.keys)
      self._add(run, name, "backward", after)

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

  def step(self, sess, given):
    """Makes all runs of one training step, with the update.

    Args:
      sess: the session.
      given: sub-model → a list of the arrays to feed, in the order of its
        `Active.feeds`, as `runs.make_plan` returns it.

    Returns:
      A `runs.Result`.

    Raises:
      OpError, RuntimeError: as `Session.run`; nothing is left in the runtime.
    """
    results = self._make_all(sess, given)
    found = {name: results[task] for name, task in self._forward.items()}
    return runs.make_result(
      found,
      self._weights,
      self._plan.buckets,
      global_norm=norm_of(results[-1]),
    )

  def _clean(self, sess, steps):
    (step,) = steps
    keys = runs.key_feeds(self._plan)
    for run in self._in_parts.values():
      run.give_up(step._replace(sess=sess))
    sess.run(self._drops, {key: step.keys[name] for key, name in keys})


def _takes_threads(sess):
  """Whether several threads may make runs of a session at the same time."""
  limited = getattr(sess, "limited", None)  # a session of a cluster
  return compat.is_plain(sess) or isinstance(limited, tf1.Session)


def kind_of_forward(current):
  """Returns the kind of a forward run, as in `profiles.Run`.

  Args:
    current: the `Pass` of the sub-model, `None` if it has none.

  Returns:
    A string.
  """
  is_both = current is not None and current.backward is None
  return "forward and backward" if is_both else "forward"


def norm_of(found):
  """Returns the norm that an update fetched.

  Args:
    found: what its run returned for `updates.Update.fetches`.

  Returns:
    A float, `None` without clipping.
  """
  return float(found["norm"][0]) if found["norm"] else None


def _puts(current):
  """Returns the ops that put the gradients of a pass for variables."""
  return [] if current.variables is None else [current.variables.put]

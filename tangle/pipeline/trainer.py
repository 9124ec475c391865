"""Training steps of a pipeline: one update after all gradients are ready."""

from __future__ import annotations

import collections
import itertools
from concurrent import futures
from typing import Any, List, Mapping, Optional, Sequence

from tangle import errors, hints
from tangle.compat import tf1
from tangle.partial import monitored
from tangle.pipeline import (
  batches,
  describing,
  nodes,
  profiles,
  programs,
  runs,
  schedules,
  updates,
)
from tangle.pipeline import micro_batches as micro
from tangle.pipeline import passes as passes_lib


class Trainer:
  """Minimizes the weighted sum of a pipeline's losses, one batch per step.

  `Pipeline.minimize` makes it. A step runs the sub-models that its batch names
  forward in order, and keeps the residuals of those that others read. Then it
  runs them backward in the opposite order. The last backward run applies all
  gradients at once; with micro-batches, a separate run does. The result is that
  of the joint graph.

  Attributes:
    pipeline: the `Pipeline`.
    variables: the trainable variables that get a gradient if the batch names
      all sub-models, in the order in which they were made.
  """

  @errors.named("Pipeline {pipeline.name!r}")
  def __init__(
    self,
    pipeline: Any,
    optimizer: tf1.train.Optimizer,
    clip_norm: Optional[hints.Scalar],
    loss_weights: Mapping[str, float],
    global_step: Optional[hints.Variable] = None,
    overlap: bool = False,
    weights_unchanged: bool = False,
    micro_batches: int = 1,
    schedule: str = "1f1b",
    simplify_gradients: bool = True,
  ) -> None:
    """Builds the backward passes and the update; see `Pipeline.minimize`."""
    self.pipeline = pipeline
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._weights = dict(loss_weights)
    self._global_step = global_step
    self._pass_settings = weights_unchanged, simplify_gradients
    self._updates = {}
    self._programs = {}
    self._pool = None
    self._micro_batches, self._schedule = micro_batches, schedule
    schedules.check(micro_batches, schedule)
    threads = len(pipeline.nodes)
    if micro_batches == 1:
      threads -= 1  # the calling thread makes runs too
    if (overlap or micro_batches > 1) and threads:
      self._pool = futures.ThreadPoolExecutor(threads, f"{pipeline.name}_runs")
    updates.check_settings(pipeline, clip_norm, self._weights)
    pieces = {
      name: next(iter(node.graphs.values())).piece
      for name, node in pipeline.nodes.items()
    }
    updates.check_losses(pipeline, pieces, self._weights)
    with pipeline.graph.as_default(), tf1.name_scope(pipeline.scope):
      with tf1.name_scope("training") as scope:
        self._scope = scope
        self._sums = micro.Sums() if micro_batches > 1 else None
    self.variables = self._build(pipeline.nodes)

  def __repr__(self):
    return describing.trainer(self)

  @errors.named("Pipeline {self.pipeline.name!r}")
  def record(self, timeline: Optional[List[micro.Ran]]) -> None:
    """Records the runs of later steps with micro-batches.

    Args:
      timeline: a list to which later calls of `step` append a
        `micro_batches.Ran` when a run ends; `None` to stop recording.

    Raises:
      ArgumentError: if the trainer has no micro-batches.
    """
    if self._sums is None:
      raise errors.ArgumentError(
        "record needs micro-batches. Pass "
        "micro_batches=2 or more to minimize()."
      )
    self._sums.timeline = timeline

  def prepare(self, sub_models: Sequence[str]) -> None:
    """Adds the ops for steps of certain sub-models, at all buckets.

    `step` adds missing ops when a batch first has exactly these sub-models. No
    ops can be added to a finalized graph, such as one of a
    `tf.train.MonitoredTrainingSession`: call this before for each set of
    sub-models that batches will have. The set of all sub-models is prepared
    from the start. Nothing is added for a set that is already prepared.

    Args:
      sub_models: the names of the sub-models in such a batch.

    Raises:
      ArgumentError: if a name is unknown, a read has no source or several, no
        trainable variable gets a gradient, or as `Pipeline.minimize` for
        micro-batches.
      CutError: as `Pipeline.minimize`.
      GraphError: if ops are missing and the graph is finalized.
    """
    runs.choose_sources(self.pipeline, sub_models)
    self._build(sub_models)

  def _build(self, names):
    """Builds passes and updates of the steps in which `names` take part.

    Args:
      names: names of sub-models; a read may have several sources among them.

    Returns:
      The variables that the updates change.
    """
    gradients_of = {}
    found = collections.OrderedDict()  # sub-model → `_kind` → passes
    with self.pipeline.lock:
      for node in reversed(list(self.pipeline.nodes.values())):
        if node.name not in names:
          continue
        for graph in node.graphs.values():
          outputs = gradients_of.get(node.name, set())
          current = self._pass(node, graph, outputs)
          if current is None:
            continue
          own = found.setdefault(node.name, collections.OrderedDict())
          own.setdefault(self._kind(current), []).append(current)
          for read in current.reads:
            for source in node.reads[read]:
              to = gradients_of.setdefault(source.sub_model, set())
              to.add(source.output)
      order = self._useful(found)
      for chosen in self._representatives(order, found):
        self._update(collections.OrderedDict(zip(order, chosen)))
    return self._variables_of(
      current.variables
      for kinds in found.values()
      for passes in kinds.values()
      for current in passes
      if current.variables is not None
    )

  def _kind(self, current):
    """Returns a key: passes that do not run last share updates by it."""
    group = current.variables
    return None if group is None else group.signature

  def _useful(self, found):
    """Lists the sub-models whose passes lead to variables, in order.

    Args:
      found: sub-model → kind → `Pass`es.
    """
    useful = []
    for name, node in self.pipeline.nodes.items():
      for current in itertools.chain(*found.get(name, {}).values()):
        sources = [s for read in current.reads for s in node.reads[read]]
        below = any(source.sub_model in useful for source in sources)
        if current.variables is not None or below:
          useful.append(name)
          break
    return useful

  def _representatives(self, order, found):
    """Yields combinations of passes that cover all updates.

    The update is part of the last backward run, so that each pass of that
    sub-model has its own update. Of each other sub-model one pass per kind is
    enough. It nearly always has one kind; it has more if buckets differ in
    which variables have a gradient.
    """
    last = next(
      (
        name
        for name in order
        for passes in found[name].values()
        if passes[0].backward is not None
      ),
      None,
    )
    yield from itertools.product(
      *(
        [p for passes in found[name].values() for p in passes]
        if name == last
        else [passes[0] for passes in found[name].values()]
        for name in order
      )
    )

  def _variables_of(self, groups):
    names = {name for group in groups for name, _ in group.signature}
    collection = self.pipeline.graph.get_collection(
      tf1.GraphKeys.TRAINABLE_VARIABLES
    )
    return [variable for variable in collection if variable.name in names]

  @errors.named("Pipeline {self.pipeline.name!r}")
  def _pass(self, node, graph, outputs):
    """Returns the pass of a sub-model for a step, `None` if it has none."""
    has_loss = graph.piece.loss is not None
    if not outputs and not has_loss:
      return None
    weight = float(self._weights.get(node.name, 1.0)) if has_loss else None
    pattern = passes_lib.Pattern(
      frozenset(outputs), weight, *self._pass_settings
    )
    scope = f"{self._scope}{nodes.op_name(node.name)}/"
    with self.pipeline.graph.as_default():
      found = graph.training_pass(pattern, scope)
      group = found.variables
      for name, metric in graph.piece.metrics.items() if self._sums else ():
        kind = metric.dtype.base_dtype
        is_number = kind.is_floating or kind.is_integer or kind.is_complex
        if not (is_number or kind.is_bool or micro.has_rows(metric)):
          raise errors.ArgumentError(
            f"the metric {name!r} of "
            f"{node.name!r} is a {kind.name}, of which micro_batches cannot "
            f"take the mean. Give it a row for each of the batch, or leave it "
            f"out."
          )
      if self._sums is not None and found.is_real is not None:
        raise errors.ArgumentError(
          f"the residuals of {node.name!r} "
          f"live for one run only, as those of TensorFlow 1 style loops do, "
          f"which micro_batches do not support. Leave micro_batches out, or "
          f"build the loop while tf.compat.v1.control_flow_v2_enabled() is "
          f"true."
        )
      if self._sums is not None and group is not None:
        with tf1.name_scope(scope):
          self._sums.ops(node.name, group, node.device)
    return found

  @errors.named("Pipeline {self.pipeline.name!r}")
  def _update(self, passes):
    """Returns the `Update` of a step that makes certain passes.

    Args:
      passes: sub-model → `Pass`, in the order of the pipeline.

    Returns:
      An `updates.Update`.
    """
    parts = updates.parts_of(passes, apart=self._sums is not None)
    cache_key = updates.identify(parts)
    if not cache_key:
      updates.refuse(self.pipeline)
    if cache_key not in self._updates:
      graph = self.pipeline.graph
      if graph.finalized:
        raise errors.GraphError(
          f"the graph is finalized, and has "
          f"no update for {[part.name for part in parts]} together. Before "
          f"the graph is finalized, call prepare() of the trainer with the "
          f"sub-models of this batch."
        )
      before = len(graph.get_operations())
      with graph.as_default(), tf1.name_scope(self._scope):
        with tf1.name_scope("update"), tf1.control_dependencies(None):
          found = updates.build(
            self.pipeline,
            parts,
            self._variables_of(part.variables for part in parts),
            self._optimizer,
            self._clip_norm,
            self._global_step,
          )
      self._updates[cache_key] = found
      if found.closing is not None:
        for own in self.pipeline.nodes[found.closing].graphs.values():
          if own.owns(passes[found.closing]):
            own.op_count += len(graph.get_operations()) - before
    return self._updates[cache_key]

  @errors.named("Pipeline {self.pipeline.name!r}: step")
  def step(self, sess: hints.Session, batch: hints.Batch) -> runs.Result:
    """Trains on one batch; losses are those from before the update.

    The first batch with a new set of sub-models adds ops; see `prepare`.

    Args:
      sess: a session on the pipeline's graph.
      batch: sub-model name → feed name → array. Only the sub-models named
        here run and are trained; one that needs no feeds is named with an empty
        dict.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: if a name is unknown, a feed is missing, a read has no
        source or several, no sub-model that takes part has a loss, no variable
        gets a gradient, or the batch cannot be divided into micro-batches.
      BucketError: if an array fits no bucket.
      CallError: if a monitored session has replaced its session during the
        step; repeat the step.
      CutError: as `prepare`, if the set of sub-models is new.
      DtypeError: if a placeholder's dtype cannot represent the values.
      GraphError: if the session runs another graph, or the graph is finalized
        and lacks what such a step needs.
      SessionError: if the session is closed, or a variable has no value.
      ShapeError: if arrays do not fit a placeholder, or one another.
      TaskLostError: if a task of the cluster is lost, and so are its variables.
    """
    batches.check("step(sess, batch)", self.pipeline, sess, batch)
    plan, given = runs.make_plan(self.pipeline, batch)
    program = self._programs.get(id(plan))
    if program is None:
      with self.pipeline.lock:
        program = self._make_program(plan)
    return program.call(sess, given, monitored.bind(sess))

  @errors.named("Pipeline {self.pipeline.name!r}: profile")
  def profile(
    self, sess: hints.Session, batch: hints.Batch, steps: int = 2
  ) -> profiles.Profile:
    """Makes traced steps on one batch; each updates the variables.

    Args:
      sess: a session on the pipeline's graph.
      batch: as for `step`.
      steps: the number of steps. TensorFlow prepares traced runs in the first.

    Returns:
      A `profiles.Profile` of the last step: print it for a table, or call its
      `write(path)` for a trace that chrome://tracing shows.

    Raises:
      ArgumentError: if `steps` is not a positive int. Otherwise as `step`, but
        errors that TensorFlow raises in a run are not explained.
    """
    batches.check("profile(sess, batch)", self.pipeline, sess, batch)
    plan, given = runs.make_plan(self.pipeline, batch)
    with self.pipeline.lock:
      program, passes = self._make_program(plan), self._passes(plan)
    return profiles.take(self.pipeline, sess, program, passes, given, steps)

  def _make_program(self, plan):
    """Makes the program of a plan."""
    passes = self._passes(plan)
    given = self.pipeline, plan, passes, self._update(passes), self._weights
    if self._sums is None:
      found = programs.TrainingProgram(*given, self._pool)
    else:
      found = micro.MicroProgram(
        *given, self._sums, self._micro_batches, self._schedule, self._pool
      )
    self._programs[id(plan)] = found
    return found

  def _passes(self, plan):
    """Returns sub-model → pass, for passes that lead to variables, in order.

    Each computes gradients of its own variables, or passes a gradient to
    sub-models that do.
    """
    pieces = {a.node.name: a.graph.piece for a in plan.active}
    updates.check_batch(self.pipeline, pieces)
    gradients_of = {}
    passes = collections.OrderedDict()
    for active in reversed(plan.active):
      node = active.node
      outputs = gradients_of.get(node.name, set())
      found = self._pass(node, active.graph, outputs)
      if found is None:
        continue
      passes[node.name] = found
      passes.move_to_end(node.name, last=False)
      for read in found.reads:
        source = active.sources[read]
        gradients_of.setdefault(source.sub_model, set()).add(source.output)
    useful = self._useful({n: {None: [p]} for n, p in passes.items()})
    return collections.OrderedDict((name, passes[name]) for name in useful)

"""Training steps over a pipeline: one optimizer, no update before its time."""

import contextlib

from tangle import errors, gradients
from tangle.compat import tf1
from tangle.pipeline import bucket_graph, runs


class Trainer:
  """Minimizes the sum of a pipeline's losses, one batch a step.

  A step runs the sub-models forward in order, those that others depend on
  keeping their residuals; then backward in the opposite order; then applies
  all gradients at once. The result is that of the joint graph.

  Attributes:
    pipeline: the `Pipeline`.
    variables: the trainable variables of all sub-models.
  """

  def __init__(
    self, pipeline, optimizer, clip_norm, loss_weights, global_step=None
  ):
    """Builds the backward passes and the update; see `Pipeline.minimize`."""
    self.pipeline = pipeline
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._weights = dict(loss_weights)
    self._global_step = global_step
    self._updates = {}
    with pipeline.graph.as_default():
      with tf1.name_scope(pipeline.scope), tf1.name_scope("training") as scope:
        self._scope = scope
        self._check_weights()
        self._build()

  def _check_weights(self):
    with_loss = [
      name
      for name, node in self.pipeline.nodes.items()
      if next(iter(node.graphs.values())).piece.loss is not None
    ]
    if not with_loss:
      raise errors.ArgumentError(
        f"Pipeline {self.pipeline.name!r}: no sub-model has a loss. Give the "
        f"Piece of at least one of them a loss."
      )
    for name in self._weights:
      if name not in with_loss:
        raise errors.ArgumentError(
          f"Pipeline {self.pipeline.name!r}: loss_weights names {name!r}; the "
          f"sub-models with a loss are {with_loss}."
        )

  def _build(self):
    """Builds the passes of a step in which every sub-model takes part."""
    gradients_of = {}
    passes = []
    for node in reversed(list(self.pipeline.nodes.values())):
      outputs = gradients_of.get(node.name, set())
      for graph in node.graphs.values():
        found = self._pass(node, graph, outputs)
        if found is None:
          continue
        passes.append((node.name, found))
        for read in found.reads:
          for source in node.reads[read]:
            gradients_of.setdefault(source.sub_model, set()).add(source.output)
    order = list(self.pipeline.nodes)
    chosen = {}
    for name, found in reversed(passes):
      if found.variables is not None:
        chosen.setdefault(name, found.variables)
    self.variables = self._variables_of(chosen.values())
    self._update([(n, chosen[n]) for n in order if n in chosen])

  def _variables_of(self, groups):
    names = {name for group in groups for name, _ in group.signature}
    collection = self.pipeline.graph.get_collection(
      tf1.GraphKeys.TRAINABLE_VARIABLES
    )
    return [variable for variable in collection if variable.name in names]

  def _pass(self, node, graph, outputs):
    """Returns the pass of a sub-model for a step, `None` if it has none."""
    has_loss = graph.piece.loss is not None
    pattern = bucket_graph.Pattern(frozenset(outputs), has_loss)
    if not outputs and not has_loss:
      return None
    weight = self._weights.get(node.name, 1.0)
    scope = f"{self._scope}{node.name}/"
    return graph.training_pass(pattern, weight, scope)

  def _update(self, groups):
    """Returns the op that applies the gradients of some sub-models.

    Args:
      groups: pairs of sub-model name and `VariableGradients`.

    Returns:
      The update op, and the tensor of the global norm or `None`.
    """
    cache_key = tuple((name, group.signature) for name, group in groups)
    if cache_key not in self._updates:
      graph = self.pipeline.graph
      if graph.finalized:
        raise errors.GraphError(
          f"Pipeline {self.pipeline.name!r}: the graph is finalized, and has "
          f"no update for {[name for name, _ in groups]} together. Run one "
          f"such step before."
        )
      with graph.as_default(), tf1.name_scope(self._scope):
        with tf1.name_scope("update"), tf1.control_dependencies(None):
          self._updates[cache_key] = self._make_update(groups)
    return self._updates[cache_key]

  def _make_update(self, groups):
    parts = {}
    for name, group in groups:
      key = self.pipeline.nodes[name].key
      tensors = iter(group.shelf.read(group.shapes, key))
      for variable_name, kind in group.signature:
        value = next(tensors)
        if kind == bucket_graph.SPARSE:
          value = (value, next(tensors))
        parts.setdefault(variable_name, []).append(value)
    variables = self._variables_of(group for _, group in groups)
    totals = []
    for variable in variables:
      found = [
        tf1.IndexedSlices(
          *value, dense_shape=tf1.constant(variable.shape.as_list())
        )
        if isinstance(value, tuple)
        else value
        for value in parts[variable.name]
      ]
      totals.append(gradients.total(found))
    norm = None
    if self._clip_norm is not None:
      totals, norm = tf1.clip_by_global_norm(totals, self._clip_norm)
    op = self._optimizer.apply_gradients(
      list(zip(totals, variables)), global_step=self._global_step
    )
    return op, norm

  def step(self, sess, batch):
    """Trains on one batch.

    Args:
      sess: a session on the pipeline's graph.
      batch: sub-model name → feed name → array. Only the sub-models named
        here run and change; one that needs no feeds is named with an empty
        dict.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: if a name is unknown, a read has no source, or no
        sub-model that takes part has a loss.
      BucketError: if an array fits no bucket.
    """
    plan = runs.make_plan(self.pipeline, sess, batch)
    passes = self._passes(plan)
    try:
      found, given = self._forward(sess, plan, passes)
      self._backward(sess, plan, passes, given)
      norm = self._apply(sess, plan, passes)
    except BaseException:
      self._clean(sess, plan, passes)
      raise
    return runs.make_result(plan, found, self._weights, global_norm=norm)

  def _passes(self, plan):
    """Finds the pass of each active sub-model, the last one first."""
    gradients_of = {}
    passes = {}
    with self.pipeline.graph.as_default():
      for active in reversed(plan.active):
        node = active.node
        outputs = gradients_of.get(node.name, set())
        found = self._pass(node, active.graph, outputs)
        if found is None:
          continue
        passes[node.name] = found
        for read in found.reads:
          source = active.sources[read]
          gradients_of.setdefault(source.sub_model, set()).add(source.output)
    if not any(a.graph.piece.loss is not None for a in plan.active):
      raise errors.ArgumentError(
        f"Pipeline {self.pipeline.name!r}: none of the sub-models "
        f"{list(plan.keys)} has a loss. Name one that has in the batch."
      )
    return passes

  def _forward(self, sess, plan, passes):
    found = {}
    given = set()  # the boundaries that have a gradient already
    for active in plan.active:
      fetches = runs.fetches_of(active)
      current = passes.get(active.node.name)
      if current is not None:
        fetches["pass"] = current.forward
        if current.backward is None:
          fetches["reads"] = _give(active, current, given)
      found[active.node.name] = sess.run(fetches, active.feed_dict)
    return found, given

  def _backward(self, sess, plan, passes, given):
    for active in reversed(plan.active):
      current = passes.get(active.node.name)
      if current is not None and current.backward is not None:
        ops = current.backward + _give(active, current, given)
        sess.run(ops, active.keys)

  def _apply(self, sess, plan, passes):
    groups = [
      (active.node.name, passes[active.node.name].variables)
      for active in plan.active
      if active.node.name in passes
      and passes[active.node.name].variables is not None
    ]
    drops = runs.drop_boundaries(self.pipeline, plan)
    op, norm = self._update(groups)
    fetches = [op, drops] + ([] if norm is None else [norm])
    found = sess.run(fetches, runs.key_feeds(self.pipeline, plan))
    return None if norm is None else float(found[-1])

  def _clean(self, sess, plan, passes):
    """Removes whatever a step that failed has left in the runtime."""
    drops = runs.drop_boundaries(self.pipeline, plan)
    for current in passes.values():
      drops = drops + current.drops
    with contextlib.suppress(tf1.errors.OpError, RuntimeError):
      sess.run(drops, runs.key_feeds(self.pipeline, plan))


def _give(active, current, given):
  """Returns the ops that hand the gradients of a sub-model's reads back."""
  ops = []
  for read, (first, later) in current.reads.items():
    source = active.sources[read]
    ops.append(later if source in given else first)
    given.add(source)
  return ops

"""Training steps over a pipeline: one optimizer, no update before its time."""

import collections
import contextlib
import itertools
import numbers

from tangle import errors, gradients
from tangle.compat import tf1
from tangle.pipeline import bucket_graph, nodes, pieces, runs


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
    self._check_settings()
    with pipeline.graph.as_default(), tf1.name_scope(pipeline.scope):
      with tf1.name_scope("training") as scope:
        self._scope = scope
    self.variables = self._build(pipeline.nodes)

  def _check_settings(self):
    clip_norm = self._clip_norm
    if isinstance(clip_norm, numbers.Real) and not clip_norm > 0:
      raise errors.ArgumentError(
        f"Pipeline {self.pipeline.name!r}: clip_norm must be positive, got "
        f"{clip_norm}. None leaves gradients as they are."
      )
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
    for name, weight in self._weights.items():
      if not isinstance(weight, numbers.Real):
        raise errors.ArgumentError(
          f"Pipeline {self.pipeline.name!r}: the loss weight of {name!r} must "
          f"be a number, got {weight!r}. Multiply in the builder by what "
          f"changes from step to step."
        )
      if name not in with_loss:
        raise errors.ArgumentError(
          f"Pipeline {self.pipeline.name!r}: loss_weights names {name!r}; the "
          f"sub-models with a loss are {with_loss}."
        )

  def prepare(self, sub_models):
    """Builds what the steps of certain sub-models need, at all buckets.

    `step` builds what is not there when a batch first names just these. A
    graph that is finalized, as by `tf.train.MonitoredTrainingSession`, takes
    no more ops: prepare before for each choice of sub-models that batches will
    make. The choice of all sub-models is prepared from the start.

    Args:
      sub_models: the names that such a batch has.

    Raises:
      ArgumentError: if a name is unknown, a read has no source or several, or
        no trainable variable gets a gradient.
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
    found = {}  # sub-model → signature → `VariableGradients`
    with self.pipeline.lock:
      for node in reversed(list(self.pipeline.nodes.values())):
        if node.name not in names:
          continue
        for graph in node.graphs.values():
          outputs = gradients_of.get(node.name, set())
          current = self._pass(node, graph, outputs)
          if current is None:
            continue
          group = current.variables
          if group is not None:
            groups = found.setdefault(node.name, collections.OrderedDict())
            groups.setdefault(group.signature, group)
          for read in current.reads:
            for source in node.reads[read]:
              to = gradients_of.setdefault(source.sub_model, set())
              to.add(source.output)
      order = [name for name in self.pipeline.nodes if name in found]
      # Nearly always one: where buckets differ in what has a gradient, more.
      for groups in itertools.product(*(found[n].values() for n in order)):
        self._update(list(zip(order, groups)))
    return self._variables_of(
      group for groups in found.values() for group in groups.values()
    )

  def _variables_of(self, groups):
    names = {name for group in groups for name, _ in group.signature}
    collection = self.pipeline.graph.get_collection(
      tf1.GraphKeys.TRAINABLE_VARIABLES
    )
    return [variable for variable in collection if variable.name in names]

  def _pass(self, node, graph, outputs):
    """Returns the pass of a sub-model for a step, `None` if it has none."""
    has_loss = graph.piece.loss is not None
    if not outputs and not has_loss:
      return None
    weight = float(self._weights.get(node.name, 1.0)) if has_loss else None
    pattern = bucket_graph.Pattern(frozenset(outputs), weight)
    scope = f"{self._scope}{nodes.op_name(node.name)}/"
    with self.pipeline.graph.as_default():
      return graph.training_pass(pattern, scope)

  def _update(self, groups):
    """Returns the op that applies the gradients of some sub-models.

    Args:
      groups: pairs of sub-model name and `VariableGradients`.

    Returns:
      The update op, and the tensor of the global norm or `None`.
    """
    cache_key = tuple((name, group.signature) for name, group in groups)
    if not cache_key:
      raise errors.ArgumentError(
        f"Pipeline {self.pipeline.name!r}: no trainable variable gets a "
        f"gradient from the loss. Check that variables are trainable and that "
        f"no gradient is stopped on the way, or use Pipeline.forward."
      )
    if cache_key not in self._updates:
      graph = self.pipeline.graph
      if graph.finalized:
        raise errors.GraphError(
          f"Pipeline {self.pipeline.name!r}: the graph is finalized, and has "
          f"no update for {[name for name, _ in groups]} together. Call "
          f"prepare() of the trainer, with the sub-models of such a step, "
          f"before."
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
      for variable_name, indices in group.signature:
        value = next(tensors)
        if indices is not None:
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
    keys = [node.key for node in self.pipeline.nodes.values()]
    for placeholder in pieces.unfed([op], keys):
      raise errors.ArgumentError(
        f"Pipeline {self.pipeline.name!r}: the update needs the placeholder "
        f"{placeholder.name!r}, which no step feeds. Make it a variable, which "
        f"can be set between steps."
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
      ArgumentError: if a name is unknown, a read has no source, no sub-model
        that takes part has a loss, or no variable gets a gradient.
      BucketError: if an array fits no bucket.
      GraphError: if the session runs another graph, or the graph is finalized
        and lacks what such a step needs.
    """
    plan = runs.make_plan(self.pipeline, sess, batch)
    with self.pipeline.lock:
      passes = self._passes(plan)
      update = self._update(
        [(n, p.variables) for n, p in passes.items() if p.variables is not None]
      )
    try:
      found, given = self._forward(sess, plan, passes)
      self._backward(sess, plan, passes, given)
      norm = self._apply(sess, plan, update)
    except BaseException:
      self._clean(sess, plan, passes)
      raise
    return runs.make_result(plan, found, self._weights, global_norm=norm)

  def _passes(self, plan):
    """Returns sub-model → pass, of those that a loss depends on, in order."""
    if not any(a.graph.piece.loss is not None for a in plan.active):
      raise errors.ArgumentError(
        f"Pipeline {self.pipeline.name!r}: none of the sub-models "
        f"{list(plan.keys)} has a loss. Name one that has in the batch."
      )
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
    return passes

  def _forward(self, sess, plan, passes):
    found = {}
    given = set()  # the boundaries that have a gradient already
    for active in plan.active:
      fetches = runs.fetches_of(active)
      fetches["updates"] = list(active.graph.piece.updates)
      current = passes.get(active.node.name)
      if current is not None:
        fetches["pass"] = current.forward
        if current.backward is None:
          fetches["reads"] = _give(active, current, given)
      found[active.node.name] = self.pipeline.prepared.run(
        sess, fetches, active.feed_dict
      )
    return found, given

  def _backward(self, sess, plan, passes, given):
    for active in reversed(plan.active):
      current = passes.get(active.node.name)
      if current is not None and current.backward is not None:
        ops = current.backward + _give(active, current, given)
        self.pipeline.prepared.run(sess, ops, active.keys)

  def _apply(self, sess, plan, update):
    drops = runs.drop_boundaries(self.pipeline, plan)
    op, norm = update
    fetches = [op, drops] + ([] if norm is None else [norm])
    feed_dict = runs.key_feeds(self.pipeline, plan)
    found = self.pipeline.prepared.run(sess, fetches, feed_dict)
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

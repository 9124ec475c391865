"""The joint model of a pipeline: one joint graph per combination of buckets.

It calls the same builders, connects their tensors in one graph per combination
of buckets, and trains by plain `tf.gradients`. This is the reference to which a
pipeline is compared, and the way of bucketing without pipelines.
"""

from __future__ import annotations

import itertools
from typing import (
  Any,
  Dict,
  Iterable,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
)

from tangle import errors, hints
from tangle.compat import tf1
from tangle.graphs import strategies
from tangle.nets import half
from tangle.pipeline import (
  batches,
  describing,
  joint_runs,
  paths,
  profiles,
  runs,
  updates,
)
from tangle.pipeline import micro_batches as micro
from tangle.pipeline import nodes as nodes_lib
from tangle.pipeline import pipeline as pipeline_lib


class Combination(NamedTuple):
  """The joint graph of one combination of buckets.

  Attributes:
    buckets: sub-model → bucket.
    pieces: sub-model → `Piece`.
    update: the `updates.Update`, `None` if no variable gets a gradient.
    variables: the variables that it trains.
    op_count: the number of ops that it has added to the graph.
  """

  buckets: Dict[str, Any]
  pieces: Dict[str, Any]
  update: Optional[updates.Update]
  variables: Any
  op_count: int


class JointTrainer:
  """Trains a pipeline's sub-models in joint graphs; used like a `Trainer`.

  It has the methods of a `Trainer`, and `forward` of a `Pipeline`: the same
  calls give the same losses and weights. Each `step` and each `forward` is one
  run of a session.

  Attributes:
    pipeline: the `Pipeline`.
    combinations: the `Combination`s, in the order in which a batch tries them.
    variables: the trainable variables that get a gradient in any combination.
  """

  @errors.named("JointTrainer of {pipeline.name!r}")
  def __init__(
    self,
    pipeline: pipeline_lib.Pipeline,
    optimizer: tf1.train.Optimizer,
    clip_norm: Optional[hints.Scalar] = None,
    loss_weights: Optional[Mapping[str, float]] = None,
    global_step: Optional[hints.Variable] = None,
    combinations: Optional[Iterable[Mapping[str, Any]]] = None,
  ) -> None:
    """Builds a joint graph and an update for each combination.

    Args:
      pipeline: the `Pipeline` whose builders and connections to use; it need
        not be built.
      optimizer: a `tf.compat.v1.train.Optimizer`.
      clip_norm: the global norm to which gradients are scaled down; `None` does
        not clip.
      loss_weights: sub-model name → factor of its loss; 1 by default.
      global_step: a variable to which each step adds 1; `None` for no counter.
      combinations: dicts from sub-model to bucket; a sub-model that is left
        out takes no part. By default all combinations of all buckets; those of
        fewer sub-models are added when a batch first names just these.

    Raises:
      ArgumentError: if a name or bucket is unknown, a read has no source or
        several, a builder returns no `Piece`, nothing has a loss, no trainable
        variable gets a gradient, the update needs a placeholder, or
        `optimizer`, `clip_norm`, `loss_weights` or `global_step` is invalid.
      DtypeError, ShapeError: if a `Piece` is not valid, as `Pipeline.build`.
      GraphError: if `global_step` or a tensor of a `Piece` belongs to another
        graph, or the graph is finalized.
    """
    self.pipeline = pipeline
    strategies.check_optimizer(optimizer)
    strategies.check_global_step(global_step, pipeline.graph)
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._weights = dict(loss_weights or {})
    updates.check_settings(pipeline, clip_norm, self._weights)
    self._global_step = global_step
    self._adds_graphs = combinations is None
    self._programs = {}
    self.combinations = []
    if combinations is None:
      combinations = self._product(pipeline.nodes)
    self._add(combinations)
    pieces = {n: p for c in self.combinations for n, p in c.pieces.items()}
    updates.check_losses(pipeline, pieces, self._weights)
    if not self.variables:
      updates.refuse(pipeline)

  def __repr__(self):
    return describing.joint_trainer(self)

  @errors.named("JointTrainer of {self.pipeline.name!r}")
  def record(self, timeline: Optional[List[micro.Ran]]) -> None:
    """Raises an error, as a `Trainer` without micro-batches does.

    A step is one run, so that there is no order of runs to record; `profile`
    tells what the run computes.

    Args:
      timeline: not used.

    Raises:
      ArgumentError: in any case.
    """
    raise errors.ArgumentError(
      "record needs micro-batches, which joint graphs do not "
      "have. Use Pipeline.minimize(optimizer, micro_batches=2), or profile()."
    )

  def prepare(self, sub_models: Sequence[str]) -> None:
    """Adds the joint graphs of certain sub-models, at all their buckets.

    Adds nothing if there are joint graphs of exactly these sub-models. Call
    this before the graph is finalized; see `Trainer.prepare`.

    Args:
      sub_models: the names of the sub-models in a batch.

    Raises:
      ArgumentError: if a name is unknown, a read has no source or several, or
        no trainable variable gets a gradient.
      GraphError: if there are none and the graph is finalized.
      TangleError: if a builder returns no valid `Piece`, as the constructor.
    """
    runs.choose_sources(self.pipeline, sub_models)
    found = self._of(sub_models) or self._add(self._product(sub_models))
    if all(combination.update is None for combination in found):
      updates.refuse(self.pipeline)

  def _of(self, names):
    """Lists the combinations of just these sub-models."""
    return [c for c in self.combinations if set(c.buckets) == set(names)]

  def _product(self, names):
    """Lists all combinations of all buckets of some sub-models."""
    nodes = [
      node for node in self.pipeline.nodes.values() if node.name in names
    ]
    return [
      dict(zip((node.name for node in nodes), chosen))
      for chosen in itertools.product(*(node.buckets for node in nodes))
    ]

  @errors.named("JointTrainer of {self.pipeline.name!r}")
  def _add(self, combinations):
    """Adds joint graphs; returns their `Combination`s."""
    graph, scope = self.pipeline.graph, self.pipeline.scope
    combinations = list(combinations)
    if graph.finalized:
      raise errors.GraphError(
        f"the graph is finalized, and has no joint graph of "
        f"{list(combinations[0])}. Before the graph is finalized, call "
        f"prepare() of the trainer with the sub-models of this batch."
      )
    with self.pipeline.lock, graph.as_default(), tf1.name_scope(scope):
      found = [self._build(buckets) for buckets in combinations]
    self.combinations += found
    names = {v.name for c in self.combinations for v in c.variables}
    self.variables = [v for v in self._trainable() if v.name in names]
    return found

  def _trainable(self):
    return self.pipeline.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)

  def _build(self, buckets):
    """Returns the `Combination` of some buckets."""
    graph = self.pipeline.graph
    before = len(graph.get_operations())
    label = "_".join(f"{name}_{bucket}" for name, bucket in buckets.items())
    with tf1.name_scope(nodes_lib.op_name(f"joint_{label}")):
      built = paths.join(self.pipeline, buckets)
      losses = [
        piece.loss * float(self._weights.get(name, 1.0))
        for name, piece in built.items()
        if piece.loss is not None
      ]
      update, variables = None, []
      if losses:
        # A step returns values from before its update, as in a pipeline.
        seen = losses + [
          metric
          for piece in built.values()
          for metric in piece.metrics.values()
          if isinstance(metric, tf1.Tensor)
        ]
        update, variables = self._build_update(tf1.add_n(losses), seen)
    if update is not None:
      fed = [ph for piece in built.values() for ph in piece.feeds.values()]
      updates.check_placeholders(self.pipeline, update.op, fed)
    count = len(graph.get_operations()) - before
    return Combination(dict(buckets), built, update, variables, count)

  def _build_update(self, loss, seen):
    """Returns the `Update`, which waits for `seen`, and its variables."""
    variables = self._trainable()
    pairs = [
      (gradient, variable)
      for gradient, variable in zip(tf1.gradients(loss, variables), variables)
      if gradient is not None
    ]
    if not pairs:
      return None, []
    gradients, variables = zip(*pairs)
    norm = None
    if self._clip_norm is not None:
      gradients, norm = half.clip_by_global_norm(gradients, self._clip_norm)
    with tf1.control_dependencies(seen):
      op = strategies.apply_gradients(
        self._optimizer, zip(gradients, variables), self._global_step
      )
    return updates.Update(op, norm, None), variables

  @errors.named("JointTrainer of {self.pipeline.name!r}: step")
  def step(self, sess: hints.Session, batch: hints.Batch) -> runs.Result:
    """Trains on one batch, in the first combination that it fits.

    If `combinations` were not given, a batch with a new set of sub-models first
    adds their joint graphs; see `prepare`.

    Args:
      sess: a session on the pipeline's graph.
      batch: sub-model name → feed name → array. Only the sub-models named
        here run and are trained.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: if `combinations` were given and have none of just these
        sub-models. Otherwise as `Trainer.step`.
      BucketError: if the arrays fit no combination, or `bucket_of` returns what
        is no bucket.
      DtypeError, GraphError, SessionError, ShapeError, TaskLostError: as
        `Trainer.step`.
    """
    program, given = self._training("step", sess, batch)
    return program.call(sess, given)

  @errors.named("JointTrainer of {self.pipeline.name!r}: profile")
  def profile(
    self, sess: hints.Session, batch: hints.Batch, steps: int = 2
  ) -> profiles.Profile:
    """Makes traced steps on one batch; each updates the variables.

    Args:
      sess: a session on the pipeline's graph.
      batch: as for `step`.
      steps: the number of steps. TensorFlow prepares traced runs in the first.

    Returns:
      A `profiles.Profile` of the last step, whose only run is of the kind
      `"joint"`.

    Raises:
      ArgumentError: if `steps` is not a positive int. Otherwise as `step`, but
        errors that TensorFlow raises in a run are not explained.
    """
    program, given = self._training("profile", sess, batch)
    return profiles.take(self.pipeline, sess, program, {}, given, steps)

  @errors.named("JointTrainer of {self.pipeline.name!r}: forward")
  def forward(
    self,
    sess: hints.Session,
    batch: hints.Batch,
    fetch: Sequence[str] = (),
    with_loss: bool = True,
  ) -> runs.Result:
    """Runs a batch forward only; arguments are those of `Pipeline.forward`.

    Args:
      sess: a session on the pipeline's graph.
      batch: as for `step`.
      fetch: `"sub_model.output"` names to return, of sub-models in the batch.
      with_loss: whether to compute losses and metrics. If not, the result has
        none, and feeds that only they need, such as labels, may be omitted.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: as `step`, or if there is no such output. Sub-models
        without a loss are accepted.
      BucketError, DtypeError, GraphError, SessionError, ShapeError,
        TaskLostError: as `step`.
    """
    fitting = self._fitting("forward", sess, batch)
    pieces = fitting[0].pieces
    wanted = batches.find_outputs(pieces, fetch)
    needed = None if with_loss else joint_runs.feeds_of(pieces, wanted)
    chosen, fed = joint_runs.choose(self.pipeline, fitting, batch, needed)
    wanted = batches.find_outputs(chosen.pieces, fetch)
    program, given = self._program(chosen, fed, wanted, with_loss)
    return program.call(sess, given)

  def _training(self, what, sess, batch):
    """Returns the program of a training step, and what to feed it."""
    fitting = self._fitting(what, sess, batch)
    updates.check_batch(self.pipeline, fitting[0].pieces)
    chosen, fed = joint_runs.choose(self.pipeline, fitting, batch)
    if chosen.update is None:
      updates.refuse(self.pipeline)
    return self._program(chosen, fed, weights=self._weights)

  def _program(self, chosen, fed, wanted=None, with_loss=True, weights=None):
    """Returns a program, made at the first call, and what to feed it."""
    arrays = {name: list(found.values()) for name, found in fed.items()}
    feeds = {name: list(found) for name, found in fed.items()}
    wanted = wanted or {}
    key = (
      tuple(itertools.chain.from_iterable(wanted.values())),
      bool(with_loss),
      weights is not None,
      tuple(chosen.buckets.items()),
      *map(id, itertools.chain.from_iterable(feeds.values())),
    )
    if key not in self._programs:
      self._programs[key] = joint_runs.JointProgram(
        self.pipeline, chosen, feeds, wanted, with_loss, weights
      )
    return self._programs[key], arrays

  def _fitting(self, what, sess, batch):
    """Checks a batch; lists the combinations of its sub-models."""
    batches.check(f"{what}(sess, batch)", self.pipeline, sess, batch)
    found = self._of(batch)
    if not found:
      runs.choose_sources(self.pipeline, batch)
      if self._adds_graphs:
        return self._add(self._product(batch))
      known = sorted({tuple(c.buckets) for c in self.combinations})
      raise errors.ArgumentError(
        f"there is no joint graph of {list(batch)}; there are "
        f"those of {[list(names) for names in known]}. Name just these "
        f"sub-models in the batch, or add a combination."
      )
    return found

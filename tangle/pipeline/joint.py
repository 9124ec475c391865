"""The joint model of a pipeline: one joint graph per combination of buckets.

It calls the same builders, connects their tensors in one graph per combination
of buckets, and trains by plain `tf.gradients`. This is the reference to which a
pipeline is compared, and the way of bucketing without pipelines.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Sequence

from tangle import errors, hints
from tangle.compat import tf1
from tangle.graphs import strategies
from tangle.nets import half
from tangle.pipeline import batches, describing, paths, runs
from tangle.pipeline import nodes as nodes_lib
from tangle.pipeline import pipeline as pipeline_lib


class Combination(NamedTuple):
  """The joint graph of one combination of buckets.

  Attributes:
    buckets: sub-model → bucket.
    pieces: sub-model → `Piece`.
    update: the op that trains, `None` if no sub-model has a loss.
    global_norm: the norm of the gradients, `None` without clipping.
    variables: the variables that it trains.
    op_count: the number of ops that it has added to the graph.
  """

  buckets: Dict[str, Any]
  pieces: Dict[str, Any]
  update: Optional[Any]
  global_norm: Optional[Any]
  variables: Any
  op_count: int


class JointTrainer:
  """Trains a pipeline's sub-models in joint graphs; used like a `Trainer`.

  Attributes:
    pipeline: the `Pipeline`.
    combinations: the `Combination`s, in the order in which a batch tries them.
    variables: the trainable variables of all combinations.
  """

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
      global_step: a variable to which each step adds 1.
      combinations: dicts from sub-model to bucket; a sub-model that is left
        out takes no part. By default all combinations of all buckets.

    Raises:
      ArgumentError: if a name or bucket is unknown, a read has no source or
        several, a builder returns no `Piece`, or nothing has a loss.
    """
    self.pipeline = pipeline
    self._error_label = f"JointTrainer of Pipeline {pipeline.name!r}"
    strategies.check_optimizer(optimizer)
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._weights = {k: float(v) for k, v in (loss_weights or {}).items()}
    self._global_step = global_step
    if combinations is None:
      combinations = _all_combinations(pipeline)
    with pipeline.graph.as_default(), tf1.name_scope(pipeline.scope):
      self.combinations = [self._build(buckets) for buckets in combinations]
    if not any(c.update is not None for c in self.combinations):
      raise errors.ArgumentError(
        f"{errors.caller()}: no sub-model has a loss that a trainable variable "
        f"gets a gradient of. Give the Piece of at least one of them a loss."
      )
    names = {v.name for c in self.combinations for v in c.variables}
    self.variables = [v for v in self._trainable() if v.name in names]

  def __repr__(self):
    return describing.joint_trainer(self)

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
        piece.loss * self._weights.get(name, 1.0)
        for name, piece in built.items()
        if piece.loss is not None
      ]
      update, norm, variables = None, None, []
      if losses:
        # A step returns values from before its update, as in a pipeline.
        seen = losses + [
          metric
          for piece in built.values()
          for metric in piece.metrics.values()
          if isinstance(metric, tf1.Tensor)
        ]
        update, norm, variables = self._build_update(tf1.add_n(losses), seen)
    count = len(graph.get_operations()) - before
    return Combination(dict(buckets), built, update, norm, variables, count)

  def _build_update(self, loss, seen):
    """Returns the train op, the global norm, and the trained variables.

    The train op waits for all of `seen`.
    """
    variables = self._trainable()
    pairs = [
      (gradient, variable)
      for gradient, variable in zip(tf1.gradients(loss, variables), variables)
      if gradient is not None
    ]
    if not pairs:
      return None, None, []
    gradients, variables = zip(*pairs)
    norm = None
    if self._clip_norm is not None:
      gradients, norm = half.clip_by_global_norm(gradients, self._clip_norm)
    with tf1.control_dependencies(seen):
      update = strategies.apply_gradients(
        self._optimizer, zip(gradients, variables), self._global_step
      )
    return update, norm, variables

  def step(self, sess: hints.Session, batch: hints.Batch) -> runs.Result:
    """Trains on one batch, in the first combination that it fits.

    Args:
      sess: a session on the pipeline's graph.
      batch: sub-model name → feed name → array; there must be a combination
        of just these sub-models.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: if there is no such combination, or none with a loss.
      BucketError: if the arrays fit no combination.
    """
    chosen, fed = self._choose("step", sess, batch)
    if chosen.update is None:
      raise errors.ArgumentError(
        f"{errors.caller()}: none of the sub-models {list(batch)} has a loss. "
        f"Add a sub-model with a loss to the batch."
      )
    fetches = self._fetches(chosen)
    fetches["update"] = chosen.update
    fetches["updates"] = [list(p.updates) for p in chosen.pieces.values()]
    if chosen.global_norm is not None:
      fetches["global_norm"] = chosen.global_norm
    found = self._run(sess, chosen, fetches, fed)
    return runs.make_result(
      found["found"],
      self._weights,
      chosen.buckets,
      global_norm=found.get("global_norm"),
    )

  def forward(
    self, sess: hints.Session, batch: hints.Batch, fetch: Sequence[str] = ()
  ) -> runs.Result:
    """Runs a batch forward only; arguments are those of `Pipeline.forward`.

    Args:
      sess: a session on the pipeline's graph.
      batch: as for `step`.
      fetch: `"sub_model.output"` names to return.

    Returns:
      A `Result`.

    Raises:
      ArgumentError: if there is no such combination, or no such output.
      BucketError: if the arrays fit no combination.
    """
    chosen, fed = self._choose("forward", sess, batch)
    fetches = self._fetches(chosen)
    fetches["outputs"] = {}
    wanted = batches.find_outputs(chosen.pieces, fetch)
    for outputs in wanted.values():
      fetches["outputs"].update(outputs)
    found = self._run(sess, chosen, fetches, fed)
    return runs.make_result(
      found["found"], {}, chosen.buckets, found["outputs"]
    )

  def _fetches(self, chosen):
    return {
      "found": {
        name: {
          "loss": [] if piece.loss is None else [piece.loss],
          "metrics": dict(piece.metrics),
        }
        for name, piece in chosen.pieces.items()
      }
    }

  def _run(self, sess, chosen, fetches, fed):
    """Makes a run; explains its error if there is one."""
    feed_dict = {ph: array for pairs in fed.values() for ph, array in pairs}
    named = ((name, chosen.pieces[name], pairs) for name, pairs in fed.items())
    with runs.explained(sess, named):
      return self.pipeline.prepared.run(sess, fetches, feed_dict)

  def _choose(self, what, sess, batch):
    """Returns the combination for a batch, and sub-model → what to feed."""
    batches.check(f"{what}(sess, batch)", self.pipeline, sess, batch)
    for name in batch:
      if name not in self.pipeline.nodes:
        batches.refuse_name(self.pipeline, name)
    fitting = [c for c in self.combinations if set(c.buckets) == set(batch)]
    if not fitting:
      known = sorted({tuple(c.buckets) for c in self.combinations})
      raise errors.ArgumentError(
        f"{errors.caller()}: there is no joint graph of {list(batch)}; there "
        f"are those of {[list(names) for names in known]}. Name just these "
        f"sub-models in the batch, or add a combination."
      )
    arrays = {
      name: nodes_lib.take(
        self.pipeline.nodes[name], fitting[0].pieces[name], feeds
      )
      for name, feeds in batch.items()
    }
    for combination in fitting:
      fed = {}
      for name, found in arrays.items():
        pad = self.pipeline.nodes[name].pad
        fitted = nodes_lib.fit(combination.pieces[name], found, pad)
        if fitted is None:
          break
        fed[name] = list(fitted.items())
      else:
        return combination, fed
    for name, found in arrays.items():
      pad = self.pipeline.nodes[name].pad
      for feed, array in found.items():
        pieces = {c.buckets[name]: c.pieces[name] for c in fitting}
        if any(nodes_lib.fit(p, {feed: array}, pad) for p in pieces.values()):
          continue
        batches.refuse_shape(
          self.pipeline.nodes[name],
          feed,
          array.shape,
          list(pieces),
          [piece.feeds[feed].shape for piece in pieces.values()],
        )
    shapes = {
      f"{name}.{feed}": array.shape
      for name, found in arrays.items()
      for feed, array in found.items()
    }
    raise errors.BucketError(
      f"{errors.caller()}: the arrays {shapes} fit none of the combinations of "
      f"buckets; the last is {fitting[-1].buckets}. Add a larger one, or "
      f"remove the example from the data."
    )


def _all_combinations(pipeline):
  """Lists all combinations of all buckets of all sub-models."""
  names = list(pipeline.nodes)
  buckets = [node.buckets for node in pipeline.nodes.values()]
  return [dict(zip(names, chosen)) for chosen in itertools.product(*buckets)]

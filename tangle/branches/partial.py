"""Branches and head as sub-models of a pipeline.

The head reads its representation from the branch that takes part in a step.
However many types there are, no graph has more than one branch, and there is
only one head.
"""

import collections

import numpy as np

from tangle import errors
from tangle.branches import alternate, mixed, trainers
from tangle.compat import tf1
from tangle.pipeline import pieces
from tangle.pipeline import pipeline as pipeline_lib


class Partial(trainers.Trainer):
  """Trains a pipeline whose head reads from one of the branches.

  A batch of several types needs a sub-model that reads from all of their
  branches, one for each mixture.

  Attributes:
    pipeline: the `Pipeline`.
  """

  mode = "partial"

  @errors.named("Training of branches with mode={self.mode!r}")
  def __init__(self, model, optimizer, clip_norm, global_step, mixtures=()):
    """Builds the pipeline; see `Model.minimize`."""
    super().__init__(model, optimizer, clip_norm, global_step)
    self._mixtures = collections.OrderedDict()
    for mixture in mixtures:
      types = self._order(mixture)
      if len(types) < 2 or len(types) < len(tuple(mixture)):
        raise errors.ArgumentError(
          f"mixtures must be groups of two or more of the "
          f"types {list(model.paths)}, got {mixture!r}."
        )
      self._mixtures[types] = "mixed_" + "_".join(types)
    self._nest = next(iter(model.paths.values())).representation
    self._count = len(tf1.nest.flatten(self._nest))
    self._scope = tf1.get_default_graph().get_name_scope() + "/partial/"
    self.pipeline = pipeline_lib.Pipeline(name="partial")
    self._add()
    self._trainer = self.pipeline.minimize(
      optimizer, clip_norm=clip_norm, global_step=global_step
    )
    for types in [(k,) for k in model.paths] + list(self._mixtures):
      self._prepare(types)

  def _add(self):
    """Adds all sub-models."""
    mixing = {k for types in self._mixtures for k in types}
    for k in self.model.paths:
      self.pipeline.add(_branch(k), self._build_branch(k, k in mixing))
    reads = {
      f"representation_{i}": [
        f"{_branch(k)}.representation_{i}" for k in self.model.paths
      ]
      for i in range(self._count)
    }
    self.pipeline.add("head", self._build_head, reads=reads)
    for types, name in self._mixtures.items():
      reads = {
        f"{_branch(k)}_{i}": f"{_branch(k)}.part_{i}"
        for k in types
        for i in range(self._count)
      }
      self.pipeline.add(name, self._build_mixture(types), reads=reads)

  def _build_branch(self, k, mixing):
    def build(bucket, reads):
      del bucket, reads
      input_ph, representation = self.model.call_branch(k)
      leaves = tf1.nest.flatten(representation)
      outputs = {f"representation_{i}": leaf for i, leaf in enumerate(leaves)}
      if mixing:  # a second name for the read, beside those of other branches
        outputs.update((f"part_{i}", leaf) for i, leaf in enumerate(leaves))
      return pieces.Piece(feeds={"input": input_ph}, outputs=outputs)

    return build

  def _build_head(self, bucket, reads):
    del bucket
    leaves = [reads[f"representation_{i}"] for i in range(self._count)]
    return self._head_piece(leaves, {})

  def _build_mixture(self, types):
    def build(bucket, reads):
      del bucket
      representations = collections.OrderedDict(
        (k, [reads[f"{_branch(k)}_{i}"] for i in range(self._count)])
        for k in types
      )
      places, leaves = mixed.stitch(representations)
      feeds = {f"{k}_places": place for k, place in places.items()}
      return self._head_piece(leaves, feeds)

    return build

  def _head_piece(self, leaves, feeds):
    representation = tf1.nest.pack_sequence_as(self._nest, leaves)
    targets_ph = self.model.make_targets()
    head = self.model.call_head(representation, targets_ph)
    return pieces.Piece(
      feeds=dict(feeds, targets=targets_ph),
      loss=head.loss,
      metrics={"losses": head.losses},
    )

  @errors.named("Training of branches with mode={self.mode!r}")
  def _check_types(self, types):
    if len(types) > 1 and types not in self._mixtures:
      raise errors.ArgumentError(
        f"the batch mixes records of {list(types)}. Split it "
        f"by type, or add this group to mixtures, which has "
        f"{list(self._mixtures)}."
      )

  def _build(self, types):
    head = self._mixtures.get(types, "head")
    self._trainer.prepare([_branch(k) for k in types] + [head])
    return head

  def _run(self, sess, types, batch):
    head = self._updates[types]
    fed = {_branch(k): {"input": batch.inputs[k]} for k in types}
    order = np.arange(len(batch.targets))
    feeds = {}
    if len(types) == 1:
      order = batch.places[types[0]]
    else:
      feeds = {f"{k}_places": batch.places[k] for k in types}
    fed[head] = dict(feeds, targets=batch.targets[order])
    result = self._trainer.step(sess, fed)
    losses = result.metrics[head]["losses"]
    return alternate.reorder(losses, order), result.global_norm


def _branch(k):
  return f"branch_{k}"

"""Replicas of sub-models: each takes a part of the batch, on its own device.

Only the device of the first replica holds the weights. The other replicas read
them from there in each step, and the update sums the gradients of all replicas
there. The result is that of one replica with the whole batch, if losses are
means over rows.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1
from tangle.pipeline import pieces
from tangle.pipeline import pipeline as pipeline_lib

SHARE = "share"
"""Name of the feed of a replica with a loss: its fraction of the rows."""


class Replicas:
  """Adds sub-models to a pipeline several times, and divides batches.

      replicas = tangle.pipeline.replicas.Replicas(pipeline, 2)
      replicas.add("encoder", build_encoder, devices=["/gpu:0", "/gpu:1"])
      replicas.add("decoder", build_decoder, reads={"h": "encoder.h"},
                   devices=["/gpu:0", "/gpu:1"])
      trainer = pipeline.minimize(optimizer, overlap=True)
      trainer.step(sess, replicas.divide(batch))

  The sub-models are named `encoder_0`, `encoder_1` and so on. In results, the
  loss of a replica is multiplied by its fraction of the rows, so that the sum
  of the losses is that of the whole batch.

  Attributes:
    pipeline: the `Pipeline`.
    count: the number of replicas.
  """

  @errors.named("Replicas")
  def __init__(self, pipeline: pipeline_lib.Pipeline, count: int) -> None:
    """Adds nothing to the pipeline.

    Args:
      pipeline: a `Pipeline`.
      count: the number of replicas to make.

    Raises:
      ArgumentError: if `count` is not a positive int.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
      raise errors.ArgumentError(
        f"count must be a positive int, got {count!r}."
      )
    self.pipeline, self.count = pipeline, count
    self._with_loss = {}  # name → whether its pieces have a loss

  @errors.named("Replicas.add({name!r})")
  def add(
    self,
    name: str,
    build: pieces.Builder,
    reads: Optional[pieces.ReadNames] = None,
    devices: Optional[Sequence[Optional[str]]] = None,
    **settings: Any,
  ) -> None:
    """Adds the replicas of a sub-model, whose graphs are built later.

    `Pipeline.build` raises an `ArgumentError` if the replicas do not share
    their variables, or a piece with a loss has a feed named `share`.

    Args:
      name: the name of the sub-model in `divide` and in reads.
      build: as for `Pipeline.add`. It is called for each replica and bucket.
        The first call makes the variables, which the others share.
      reads: as for `Pipeline.add`, from sub-models that were added here. Each
        replica reads from the replica of the same number.
      devices: the device of each replica; by default TensorFlow places ops.
      **settings: other arguments of `Pipeline.add`.

    Raises:
      ArgumentError: if there is not one device per replica, a read is from a
        sub-model that was not added here, or as `Pipeline.add`.
    """
    devices = [None] * self.count if devices is None else list(devices)
    if len(devices) != self.count:
      raise errors.ArgumentError(
        f"got {len(devices)} devices for {self.count} replicas. Give "
        f"one for each."
      )
    for k, device in enumerate(devices):
      self.pipeline.add(
        f"{name}_{k}",
        self._builder(name, build, k),
        reads={
          read: self._sources(source, k)
          for read, source in (reads or {}).items()
        },
        device=device,
        **settings,
      )
    self._with_loss[name] = False

  def _sources(self, sources, k):
    """Returns the sources from which the k-th replica reads."""
    if not isinstance(sources, str):
      return [self._sources(source, k) for source in sources]
    sub_model, dot, output = sources.partition(".")
    if sub_model not in self._with_loss:
      raise errors.ArgumentError(
        f"reads must come from 'sub_model.output' of one of "
        f"{list(self._with_loss)}, got {sources!r}. Add that sub-model here, "
        f"first, so that each replica has its own."
      )
    return f"{sub_model}_{k}{dot}{output}"

  def _builder(self, name, build, k):
    """Returns the builder of a replica; scales its loss by its fraction."""

    @errors.named("Replicas")
    def build_replica(bucket, reads):
      before = len(tf1.trainable_variables())
      piece = build(bucket, reads)
      made = [v.name for v in tf1.trainable_variables()[before:]]
      if k and made:
        raise errors.ArgumentError(
          f"the builder of {name!r} made the variables {made} again "
          f"for replica {k}. Use networks of tangle.nets, or get_variable in a "
          f"scope with reuse=tf.AUTO_REUSE, so that replicas share them."
        )
      if piece.loss is None:
        return piece
      if SHARE in piece.feeds:
        raise errors.ArgumentError(
          f"{name!r} has a feed {SHARE!r}, which is that of the "
          f"replica's share of the rows. Give it another name."
        )
      self._with_loss[name] = True
      one = tf1.constant(1.0, tf1.float64)
      share_ph = tf1.placeholder_with_default(one, [], "share_ph")
      loss = piece.loss * tf1.cast(share_ph, piece.loss.dtype)
      return piece._replace(feeds={**piece.feeds, SHARE: share_ph}, loss=loss)

    return build_replica

  def divide(self, batch: hints.Batch) -> Dict[str, Dict[str, Any]]:
    """Divides a batch among the replicas; builds the pipeline if necessary.

    Args:
      batch: sub-model → feed name → array, with the batch as the first axis.
        Scalars go to all replicas. Sub-models have the names given to `add`.

    Returns:
      A batch for `Trainer.step` and `Pipeline.forward`, with the names of the
      replicas. Rows are divided as equally as possible, in their order. The
      feeds of a replica with a loss get its fraction of the rows as `share`.

    Raises:
      ArgumentError: if the name of a sub-model is unknown, arrays differ in
        their number of rows, or there are fewer rows than replicas.
      TangleError: as `Pipeline.build`.
    """
    self.pipeline.build()
    rows = self._count_rows(batch)
    ends = [rows * k // self.count for k in range(self.count + 1)]
    found = {}
    for name, feeds in batch.items():
      for k, (begin, end) in enumerate(zip(ends, ends[1:])):
        own = {
          feed: array[begin:end] if np.ndim(array) else array
          for feed, array in feeds.items()
        }
        if self._with_loss[name]:
          own[SHARE] = (end - begin) / rows
        found[f"{name}_{k}"] = own
    return found

  @errors.named("Replicas.divide")
  def _count_rows(self, batch):
    """Returns the number of rows that all arrays of a batch have."""
    rows = {}
    for name, feeds in batch.items():
      if name not in self._with_loss:
        raise errors.ArgumentError(
          f"the batch names {name!r}; the sub-models added "
          f"to the replicas are {list(self._with_loss)}."
          f"{errors.suggest(name, self._with_loss) or ' Use these names.'}"
        )
      for feed, array in feeds.items():
        if np.ndim(array):
          rows[f"{name}.{feed}"] = len(array)
    if len(set(rows.values())) != 1 or min(rows.values()) < self.count:
      raise errors.ArgumentError(
        f"the first axis of all arrays must have the same "
        f"size, at least {self.count} for {self.count} replicas, got {rows}. "
        f"Make the batch dimension the first axis."
      )
    return min(rows.values())

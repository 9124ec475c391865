"""The runs of joint graphs: which graph a batch takes, and its one run."""

from typing import Any, NamedTuple

from tangle import errors
from tangle.graphs import walk
from tangle.pipeline import batches, programs, runs
from tangle.pipeline import nodes as nodes_lib


class _Graph(NamedTuple):
  """A sub-model in a joint graph, the `graph` of a `runs.Active`."""

  bucket: Any
  piece: Any


class JointProgram(programs.Program):
  """The run of one `joint.Combination`: forward, or a training step."""

  def __init__(self, pipeline, chosen, feeds, wanted, with_loss, weights=None):
    """Prepares the run; adds no ops.

    Args:
      pipeline: the `Pipeline`.
      chosen: a `joint.Combination`.
      feeds: sub-model → a list of the placeholders that are fed.
      wanted: sub-model → `"sub_model.output"` → tensor to fetch.
      with_loss: whether to compute losses and metrics.
      weights: sub-model → factor of its loss, in a training step; `None` if
        the run changes no variable.
    """
    active = [
      runs.Active(
        node=pipeline.nodes[name],
        graph=_Graph(chosen.buckets[name], piece),
        keys=[],
        sources={},
        outputs=[],
        feeds=feeds[name],
      )
      for name, piece in chosen.pieces.items()
    ]
    super().__init__(pipeline, runs.Plan(active))
    self._weights = weights or {}
    fetches = {
      "found": {a.node.name: runs.fetches_of(a, with_loss) for a in active},
      "outputs": {k: v for own in wanted.values() for k, v in own.items()},
      "norm": [],
    }
    if weights is not None:
      fetches.update(chosen.update.fetches())
      fetches["updates"] = [list(p.updates) for p in chosen.pieces.values()]
    fed = [placeholder for a in active for placeholder in a.feeds]
    run = self._prepare(fetches, [], fed)
    self._add(run, None, "joint", [], is_fed=True)

  def step(self, sess, given):
    """Makes the run.

    Args:
      sess: the session.
      given: sub-model → a list of the arrays to feed, in the order of its
        placeholders in `feeds`. Each sub-model of the joint graph is a key.

    Returns:
      A `runs.Result`.

    Raises:
      OpError, RuntimeError: as `Session.run`.
    """
    arrays = [a for each in self._plan.active for a in given[each.node.name]]
    (found,) = self._make_runs([self._step(sess, {})], [{None: arrays}])
    return runs.make_result(
      found["found"],
      self._weights,
      self._plan.buckets,
      found["outputs"],
      programs.norm_of(found),
    )

  def _clean(self, sess, steps):
    """Does nothing: a joint graph leaves nothing in the runtime."""


def feeds_of(pieces, wanted):
  """Finds the feeds on which the wanted tensors depend.

  Args:
    pieces: sub-model → `Piece`, of one joint graph.
    wanted: sub-model → a dict of tensors.

  Returns:
    A function from the name of a sub-model to a set of names of its feeds,
    empty if none of them is needed.
  """
  ends = [tensor for own in wanted.values() for tensor in own.values()]
  ops = {op.name for op in walk.ancestors(ends)}
  return lambda name: {
    feed for feed, ph in pieces[name].feeds.items() if ph.op.name in ops
  }


def choose(pipeline, fitting, batch, needed=None):
  """Picks the joint graph for a batch: the first that all its arrays fit.

  Args:
    pipeline: the `Pipeline`.
    fitting: the `joint.Combination`s of the sub-models of the batch.
    batch: sub-model name → feed name → array.
    needed: a function of a sub-model's name that returns the names of the feeds
      that it needs; by default it needs all placeholders without a default.

  Returns:
    A `joint.Combination`, and a dict: sub-model → placeholder → padded array.

  Raises:
    ArgumentError: if the feeds of a sub-model are no dict, or a feed is missing
      or unknown.
    BucketError: if the arrays fit no combination, or `bucket_of` returns what
      is no bucket.
    DtypeError: if a placeholder's dtype cannot represent the values.
    ShapeError: if an array has a shape that no larger bucket would take.
  """
  arrays, buckets = {}, {}
  for name, feeds in batch.items():
    node = pipeline.nodes[name]
    piece = fitting[0].pieces[name]
    with errors.about(f"sub-model {name!r}"):
      arrays[name] = nodes_lib.take(
        piece, feeds, needed and needed(name), node.pad
      )
      buckets[name] = batches.candidates(node, arrays[name])
  allowed = [
    c for c in fitting if all(c.buckets[n] in buckets[n] for n in buckets)
  ]
  for combination in allowed:
    fed = {}
    for name, found in arrays.items():
      pad = pipeline.nodes[name].pad
      fitted = nodes_lib.fit(combination.pieces[name], found, pad)
      if fitted is None:
        break
      fed[name] = fitted
    else:
      return combination, fed
  _refuse(pipeline, allowed, arrays)
  shapes = {
    f"{name}.{feed}": array.shape
    for name, found in arrays.items()
    for feed, array in found.items()
  }
  raise errors.BucketError(
    f"the arrays {shapes} fit none of the combinations of buckets; "
    f"the last is {fitting[-1].buckets}. Add a larger one, or remove the "
    f"example from the data."
  )


def _refuse(pipeline, allowed, arrays):
  """Raises an error if an array fits no bucket of its sub-model."""
  for name, found in arrays.items():
    pad = pipeline.nodes[name].pad
    pieces = {c.buckets[name]: c.pieces[name] for c in allowed}
    for feed, array in found.items():
      if pieces and not any(
        nodes_lib.fit(p, {feed: array}, pad) for p in pieces.values()
      ):
        with errors.about(f"sub-model {name!r}"):
          batches.refuse_shape(
            feed,
            array.shape,
            list(pieces),
            [piece.feeds[feed].shape for piece in pieces.values()],
            feed in pad,
          )

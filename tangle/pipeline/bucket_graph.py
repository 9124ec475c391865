"""The static graph of one sub-model at one bucket."""

from typing import Any, NamedTuple

from tangle import errors
from tangle.compat import tf1
from tangle.graphs import locks, walk
from tangle.pipeline import passes


class GraphCount(NamedTuple):
  """The size of the graph of a sub-model at one bucket.

  Attributes:
    sub_model: name of the sub-model.
    bucket: its bucket; `None` if the sub-model has none.
    ops: the number of ops that the sub-model at this bucket has added to the
      graph so far. Training passes are added, and counted, on demand; with
      them the updates that run in their backward runs.
  """

  sub_model: str
  bucket: Any
  ops: int


class BucketGraph:
  """One sub-model of a pipeline, built at one bucket.

  Attributes:
    bucket: the bucket.
    piece: the `Piece` that the builder made.
    puts: output name → op that puts it on its boundary.
    boundaries: output name → `Boundary`, of the outputs that are read.
    reads: read name → (tensor, `Boundary`, key of the producer).
    key: the scalar int64 key of the sub-model in a step.
    residuals: its residual policy.
    device: the device of the sub-model, or `None`.
    graph: the graph of the pipeline.
    op_count: the number of ops that it has added to the graph so far.
  """

  def __init__(self, node, bucket, piece, reads):
    """Stores the arguments; adds nothing to the graph.

    Args:
      node: the `Node` of the sub-model, with its key, residuals and device.
      bucket: the bucket.
      piece: a `Piece`.
      reads: read name → (tensor, `Boundary`, key of the producer).
    """
    self.bucket = bucket
    self.piece = piece
    self.puts = {}
    self.boundaries = {}
    self.op_count = 0
    self.reads = reads
    self._name = node.name
    self.key = node.key
    self.residuals = node.residuals
    self.device = node.device
    self._passes = {}
    self._feeds = {}
    self.graph = node.key.graph

  def add_puts(self, boundaries):
    """Adds the ops that put outputs on their boundaries.

    Args:
      boundaries: output name → `Boundary`, of the outputs that are read.
    """
    for name, boundary in boundaries.items():
      self.puts[name] = boundary.put(self.piece.outputs[name], self.key)
    self.boundaries = boundaries

  def feeds_of(self, outputs):
    """Finds the feeds on which some outputs depend; adds nothing to the graph.

    Args:
      outputs: names of outputs of its `Piece`.

    Returns:
      A set of names of feeds, empty if `outputs` is empty.
    """
    key = frozenset(outputs)
    if key not in self._feeds:
      ends = [self.piece.outputs[name] for name in outputs]
      ops = {op.name for op in walk.ancestors(ends)}
      self._feeds[key] = {
        name
        for name, placeholder in self.piece.feeds.items()
        if placeholder.op.name in ops
      }
    return self._feeds[key]

  @errors.named("Pipeline sub-model {self._name!r}")
  def training_pass(self, pattern, scope):
    """Returns the pass for a pattern; adds its ops at the first call.

    Args:
      pattern: a `passes.Pattern` that has something to differentiate.
      scope: name scope of the new ops.

    Returns:
      A `Pass`.

    Raises:
      GraphError: if the pass does not exist and the graph is finalized.
      CutError: as `PassMaker.make`.
    """
    if pattern not in self._passes:
      if self.graph.finalized:
        raise errors.GraphError(
          f"the graph is finalized, and has no pass for the "
          f"outputs {sorted(pattern.outputs)}. Before the graph is "
          f"finalized, call prepare() of the trainer with the sub-models of "
          f"this batch."
        )
      before = len(self.graph.get_operations())
      with tf1.name_scope(scope), tf1.control_dependencies(None), tf1.device(
        self.device
      ), locks.keep_runs_out(self.graph):
        self._passes[pattern] = passes.PassMaker(self, pattern).make()
      self.op_count += len(self.graph.get_operations()) - before
    return self._passes[pattern]

  def kept(self):
    """Lists the residuals of all training passes built so far, each once."""
    passes = self._passes.values()
    return list({t.name: t for p in passes for t in p.residuals}.values())

  @property
  def passes(self):
    """The training passes built so far, a list of `Pass`."""
    return list(self._passes.values())

  def owns(self, found):
    """Whether the `Pass` `found` is one of `passes`."""
    return any(found is own for own in self._passes.values())

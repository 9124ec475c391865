"""The static graph of one sub-model at one bucket, and its passes."""

import hashlib
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import cut, walk
from tangle.partial import aside, split, staging


class Pattern(NamedTuple):
  """What the loss of a step depends on a sub-model by.

  Attributes:
    outputs: the outputs that gradients come back for.
    loss_weight: factor of its own loss, `None` if it has none.
  """

  outputs: FrozenSet[str]
  loss_weight: Optional[float]


class VariableGradients(NamedTuple):
  """Where a pass leaves the gradients of the variables.

  Attributes:
    signature: pairs of variable name and, where its gradient is sparse, the
      name of the dtype of the indices, `None` where it is dense.
    shelf: the `Shelf` that holds the tensors they are made of.
    shapes: the static shapes of those tensors.
    tensors: those tensors, in the run that makes them.
    put: the op that puts them on the shelf.
  """

  signature: Tuple[Tuple[str, Optional[str]], ...]
  shelf: Any
  shapes: List[Any]
  tensors: List[Any]
  put: Any


class Pass(NamedTuple):
  """The ops of one training pass through a bucket graph.

  Attributes:
    forward: ops to run with the forward run.
    backward: ops of the backward run, which take out all that was kept for it;
      `None` where the forward run does all.
    reads: read name → ops that hand its gradient back: for the first reader
      of a step, and for later ones.
    variables: a `VariableGradients`, `None` if there are none. Who runs the
      pass puts them, or uses them in the same run.
    drops: ops that remove what the pass keeps, if it is there.
    residuals: the tensors that are kept from forward to backward.
  """

  forward: List[Any]
  backward: Optional[List[Any]]
  reads: Dict[str, Tuple[Any, Any]]
  variables: Optional[VariableGradients]
  drops: List[Any]
  residuals: List[Any]


class BucketGraph:
  """One sub-model of a pipeline, built at one bucket.

  Attributes:
    bucket: the bucket.
    piece: the `Piece` that the builder made.
    puts: output name → op that hands it to its readers.
    op_count: how many ops it has added to the graph so far.
  """

  def __init__(self, caller, bucket, piece, reads, key, residuals):
    """Remembers the parts; adds nothing to the graph.

    Args:
      caller: what messages name as the place of an error.
      bucket: the bucket.
      piece: a `Piece`.
      reads: read name → (tensor, `Boundary`, key of the producer).
      key: the scalar int64 key of the sub-model in a step.
      residuals: a residual policy.
    """
    self.caller = caller
    self.bucket = bucket
    self.piece = piece
    self.puts = {}
    self.op_count = 0
    self._reads = reads
    self._key = key
    self._residuals = residuals
    self._passes = {}
    self._feeds = {}
    self.graph = key.graph

  def add_puts(self, boundaries):
    """Adds the ops that hand outputs over.

    Args:
      boundaries: output name → `Boundary`, of the outputs that are read.
    """
    for name, boundary in boundaries.items():
      self.puts[name] = boundary.put(self.piece.outputs[name], self._key)
    self._boundaries = boundaries

  def feeds_of(self, outputs):
    """Finds the feeds that some outputs depend on.

    Args:
      outputs: names of outputs.

    Returns:
      A set of names of feeds.
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

  def training_pass(self, pattern, scope):
    """Returns the pass for a pattern, made when it is first asked for.

    Args:
      pattern: a `Pattern` that has something to differentiate.
      scope: name scope of the new ops.

    Returns:
      A `Pass`.

    Raises:
      GraphError: if the pass is not there and the graph is finalized.
      CutError: if the graph cannot be cut.
    """
    if pattern not in self._passes:
      if self.graph.finalized:
        raise errors.GraphError(
          f"{self.caller}: the graph is finalized, and has no pass for the "
          f"outputs {sorted(pattern.outputs)}. Call prepare() of the trainer, "
          f"with the sub-models of such a step, before."
        )
      before = len(self.graph.get_operations())
      with tf1.name_scope(scope), tf1.control_dependencies(None):
        self._passes[pattern] = self._make_pass(pattern)
      self.op_count += len(self.graph.get_operations()) - before
    return self._passes[pattern]

  def owns(self, found):
    """Whether the `Pass` `found` was made here."""
    return any(found is own for own in self._passes.values())

  def _make_pass(self, pattern):
    piece = self.piece
    names = [n for n in piece.outputs if n in pattern.outputs]
    outputs = [piece.outputs[name] for name in names]
    upstream = [
      self._boundaries[name].take_gradient(tensor.shape, self._key)
      for name, tensor in zip(names, outputs)
    ]
    if pattern.loss_weight is not None:
      outputs.append(piece.loss)
      dtype = piece.loss.dtype
      upstream.append(tf1.constant(pattern.loss_weight, dtype, name="weight"))
    reads = {
      name: read
      for name, read in self._reads.items()
      if compat.is_differentiable(read[0].dtype)
    }
    piece_split = split.Split(
      self.caller,
      [tensor for tensor, _, _ in reads.values()],
      outputs,
      residuals=self._residuals,
      connected=False,
      fed=piece.feeds.values(),
    )
    if not pattern.outputs:
      backward = piece_split.differentiate(upstream, find_cut=False)
      gradients, kept, store = backward.gradients, [], None
    else:
      piece_split.check_control_flow("device", cut.CONTROL_FLOW_V2)
      backward = aside.differentiate(piece_split, upstream)
      if backward is None:
        backward = piece_split.differentiate(upstream)
      cut.check(self.caller, backward.cut, cut.CONTROL_FLOW_V2)
      kept = backward.cut.kept
      store = self._stage(backward.cut)
      restored = dict(zip([t.name for t in kept], store.restored))
      gradients = piece_split.connect(backward, restored, "backward")
    read_ops = {}
    for (name, (_, boundary, key)), gradient in zip(
      reads.items(), gradients.inputs
    ):
      if gradient is not None:
        dense = tf1.convert_to_tensor(gradient)
        read_ops[name] = boundary.put_gradient(dense, key)
    variables = self._put_variables(piece_split.variables, gradients.variables)
    drops = [] if variables is None else [variables.shelf.drop(self._key)]
    if store is None:
      return Pass([], None, read_ops, variables, drops, kept)
    takes = [tensor.op for tensor in upstream[: len(names)]]
    forward = [store.put] if kept else []
    takes += [store.take] if kept else []
    drops += [store.drop] if kept else []
    return Pass(forward, takes, read_ops, variables, drops, kept)

  def _stage(self, found):
    kept = staging.own_values(self.caller, found.kept)
    return staging.Staging(kept, self._key, name="residuals")

  def _put_variables(self, variables, gradients):
    """Returns the `VariableGradients`, `None` if there are none."""
    tensors, signature = [], []
    for variable, gradient in zip(variables, gradients):
      if compat.is_indexed_slices(gradient):
        tensors += [gradient.values, gradient.indices]
        signature.append((variable.name, gradient.indices.dtype.name))
      elif gradient is not None:
        tensors.append(gradient)
        signature.append((variable.name, None))
    if not tensors:
      return None
    # All buckets whose gradients have the same structure share one shelf, so
    # that one graph applies them.
    digest = hashlib.md5(repr(signature).encode()).hexdigest()
    dtypes = [tensor.dtype for tensor in tensors]
    shelf = staging.Shelf(dtypes, f"{self._key.name}/gradients/{digest}")
    shapes = [
      variable_shape
      for variable, gradient in zip(variables, gradients)
      for variable_shape in _shapes_of(variable, gradient)
    ]
    put = shelf.put(tensors, self._key)
    return VariableGradients(tuple(signature), shelf, shapes, tensors, put)


def _shapes_of(variable, gradient):
  """Lists static shapes that the gradient has in every bucket."""
  if gradient is None:
    return []
  shape = tf1.TensorShape(variable.shape)
  if compat.is_indexed_slices(gradient):
    return [tf1.TensorShape([None]).concatenate(shape[1:]), [None]]
  return [shape]

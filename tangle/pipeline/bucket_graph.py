"""The static graph of one sub-model at one bucket, and its passes."""

import functools
import hashlib
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import cut, walk
from tangle.partial import aside, own_forward, split, staging


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
    own: a function from tensor or op of the forward run to what this pass has
      in its place.
    is_real: where forward and backward run are two parts of one run, which
      fetches tensors only: the bool placeholder of the second part, whether
      there are upstream gradients or the run is given up. `None` where
      residuals wait in the runtime.
  """

  forward: List[Any]
  backward: Optional[List[Any]]
  reads: Dict[str, Tuple[Any, Any]]
  variables: Optional[VariableGradients]
  drops: List[Any]
  residuals: List[Any]
  own: Any
  is_real: Optional[Any] = None


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

  def training_pass(self, pattern, scope, weights_unchanged=False):
    """Returns the pass for a pattern, made when it is first asked for.

    Args:
      pattern: a `Pattern` that has something to differentiate.
      scope: name scope of the new ops.
      weights_unchanged: as for `SubModel`.

    Returns:
      A `Pass`.

    Raises:
      GraphError: if the pass is not there and the graph is finalized.
      CutError: if the graph cannot be cut.
    """
    key = pattern, weights_unchanged
    if key not in self._passes:
      if self.graph.finalized:
        raise errors.GraphError(
          f"{self.caller}: the graph is finalized, and has no pass for the "
          f"outputs {sorted(pattern.outputs)}. Call prepare() of the trainer, "
          f"with the sub-models of such a step, before."
        )
      before = len(self.graph.get_operations())
      with tf1.name_scope(scope), tf1.control_dependencies(None):
        self._passes[key] = self._make_pass(pattern, weights_unchanged)
      self.op_count += len(self.graph.get_operations()) - before
    return self._passes[key]

  def owns(self, found):
    """Whether the `Pass` `found` was made here."""
    return any(found is own for own in self._passes.values())

  def _make_pass(self, pattern, weights_unchanged):
    names = [n for n in self.piece.outputs if n in pattern.outputs]
    reads = {
      name: read
      for name, read in self._reads.items()
      if compat.is_differentiable(read[0].dtype)
    }
    piece, copy = self._cut_out(names, pattern, reads, weights_unchanged)
    tied = bool(names) and piece.ties_to_one_run() is not None
    is_real = None
    if tied:
      is_real = tf1.placeholder(tf1.bool, [], name="is_real_ph")
    upstream = [
      self._take_gradient(name, tensor, is_real)
      for name, tensor in zip(names, piece.outputs)
    ]
    takes = [tensor.op for tensor in upstream]
    if pattern.loss_weight is not None:
      dtype = self.piece.loss.dtype
      upstream.append(tf1.constant(pattern.loss_weight, dtype, name="weight"))
    kept, store, copies = [], None, []
    if not names:
      gradients = piece.differentiate(upstream, find_cut=False).gradients
    elif tied:
      backward, copies = own_forward.differentiate_in_one_run(
        piece, copy, upstream
      )
      gradients, kept = backward.gradients, backward.cut.kept
    else:
      gradients, kept, store = self._connect(piece, upstream)
    read_ops = {}
    for (name, (_, boundary, key)), gradient in zip(
      reads.items(), gradients.inputs
    ):
      if gradient is not None:
        dense = tf1.convert_to_tensor(gradient)
        read_ops[name] = self._when_real(
          is_real, functools.partial(boundary.put_gradient, dense, key)
        )
    variables = self._put_variables(
      piece.variables, gradients.variables, is_real
    )
    drops = [] if variables is None else [variables.shelf.drop(self._key)]
    own = (lambda item: item) if copy is None else copy.find
    forward = []
    if tied:
      takes = [self._after(op) for op in takes]
      forward = [self._after(tensor.op) for tensor in copies]
      own = self._tensors(own)
    elif not names:
      takes = None
    elif kept:
      forward = [store.put]
      takes.append(store.take)
      drops.append(store.drop)
    return Pass(forward, takes, read_ops, variables, drops, kept, own, is_real)

  def _cut_out(self, names, pattern, reads, weights_unchanged):
    """Returns the `Split` of a pass and, where it has one, its `Clone`."""
    piece = self.piece
    outputs = [piece.outputs[name] for name in names]
    fetched = [*piece.metrics.values(), *piece.updates, *self.puts.values()]
    if piece.loss is not None:
      fetched.append(piece.loss)
      outputs += [] if pattern.loss_weight is None else [piece.loss]
    given = split.Split(
      self.caller,
      [tensor for tensor, _, _ in reads.values()],
      outputs,
      residuals=self._residuals,
      connected=False,
      fed=piece.feeds.values(),
      weights_unchanged=weights_unchanged,
    )
    tied = bool(names) and given.ties_to_one_run() is not None
    return own_forward.settle(given, fetched, in_one_run=tied)

  def _take_gradient(self, name, tensor, is_real):
    """Returns the gradient that the readers of an output gave."""
    boundary = self._boundaries[name]
    if is_real is None:
      return boundary.take_gradient(tensor.shape, self._key)
    with compat.control_flow(v2=False):
      gradient = tf1.cond(
        is_real,
        lambda: boundary.take_gradient(tensor.shape, self._key),
        lambda: tf1.zeros_like(tensor),
      )
    gradient.set_shape(tensor.shape)
    return gradient

  def _connect(self, piece, upstream):
    """Makes backward ops that read residuals which wait in the runtime."""
    backward = aside.differentiate(piece, upstream)
    if backward is None:
      backward = piece.differentiate(upstream)
    cut.check(self.caller, backward.cut)
    own_forward.check_cut(piece, backward.cut)
    kept = backward.cut.kept
    values = kept
    if not piece.weights_unchanged:
      values = staging.own_values(self.caller, kept)
    store = staging.Staging(values, self._key, name="residuals")
    restored = dict(zip([t.name for t in kept], store.restored))
    return piece.connect(backward, restored, "backward"), kept, store

  def _after(self, op):
    """Returns a scalar that is there when `op` has run."""
    with tf1.control_dependencies([op]):
      return tf1.identity(self._key, name="ran")

  def _when_real(self, is_real, make):
    """Makes ops, which a run that is given up leaves out.

    Args:
      is_real: a bool placeholder, `None` in a run that makes them anyhow.
      make: a function that adds ops and returns a sequence of ops and `None`s.

    Returns:
      The ops or, with `is_real`, for each of them a tensor to fetch.
    """
    if is_real is None:
      return make()
    made = []

    def make_tensors():
      made.extend(make())
      return [self._after(op) for op in made if op is not None]

    def leave_out():
      return [tf1.identity(self._key) for op in made if op is not None]

    with compat.control_flow(v2=False):
      found = tf1.cond(is_real, make_tensors, leave_out)
    rest = iter(found if isinstance(found, (list, tuple)) else [found])
    return tuple(None if op is None else next(rest) for op in made)

  def _tensors(self, own):
    """Returns a function as `own` that gives tensors that can be fetched."""
    piece = self.piece
    losses = [] if piece.loss is None else [piece.loss]
    found = {
      tensor.name: tf1.identity(own(tensor), name="fetched")
      for tensor in (*piece.metrics.values(), *losses)
    }
    for op in (*self.puts.values(), *piece.updates):
      found.setdefault(op.name, self._after(own(op)))
    return lambda item: found[item.name]

  def _put_variables(self, variables, gradients, is_real):
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
    (put,) = self._when_real(
      is_real, lambda: [shelf.put(tensors, self._key)]
    )
    return VariableGradients(tuple(signature), shelf, shapes, tensors, put)


def _shapes_of(variable, gradient):
  """Lists static shapes that the gradient has in every bucket."""
  if gradient is None:
    return []
  shape = tf1.TensorShape(variable.shape)
  if compat.is_indexed_slices(gradient):
    return [tf1.TensorShape([None]).concatenate(shape[1:]), [None]]
  return [shape]

"""The ops of a training pass through the static graph of a sub-model.

Residuals are kept in the runtime between the forward and the backward run. If
they cannot leave the run that makes them, such as those of TensorFlow 1 style
loops, the two are the two parts of one partial run.
"""

import functools
import hashlib
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import cut
from tangle.nets import half
from tangle.partial import own_forward, policies, scratch_graph, split, staging


class Pattern(NamedTuple):
  """The outputs of a sub-model through which a step's loss depends on it.

  Attributes:
    outputs: the outputs that get gradients from their readers.
    loss_weight: factor of the sub-model's own loss, `None` if it has no loss.
    weights_unchanged: as for `SubModel`.
    simplify_gradients: as for `SubModel`.
  """

  outputs: FrozenSet[str]
  loss_weight: Optional[float]
  weights_unchanged: bool = False
  simplify_gradients: bool = True


class VariableGradients(NamedTuple):
  """The gradients of a pass for variables, and the staging area for them.

  Attributes:
    signature: pairs of variable name and `None` for a dense gradient; for a
      sparse one the name of the dtype of its indices.
    area: the `StagingArea` of the tensors that make up the gradients.
    shapes: the static shapes of those tensors.
    tensors: those tensors, in the run that computes them.
    put: the op that puts them in the staging area.
  """

  signature: Tuple[Tuple[str, Optional[str]], ...]
  area: Any
  shapes: List[Any]
  tensors: List[Any]
  put: Any


class Pass(NamedTuple):
  """The ops of one training pass through a bucket graph.

  Attributes:
    forward: ops to run with the forward run.
    backward: ops of the backward run, which remove all that was kept for it;
      `None` if the forward run computes the gradients too.
    reads: read name → ops that put its gradient: for the first reader of a
      step, and for later ones.
    variables: a `VariableGradients`, `None` if no variable gets a gradient. The
      caller runs its `put`, or uses its tensors in the same run.
    drops: ops that remove what the pass keeps in the runtime; they do nothing
      if it is not there.
    residuals: the tensors that are kept from forward to backward.
    own: a function from a tensor or op of the forward run to the one to fetch
      for it with this pass: its replacement, or itself if it has none.
    is_real: a bool placeholder if forward and backward run are the two parts of
      a partial run, which can fetch only tensors. The second part is fed true
      if there are upstream gradients, false if the run is abandoned. `None` if
      residuals are kept in the runtime.
  """

  forward: List[Any]
  backward: Optional[List[Any]]
  reads: Dict[str, Tuple[Any, Any]]
  variables: Optional[VariableGradients]
  drops: List[Any]
  residuals: List[Any]
  own: Any
  is_real: Optional[Any] = None


class PassMaker:
  """Makes one `Pass`."""

  def __init__(self, graph, pattern):
    """Adds nothing to the graph.

    Args:
      graph: a `BucketGraph`.
      pattern: a `Pattern` that has something to differentiate.
    """
    self._graph = graph
    self._piece = graph.piece
    self._key = graph.key
    self._pattern = pattern
    self._names = [n for n in graph.piece.outputs if n in pattern.outputs]
    self._reads = {
      name: read
      for name, read in graph.reads.items()
      if compat.is_differentiable(read[0].dtype)
    }

  def make(self):
    """Adds the ops to the default graph.

    Returns:
      A `Pass`.

    Raises:
      CutError: if the value of a reference variable is needed that cannot be
        kept, a `Budget` is too small, or `residuals` is a `Budget` or
        `"min_cut"` and a gradient flows through a TensorFlow 1 style loop.
    """
    given = self._split()
    if not self._names:
      return self._in_forward_run(given)
    planned = policies.is_planned(given.policy.residuals)
    remedy = (
      f"Leave out residuals={given.policy.residuals!r}." if planned else ""
    )
    if given.ties_to_one_run() is None or planned:
      given.check_control_flow(remedy)
      try:
        return self._in_two_runs(given, remedy)
      except errors.CutError:
        if planned:
          raise
    return self._in_one_run(given)

  def _split(self):
    """Returns the `Split` of the sub-model's original ops."""
    piece = self._piece
    outputs = [piece.outputs[name] for name in self._names]
    if self._pattern.loss_weight is not None:
      outputs.append(piece.loss)
    return split.Split(
      [tensor for tensor, _, _ in self._reads.values()],
      outputs,
      residuals=self._graph.residuals,
      connected=False,
      fed=piece.feeds.values(),
      weights_unchanged=self._pattern.weights_unchanged,
      simplify=self._pattern.simplify_gradients,
    )

  def _settle(self, given, in_one_run=False):
    """Returns the `Split` to use, its `Clone`, and `Pass.own`."""
    piece = self._piece
    fetched = [*piece.metrics.values(), *piece.updates]
    fetched += self._graph.puts.values()
    fetched += [] if piece.loss is None else [piece.loss]
    found, copy = own_forward.settle(given, fetched, in_one_run)
    return found, copy, _itself if copy is None else copy.find

  def _upstream(self, tensors, is_real=None):
    """Returns upstream gradients of outputs, and the ops that remove them."""
    upstream = [
      self._take_gradient(name, tensor, is_real)
      for name, tensor in zip(self._names, tensors)
    ]
    takes = [tensor.op for tensor in upstream]
    if self._pattern.loss_weight is not None:
      weight, dtype = self._pattern.loss_weight, self._piece.loss.dtype
      upstream.append(tf1.constant(weight, dtype, name="weight"))
    return upstream, takes

  def _take_gradient(self, name, tensor, is_real):
    """Returns the sum of the gradients of an output's readers."""
    boundary = self._graph.boundaries[name]
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

  def _in_forward_run(self, given):
    """Makes the pass of a sub-model on which no loss above depends."""
    piece, _, own = self._settle(given)
    upstream, _ = self._upstream([])
    gradients = scratch_graph.differentiate_in_forward_run(piece, upstream)
    if gradients is None:
      gradients = piece.differentiate(upstream, find_cut=False).gradients
    reads, variables, drops = self._put(piece, gradients)
    return Pass([], None, reads, variables, drops, [], own)

  def _in_two_runs(self, given, remedy):
    """Makes a pass whose residuals are kept in the runtime."""
    piece, _, own = self._settle(given)
    upstream, takes = self._upstream(piece.outputs)
    backward = scratch_graph.differentiate(piece, upstream)
    if backward is None:
      backward = piece.differentiate(upstream)
    cut.check(backward.cut, remedy)
    own_forward.check_cut(piece, backward.cut)
    kept = backward.cut.kept
    values = kept
    if not piece.weights_unchanged:
      values = staging.own_values(kept)
    store = staging.Staging(values, self._key, name="residuals")
    restored = dict(zip([t.name for t in kept], store.restored))
    gradients = piece.connect(backward, restored, "backward")
    reads, variables, drops = self._put(piece, gradients)
    forward = []
    if kept:
      forward.append(store.put)
      takes.append(store.take)
      drops.append(store.drop)
    return Pass(forward, takes, reads, variables, drops, kept, own)

  def _in_one_run(self, given):
    """Makes a pass whose backward run is the second part of a partial run."""
    piece, copy, own = self._settle(given, in_one_run=True)
    is_real = tf1.placeholder(tf1.bool, [], name="is_real_ph")
    upstream, takes = self._upstream(piece.outputs, is_real)
    backward, copies = own_forward.differentiate_in_one_run(
      piece, copy, upstream
    )
    reads, variables, drops = self._put(piece, backward.gradients, is_real)
    return Pass(
      [self._after(tensor.op) for tensor in copies],
      [self._after(op) for op in takes],
      reads,
      variables,
      drops,
      backward.cut.kept,
      self._tensors(own),
      is_real,
    )

  def _put(self, piece, gradients, is_real=None):
    """Adds the ops that put gradients of reads and of variables.

    Returns:
      `Pass.reads`, `Pass.variables` and the ops that remove the latter.
    """
    reads = {}
    for (name, (_, boundary, key)), gradient in zip(
      self._reads.items(), gradients.inputs
    ):
      if gradient is not None:
        dense = half.densify(gradient)
        reads[name] = self._when_real(
          is_real, functools.partial(boundary.put_gradient, dense, key)
        )
    variables = self._put_variables(
      piece.variables, gradients.variables, is_real
    )
    drops = [] if variables is None else [variables.area.drop(self._key)]
    return reads, variables, drops

  def _after(self, op):
    """Returns a scalar that is computed after `op` has run."""
    with tf1.control_dependencies([op]):
      return tf1.identity(self._key, name="ran")

  def _when_real(self, is_real, make):
    """Makes ops that an abandoned run skips.

    Args:
      is_real: a bool placeholder; `None` in a run that always runs the ops.
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
    """Returns a function like `own` that returns only fetchable tensors."""
    piece = self._piece
    losses = [] if piece.loss is None else [piece.loss]
    found = {
      tensor.name: tf1.identity(own(tensor), name="fetched")
      for tensor in (*piece.metrics.values(), *losses)
    }
    for op in (*self._graph.puts.values(), *piece.updates):
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
    # All buckets whose gradients have the same structure share one staging
    # area, so that one graph applies them.
    digest = hashlib.md5(repr(signature).encode()).hexdigest()
    dtypes = [tensor.dtype for tensor in tensors]
    name = f"{self._key.name}/gradients/{digest}"
    area = staging.StagingArea(dtypes, name, self._graph.device)
    shapes = [
      variable_shape
      for variable, gradient in zip(variables, gradients)
      for variable_shape in _shapes_of(variable, gradient)
    ]
    (put,) = self._when_real(is_real, lambda: [area.put(tensors, self._key)])
    return VariableGradients(tuple(signature), area, shapes, tensors, put)


def _itself(item):
  return item


def _shapes_of(variable, gradient):
  """Lists static shapes that the gradient has in every bucket."""
  if gradient is None:
    return []
  shape = tf1.TensorShape(variable.shape)
  if compat.is_indexed_slices(gradient):
    return [tf1.TensorShape([None]).concatenate(shape[1:]), [None]]
  return [shape]

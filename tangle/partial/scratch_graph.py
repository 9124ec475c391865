"""Differentiates a piece of a graph in a scratch graph, where that is possible.

`tf.gradients` makes ops that read the forward ops; what runs is a copy of them
that reads the residuals. Made in the user's graph, the originals would stay
there for good and never run. So they are made in a scratch graph, which has the
same forward ops under the same names, and only the copy is added to the user's
graph.

This works if each gradient function depends on its op alone. The functions
below return `None` if one may depend on more (custom gradients, functions and
loops, calls of Python, reference variables, ops that are not TensorFlow's own),
or if a constant has a control dependency, which the scratch graph would lose.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import copying, cut, handles, walk
from tangle.partial import arguments, split

_PYTHON = frozenset(["PyFunc", "PyFuncStateless", "EagerPyFunc"])


def differentiate(piece, upstream):
  """Makes the backward ops of a piece in a scratch graph.

  Only shape tensors that are to be kept are added to the graph of the piece.

  Args:
    piece: a `split.Split`.
    upstream: as for `Split.differentiate`.

  Returns:
    A `split.Backward` for `piece.connect`, or `None` if this is not possible.

  Raises:
    CutError: as `Split.differentiate`.
  """
  found = _make_mirror(piece, upstream)
  if found is None:
    return None
  mirror, known = found
  backward = mirror.differentiate(
    [None if t is None else mirror.find(t) for t in upstream]
  )
  made = {tensor.name: name for name, tensor in mirror.shapes.tensors.items()}
  kept, names = [], {}
  for tensor in backward.cut.kept:
    if tensor.name in made:
      with piece.graph.as_default():
        original = piece.shapes.add(
          piece.graph.get_tensor_by_name(made[tensor.name])
        )
    elif tensor.op.name in known:
      original = piece.graph.get_tensor_by_name(tensor.name)
    else:
      return None  # the backward pass has its own op that reads a variable
    kept.append(original)
    names[original.name] = tensor.name
  return split.Backward(
    backward.gradients,
    backward.cut._replace(kept=kept),
    mirror.shapes,
    names,
    backward.bytes,
  )


def differentiate_in_forward_run(piece, upstream, name="gradients"):
  """Makes backward ops that read the forward ops and run with them.

  They are made in a scratch graph. Only those that the gradients need are
  added to the graph of the piece.

  Args:
    piece: a `split.Split`.
    upstream: for each output its upstream gradient, a tensor of its shape and
      dtype, or `None`.
    name: name scope of the new ops.

  Returns:
    A `split.Gradients` in the graph of `piece`, or `None` if this is not
    possible; nothing has been added then.
  """
  found = _make_mirror(piece, upstream)
  if found is None:
    return None
  mirror, known = found
  gradients = mirror.differentiate(
    [None if t is None else mirror.find(t) for t in upstream], find_cut=False
  ).gradients
  flat, rebuild = split.flatten(gradients)
  needed = [
    op for op in walk.ancestors(flat, control=True) if op.name not in known
  ]
  if any(before.name in known for op in needed for before in op.control_inputs):
    return None  # copies would lose the control dependency
  with piece.graph.as_default():
    return rebuild(copying.copy(needed, flat, {}, name))


def _make_mirror(piece, upstream):
  """Returns a `_Mirror` and the names of its ops, or `None` if impossible."""
  given = [tensor for tensor in upstream if tensor is not None]
  tensors = piece.outputs + piece.inputs + given
  ops = walk.ancestors(tensors + [handles.of(v) for v in piece.variables])
  if not all(_is_plain(op) for op in ops):
    return None
  graph = tf1.Graph()
  with graph.as_default():
    copying.copy(ops, [], {}, name="")
    _copy_shapes(ops, graph)
  return _Mirror(piece, graph), {op.name for op in ops}


class _Mirror(split.Split):
  """The same piece in a scratch graph that has the same ops."""

  def __init__(self, piece, graph):
    variables = [_VariableStub(graph, v) for v in piece.variables]
    self.graph = graph
    super().__init__(
      variables=variables,
      residuals=piece.policy,
      fed=self._find_fed(piece),
      **arguments.translated(piece, self.find),
    )

  def _find_fed(self, piece):
    if piece.fed is None:
      return None
    ops = {op.name for op in piece.all_ops}
    return [self.find(t) for t in piece.fed if t.op.name in ops]

  def find(self, tensor):
    """Returns the tensor of the same name."""
    return self.graph.get_tensor_by_name(tensor.name)

  def _sources(self):
    return [handles.of(variable) for variable in self.variables]


class _VariableStub:
  """A stub for a variable in the scratch graph, which has only its op."""

  def __init__(self, graph, variable):
    self.graph = graph
    self.name = variable.name
    self.op = graph.get_operation_by_name(variable.op.name)


def _copy_shapes(ops, graph):
  """Copies the static shapes of tensors to those of the same names."""
  for op in ops:
    copied = graph.get_operation_by_name(op.name)
    for tensor, other in zip(op.outputs, copied.outputs):
      other.set_shape(tensor.shape)  # a GraphDef does not record set_shape


def _is_plain(op):
  """Whether the gradient of `op` depends on nothing but `op`."""
  return (
    op.type not in _PYTHON
    and hasattr(tf1.raw_ops, op.type)
    and not compat.in_v1_control_flow(op)
    and "_gradient_op_type" not in op.node_def.attr
    and not any("func" in attr.type for attr in op.op_def.attr)
    and not cut.waits(op)
    and all(_is_plain_value(tensor) for tensor in op.outputs)
  )


def _is_plain_value(tensor):
  if compat.is_ref(tensor) or tensor.dtype == tf1.variant:
    return False
  return tensor.dtype != tf1.resource or tensor.op.type == "VarHandleOp"

"""Finds the tensors through which gradients of outputs flow.

A gradient path is a chain of ops through which a gradient flows back. It ends
at integer and bool tensors, at `StopGradient`, and at ops such as `Floor`,
unless `gradient_override_map` set another gradient for the op. In doubt, a
chain counts as a gradient path.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import walk

VIEWS = frozenset(
  [
    "Cast",
    "CheckNumerics",
    "CheckNumericsV2",
    "ConjugateTranspose",
    "EnsureShape",
    "ExpandDims",
    "Identity",
    "PreventGradient",
    "Reshape",
    "ReverseSequence",
    "ReverseV2",
    "Slice",
    "Snapshot",
    "Split",
    "SplitV",
    "Squeeze",
    "StridedSlice",
    "TensorListFromTensor",
    "Transpose",
    "Unpack",
  ]
)
"""Types of ops that return a tensor, or a part of it, as a view."""

_ENDS = frozenset(
  ["Ceil", "Floor", "OnesLike", "Rint", "Round", "StopGradient", "ZerosLike"]
)


def can_carry(tensor):
  """Whether a gradient can flow through `tensor`, by its dtype.

  Variants are included, as lists of tensors have this dtype, and so are
  resources, as the handles of variables do.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool.
  """
  others = (tf1.variant, tf1.resource)
  return (
    compat.is_differentiable(tensor.dtype) or tensor.dtype.base_dtype in others
  )


def is_end(op):
  """Whether no gradient flows through an op, though its dtypes allow one.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool: true for types such as `Floor` and `StopGradient`, unless
    `gradient_override_map` set a gradient for `op`.
  """
  if op.type not in _ENDS:
    return False
  try:
    op.get_attr("_gradient_op_type")  # set by gradient_override_map
  except ValueError:
    return True
  return False


def reached_from(sources, ops):
  """Names the tensors from which a gradient could flow down to `sources`.

  Args:
    sources: tensors of any shapes: floating ones, and handles of variables.
    ops: the ops to look at, producers before consumers.

  Returns:
    A set of tensor names that holds those of `sources` too.
  """
  return walk.dependents(
    sources, ops, follow=lambda t: can_carry(t) and not is_end(t.op)
  )


def arriving(outputs, ops, stop=()):
  """Names the tensors that gradients of `outputs` arrive at.

  Args:
    outputs: tensors of any shapes. Those that are not floating have no
      gradient.
    ops: the ops to look at, producers before consumers.
    stop: tensors at which gradients arrive, but go no further.

  Returns:
    A set of tensor names that holds those of floating `outputs` too.
  """
  found = {t.name for t in outputs if compat.is_differentiable(t.dtype)}
  stopped = walk.names(stop)
  ops = [op for op in reversed(list(ops)) if not is_end(op)]
  changed = True
  while changed:  # only a cyclic graph needs more than one round
    changed = False
    for op in ops:
      names = [tensor.name for tensor in op.outputs]
      if any(name in found and name not in stopped for name in names):
        for tensor in op.inputs:
          if tensor.name not in found and can_carry(tensor):
            found.add(tensor.name)
            changed = changed or compat.in_v1_control_flow(op)
  return found


def flowing(sources, outputs, ops, stop=()):
  """Lists the ops that a gradient flows through, from `outputs` to `sources`.

  Args:
    sources: tensors of any shapes: floating ones, and handles of variables.
    outputs: tensors of any shapes.
    ops: the ops to look at, producers before consumers.
    stop: tensors at which gradients arrive, but go no further.

  Returns:
    A list of ops, producers before consumers.
  """
  reached = walk.dependents(
    sources,
    ops,
    follow=lambda t: t.op.type != "StopGradient" and can_carry(t),
  )
  arrived = arriving(outputs, ops, stop)
  return [
    op
    for op in ops
    if any(t.name in reached for t in op.inputs)
    and any(t.name in reached and t.name in arrived for t in op.outputs)
  ]


def nearest(tensor, outputs):
  """Finds the tensor to cut at if no gradient arrives at `tensor`.

  A tensor that a model returns may be a reshape that no layer reads, while the
  next layer reads the tensor below it. Then no gradient arrives at the reshape,
  and the tensor below is the one to cut at.

  Args:
    tensor: a tensor of any shape.
    outputs: the tensors that gradients come from, of any shapes.

  Returns:
    `tensor` itself if a gradient path from `outputs` leads to it; otherwise
    the first tensor with such a path below ops of `VIEWS`, such as `Reshape`;
    `None` if there is none, or if that tensor is not `is_nameable`.
  """
  found = arriving(outputs, walk.ancestors(outputs))
  while tensor.name not in found:
    below = [t for t in tensor.op.inputs if can_carry(t)]
    if tensor.op.type not in VIEWS or len(below) != 1:
      return None
    tensor = below[0]
  return tensor if is_nameable(tensor) else None


def is_nameable(tensor):
  """Whether `tensor` can be an output of a sub-model and an input of the next.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool: false for tensors inside a TensorFlow 1 style loop or conditional,
    for the flow of a tensor array, for references, for tensors that are not
    floating, and for those that TensorFlow does not allow to be fed.
  """
  op = tensor.op
  if not compat.is_differentiable(tensor.dtype) or compat.is_ref(tensor):
    return False
  if compat.in_v1_control_flow(op) or _is_flow(tensor):
    return False
  return tensor.graph.is_feedable(tensor)


def _is_flow(tensor):
  """Whether `tensor` is the float that orders the uses of a tensor array."""
  kinds = ("TensorArrayConcat", "TensorArrayGather", "TensorArrayRead")
  kind = tensor.op.type
  if kind.startswith("TensorArray") and not kind.startswith(kinds):
    return True
  if tensor.shape.ndims != 0:
    return False
  return any(
    op.type.startswith("TensorArray")
    and op.inputs[len(op.inputs) - 1].name == tensor.name
    and op.inputs[0].dtype.base_dtype == tf1.resource
    for op in tensor.consumers()
  )

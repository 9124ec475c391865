"""Finds the tensors that may share memory with a reference variable.

A read of a reference variable returns the variable's own memory, and many ops
return the memory of an input: `Reshape` always, `Transpose` or `Sum` if they
are no-ops, and every op that the graph optimizer replaces by such an op, such
as `w * 1`. Such a tensor changes when the variable does. The behavior of the
kernels was measured on 1.15 and 2.21; in doubt a tensor counts as sharing.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import cut, walk

_FORWARDING = (
  frozenset(
    [
      "BatchToSpace",
      "BatchToSpaceND",
      "BroadcastTo",
      "Case",
      "EagerPyFunc",
      "IdentityN",
      "If",
      "MatrixBandPart",
      "Max",
      "Mean",
      "Min",
      "MirrorPad",
      "Pad",
      "PadV2",
      "PartitionedCall",
      "Print",
      "Prod",
      "PyFunc",
      "PyFuncStateless",
      "Reshape",
      "ReverseV2",
      "Select",
      "SelectV2",
      "Slice",
      "SpaceToBatch",
      "SpaceToBatchND",
      "SparseFillEmptyRows",
      "SparseReorder",
      "Split",
      "SplitV",
      "StatefulPartitionedCall",
      "StatelessCase",
      "StatelessIf",
      "StatelessWhile",
      "StridedSlice",
      "Sum",
      "Tile",
      "Transpose",
      "While",
    ]
  )
  | compat.V1_CONTROL_FLOW
)
"""Types of ops that may return an input's memory, whatever the others are."""

_FRESH_TYPES = """
BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv3D DeepCopy Elu Erf Exp Expm1
Gather GatherV2 Log Log1p LogSoftmax MatMul Relu Rsqrt Sigmoid Softmax Softplus
SparseSoftmaxCrossEntropyWithLogits SoftmaxCrossEntropyWithLogits Sqrt Square
Tanh
"""
_FRESH = frozenset(_FRESH_TYPES.split())
"""Types of ops that always allocate their output."""


def of_references(tensors):
  """Names those of `tensors` that may share memory with a reference variable.

  An op is assumed to allocate its output if it has an input of the output's
  dtype that varies between runs even if no variable changes, such as the data
  in a product of data and weights.

  Args:
    tensors: tensors of one graph, of any shapes.

  Returns:
    A set of tensor names.
  """
  return _sharing(walk.ancestors(tensors)) & walk.names(tensors)


def variables_behind(tensors):
  """Finds the reference variables that tensors may share memory with.

  Args:
    tensors: tensors of one graph, of any shapes.

  Returns:
    A list of the ops that hold the variables, each once, in no special order;
    empty if there are none.
  """
  sharing = _sharing(walk.ancestors(tensors))
  found, seen = [], set()
  stack = [tensor for tensor in tensors if tensor.name in sharing]
  while stack:
    op = stack.pop().op
    if op not in seen:
      seen.add(op)
      stack.extend(t for t in op.inputs if t.name in sharing)
      if op.type in cut.REFERENCES:
        found.append(op)
  return found


def _sharing(ops):
  """Names the tensors of `ops` that may share memory with a variable."""
  sharing, varying = set(), set()
  if not any(compat.is_ref(tensor) for op in ops for tensor in op.outputs):
    return sharing
  changed = True
  while changed:  # only a cyclic graph needs more than one round
    before = len(sharing) + len(varying)
    for op in ops:
      if _varies(op, varying):
        varying.update(walk.names(op.outputs))
      sharing.update(t.name for t in op.outputs if _shares(t, sharing, varying))
    changed = len(sharing) + len(varying) > before and any(
      op.type == "NextIteration" for op in ops
    )
  return sharing


def _varies(op, varying):
  """Whether the outputs of `op` depend on data, random numbers or state."""
  if op.type in cut.SHAPES or op.type in cut.REFERENCES:
    return False
  if any(tensor.name in varying for tensor in op.inputs):
    return True
  return not cut.is_repeatable(op)


def _shares(tensor, sharing, varying):
  """Whether `tensor` may have the memory of an input of its op that shares."""
  if compat.is_ref(tensor):
    return True
  op = tensor.op
  in_array = op.type.startswith("TensorArray")  # its flow represents it
  any_dtype = in_array or op.type == "Bitcast"
  fitting = {t.name for t in op.inputs if any_dtype or _fits(t, tensor)}
  if op.type in _FRESH or not fitting & sharing:
    return False
  if op.type in _FORWARDING or in_array or tensor.dtype == tf1.variant:
    return True
  return not (fitting - sharing) & varying


def _fits(source, tensor):
  """Whether `tensor` could be `source`, or a tensor that `source` holds."""
  kinds = (source.dtype.base_dtype, tensor.dtype.base_dtype)
  return kinds[0] == kinds[1] or tf1.variant in kinds

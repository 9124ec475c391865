"""Finds tensors whose fed values TensorFlow ignores.

The graph optimizer may rewrite the readers of an op, such as `x + x` to `2 x`,
or `-(-x)` to `x`. TensorFlow 1.15 does not optimize a graph if anything but
placeholders is fed. 2.x does (measured on 2.21), and not all of its arithmetic
rewritings check whether an op that they bypass is fed: the run then silently
uses the value that the graph computes.
"""

from tangle import compat

UNDONE = frozenset(
  [
    "Conj",
    "ConjugateTranspose",
    "Inv",
    "Invert",
    "LogicalNot",
    "Neg",
    "Reciprocal",
    "Transpose",
  ]
)
"""Types of ops that cancel with a neighbor, or are folded into a reader."""

_MERGED = frozenset(
  ["AccumulateNV2", "Add", "AddN", "AddV2", "Mul", "MulNoNan"]
)
_PASSING = frozenset(
  [
    "CheckNumerics",
    "CheckNumericsV2",
    "DeepCopy",
    "Identity",
    "IdentityN",
    "PreventGradient",
    "Reshape",
    "Snapshot",
    "Squeeze",
    "ExpandDims",
    "StopGradient",
  ]
)
_DEEPEST = 50


def is_forgotten(tensor):
  """Whether a run may ignore the value that is fed for `tensor`.

  In doubt the answer is true. A fed `tf.identity` of a tensor is never ignored.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool, false for placeholders, and on TensorFlow 1.15.
  """
  op = tensor.op
  if compat.IS_TF1:
    return False
  if op.type in UNDONE:
    return True
  if op.type == "Cast":  # of indices, of ops that sum rows of an embedding
    return tensor.dtype.is_integer and op.inputs[0].dtype.is_integer
  if op.type in _MERGED:
    first, known = op.inputs[0], {}
    return all(_is_alike(first, other, known) for other in op.inputs[1:])
  return False


def _is_alike(one, other, known, depth=0):
  """Whether the optimizer may find that two tensors are computed alike."""
  one, other = _source(one), _source(other)
  if one is other or depth > _DEEPEST:
    return True
  pair = one.name, other.name
  if pair not in known:
    known[pair] = False
    known[pair] = _is_alike_op(one, other, known, depth + 1)
  return known[pair]


def _is_alike_op(one, other, known, depth):
  left, right = one.op, other.op
  same = (
    left.type == right.type
    and one.value_index == other.value_index
    and len(left.inputs) == len(right.inputs)
    and not left.op_def.is_stateful
    and not left.type.startswith("Placeholder")
    and _attributes(left) == _attributes(right)
  )
  if not same:
    return False
  orders = [list(right.inputs)]
  if len(right.inputs) == 2:
    orders.append(orders[0][::-1])  # the two inputs may be swapped
  return any(
    all(_is_alike(a, b, known, depth) for a, b in zip(left.inputs, order))
    for order in orders
  )


def _source(tensor):
  """Returns the tensor below the ops that the optimizer removes."""
  while True:
    op = tensor.op
    if op.type in _PASSING:
      tensor = op.inputs[tensor.value_index]
      continue
    if op.type in UNDONE:
      inner = _below_passing(op.inputs[0])
      if inner.op.type == op.type:
        tensor = inner.op.inputs[0]
        continue
    return tensor


def _below_passing(tensor):
  while tensor.op.type in _PASSING:
    tensor = tensor.op.inputs[tensor.value_index]
  return tensor


def _attributes(op):
  """Returns the attributes that distinguish `op` from others of its type."""
  attributes = op.node_def.attr
  return {
    name: attributes[name].SerializeToString()
    for name in attributes
    if not name.startswith("_")
  }

"""Rules for the output shapes of the ops of common networks.

A rule is a function of a `dims.Dims`, an op and the index of an output; it
returns the dimensions of that output, or `None` if they are unknown.
"""

from tangle.graphs import symbols

_ALIKE = {
  "AddN",
  "EluGrad",
  "InvGrad",
  "LeakyReluGrad",
  "ReciprocalGrad",
  "Relu6Grad",
  "ReluGrad",
  "RsqrtGrad",
  "SeluGrad",
  "SigmoidGrad",
  "SoftplusGrad",
  "SoftsignGrad",
  "SqrtGrad",
  "TanhGrad",
}
"""Types of ops whose inputs and output all have the same shape."""

_AS_FIRST = {
  "Abs",
  "BiasAdd",
  "Cast",
  "Ceil",
  "CheckNumerics",
  "Conj",
  "Cos",
  "DeepCopy",
  "Elu",
  "EnsureShape",
  "Erf",
  "Exp",
  "Expm1",
  "Floor",
  "Identity",
  "Inv",
  "Invert",
  "LeakyRelu",
  "Log",
  "Log1p",
  "LogSoftmax",
  "LogicalNot",
  "Neg",
  "OnesLike",
  "PreventGradient",
  "Reciprocal",
  "Relu",
  "Relu6",
  "Round",
  "Rsqrt",
  "Selu",
  "Sigmoid",
  "Sign",
  "Sin",
  "Snapshot",
  "Softmax",
  "Softplus",
  "Softsign",
  "Sqrt",
  "Square",
  "StopGradient",
  "Tan",
  "Tanh",
  "ZerosLike",
}
"""Types of ops whose output has the shape of their first input."""

_BROADCASTING = {
  "Add",
  "AddV2",
  "Div",
  "DivNoNan",
  "Equal",
  "Greater",
  "GreaterEqual",
  "Less",
  "LessEqual",
  "LogicalAnd",
  "LogicalOr",
  "Maximum",
  "Minimum",
  "Mul",
  "MulNoNan",
  "NotEqual",
  "Pow",
  "RealDiv",
  "SquaredDifference",
  "Sub",
  "Xdivy",
  "Xlogy",
}
"""Types of ops of two inputs that broadcast."""


def find(op):
  """Returns the rule for the output shapes of an op.

  Args:
    op: a `tf.Operation`.

  Returns:
    A function, as the module describes; `None` if there is no rule for the type
    of `op`.
  """
  if op.type in _AS_FIRST:
    return _as_first
  if op.type in _ALIKE:
    return _alike
  return _broadcast_op if op.type in _BROADCASTING else _RULES.get(op.type)


def _as_first(dims, op, index):
  del index
  return dims.of(op.inputs[0])


def _alike(dims, op, index):
  del index
  first = dims.of(op.inputs[0])
  for tensor in list(op.inputs)[1:]:
    dims.unify(first, dims.of(tensor))
  return first


def _broadcast_op(dims, op, index):
  del index
  return symbols.broadcast(*(dims.of(tensor) for tensor in op.inputs))


def _matmul(dims, op, index):
  del index
  left, right = (dims.of(tensor) for tensor in op.inputs)
  batched = op.type != "MatMul"
  names = ("adj_x", "adj_y") if batched else ("transpose_a", "transpose_b")
  if left is None or right is None:
    return None
  rows = left[-1 if op.get_attr(names[0]) else -2]
  columns = right[-2 if op.get_attr(names[1]) else -1]
  above = symbols.broadcast(left[:-2], right[:-2])
  return None if above is None else above + (rows, columns)


def _reshape(dims, op, index):
  del index
  wanted, given = dims.value(op.inputs[1]), dims.of(op.inputs[0])
  if wanted is None or -1 not in wanted:
    return wanted
  if given is None or 0 in wanted:
    return None
  rest = symbols.divide(given, [size for size in wanted if size != -1])
  return tuple(rest if size == -1 else size for size in wanted)


def _along(axis_of):
  """Makes the rule of ops that change one axis, which may not be static."""

  def rule(dims, op, index):
    given, axis = axis_of(dims, op)
    if given is None or not isinstance(axis, int):
      return None
    found = list(given)
    found[axis] = symbols.of_axis(op.outputs[index], axis)
    return found

  return rule


def _one(value):
  return None if value is None else value[0]


def _concat(dims, op):
  axis = _one(dims.value(op.inputs[-1]))
  parts = [dims.of(tensor) for tensor in list(op.inputs)[:-1]]
  if not isinstance(axis, int) or None in parts:
    return None, axis
  for part in parts[1:]:
    for k, sizes in enumerate(zip(parts[0], part)):
      if k != axis % len(part):
        dims.unify(sizes[:1], sizes[1:])
  return parts[0], axis


def _split(dims, op):
  value, axis = (1, 0) if op.type == "Split" else (0, 2)
  return dims.of(op.inputs[value]), _one(dims.value(op.inputs[axis]))


def _pack(dims, op, index):
  given, axis = _alike(dims, op, index), op.get_attr("axis")
  if given is None:
    return None
  axis += len(given) + 1 if axis < 0 else 0
  return given[:axis] + (len(op.inputs),) + given[axis:]


def _unpack(dims, op, index):
  del index
  given, axis = dims.of(op.inputs[0]), op.get_attr("axis")
  if given is None:
    return None
  axis += len(given) if axis < 0 else 0
  return given[:axis] + given[axis + 1 :]


def _transpose(dims, op, index):
  del index
  given, order = dims.of(op.inputs[0]), dims.value(op.inputs[1])
  if given is None or order is None:
    return None
  if not all(isinstance(axis, int) for axis in order):
    return None
  return tuple(given[axis] for axis in order)


def _expand(dims, op, index):
  del index
  given, axis = dims.of(op.inputs[0]), _one(dims.value(op.inputs[1]))
  if given is None or not isinstance(axis, int):
    return None
  axis += len(given) + 1 if axis < 0 else 0
  return given[:axis] + (1,) + given[axis:]


def _squeeze(dims, op, index):
  del index
  given, axes = dims.of(op.inputs[0]), op.get_attr("squeeze_dims")
  if given is None or not axes:
    return None
  left = {axis % len(given) for axis in axes}
  return tuple(size for axis, size in enumerate(given) if axis not in left)


def _reduce(dims, op, index):
  del index
  given, axes = dims.of(op.inputs[0]), dims.value(op.inputs[1])
  if given is None or axes is None:
    return None
  if not all(isinstance(axis, int) for axis in axes):
    return None
  gone = {axis % len(given) for axis in axes if given}
  if op.get_attr("keep_dims"):
    return tuple(1 if k in gone else size for k, size in enumerate(given))
  return tuple(size for k, size in enumerate(given) if k not in gone)


def _gather(dims, op, index):
  del index
  indices = dims.of(op.inputs[1])
  rank = op.outputs[0].shape.rank
  if op.type == "GatherV2":
    whole = op.get_attr("batch_dims") == 0
    if not whole or dims.value(op.inputs[2]) != (0,):
      return None
  elif op.get_attr("batch_dims"):
    return None
  if indices is None or rank is None:
    return None
  below = op.outputs[0].shape.as_list()[len(indices) :]
  return None if None in below else indices + tuple(below)


def _slice(dims, op, index):
  del index
  given, begin = dims.of(op.inputs[0]), dims.value(op.inputs[1])
  size = dims.value(op.inputs[2])
  if given is None or size is None:
    return None
  begin = begin or (None,) * len(given)
  rest = [
    whole if first == 0 else symbols.of_axis(op.outputs[0], k)
    for k, (whole, first) in enumerate(zip(given, begin))
  ]
  return tuple(
    rest[k] if taken == -1 else taken for k, taken in enumerate(size)
  )


def _strided_slice(dims, op, index):
  given, strides = dims.of(op.inputs[0]), dims.value(op.inputs[3])
  masks = {
    name: op.get_attr(f"{name}_mask")
    for name in ("begin", "end", "new_axis", "shrink_axis", "ellipsis")
  }
  if given is None or strides is None or masks["ellipsis"]:
    return None
  found, axis = [], 0
  for k, stride in enumerate(strides):
    bit = 1 << k
    if masks["new_axis"] & bit:
      found.append(1)
      continue
    if not masks["shrink_axis"] & bit:
      whole = masks["begin"] & masks["end"] & bit and stride == 1
      own = symbols.of_axis(op.outputs[index], len(found))
      found.append(given[axis] if whole and axis < len(given) else own)
    axis += 1
  return tuple(found) + given[axis:]


def _filled_shape(dims, op, index):
  del index
  return dims.value(op.inputs[0])


def _broadcast_to(dims, op, index):
  del index
  return dims.value(op.inputs[1])


_RULES = {
  "MatMul": _matmul,
  "BatchMatMul": _matmul,
  "BatchMatMulV2": _matmul,
  "Reshape": _reshape,
  "ConcatV2": _along(_concat),
  "Split": _along(_split),
  "SplitV": _along(_split),
  "Pack": _pack,
  "Unpack": _unpack,
  "Transpose": _transpose,
  "ExpandDims": _expand,
  "Squeeze": _squeeze,
  "Sum": _reduce,
  "Mean": _reduce,
  "Max": _reduce,
  "Min": _reduce,
  "Prod": _reduce,
  "GatherV2": _gather,
  "ResourceGather": _gather,
  "Slice": _slice,
  "StridedSlice": _strided_slice,
  "Fill": _filled_shape,
  "BroadcastTo": _broadcast_to,
}

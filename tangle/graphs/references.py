"""Reference variables: the ops that assign them, and copies of their values.

A read of a reference variable returns its memory, not its value: an op that
uses it later sees a later value. `keep_tensors` and `keep_reads` change the
readers in a copy of forward ops, so that they read a copy of the value instead:
one per variable, or, if the forward pass assigns the variable, one per moment
at which it is read.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import cut, internals

VIEWS = frozenset(
  [
    "CheckNumerics",
    "EnsureShape",
    "ExpandDims",
    "Identity",
    "PreventGradient",
    "RefIdentity",
    "Reshape",
    "Snapshot",
    "Squeeze",
    "StopGradient",
  ]
)
"""Types of ops whose output is the memory of their first input."""

_PASSING = VIEWS | {"Merge", "RefMerge", "RefSwitch", "Switch"}
_HARMLESS = compat.V1_CONTROL_FLOW | {
  "IsVariableInitialized",
  "RefIdentity",
  "RefSelect",
}


def of(tensor):
  """Returns the reference variable that `tensor` refers to.

  Args:
    tensor: a reference, of any shape.

  Returns:
    The op that holds the variable; `None` if it may be one of several, as after
    a `Merge`.
  """
  while tensor.op.type not in cut.REFERENCES:
    found = [t for t in tensor.op.inputs if compat.is_ref(t)]
    if len(found) != 1:
      return None
    tensor = found[0]
  return tensor.op


def assigned(ops):
  """Finds the reference variables that ops change.

  Args:
    ops: a sequence of ops.

  Returns:
    A dict from the op that holds a variable to the list of the ops among `ops`
    that change it.
  """
  found = {}
  for op in ops:
    if op.type in _HARMLESS:
      continue
    for index, tensor in enumerate(op.inputs):
      if compat.is_ref(tensor) and internals.takes_ref(op, index):
        held = of(tensor)
        if held is not None and op not in found.setdefault(held, []):
          found[held].append(op)
  return found


def read_of(tensor):
  """Finds the read of a variable whose memory `tensor` is.

  Args:
    tensor: a tensor of any shape.

  Returns:
    The op that reads a resource variable or holds a reference variable; `None`
    if `tensor` is neither such a value nor a reshape of one.
  """
  while True:
    op = tensor.op
    if op.type in cut.REFERENCES or op.type == "ReadVariableOp":
      return op
    inputs = list(op.inputs)
    rest = inputs[1:]
    if op.type not in VIEWS or any(t.op.type != "Const" for t in rest):
      return None
    tensor = inputs[0]


def is_read(op):
  """Whether an op only returns the memory of a reference variable.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool: false for the op that holds the variable itself.
  """
  return op.type in VIEWS and compat.is_ref(op.inputs[0])


def is_value(tensor):
  """Whether a tensor is the memory of a reference variable.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool: true if `read_of` finds the op of a reference variable.
  """
  op = read_of(tensor)
  return op is not None and op.type in cut.REFERENCES


def is_copyable(dtype):
  """Whether a tensor of `dtype` can be copied within the runtime.

  Args:
    dtype: a `tf.DType`.

  Returns:
    A bool.
  """
  base = dtype.base_dtype
  return base.is_floating or base.is_integer or base.is_complex or base.is_bool


def keep_tensors(tensors, ops):
  """Makes ops read copies of tensors, in place of the tensors.

  Args:
    tensors: tensors of any shapes, outside TensorFlow 1 style loops.
    ops: ops that were added after the last run of the graph; their inputs are
      changed. Those that take a tensor as a reference still read it.

  Returns:
    The list of the copies, one for each different tensor, in order.
  """
  copies = {}
  for tensor in tensors:
    if tensor.name not in copies:
      with tensor.graph.colocate_with(tensor.op, ignore_existing=True):
        copies[tensor.name] = copy(tensor)
  for op in ops:
    for index, tensor in enumerate(op.inputs):
      if tensor.name in copies and not internals.takes_ref(op, index):
        compat.update_input(op, index, copies[tensor.name])
  return list(copies.values())


def copy(tensor):
  """Adds ops that copy a tensor to memory of its own.

  Args:
    tensor: a tensor of any shape, of a dtype that `is_copyable`; for any other
      dtype, the run of the copy fails.

  Returns:
    A tensor of the same dtype, shape and value, in the default graph. The
    gradient flows through it unchanged; a later change of the variable whose
    memory `tensor` is does not change it.
  """
  if tensor.dtype.base_dtype.is_bool:  # DeepCopy has no kernel for bool
    return tf1.cast(tf1.cast(tensor, tf1.int8), tf1.bool)
  with tensor.graph.gradient_override_map({"DeepCopy": "Identity"}):
    return tf1.raw_ops.DeepCopy(x=tensor)


def keep_reads(variables, ops):
  """Makes ops read copies of variables, each taken right before its op runs.

  Adds the copies to the graph. Values of dtypes that cannot be copied, such as
  strings, are still read directly.

  Args:
    variables: ops that hold reference variables.
    ops: ops that were added after the last run of the graph, producers before
      consumers. Their inputs are changed. They must include all ops between the
      variables and the ops that read their memory.
  """
  held = {variable.outputs[0].name for variable in variables}
  shared, size = set(held), -1
  while len(shared) > size:  # only a loop needs more than one round
    size = len(shared)
    for op in ops:
      for tensor in op.outputs:
        refers = compat.is_ref(tensor) and of(tensor) in variables
        passes = op.type in _PASSING and any(
          t.name in shared and t.dtype.base_dtype == tensor.dtype.base_dtype
          for t in op.inputs
        )
        if refers or passes:
          shared.add(tensor.name)
  copies = {}
  for op in ops:
    if op.type in _PASSING:
      continue
    for index, tensor in enumerate(op.inputs):
      by_value = tensor.name in shared and not internals.takes_ref(op, index)
      if by_value and is_copyable(tensor.dtype):
        found = _copy_for(op, index, tensor, copies)
        compat.update_input(op, index, found)


def _copy_for(op, index, tensor, copies):
  """Returns the copy of `tensor` that `op` reads, taken just before it runs."""
  others = [t.op for k, t in enumerate(op.inputs) if k != index]
  others = [other for other in others if other is not tensor.op]
  waits = list(dict.fromkeys(others + list(op.control_inputs)))
  key = tensor.name, tuple(wait.name for wait in waits)
  if key not in copies:
    graph = op.graph
    with graph.control_dependencies(None), internals.in_context_of(op):
      with graph.colocate_with(op, ignore_existing=True):
        with graph.control_dependencies(waits):
          copies[key] = copy(tensor)
  return copies[key]

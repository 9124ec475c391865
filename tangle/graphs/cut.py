"""Finds the residuals: where a backward pass reads the forward pass.

`cut` walks from gradients back to the forward ops. It returns the tensors that
must be kept between the two passes, and the ops that must be copied to read
the restored tensors. It adds one op for each tensor of which the backward pass
needs only the shape, and changes nothing else in the graph.

Constants and the handles of variables are neither kept nor copied, as the
backward run can read them directly. A constant with a control dependency is
copied without it. A read of a variable is kept, because a later read could
return a later value.
"""

from typing import Any, Dict, FrozenSet, List, NamedTuple

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import handles

FREE = frozenset(["Const", "VarHandleOp"])
"""Types of forward ops that the backward pass may read directly."""

VARIABLE_READS = frozenset(
  ["ReadVariableOp", "ResourceGather", "ResourceGatherNd"]
)
"""Types of the ops that read a resource variable."""

REFERENCES = frozenset(["VariableV2", "Variable"])
"""Types of the ops that hold a reference variable."""

SHAPES = frozenset(["Shape", "ShapeN", "Size", "Rank", "ZerosLike"])
"""Types of ops that read only the shape of their argument."""

SESSION_STORE = 'Use store="session".'
"""The remedy, in messages, for resources that live for one run only."""

_CHECKS = frozenset(
  [
    "Assert",
    "CheckNumerics",
    "CheckNumericsV2",
    "IsVariableInitialized",
    "VarIsInitializedOp",
    "VariableShape",
  ]
)
_PLACEHOLDERS = frozenset(["Placeholder", "PlaceholderWithDefault"])


class Cut(NamedTuple):
  """The tensors and ops that separate a backward pass from its forward pass.

  Attributes:
    kept: the forward tensors that must be kept, in the order of the walk from
      the gradients back.
    copied: the ops that compute the gradients from `kept`.
    recomputed: those of `copied` that are forward ops.
    shaped: a dict from the name of a tensor that holds only a shape (or zeros)
      to the op that makes it. Of the op's argument only the shape is kept.
    handles: a dict from the name of a variable's handle that is an output of a
      loop to the handle that is the loop's input.
    standing: names of constants, and of variables that do not change, that the
      backward pass reads directly: one that is fed in the forward run must be
      fed in the backward run too.
  """

  kept: List[tf1.Tensor]
  copied: List[tf1.Operation]
  recomputed: List[tf1.Operation]
  shaped: Dict[str, Any]
  handles: Dict[str, tf1.Tensor]
  standing: FrozenSet[str]


class Shapes:
  """Shapes of tensors of which backward passes need only the shape.

  Attributes:
    tensors: a dict from the name of a tensor to the int32 vector `[rank]`
      that holds its shape, computed in the forward pass.
  """

  def __init__(self):
    self.tensors = {}

  def add(self, tensor):
    """Returns the shape of `tensor`, int32 `[rank]`; adds its op only once."""
    if tensor.name not in self.tensors:
      with tf1.control_dependencies(None):
        shape = tf1.shape(
          tensor, name="shape_of_" + tensor.op.name.split("/")[-1]
        )
      self.tensors[tensor.name] = shape
    return self.tensors[tensor.name]

  def has(self, tensor, names):
    """Whether `add` made the shape of `tensor`, and `names` has its name."""
    found = self.tensors.get(tensor.name)
    return found is not None and found.name in names


def is_repeatable(op):
  """Whether a second run of `op` returns the same values as the first.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool: false for placeholders, reads of variables, random and other
    stateful ops; true for checks, such as `CheckNumerics`.
  """
  if op.type in _PLACEHOLDERS or op.type in REFERENCES:
    return False
  return op.type in FREE | _CHECKS or not _has_effects(op)


def stateful_ops(ops):
  """Lists those of `ops` that are stateful, except harmless ones.

  Args:
    ops: a sequence of ops.

  Returns:
    A list of ops, in the order of `ops`: random ones, queues, tables, datasets,
    assignments, prints, calls of Python; not variables and their reads,
    placeholders, and checks.
  """
  reads = FREE | VARIABLE_READS | REFERENCES | _PLACEHOLDERS
  harmless = reads | _CHECKS
  return [op for op in ops if op.type not in harmless and _has_effects(op)]


def _has_effects(op):
  """Whether `op` is registered as stateful, or changes a reference."""
  op_def = op.op_def
  return op_def.is_stateful or any(arg.is_ref for arg in op_def.input_arg)


def cut(
  targets,
  is_backward,
  sources,
  inputs,
  keep,
  shapes,
  have=frozenset(),
  standing=FREE,
):
  """Separates the ops that compute `targets` from the forward pass.

  Args:
    targets: gradients, tensors of any shapes.
    is_backward: a predicate of an op, true for the ops of the backward pass.
    sources: names of tensors that the copy reads directly, such as the upstream
      gradients.
    inputs: names of the tensors where the forward pass begins. They may be
      fed, so that they are kept if the backward pass reads them.
    keep: a predicate of a forward tensor that the backward pass, or a
      recomputed forward op, reads. If it is false, the tensor is recomputed
      from kept tensors. Tensors that cannot be recomputed (of random ops, reads
      of variables, placeholders) are kept in any case.
    shapes: a `Shapes` to which the needed shapes are added; with `None`, shapes
      are not decided on, and nothing is added to the graph.
    have: names of tensors that are kept already. If only the shape of a tensor
      is needed, it is taken from these if possible.
    standing: types of the forward ops that the backward pass reads directly.

  Returns:
    A `Cut`.
  """
  found = _Walk(is_backward, sources, inputs, keep, standing)
  found.visit(list(targets))
  if shapes is not None:
    found.settle_shapes(shapes, have)
  copied = list(found.visited)
  return Cut(
    kept=list(found.kept.values()),
    copied=copied,
    recomputed=[op for op in copied if not is_backward(op)],
    shaped=found.shaped,
    handles=found.handles,
    standing=frozenset(found.standing),
  )


class _Walk:
  """The walk from gradients back to the kept tensors.

  The attributes `shaped`, `handles` and `standing` are as in `Cut`; `kept` is a
  dict from name to tensor; the keys of `visited` are the ops to copy, in order.
  """

  def __init__(self, is_backward, sources, inputs, keep, standing):
    self._is_backward = is_backward
    self._standing_types = standing
    self._sources = sources
    self._inputs = inputs
    self._keep = keep
    self.kept = {}
    self.visited = {}
    self.shaped = {}
    self.handles = {}
    self.standing = set()

  def visit(self, roots):
    """Walks back from tensors until each path reaches an end."""
    stack = list(reversed(roots))
    while stack:
      tensor = stack.pop()
      if tensor.name in self._sources or tensor.name in self.kept:
        continue
      # An input may be fed: it is kept even if its op is recomputed for another
      # output.
      repeated = tensor.op in self.visited and tensor.name not in self._inputs
      if repeated or self._ends(tensor):
        continue
      for op in self._enter(tensor.op):
        stack.extend(reversed(list(op.inputs)))

  def _enter(self, op):
    """Records an op to copy, and the backward ops that it waits for.

    Those may be checks or counters, whose outputs no op reads.
    """
    entered = [op]
    self.visited[op] = True
    for current in entered:
      if self._is_backward(current):
        for control in current.control_inputs:
          if self._follows(control) and control not in self.visited:
            self.visited[control] = True
            entered.append(control)
    return entered

  def _follows(self, control):
    """Whether to copy an op that a backward op waits for.

    Ops inside a loop are not copied; they read forward tensors that have no
    single shape.
    """
    in_loop = compat.in_v1_control_flow(control)
    return self._is_backward(control) and not in_loop

  def _ends(self, tensor):
    """Whether the walk ends at `tensor`; if so, records the tensor."""
    op = tensor.op
    if self._is_backward(op):
      return self._ends_backward(tensor)
    if tensor.name in self._inputs:
      self.kept[tensor.name] = tensor
    elif waits(op):
      return False  # a direct read would run the op that it waits for
    elif op.type in self._standing_types:
      self.standing.add(tensor.name)
    elif handles.source(tensor).op.type in FREE:
      self.handles[tensor.name] = handles.source(tensor)
    elif not _can_repeat(op) or self._keep(tensor):
      self.kept[tensor.name] = tensor
    else:
      return False
    return True

  def _ends_backward(self, tensor):
    """Whether a backward op can run in the forward run instead."""
    op = tensor.op
    if not _reads_only_forward(op, self._is_backward, self._sources):
      return False
    if op.type in SHAPES and _is_dense(op.inputs[0]):
      self.shaped[tensor.name] = op
    elif op.type in VARIABLE_READS:
      self.kept[tensor.name] = tensor
    else:
      return False
    return True

  def settle_shapes(self, shapes, have):
    """Decides from what to compute each tensor in `shaped`."""
    for name, op in list(self.shaped.items()):
      argument = _argument(name, op)
      if all(t.name in self.kept or t.op in self.visited for t in op.inputs):
        del self.shaped[name]  # its argument is available: the op is copied
        self.visited[op] = True
      elif argument.shape.is_fully_defined():
        continue
      elif argument.name in have:
        self.kept[argument.name] = argument
      elif have and not shapes.has(argument, have) and not self._keep(argument):
        del self.shaped[name]  # recomputing is cheaper than keeping
        self.visited[op] = True
        self.visit(list(op.inputs))
      else:
        shape = shapes.add(argument)
        self.kept[shape.name] = shape


def _can_repeat(op):
  """Whether a copy of the forward op `op` returns the same values."""
  return is_repeatable(op) and op.type not in compat.V1_CONTROL_FLOW


def waits(op):
  """Whether `op` is a constant with a control dependency.

  Constants in TensorFlow 1 style loops do not count.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool.
  """
  is_held = op.type == "Const" and bool(op.control_inputs)
  return is_held and not compat.in_v1_control_flow(op)


def rebuild_shapes(shaped, restored, shapes):
  """Makes the shapes and zeros of a cut from the kept shapes.

  Args:
    shaped: `Cut.shaped`.
    restored: a dict from the name of a kept tensor to the restored tensor.
    shapes: the `Shapes` that the cut was made with.

  Returns:
    A dict from the name of each tensor in `shaped` to its new tensor, whose ops
    are added to the default graph.
  """
  built = {}
  for name, op in shaped.items():
    argument = _argument(name, op)
    if argument.shape.is_fully_defined():
      shape = tf1.constant(argument.shape.as_list(), tf1.int32)
    elif shapes.has(argument, restored):
      shape = restored[shapes.tensors[argument.name].name]
    else:
      shape = tf1.shape(restored[argument.name])
    dtype = op.outputs[_index(name)].dtype
    if op.type == "ZerosLike":
      built[name] = tf1.zeros(shape, dtype)
    elif op.type == "Size":
      built[name] = tf1.cast(tf1.reduce_prod(shape), dtype)
    elif op.type == "Rank":
      built[name] = tf1.cast(tf1.size(shape), dtype)
    else:
      built[name] = tf1.cast(shape, dtype)
  return built


def _argument(name, op):
  """Returns the tensor whose shape is in the output `name` of `op`."""
  return op.inputs[_index(name) if op.type == "ShapeN" else 0]


def _index(name):
  return int(name.rpartition(":")[2])


def _reads_only_forward(op, is_backward, sources):
  """Whether no input of `op` is of the backward pass or in `sources`."""
  return len(op.inputs) > 0 and not any(
    tensor.name in sources or is_backward(tensor.op) for tensor in op.inputs
  )


def _is_dense(tensor):
  return tensor.dtype.base_dtype not in (tf1.resource, tf1.variant)


def check(result, remedy=SESSION_STORE):
  """Refuses a cut whose tensors cannot leave the run that makes them.

  Args:
    result: a `Cut`.
    remedy: the end of the error messages.

  Raises:
    CutError: if a tensor that must be kept has no single value, or belongs to
      a resource that lives for one run only, or if an op to copy lies inside a
      TensorFlow 1 style loop or conditional.
  """
  for tensor in result.kept:
    if compat.in_v1_control_flow(tensor.op):
      raise errors.CutError(
        f"the residual {tensor.name!r} lies inside a TensorFlow 1 "
        f"style loop or conditional and has no single value to keep. {remedy}"
      )
    if tensor.dtype.base_dtype == tf1.resource:
      raise errors.CutError(
        f"the residual {tensor.name!r} ({tensor.op.type}) is the "
        f"handle of a resource that lives for one run only. {remedy}"
      )
  for op in result.copied:
    if compat.in_v1_control_flow(op):
      raise errors.CutError(
        f"the gradient op {op.name!r} lies inside a TensorFlow 1 "
        f"style loop or conditional and cannot be copied. {remedy}"
      )

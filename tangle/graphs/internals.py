"""Facts about ops for which TensorFlow has no public API.

The accessors are the same in 1.15 and 2.x unless a comment says otherwise. Code
that has to import TensorFlow is in `compat`.
"""

import contextlib


def in_v1_loop(op):
  """Whether `op` lies inside a TensorFlow 1 style loop, not a conditional.

  Args:
    op: a `tf.Operation`.

  Returns:
    A bool.
  """
  context = op._get_control_flow_context()
  while context is not None and not context.IsWhileContext():
    context = context.outer_context
  return context is not None


def outermost_context(op):
  """Returns the outermost TensorFlow 1 style loop or conditional around `op`.

  Args:
    op: a `tf.Operation`.

  Returns:
    A `ControlFlowContext`, which has `to_proto`; `None` if there is none.
  """
  context = op._get_control_flow_context()
  found = None
  while context is not None:
    if context.IsWhileContext() or context.IsCondContext():
      found = context
    context = context.outer_context
  return found


@contextlib.contextmanager
def in_context_of(op):
  """Within this context, new ops join the TensorFlow 1 style loop of `op`.

  The same holds for conditionals. There is no public API for this.

  Args:
    op: a `tf.Operation`.
  """
  context = op._get_control_flow_context()
  if context is not None and op.type in ("Enter", "RefEnter"):
    context = context.outer_context  # the inputs of an Enter op are outside
  if context is None:
    yield
    return
  context.Enter()
  try:
    yield
  finally:
    context.Exit()


def share_gradient_function(op, copy):
  """Gives a copy of `op` the gradient function that was set on `op`.

  On 2.x, calls of a `tf.function` have one. A GraphDef does not hold it.

  Args:
    op: a `tf.Operation`.
    copy: its copy, in the same graph.
  """
  found = getattr(op, "_gradient_function", None)
  if found is not None:
    copy._gradient_function = found


def takes_ref(op, index):
  """Whether `op` takes an input as a reference, not by its value.

  Args:
    op: a `tf.Operation`.
    index: which of its inputs.

  Returns:
    A bool.
  """
  for arg in op.op_def.input_arg:
    if arg.number_attr:
      count = op.get_attr(arg.number_attr)
    elif arg.type_list_attr:
      count = len(op.get_attr(arg.type_list_attr))
    else:
      count = 1
    if index < count:
      return arg.is_ref
    index -= count
  return False


def called(op):
  """Returns the name of the function that an op calls.

  Args:
    op: a `tf.Operation` for which `compat.is_call` is true.

  Returns:
    A string.
  """
  return op.type if op.graph._is_function(op.type) else op.get_attr("f").name


def function_def(graph, name):
  """Returns the definition of a function of a graph.

  The public API would have to serialize the whole graph.

  Args:
    graph: a `tf.Graph`.
    name: name of the function.

  Returns:
    A `FunctionDef`, or `None` if the graph has no such function.
  """
  found = graph._get_function(name)
  for attribute in ("cached_definition", "definition", "function_def"):
    if hasattr(found, attribute):
      return getattr(found, attribute)
  return None


def add_control_inputs(op, controls):
  """Adds control inputs to a new op.

  Args:
    op: a `tf.Operation` that was added to the graph after its last run; a
      session ignores the change for an older op.
    controls: ops of the same graph, which `op` will wait for; may be empty.
  """
  if controls:
    op._add_control_inputs(controls)

"""Finds gradient functions by `tf.custom_gradient`, and tensors in them.

Such a Python function closes over tensors that existed when its op was made,
and reads them even if it is called for a copy of the op. So these tensors have
to be copied with the op, and the ops that the function adds redirected.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import cloning, internals

_KIND = "_gradient_op_type"


def has_memory(node):
  """Whether a node's gradient is a function by `tf.custom_gradient`.

  Args:
    node: a `NodeDef`.

  Returns:
    A bool.
  """
  kind = node.attr[_KIND].s if _KIND in node.attr else b""
  return kind.startswith(b"CustomGradient-")


def _remembers(node):
  """Whether a node's gradient function closes over other ops.

  The function is called in a scratch graph, which lacks those ops.

  Args:
    node: a `NodeDef`.

  Returns:
    A bool; true also if the function raises.
  """
  if not has_memory(node):
    return False
  kinds = node.attr["T"]
  dtypes = [tf1.as_dtype(k) for k in kinds.list.type or [kinds.type]]
  with tf1.Graph().as_default() as graph:
    inputs = [tf1.placeholder(dtype) for dtype in dtypes]
    name = node.attr[_KIND].s.decode()
    with graph.gradient_override_map({"IdentityN": name}):
      outputs = tf1.identity_n(inputs)
    floats = [k for k, d in enumerate(dtypes) if compat.is_differentiable(d)]
    inputs, outputs = [[each[k] for k in floats] for each in (inputs, outputs)]
    upstream = [tf1.placeholder(tensor.dtype) for tensor in outputs]
    try:
      gradients = tf1.gradients(outputs, inputs, upstream)
    except Exception:  # pylint: disable=broad-except
      return True  # user code may raise anything
  return any(g is not None and g.graph is not graph for g in gradients)


def inner_memory(op):
  """Finds a gradient function that closes over ops of a loop or conditional.

  Args:
    op: a `tf.Operation`.

  Returns:
    The name of `op` if it lies in a TensorFlow 1 style loop or conditional and
    has such a function; if `op` is a TensorFlow 2 style loop or conditional,
    the name of a node in its functions that has one; else `None`.
  """
  if internals.outermost_context(op) is not None:
    return op.name if _remembers(op.node_def) else None
  waiting, seen = ([op.node_def] if op.type in cloning.FLOW_V2 else []), set()
  while waiting:
    for function in cloning.functions_of(waiting.pop()):
      found = internals.function_def(op.graph, function.name)
      if found is None or function.name in seen:
        continue
      seen.add(function.name)
      for node in found.node_def:
        if _remembers(node):
          return f"{function.name}/{node.name}"
        if node.op in cloning.FLOW_V2:
          waiting.append(node)
  return None


def remembered(ops):
  """Lists the tensors that Python gradient functions read.

  Those of `ops` that have a gradient function by `tf.custom_gradient` are
  differentiated, which calls it. The ops that it adds stay in the graph, in the
  scope `remembered`, but never run.

  Args:
    ops: a sequence of ops outside loops and conditionals.

  Returns:
    A list of tensors, of any shapes, that existed before; empty if no op has
    such a function. An error that a function raises passes to the caller.
  """
  found = {}
  for op in ops:
    if not has_memory(op.node_def):
      continue
    graph = op.graph
    outputs = [t for t in op.outputs if compat.is_differentiable(t.dtype)]
    inputs = [t for t in op.inputs if compat.is_differentiable(t.dtype)]
    before = len(graph.get_operations())
    with graph.as_default(), tf1.name_scope("remembered"):
      with graph.control_dependencies(None):
        upstream = [tf1.placeholder(t.dtype, t.shape) for t in outputs]
        gradients = tf1.gradients(
          outputs, inputs, upstream, stop_gradients=inputs
        )
    made = graph.get_operations()[before:]
    read = [tensor for each in made for tensor in each.inputs]
    read += [g for g in gradients if isinstance(g, tf1.Tensor)]
    made = set(made)
    found.update((t.name, t) for t in read if t.op not in made)
  return list(found.values())

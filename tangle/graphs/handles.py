"""Follows the handles of variables back to their variables.

A loop returns each variable that its body reads as an output, unchanged, and so
does a function that contains such a loop.
"""

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import internals

_LOOPS = frozenset(["While", "StatelessWhile"])


def of(variable):
  """Returns the tensor by which ops refer to `variable`.

  Args:
    variable: a resource or reference variable.

  Returns:
    The scalar handle of a resource variable, or the reference.
  """
  return variable.op.outputs[0]


def source(tensor):
  """Finds the tensor that has the same value outside loops and functions.

  Args:
    tensor: a tensor of any shape.

  Returns:
    The handle that was passed into the outermost loop or function call, which
    returns it unchanged as `tensor`; `tensor` itself if there is no such call,
    or `tensor` is no handle of a resource.
  """
  while tensor.dtype == tf1.resource:
    op, index = tensor.op, tensor.value_index
    if compat.is_call(op):
      index = _argument(op.graph, internals.called(op), index)
    elif op.type == "Identity":
      index = 0
    elif op.type not in _LOOPS:
      return tensor
    if index is None:
      return tensor
    tensor = op.inputs[index]
  return tensor


def _argument(graph, name, index):
  """Returns which argument of a function its result `index` is, or `None`."""
  function = internals.function_def(graph, name)
  if function is None:
    return None
  arguments = [argument.name for argument in function.signature.input_arg]
  nodes = {node.name: node for node in function.node_def}
  found = function.ret[function.signature.output_arg[index].name]
  while found not in arguments:
    name, _, place = found.partition(":")
    node = nodes.get(name)
    if node is None:
      return None
    index = int(place.rpartition(":")[2] or 0)
    if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
      index = _argument(graph, node.attr["f"].func.name, index)
    elif node.op == "Identity":
      index = 0
    elif node.op not in _LOOPS:
      return None
    if index is None:
      return None
    found = node.input[index]
  return arguments.index(found)

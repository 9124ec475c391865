"""Walks through a static graph: ancestors, dependents, ops between, variables.

Every walk is iterative and visits an op once, so that the work is linear in the
ops and edges visited. The order of the results is the same for the same graph.
Tensors are identified by name: on TensorFlow 2 they cannot be hashed.
"""

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import strategies


def check_tensors(argument, tensors, graph=None):
  """Returns `tensors` as a list, all of them tensors of one graph.

  Args:
    argument: the argument's name, for messages.
    tensors: a sequence of `tf.Tensor` of any shapes.
    graph: the graph that they must belong to; that of the first by default.

  Returns:
    A list of the tensors, empty if `tensors` is empty.

  Raises:
    ArgumentError: if `tensors` is not a sequence of tensors of a graph, such as
      one tensor, or a list with an eager or a sparse tensor.
    GraphError: if a tensor belongs to another graph.
  """
  if isinstance(tensors, tf1.Tensor) or not hasattr(tensors, "__iter__"):
    is_one = isinstance(tensors, tf1.Tensor) and hasattr(tensors, "graph")
    remedy = "Put it into a list" if is_one else "Give a list of tensors"
    raise errors.ArgumentError(
      f"{argument} must be a sequence of tensors, got "
      f"{errors.show(tensors)}. {remedy}."
    )
  tensors = list(tensors)
  for tensor in tensors:
    if isinstance(tensor, tf1.SparseTensor):
      raise errors.ArgumentError(
        f"{argument} has {tensor}. Name its parts: x.values has "
        f"gradients, x.indices and x.dense_shape are data."
      )
    if not isinstance(tensor, tf1.Tensor) or not hasattr(tensor, "graph"):
      raise errors.ArgumentError(
        f"{argument} must hold tensors of a graph, got "
        f"{errors.show(tensor)}. Give a placeholder and feed it the values, "
        f"or make a tensor of it within the graph, by tf.convert_to_tensor()."
      )
    graph = tensor.graph if graph is None else graph
    if tensor.graph is not graph:
      raise errors.GraphError(
        f"{argument} has {tensor.name!r}, which belongs to another "
        f"graph. Build all tensors of this call in one graph."
      )
  return tensors


def names(tensors):
  """Returns the set of the names of `tensors`, of any shapes, such as "x:0"."""
  return {tensor.name for tensor in tensors}


def ancestors(tensors, stop=(), control=False):
  """Lists the ops that compute `tensors`, in an order in which they can run.

  Args:
    tensors: tensors of one graph, of any shapes, or ops, or variables. One
      whose name is that of a tensor in `stop` adds nothing.
    stop: tensors at which the walk stops, as their values are given. An op is
      not listed if the walk reaches only such outputs of it.
    control: whether to follow control dependencies too.

  Returns:
    A list of ops, producers before consumers (but for the cycles of
    TensorFlow 1 style loops).
  """
  stopped = names(stop)
  seen = set()
  order = []

  def parents(op):
    found = [t.op for t in op.inputs if t.name not in stopped]
    if control:
      found.extend(op.control_inputs)
    return iter(found)

  for tensor in tensors:
    end = getattr(tensor, "op", tensor)
    if tensor.name in stopped or end in seen:
      continue
    seen.add(end)
    stack = [(end, parents(end))]
    while stack:
      op, rest = stack[-1]
      for parent in rest:
        if parent not in seen:
          seen.add(parent)
          stack.append((parent, parents(parent)))
          break
      else:
        stack.pop()
        order.append(op)
  return order


def dependents(sources, ops, follow=None):
  """Names the tensors among `ops` that depend on `sources`.

  Args:
    sources: tensors to start from, of any shapes.
    ops: the ops to look at, producers before consumers.
    follow: a predicate of a tensor; dependences through a tensor for which it
      is false are ignored. By default none is ignored.

  Returns:
    A set of tensor names that holds the names of `sources` too.
  """
  reached = names(sources)
  ops = list(ops)
  changed = True
  while changed:  # only a cyclic graph needs more than one round
    changed = False
    for op in ops:
      if any(tensor.name in reached for tensor in op.inputs):
        for tensor in op.outputs:
          if tensor.name not in reached and (follow is None or follow(tensor)):
            reached.add(tensor.name)
            changed = changed or compat.in_v1_control_flow(op)
  return reached


def between(inputs, outputs):
  """Lists the ops that depend on `inputs` and that `outputs` depend on.

  Args:
    inputs: tensors of any shapes.
    outputs: tensors of any shapes.

  Returns:
    A list of ops, producers before consumers.
  """
  ops = ancestors(outputs, stop=inputs)
  reached = dependents(inputs, ops)
  return [op for op in ops if any(t.name in reached for t in op.inputs)]


def trainable_variables(ops, graph):
  """Lists the trainable variables of `graph` that `ops` hold or read.

  For a variable of a distribution strategy, the list has the components on the
  devices of `ops`.

  Args:
    ops: ops of `graph`.
    graph: a `tf.Graph`.

  Returns:
    A list of variables in the order of the graph's collection.
  """
  present = set(ops)
  found = {}
  for listed in graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES):
    for variable in strategies.components(listed):
      # 2.x may list a component next to the variable that it is part of.
      if variable.op in present:
        found.setdefault(variable.op.name, variable)
  return list(found.values())


def reach(outputs, ops):
  """Returns for each tensor among `ops` which of `outputs` depend on it.

  Args:
    outputs: N tensors, of any shapes.
    ops: the ops to look at, producers before consumers; all of those between
      the tensors and `outputs`.

  Returns:
    A dict from tensor name to a bit mask: bit n is set if `outputs[n]` is the
    tensor or depends on it. Tensors that no output depends on are not keys.
  """
  masks = {}
  for n, tensor in enumerate(outputs):
    masks[tensor.name] = masks.get(tensor.name, 0) | 1 << n
  for op in reversed(list(ops)):
    mask = 0
    for tensor in op.outputs:
      mask |= masks.get(tensor.name, 0)
    if mask:
      for tensor in op.inputs:
        masks[tensor.name] = masks.get(tensor.name, 0) | mask
  return masks

"""Finds recorded shapes that contradict those that TensorFlow infers.

A `.meta` file records the shapes of each node's outputs in `_output_shapes`.
TensorFlow refuses the file if one of them contradicts the shape that it infers
itself. An example are the unused outputs of the gradient of an inference-mode
batch norm, for which 1.15 and 2.x infer different shapes. Without the
attribute, TensorFlow infers all shapes. Recorded shapes that contradict nothing
are kept: they hold what `set_shape` has set.
"""

import re

from tangle import compat
from tangle.compat import tf1

_RECORDED = "_output_shapes"
_INPUTS = "_input_shapes"
_CULPRIT = re.compile(r"Node '([^']+)'? has an? (?:invalid )?_output_shapes")
_MOST_TRIALS = 10


def drop_stale(graph_def):
  """Drops the recorded shapes in a graph that TensorFlow refuses.

  Args:
    graph_def: a `GraphDef`; it is changed, but not its functions.

  Returns:
    A tuple of names of the changed nodes; empty if TensorFlow accepts the graph
    as it is, or refuses it even without recorded shapes.
  """
  return tuple(node.name for node in _drop(graph_def, graph_def.node))


def drop_stale_in_functions(graph_def):
  """Drops the recorded shapes in functions that TensorFlow would refuse later.

  It reads them when the gradient of a call, a loop or a conditional is built.

  Args:
    graph_def: a `GraphDef`; it is changed.

  Returns:
    A tuple of names of the changed nodes, each `"function/node"`; empty if no
    shape is dropped.
  """
  functions = [
    function
    for function in graph_def.library.function
    if any(_RECORDED in node.attr for node in function.node_def)
  ]
  if not functions:
    return ()
  try:
    bodies, names = _spread(functions, graph_def)
  except (KeyError, IndexError, ValueError):
    return ()  # the body has an unknown form
  originals = {
    f"{names[function.signature.name]}/{node.name}": (function, node)
    for function in functions
    for node in function.node_def
  }
  stale = []
  for copy in _drop(bodies, bodies.node):
    function, node = originals[copy.name]
    del node.attr[_RECORDED]
    stale.append(f"{function.signature.name}/{node.name}")
  return tuple(stale)


def _drop(graph_def, nodes):
  """Drops stale shapes; returns the nodes that lost their recorded shapes."""
  if _try(graph_def) is None:
    return []
  recorded = {node.name: node for node in nodes if _RECORDED in node.attr}
  bare = tf1.GraphDef()
  bare.CopyFrom(graph_def)
  for node in bare.node:
    node.attr.pop(_RECORDED, None)
  try:
    inferred = _infer(bare)
  except Exception:  # TensorFlow raises errors of many classes
    return []
  stale = [
    node
    for name, node in recorded.items()
    if not _agree(node.attr[_RECORDED].list.shape, inferred[name])
  ]
  for node in stale:
    del node.attr[_RECORDED]
  for _ in range(_MOST_TRIALS):
    error = _try(graph_def)  # some errors show only with the remaining shapes
    if error is None:
      return stale
    culprit = _CULPRIT.search(str(error))
    node = recorded.get(culprit.group(1)) if culprit else None
    if node is None or _RECORDED not in node.attr:
      break
    del node.attr[_RECORDED]
    stale.append(node)
  for node in recorded.values():
    node.attr.pop(_RECORDED, None)
  return list(recorded.values())


def _try(graph_def):
  """Returns the error that importing a graph raises, or `None`."""
  trial = tf1.GraphDef()
  trial.CopyFrom(graph_def)  # an import adds attributes
  try:
    with tf1.Graph().as_default():
      tf1.import_graph_def(trial, name="")
  except Exception as error:  # TensorFlow raises errors of many classes
    return error
  return None


def _infer(graph_def):
  """Imports a graph; returns name of an op → shapes of its outputs."""
  with tf1.Graph().as_default() as graph:
    tf1.import_graph_def(graph_def, name="")
    return {
      op.name: [tensor.shape for tensor in op.outputs]
      for op in graph.get_operations()
    }


def _agree(recorded, inferred):
  return len(recorded) >= len(inferred) and all(
    tf1.TensorShape(shape).is_compatible_with(other)
    for shape, other in zip(recorded, inferred)
  )


def _spread(functions, graph_def):
  """Makes one graph of the bodies of functions, each under its own prefix.

  Returns:
    The `GraphDef`, and a dict: name of a function → its prefix.
  """
  spread = tf1.GraphDef(library=graph_def.library, versions=graph_def.versions)
  signatures = {f.signature.name: f.signature for f in spread.library.function}
  names = {}
  for k, function in enumerate(functions):
    prefix = names[function.signature.name] = f"f{k}"
    places = {}  # name of a tensor in a body → its name in the graph
    shapes = (
      function.attr[_INPUTS].list.shape if _INPUTS in function.attr else ()
    )
    for n, arg in enumerate(function.signature.input_arg):
      if arg.number_attr or arg.type_attr or arg.type_list_attr:
        raise ValueError("an argument of any type")
      node = spread.node.add(name=f"{prefix}/{arg.name}", op="Placeholder")
      node.attr["dtype"].type = arg.type
      if len(shapes) == len(function.signature.input_arg):
        node.attr["shape"].shape.CopyFrom(shapes[n])
      places[arg.name] = f"{prefix}/{arg.name}:0"
    for node in function.node_def:
      op_def = signatures.get(node.op) or compat.op_def(node.op)
      index = 0
      for arg in op_def.output_arg:
        for n in range(_count(arg, node)):
          places[f"{node.name}:{arg.name}:{n}"] = (
            f"{prefix}/{node.name}:{index}"
          )
          index += 1
    for node in function.node_def:
      copy = spread.node.add()
      copy.CopyFrom(node)
      copy.name = f"{prefix}/{node.name}"
      copy.attr.pop("_class", None)
      copy.input[:] = [
        f"^{prefix}/{name[1:]}" if name[0] == "^" else places[name]
        for name in node.input
      ]
  return spread, names


def _count(arg, node):
  """Returns the number of tensors in one argument of an op."""
  if arg.number_attr:
    return node.attr[arg.number_attr].i
  if arg.type_list_attr:
    return len(node.attr[arg.type_list_attr].list.type)
  return 1

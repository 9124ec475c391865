"""Copies part of a graph, with other inputs.

The copy is made by `import_graph_def`, so that it needs no private API and
keeps attributes, functions and devices. It does not copy variables, and cannot
copy TensorFlow 1 style loops.
"""

from tangle import compat
from tangle.compat import tf1


def copy(ops, targets, replace, name="copy"):
  """Copies `ops` into the default graph, with other inputs.

  An input of a copied op is, in this order: its value in `replace`, the output
  of the copy of its producer, or the original tensor. Control dependencies
  among `ops` are copied. Those on other ops are dropped, as are colocation
  constraints on ops that are not copied.

  Args:
    ops: ops of the default graph, or of another graph. Then each tensor that
      the copies read from outside of `ops` and `replace` must exist in the
      default graph under the same name.
    targets: tensors to look up in the copy, of any shapes.
    replace: a dict from tensor name to the tensor to read in its place.
    name: name scope of the copies.

  Returns:
    A list with, for each target, its replacement, its copy, or the tensor of
    that name in the default graph if its producer is not copied.
  """
  graph = tf1.get_default_graph()
  copied = {op.name for op in ops}
  graph_def = tf1.GraphDef()
  graph_def.versions.CopyFrom(graph.graph_def_versions)
  links = {}
  for op in ops:
    node = add_node(graph_def, op, copied, replace, links)
    for control in op.control_inputs:
      if control.name in copied:
        node.input.append("^" + control.name)
  calls = [o for o in ops if o.graph is not graph and _calls_functions(o)]
  for source in dict.fromkeys(op.graph for op in calls):
    graph_def.library.MergeFrom(source.as_graph_def().library)
  wanted = [
    tensor.name
    for tensor in targets
    if tensor.name not in replace and tensor.op.name in copied
  ]
  found = {}
  if ops:
    # The caller's control dependencies and devices must not apply here.
    with graph.control_dependencies(None), graph.device(None):
      imported = tf1.import_graph_def(
        graph_def, input_map=links, return_elements=wanted, name=name
      )
    found = dict(zip(wanted, imported))
  results = []
  for tensor in targets:
    result = replace.get(tensor.name, found.get(tensor.name))
    result = _home(tensor, graph) if result is None else result
    if result is not tensor:
      result.set_shape(tensor.shape)
    results.append(result)
  return results


def move(ops, movable, targets, replace, name="copy"):
  """Makes `ops` read other tensors: like `copy`, with fewer new ops.

  Ops that nothing else reads are not copied: their own inputs are changed.

  Args:
    ops: ops of the default graph.
    movable: ops that no session has run and that nothing outside of `ops`
      reads; only these may be changed.
    targets: as for `copy`.
    replace: as for `copy`.
    name: name scope of the copies.

  Returns:
    As from `copy`; for an output of an op that was changed, that output itself.
  """
  awaited = {before for op in ops for before in op.control_inputs}
  moved = [op for op in ops if op in movable and _is_free(op, awaited)]
  rest = set(ops).difference(moved)
  rest = [op for op in ops if op in rest]
  inputs = [tensor for op in moved for tensor in op.inputs]
  read = [tensor for tensor in inputs if tensor.name not in replace]
  found = copy(rest, targets + read, replace, name)
  copies = zip([tensor.name for tensor in read], found[len(targets) :])
  instead = {**replace, **dict(copies)}
  for op in moved:
    for index, tensor in enumerate(op.inputs):
      if instead[tensor.name] is not tensor:
        compat.update_input(op, index, instead[tensor.name])
  return found[: len(targets)]


def _is_free(op, awaited):
  """Whether `op` has no control dependencies, colocations or functions."""
  return not (
    op in awaited
    or op.control_inputs
    or "_class" in op.node_def.attr
    or _calls_functions(op)
    or compat.in_v1_control_flow(op)
  )


def _calls_functions(op):
  return any("func" in attr.type for attr in op.op_def.attr)


def add_node(graph_def, op, copied, replace, links):
  """Adds a copy of `op` to a graph def, without control dependencies.

  Tensors that the copy reads from elsewhere are looked up, by name, in the
  default graph.

  Args:
    graph_def: the `tf.GraphDef` to add to.
    op: an op, of any graph.
    copied: names of all ops that are copied.
    replace: as for `copy`.
    links: a dict to which the tensors that the copies read from elsewhere are
      added, as the `input_map` of `tf.import_graph_def` takes it.

  Returns:
    The new node.
  """
  graph = tf1.get_default_graph()
  node = graph_def.node.add()
  node.CopyFrom(op.node_def)
  del node.input[:]
  for tensor in op.inputs:
    node.input.append(tensor.name)
    if tensor.name in replace:
      links[tensor.name] = replace[tensor.name]
    elif tensor.op.name not in copied:
      links[tensor.name] = _home(tensor, graph)
  _keep_colocation(node, copied)
  return node


def _home(tensor, graph):
  """Returns the tensor of the same name in `graph`."""
  if tensor.graph is graph:
    return tensor
  return graph.get_tensor_by_name(tensor.name)


def _keep_colocation(node, copied):
  """Drops from `node` the colocation with ops that are not `copied`."""
  if "_class" not in node.attr:
    return
  classes = node.attr["_class"].list.s
  kept = [
    entry
    for entry in classes
    if entry.startswith(b"loc:@") and entry[5:].decode() in copied
  ]
  del node.attr["_class"]
  if kept:
    node.attr["_class"].list.s.extend(kept)

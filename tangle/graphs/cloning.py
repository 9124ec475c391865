"""Copies forward ops within their graph, TensorFlow 1 style loops included.

The user's ops cannot be changed: they may have run, and other ops read them. So
changes are made to a copy, which runs in place of the originals: an input
becomes a separate placeholder, and a read of a reference variable becomes a
value that no later assignment changes.

The copy shares with the original all ops that do not depend on a change:
variables, placeholders, constants, tables, queues.
"""

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import copying, handles, internals, references, walk

FLOW_V2 = frozenset(
  ["Case", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While"]
)
"""Types of the ops of TensorFlow 2 style control flow."""


_OF_ONE_RUN = ("Stack", "TensorArray")
"""Prefixes of the types of ops whose resources live for one run."""


class Clone:
  """A copy of forward ops, with a map from originals to copies.

  Attributes:
    ops: the original ops that were copied, producers before consumers.
    copies: their copies, in the same order.
    scope: the name scope of the copies.
  """

  def __init__(self, graph, ops, replace, scope):
    """Adds the copies to the graph; see `clone`."""
    self.ops = ops
    self.scope = scope
    self._graph = graph
    self._replace = replace
    self._names = {op.name for op in ops}
    self.copies = []

  def name_of(self, name):
    """Returns the name of what `find` returns for the item called `name`."""
    if name in self._replace:
      return self._replace[name].name
    if name.partition(":")[0] in self._names:
      return self.scope + name
    return name

  def copy_of(self, name):
    """Returns the copy's name, if `name` was copied; else as `name_of`."""
    if name.partition(":")[0] in self._names:
      return self.scope + name
    return self.name_of(name)

  def find(self, item):
    """Returns what replaces a tensor of any shape, or an op, in the copy.

    Args:
      item: a tensor, an op, a variable, or anything else that has a name.

    Returns:
      Its replacement, its copy, or `item` itself if it was not copied.
    """
    name = self.name_of(item.name)
    if name == item.name:
      return item
    return self._graph.as_graph_element(name)

  def original(self, tensor):
    """Returns the original of a tensor of any shape.

    Args:
      tensor: a tensor of the copy, or another one.

    Returns:
      The tensor `t` whose `find(t)` is `tensor`, or `tensor` itself.
    """
    for name, other in self._replace.items():
      if other.name == tensor.name:
        return self._graph.get_tensor_by_name(name)
    name = tensor.op.name
    if name.startswith(self.scope) and name[len(self.scope) :] in self._names:
      op = self._graph.get_operation_by_name(name[len(self.scope) :])
      if tensor.value_index < len(op.outputs):  # gradients may add outputs
        return op.outputs[tensor.value_index]
    return tensor

  def redirect(self, ops):
    """Makes new ops read the copies, not the originals.

    Args:
      ops: ops that `tf.gradients` has made for the copies since the last run
        of the graph. A Python gradient function may have closed over the
        originals.
    """
    for op in ops:
      for index, tensor in enumerate(op.inputs):
        other = self.find(tensor)
        if other is not tensor:
          compat.update_input(op, index, other)


def whole_loops(ends, stop=()):
  """Lists the ops that `ends` depend on, with complete loops.

  Args:
    ends: tensors of any shapes, or ops.
    stop: tensors whose values are given.

  Returns:
    A list of ops, producers before consumers. It follows control dependencies,
    and has all ops of each TensorFlow 1 style loop or conditional.
  """
  ends, seen, members = list(ends), set(), None
  while True:
    ops = walk.ancestors(ends, stop, control=True)
    contexts = [internals.outermost_context(op) for op in ops]
    new = [c for c in dict.fromkeys(contexts) if c is not None]
    new = [context for context in new if context not in seen]
    if not new:
      return ops
    if members is None:
      members = {}
      for op in ops[0].graph.get_operations():
        context = internals.outermost_context(op)
        if context is not None:
          members.setdefault(context, []).append(op)
    for context in new:
      seen.add(context)
      ends += members[context]


def clone(ends, replace, touched=(), name="clone", readers=()):
  """Copies the ops between some tensors and `ends`.

  An op is copied if it depends on a tensor in `replace`, is one of `touched`,
  lies inside a TensorFlow 1 style loop or conditional, or depends on an op
  that is copied. Control dependencies count, and are kept.

  Args:
    ends: tensors of any shapes, ops and variables that the copy must have.
    replace: a dict from tensor name to the tensor to read in its place.
    touched: ops to copy in any case.
    name: name scope of the copies.
    readers: ops that compute a tensor in `replace` from the original. If an op
      that the original depends on is copied, they are changed to read the copy,
      so that no run executes an op both as original and as copy.

  Returns:
    A `Clone`, whose ops have been added to the graph.

  Raises:
    CutError: if, on TensorFlow 2, the function of a loop or conditional passes
      the handle of an unknown resource to a function within it.
  """
  graph = ends[0].graph
  stop = [graph.get_tensor_by_name(tensor) for tensor in replace]
  read = {tensor.name: tensor for op in readers for tensor in op.inputs}
  chosen = _choose(ends, stop, replace, touched)
  while True:
    # A read of a variable may run both as original and as copy.
    copied = {op for op in chosen if not references.is_read(op)}
    shared = [
      tensor
      for tensor in stop
      if tensor.name in read
      and not copied.isdisjoint(walk.ancestors([tensor], control=True))
    ]
    if not shared:
      break
    ends = list(ends) + [tensor.op for tensor in shared]
    opened = walk.names(shared)
    stop = [tensor for tensor in stop if tensor.name not in opened]
    chosen = _choose(ends, stop, replace, touched)
  with graph.as_default(), tf1.name_scope(name) as scope:
    found = Clone(graph, chosen, replace, scope)
    _import(graph, found, replace)
  chosen = set(chosen)
  for op in readers:
    for index, tensor in enumerate(op.inputs):
      if tensor.op in chosen:
        other = graph.get_tensor_by_name(found.copy_of(tensor.name))
        compat.update_input(op, index, other)
  return found


def _choose(ends, stop, replace, touched):
  """Lists the ops to copy; the arguments are those of `clone`."""
  touched, chosen, copied = set(touched), [], set()
  for op in whole_loops(ends, stop):
    if (
      op in touched
      or op.type.startswith(_OF_ONE_RUN)
      or internals.outermost_context(op) is not None
      or any(t.name in replace or t.op in copied for t in op.inputs)
      or any(control in copied for control in op.control_inputs)
    ):
      copied.add(op)
      chosen.append(op)
  return chosen


def _import(graph, found, replace):
  """Adds the copies, and registers their loops with TensorFlow."""
  graph_def = tf1.GraphDef()
  graph_def.versions.CopyFrom(graph.graph_def_versions)
  links, names, waits = {}, {op.name for op in found.ops}, {}
  for op in found.ops:
    node = copying.add_node(graph_def, op, names, replace, links)
    for control in op.control_inputs:
      if control.name in names:
        node.input.append("^" + control.name)
      else:
        waits.setdefault(op.name, []).append(control)
    if "frame_name" in node.attr:  # or both loops would share a frame
      frame = found.scope + node.attr["frame_name"].s.decode()
      node.attr["frame_name"].s = frame.encode()
  _rename_functions(graph, found.ops, graph_def, found.scope)
  # The caller's control dependencies and devices must not apply to the copies.
  with graph.control_dependencies(None), graph.device(None):
    tf1.import_graph_def(graph_def, input_map=links, name=found.scope)
  for op in found.ops:
    copy = graph.get_operation_by_name(found.scope + op.name)
    internals.share_gradient_function(op, copy)
    internals.add_control_inputs(copy, waits.get(op.name, []))
    for tensor, other in zip(op.outputs, copy.outputs):
      other.set_shape(tensor.shape)  # a GraphDef does not record set_shape
      compat.share_handle_data(tensor, other)
    found.copies.append(copy)
  contexts = dict.fromkeys(internals.outermost_context(op) for op in found.ops)
  meta_graph = tf1.MetaGraphDef()
  for context in contexts:
    if context is not None:
      record = context.to_proto()
      _rename(record, found)
      key = "WHILE_CONTEXT" if context.IsWhileContext() else "COND_CONTEXT"
      kept = meta_graph.collection_def[getattr(tf1.GraphKeys, key)]
      kept.bytes_list.value.append(record.SerializeToString())
  if meta_graph.collection_def:
    with tf1.name_scope(None):
      tf1.train.import_meta_graph(meta_graph)


def _rename_functions(graph, ops, graph_def, scope):
  """Gives copied loops and conditionals of TensorFlow 2 their own functions.

  Their gradients replace these functions by new ones, with names derived from
  the old names. Without this, the names would clash with those that the
  gradients of the originals have made.
  """
  known, made = None, {}
  waiting = [
    (node, [_variable_of(tensor) for tensor in op.inputs])
    for op, node in zip(ops, graph_def.node)
    if op.type in FLOW_V2
  ]
  while waiting:
    node, held = waiting.pop()
    held = held if "While" in node.op else held[1:]  # skips predicate or index
    for value in functions_of(node):
      if known is None:
        library = graph.as_graph_def().library
        known = {f.signature.name: f for f in library.function}
      if value.name not in made:
        made[value.name] = value.name + "_" + scope.replace("/", "_")
        function = graph_def.library.function.add()
        function.CopyFrom(known[value.name])
        function.signature.name = made[value.name]
        waiting += _note_variables(function, held)
      value.name = made[value.name]


def _variable_of(tensor):
  """Returns dtype and shape of the variable whose handle `tensor` is."""
  op = handles.source(tensor).op
  if op.type != "VarHandleOp":
    return None
  return op.node_def.attr["dtype"].type, op.node_def.attr["shape"].shape


def _note_variables(function, held):
  """Records in a function which variables its handles refer to.

  Without this record, TensorFlow 2 takes a variable in a loop within a loop for
  one that has no gradient.

  Args:
    function: a `FunctionDef`, which is changed.
    held: what `_variable_of` returns for each argument.

  Returns:
    The loops and conditionals in it, as nodes, each with what `_variable_of`
    would return for each of its inputs.

  Raises:
    CutError: if one of these reads a handle of an unknown variable.
  """
  signature = function.signature
  known = {arg.name: each for arg, each in zip(signature.input_arg, held)}
  nodes = {node.name: node for node in function.node_def}

  def find(name):
    while name not in known:
      name, _, place = name.partition(":")
      node = nodes.get(name)
      if node is None or node.op not in ("Identity", "StatelessWhile", "While"):
        return None
      index = int(place.rpartition(":")[2] or 0)
      name = node.input[0 if node.op == "Identity" else index]
    return known[name]

  pairs = list(zip(signature.input_arg, held))
  pairs += [(arg, find(function.ret[arg.name])) for arg in signature.output_arg]
  for arg, each in pairs:
    # 1.15 has no such field, and does not need it.
    if each is not None and hasattr(arg, "handle_data"):
      del arg.handle_data[:]
      arg.handle_data.add(dtype=each[0], shape=each[1])
  found = [
    (node, [find(name) for name in node.input if name[0] != "^"])
    for node in function.node_def
    if node.op in FLOW_V2
  ]
  if not compat.IS_TF1:
    _check_known(signature, held, found)
  return found


def _check_known(signature, held, nested):
  """Refuses handles of unknown variables, whose gradients would be lost.

  `nested` has the function's loops and conditionals, as `_note_variables`
  returns them.
  """
  read = {name for node, _ in nested for name in node.input}
  for argument, each in zip(signature.input_arg, held):
    is_handle = tf1.as_dtype(argument.type) == tf1.resource
    if each is None and is_handle and argument.name in read:
      raise errors.CutError(
        f"The function {signature.name!r} of a loop or conditional hands "
        f"{argument.name!r}, the handle of an unknown resource, to a function "
        f"within it. Cut elsewhere, or read it before the outer one."
      )


def functions_of(node):
  """Lists the functions that the node of a loop or conditional calls.

  Args:
    node: a `NodeDef`.

  Returns:
    A list of `NameAttrList`, which are part of the node.
  """
  found = []
  for attr in node.attr.values():
    found += [attr.func] if attr.HasField("func") else attr.list.func
  return found


_NAMES = (
  "pivot_name",
  "pivot_for_pred_name",
  "pivot_for_body_name",
  "pred_name",
  "maximum_iterations_name",
)


def _rename(record, found):
  """Renames the ops in the record of a loop or conditional to their copies."""
  record.context_name = found.scope + record.context_name
  fields = {field.name for field in record.DESCRIPTOR.fields}
  for field in fields.intersection(_NAMES):
    setattr(record, field, found.name_of(getattr(record, field)))
  outer = dict(record.values_def.external_values)
  lists = [record.values_def.values]
  lists += [
    getattr(record, field)
    for field in ("loop_exit_names", "loop_enter_names")
    if field in fields
  ]
  for names in lists:
    # A loop exits by its own op, even if `replace` has another tensor for it.
    names[:] = [
      found.name_of(name) if name in outer else found.copy_of(name)
      for name in names
    ]
  record.values_def.external_values.clear()
  for name, value in outer.items():
    record.values_def.external_values[found.name_of(name)] = found.name_of(
      value
    )
  for nested in record.nested_contexts:
    _rename(getattr(nested, nested.WhichOneof("ctxt")), found)

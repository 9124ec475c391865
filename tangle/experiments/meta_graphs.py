"""Graphs of others, from `.meta` files: what could be cut, before any code.

A `.meta` file is what `tf.train.Saver` writes beside its checkpoints. The ops
in it, and the names of the variables, are all that is needed to cut it.
"""

import collections
import difflib

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import walk
from tangle.partial import policies, sizes, sub_model

Imported = collections.namedtuple("Imported", ["inputs", "outputs", "saver"])
Imported.__doc__ = """A graph that was imported.

Attributes:
  inputs, outputs: the tensors that were named.
  saver: the `tf.train.Saver` that restores its checkpoints, `None` if the graph
    has no variables.
"""


def load(path, inputs=(), outputs=()):
  """Imports a `.meta` file into the current graph.

  Devices that it names are forgotten.

  Args:
    path: the file, text or binary.
    inputs: names of tensors, or of ops that have one output.
    outputs: the same.

  Returns:
    An `Imported`.

  Raises:
    GraphError: if the file is not there, is no meta graph, or has ops that
      this TensorFlow does not know.
    ArgumentError: if a name is not in the graph.
  """
  try:
    saver = tf1.train.import_meta_graph(path, clear_devices=True)
  except OSError as error:
    raise errors.GraphError(
      f"meta_graphs.load: {path} cannot be read: {error}. Name the file that "
      f"ends in .meta."
    ) from error
  except Exception as error:  # TensorFlow raises all kinds
    raise errors.GraphError(
      f"meta_graphs.load: {path} cannot be imported by TensorFlow "
      f"{compat.VERSION[0]}.{compat.VERSION[1]}: {_first_line(error)}. If it "
      f"has ops of tf.contrib, import that first, on TensorFlow 1.15."
    ) from error
  graph = tf1.get_default_graph()
  if not graph.get_operations():  # what TensorFlow 1.15 makes of any text
    raise errors.GraphError(
      f"meta_graphs.load: {path} cannot be a meta graph: there are no ops in "
      f"it. Name the file that ends in .meta."
    )
  return Imported(
    [find_tensor(graph, name) for name in inputs],
    [find_tensor(graph, name) for name in outputs],
    saver,
  )


def find_tensor(graph, name):
  """Finds a tensor by its name, or by that of its op.

  Args:
    graph: a `tf.Graph`.
    name: `"scope/op:0"` or `"scope/op"`.

  Returns:
    A tensor.

  Raises:
    ArgumentError: if there is none, or the op has several outputs.
  """
  op_name, _, index = name.partition(":")
  try:
    op = graph.get_operation_by_name(op_name)
  except KeyError:
    names = [op.name for op in graph.get_operations()]
    near = difflib.get_close_matches(op_name, names, 3)
    raise errors.ArgumentError(
      f"meta_graphs.find_tensor: the graph has no op {op_name!r}. "
      + (f"Did you mean one of {near}?" if near else "Look at its op names.")
    ) from None
  if not index and len(op.outputs) == 1:
    return op.outputs[0]
  if index.isdigit() and int(index) < len(op.outputs):
    return op.outputs[int(index)]
  raise errors.ArgumentError(
    f"meta_graphs.find_tensor: {name!r} is no tensor; the op {op_name!r} "
    f"({op.type}) has the outputs {[t.name for t in op.outputs]}."
  )


def survey(path, limit=20):
  """Lists where a graph could be cut: placeholders, ends and variables.

  Args:
    path: a `.meta` file.
    limit: the most names of each kind; 0 for all.

  Returns:
    A dict: `ops`, how many there are; `placeholders`, `ends` (floating tensors
    below them that nothing reads, apart from gradients) and trainable
    `variables`: name → dtype and shape.

  Raises:
    GraphError: as `load`.
  """
  with tf1.Graph().as_default() as graph:
    load(path)
    ops = graph.get_operations()
    trainable = tf1.trainable_variables()
  backward = ("gradients", "save")
  forward = [op for op in ops if op.name.split("/")[0] not in backward]
  fed = [op for op in forward if op.type.startswith("Placeholder")]
  below = walk.dependents([op.outputs[0] for op in fed], forward)
  ends = [
    tensor
    for op in forward
    for tensor in op.outputs
    if tensor.name in below
    and compat.is_differentiable(tensor.dtype)
    and not compat.is_ref(tensor)
    and not tensor.consumers()
  ]
  kinds = {
    "placeholders": [op.outputs[0] for op in fed],
    "ends": ends,
    "variables": trainable,
  }
  found = {
    kind: {t.name: _kind(t) for t in tensors[: limit or None]}
    for kind, tensors in kinds.items()
  }
  return dict(found, ops=len(ops))


def report(
  path,
  inputs,
  outputs,
  residual_policy=policies.FRONTIER,
  unknown=sizes.ASSUMED,
):
  """Says what a cut of a `.meta` file would be, store by store.

  Args:
    path: the file.
    inputs: names of the tensors where the sub-model begins.
    outputs: names of those where it ends.
    residual_policy: `residuals=` of the `SubModel`.
    unknown: what an unknown dimension of what is fed, such as the batch,
      counts as.

  Returns:
    A dict: `ops` of the file; `forward_ops` of the sub-model; `inputs`,
    `outputs`, `variables` and `feeds` (what else it must be fed): name → dtype
    and shape; `stores`: name of a store → `None` if it can carry the cut,
    otherwise why not; `store`: the first that can, or `None`; `residuals`: a
    list of dicts of `name`, `op`, `kind` (dtype and shape) and `bytes` there;
    `residual_bytes`, their sum without values of variables; `backward_ops`.

  Raises:
    ArgumentError, GraphError: as `load`, or if a name cannot be an input or
      output.
    DisconnectedError: if an output depends on no input.
  """
  found = {"path": path, "stores": {}, "store": None}
  for store in sub_model.STORES:
    with tf1.Graph().as_default() as graph:
      imported = load(path, inputs, outputs)
      if not found["stores"]:
        found["ops"] = len(graph.get_operations())
        found.update(_describe_piece(imported))
      before = len(graph.get_operations())
      try:
        cut = sub_model.SubModel(
          imported.inputs,
          imported.outputs,
          store=store,
          residuals=_policy_of(store, residual_policy),
        )
      except errors.CutError as error:
        found["stores"][store] = str(error)
        continue
      found["stores"][store] = None
      if found["store"] is None:
        found["store"] = store
        found["backward_ops"] = len(graph.get_operations()) - before
        found["variables"] = {v.name: _kind(v) for v in cut.variables}
        found.update(_describe_residuals(graph, imported, cut, unknown))
  return found


def _policy_of(store, policy):
  """Returns the policy for a store; two of them have one of their own."""
  fixed = (sub_model.SESSION, sub_model.RECOMPUTE)
  return policies.FRONTIER if store in fixed else policy


def _describe_piece(imported):
  ops = walk.ancestors(imported.outputs, stop=imported.inputs)
  inside = walk.names(imported.inputs)
  feeds = [
    op.outputs[0]
    for op in ops
    if op.type.startswith("Placeholder") and op.outputs[0].name not in inside
  ]
  return {
    "forward_ops": len(ops),
    "inputs": {t.name: _kind(t) for t in imported.inputs},
    "outputs": {t.name: _kind(t) for t in imported.outputs},
    "feeds": {t.name: _kind(t) for t in feeds},
  }


def _describe_residuals(graph, imported, cut, unknown):
  ops = walk.ancestors(imported.outputs, stop=imported.inputs)
  bytes_of = sizes.of("meta_graphs.report", unknown, imported.inputs, ops)
  rows = []
  for residual in cut.residuals:
    tensor = graph.get_tensor_by_name(residual.name)
    rows.append(
      {
        "name": residual.name,
        "op": residual.op_type,
        "kind": _kind(tensor),
        "bytes": bytes_of(tensor),
      }
    )
  return {
    "residuals": rows,
    "residual_bytes": sum(row["bytes"] for row in rows),
  }


def format_survey(found):
  """Lays a survey out as text.

  Args:
    found: what `survey` returned.

  Returns:
    A string of several lines.
  """
  lines = [f"{found['ops']:,} ops"]
  for part in ("placeholders", "ends", "variables"):
    for name, kind in found[part].items():
      lines.append(f"  {part[:-1]:<11}  {name}  {kind}")
  return "\n".join(lines)


def format_report(found, limit=20):
  """Lays a report out as text.

  Args:
    found: what `report` returned.
    limit: the most residuals to list, the largest first; 0 for all.

  Returns:
    A string of several lines.
  """
  lines = [
    f"{found['path']}: {found['ops']:,} ops, of which {found['forward_ops']:,} "
    f"between inputs and outputs"
  ]
  for part in ("inputs", "outputs", "feeds", "variables"):
    for name, kind in found.get(part, {}).items():
      lines.append(f"  {part[:-1]:<8}  {name}  {kind}")
  for store, reason in found["stores"].items():
    lines.append(f"store {store!r}: " + (f"no. {reason}" if reason else "can"))
  if found["store"] is None:
    return "\n".join(lines + ["It cannot be split here."])
  rows = sorted(found["residuals"], key=lambda row: -row["bytes"])
  shown = rows[: limit or None]
  lines.append(
    f"kept with store {found['store']!r}: {len(rows)} residuals, "
    f"{found['residual_bytes']:,} bytes, {found['backward_ops']:,} more ops"
  )
  for row in shown:
    lines.append(
      f"  {row['bytes']:>12,}  {row['name']}  {row['op']}  {row['kind']}"
    )
  if len(shown) < len(rows):
    lines.append(f"  and {len(rows) - len(shown)} smaller ones")
  return "\n".join(lines)


def _kind(tensor):
  shape = tf1.TensorShape(tensor.shape)
  sizes = "?" if shape.ndims is None else shape.as_list()
  return f"{tensor.dtype.base_dtype.name} {sizes}"


def _first_line(error):
  return (str(error).strip().splitlines() or [type(error).__name__])[0]

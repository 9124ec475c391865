"""Where graphs in `.meta` files can be cut, without any code.

A `.meta` file is what `tf.train.Saver` writes beside its checkpoints. Its ops
and the names of its variables are all that is needed to cut it.
"""

from tangle import compat, errors, meta_graphs
from tangle.compat import tf1
from tangle.graphs import cut_points, walk
from tangle.partial import policies, sizes, sub_model

_BESIDE = ("gradients", "save")
"""Scopes that TensorFlow makes for training and saving."""


def survey(path, limit=20):
  """Lists where a graph could be cut: placeholders, ends and variables.

  Args:
    path: a `.meta` file.
    limit: the largest number of names of each kind; 0 for all.

  Returns:
    A dict: `ops`, how many there are; `placeholders`, `ends` (floating tensors
    below them that nothing reads, apart from gradients) and trainable
    `variables`: name → dtype and shape; `repairs`, as `meta_graphs.load`
    reports them.

  Raises:
    GraphError: as `meta_graphs.load`.
  """
  with tf1.Graph().as_default() as graph:
    loaded = meta_graphs.load(path)
    ops = graph.get_operations()
    trainable = tf1.trainable_variables()
  forward = [op for op in ops if op.name.split("/")[0] not in _BESIDE]
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
  return dict(found, ops=len(ops), repairs=_describe_repairs(loaded))


def list_cut_points(path, inputs, outputs):
  """Lists where the graph of a `.meta` file can be cut.

  Args:
    path, inputs, outputs: as for `report`; an output may also be the loss.

  Returns:
    A `CutPoints`, as `tangle.cut_points` gives it.

  Raises:
    ArgumentError, GraphError: as `meta_graphs.load`.
    DisconnectedError: as `tangle.cut_points`.
  """
  with tf1.Graph().as_default():
    loaded = meta_graphs.load(path, inputs, outputs)
    return cut_points.cut_points(loaded.inputs, loaded.outputs)


def report(
  path,
  inputs,
  outputs,
  residual_policy=policies.FRONTIER,
  unknown=sizes.ASSUMED,
):
  """Reports what a cut of a `.meta` file would need, for each store.

  Args:
    path: the file.
    inputs: names of the tensors where the sub-model begins.
    outputs: names of the tensors where it ends.
    residual_policy: `residuals=` of the `SubModel`.
    unknown: size to assume for unknown dimensions of fed tensors, such as the
      batch.

  Returns:
    A dict: `ops` of the file; `forward_ops` of the sub-model; `inputs`,
    `outputs`, `variables` and `feeds` (what else it must be fed): name → dtype
    and shape; `stores`: name of a store → `None` if it supports the cut,
    otherwise the reason why not; `store`: the first that can, or `None`;
    `residuals`: a list of dicts of `name`, `op`, `kind` (dtype and shape) and
    `bytes` there; `residual_bytes`, their sum without values of variables;
    `backward_ops`; `repairs`, as `meta_graphs.load` reports them.

  Raises:
    ArgumentError, GraphError: as `meta_graphs.load`, or if a name cannot be an
      input or output.
    DisconnectedError: if an output depends on no input.
  """
  found = {"path": path, "stores": {}, "store": None}
  for store in sub_model.STORES:
    with tf1.Graph().as_default() as graph:
      imported = meta_graphs.load(path, inputs, outputs)
      if not found["stores"]:
        found["ops"] = len(graph.get_operations())
        found["repairs"] = _describe_repairs(imported)
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
  """Returns the residual policy for a store; two stores have their own."""
  fixed = (sub_model.SESSION, sub_model.RECOMPUTE)
  return policies.FRONTIER if store in fixed else policy


def _describe_repairs(loaded):
  """Returns repairs as a dict, whose `lines` also describe them as text."""
  repairs = loaded.repairs
  lines = str(repairs).splitlines() if repairs else []
  return dict(repairs._asdict(), lines=lines)


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


@errors.named("meta_graphs.report")
def _describe_residuals(graph, imported, cut, unknown):
  ops = walk.ancestors(imported.outputs, stop=imported.inputs)
  bytes_of = sizes.of(unknown, imported.inputs, ops)
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
  """Formats what `survey` returned, as text of several lines."""
  lines = [f"{found['ops']:,} ops"] + _format_repairs(found)
  for part in ("placeholders", "ends", "variables"):
    for name, kind in found[part].items():
      lines.append(f"  {part[:-1]:<11}  {name}  {kind}")
  return "\n".join(lines)


def format_report(found, limit=20):
  """Formats what `report` returned, with the largest residuals; 0 for all."""
  lines = [
    f"{found['path']}: {found['ops']:,} ops, of which {found['forward_ops']:,} "
    f"between inputs and outputs"
  ] + _format_repairs(found)
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


def _format_repairs(found):
  return [f"  repaired: {line}" for line in found["repairs"]["lines"]]


def _kind(tensor):
  shape = tf1.TensorShape(tensor.shape)
  sizes = "?" if shape.ndims is None else shape.as_list()
  return f"{tensor.dtype.base_dtype.name} {sizes}"

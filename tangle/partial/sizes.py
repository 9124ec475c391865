"""How many bytes tensors take: by static shapes, assumed shapes, or a run.

The policy `"min_cut"` compares sizes of tensors before anything runs. If a
static shape is not fully known, the shapes of the fed tensors are assumed, and
TensorFlow infers the other shapes from them, on a copy of the ops in a scratch
graph. `measure` takes all sizes from one run instead.
"""

from __future__ import annotations

from typing import Mapping, Optional, Sequence

from tangle import compat, errors, hints
from tangle.compat import tf1
from tangle.graphs import copying, cut, references, walk
from tangle.partial import policies, residuals

ASSUMED = 32
"""The assumed size of an unknown dimension that `sizes` does not specify."""

_FED = frozenset(["Placeholder", "PlaceholderWithDefault"])


def of(sizes, inputs, ops, strict=False):
  """Returns a function from the tensors of a piece to their bytes.

  Args:
    sizes: `None`, or an int, the assumed size of unknown dimensions of fed
      tensors; or a dict from fed tensors, or their names, to shapes; or a
      function from tensor to bytes, such as `measure` returns, whose `None`
      counts as 0. Dimensions that it does not specify count as `ASSUMED`.
    inputs: the tensors where the piece begins, of any shapes.
    ops: its forward ops, producers before consumers.
    strict: whether to refuse tensors of unknown size if `sizes` is `None`.

  Returns:
    A function from tensor to an int, which is 0 for values of variables and
    for tensors without a size in bytes, such as variants.

  Raises:
    ArgumentError: if `sizes` is none of these. The returned function raises it
      if a shape in `sizes` does not fit, a key is neither an input nor a
      placeholder that the piece reads, or `strict` refuses a tensor.
  """
  if callable(sizes):
    return lambda tensor: 0 if is_free(tensor) else int(sizes(tensor) or 0)
  fed, assumed = _parse(sizes)
  known = None

  def bytes_of(tensor):
    nonlocal known
    if is_free(tensor):
      return 0
    size = residuals.static_bytes(tensor)
    if size is not None or not residuals.needs_measuring(tensor):
      return size or 0
    if strict and sizes is None:
      raise errors.ArgumentError(
        f"the bytes of {tensor.name!r} {tensor.shape} are not known, "
        f"which a Budget of bytes needs. Give the shapes of what is fed by "
        f"sizes=."
      )
    if known is None:
      known = _infer(fed, assumed, inputs, ops)
    shape = _merge(tensor.shape, known.get(tensor.name))
    return _filled(shape, assumed).num_elements() * tensor.dtype.size

  return bytes_of


def is_free(tensor):
  """Whether a tensor takes no memory of its own when it is kept.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool: true for the value of a resource variable, and for a reshape of it.
  """
  read = references.read_of(tensor)
  return read is not None and read.type == "ReadVariableOp"


class Measured:
  """Bytes of tensors, measured in a run; a callable from tensor to bytes.

  A tensor that was not measured has the bytes of its static shape.

  Attributes:
    bytes: a dict from the name of each measured tensor to its bytes, an int.
      Tensors with a static shape are not measured.
  """

  def __init__(self, found: Mapping[str, int]) -> None:
    """Copies a dict from tensor name to bytes."""
    self.bytes = dict(found)

  def __call__(self, tensor: tf1.Tensor) -> Optional[int]:
    """Returns the bytes of `tensor`, `None` if they are not known."""
    known = self.bytes.get(tensor.name)
    return residuals.static_bytes(tensor) if known is None else known


@errors.named("measure")
def measure(
  sess: hints.Session,
  inputs: Sequence[tf1.Tensor],
  outputs: Sequence[tf1.Tensor],
  feed_dict: Optional[hints.FeedDict] = None,
) -> Measured:
  """Runs a piece forward once and measures the sizes of all its tensors.

  Adds an op for each tensor without a static shape, outside TensorFlow 1 style
  loops and conditionals. Fetches these sizes and the outputs, not the other
  tensors. Errors of the run are those of `Session.run`.

  Args:
    sess: a session on the graph, which must not be finalized, with variables
      that are initialized.
    inputs: tensors of any shapes where the piece begins, as for `SubModel`.
    outputs: tensors of any shapes where it ends.
    feed_dict: what to feed, as `Session.run` takes it; nothing by default.

  Returns:
    A `Measured`, for the argument `sizes=` of `SubModel`.

  Raises:
    ArgumentError: if inputs or outputs are no sequences of tensors.
    GraphError: if a tensor does not belong to the graph of `sess`.
  """
  outputs = walk.check_tensors("outputs", outputs, sess.graph)
  inputs = walk.check_tensors("inputs", inputs, sess.graph)
  ops = walk.ancestors(outputs, stop=inputs)
  tensors = policies.everything(ops, sess.graph) + inputs
  unknown = [
    tensor
    for tensor in {tensor.name: tensor for tensor in tensors}.values()
    if residuals.needs_measuring(tensor)
    and not compat.in_v1_control_flow(tensor.op)
  ]
  with sess.graph.as_default(), tf1.name_scope("measure"):
    with tf1.control_dependencies(None):
      counts = [tf1.size(tensor, out_type=tf1.int64) for tensor in unknown]
  found = sess.run([counts, outputs], feed_dict)[0]
  return Measured(
    {t.name: int(count) * t.dtype.size for t, count in zip(unknown, found)}
  )


def _parse(sizes):
  """Returns a dict from fed tensor name to shape, and the assumed size."""
  if sizes is None:
    return {}, ASSUMED
  if isinstance(sizes, int) and not isinstance(sizes, bool) and sizes > 0:
    return {}, sizes
  if not isinstance(sizes, dict):
    raise errors.ArgumentError(
      f"sizes must be a positive int, a dict from tensors to shapes, "
      f"or a function from tensor to bytes, got {sizes!r}."
    )
  fed = {}
  for key, shape in sizes.items():
    fed[name_of(key)] = tf1.TensorShape(shape)
  return fed, ASSUMED


def name_of(key):
  """Returns the name of the tensor that `key` means.

  Args:
    key: a tensor, its name such as "x:0", or "x" for the first output of `x`.
  """
  name = getattr(key, "name", key)
  return name if ":" in name else f"{name}:0"


def check(sizes):
  """Refuses a value of `sizes=` that `of` does not accept.

  Args:
    sizes: as for `of`.

  Raises:
    ArgumentError: if it is no callable, dict, positive int or `None`. What a
      dict holds is not checked.
  """
  if not callable(sizes):
    _parse(sizes)


def _infer(fed, assumed, inputs, ops):
  """Returns tensor name → shape, inferred from assumed shapes of feeds."""
  begins = {tensor.name: tensor for tensor in inputs}
  copied = []
  for op in ops:
    if op.type in _FED or not _is_copyable(op):
      begins.update({tensor.name: tensor for tensor in op.outputs})
    else:
      copied.append(op)
  for name in fed:
    if name not in begins:
      raise errors.ArgumentError(
        f"sizes has {name!r}, which is neither an input of the "
        f"piece nor a placeholder that it reads. Leave it out."
      )
  graph = tf1.Graph()
  with graph.as_default():
    stands = {}
    for name, tensor in begins.items():
      if not compat.is_ref(tensor):
        shape = _merge(tensor.shape, fed.get(name), name)
        stands[name] = tf1.placeholder(tensor.dtype, _filled(shape, assumed))
    found = {name: stand.shape for name, stand in stands.items()}
    try:
      copying.copy(copied, [], stands, name="copy")
    except ValueError as error:
      if not fed:
        return found  # the assumed shapes contradict each other
      raise errors.ArgumentError(
        f"the shapes in sizes contradict one another, "
        f"or with {assumed} for unknown dimensions: {errors.summarize(error)}"
      ) from error
    for op in copied:
      for tensor in op.outputs:
        twin = graph.get_tensor_by_name(f"copy/{tensor.name}")
        found.setdefault(tensor.name, twin.shape)
    return found


def _is_copyable(op):
  """Whether `op` means the same in a graph that has only its inputs."""
  return (
    not compat.in_v1_control_flow(op)
    and hasattr(tf1.raw_ops, op.type)  # else it calls a function of the graph
    and not any("func" in attr.type for attr in op.op_def.attr)
    and op.type not in cut.REFERENCES
    and not any(compat.is_ref(t) for t in list(op.inputs) + list(op.outputs))
  )


def _merge(shape, other, name=None):
  """Returns `shape` merged with `other`; if they disagree, `shape`.

  With the `name` of the tensor, an `other` that disagrees is an error.
  """
  if other is None:
    return shape
  if not shape.is_compatible_with(other):
    if name is None:
      return shape
    raise errors.ArgumentError(
      f"sizes gives {name!r} the shape {other}, which does not fit "
      f"its static shape {shape}. Change only dimensions that are unknown "
      f"there."
    )
  return shape.merge_with(other)


def _filled(shape, assumed):
  """Returns `shape` with `assumed` for each unknown dimension."""
  if shape.ndims is None:
    return tf1.TensorShape([assumed, assumed])
  return tf1.TensorShape(
    [assumed if size is None else size for size in shape.as_list()]
  )

"""Cuts a trunk out of a network that is already in a graph.

It takes a tensor, its name, or the name of a layer, and needs no access to the
code that built the network: an imported graph will do.
"""

from __future__ import annotations

import difflib
from typing import Optional, Sequence, Union

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import copying, walk
from tangle.nets import checks


class Cut:
  """The lower part of a network in a graph; see `cut`.

  Attributes:
    name: the name of the part.
    inputs: a list of the tensors where the part begins.
    output: the tensor where the part ends.
    variables: a list of the global variables that the part reads, not only
      trainable ones.
  """

  def __init__(
    self,
    inputs: Sequence[tf1.Tensor],
    output: tf1.Tensor,
    ops: Sequence[tf1.Operation],
    name: str,
  ) -> None:
    """Stores what `cut` found."""
    self.name, self.inputs, self.output = name, list(inputs), output
    self._ops = ops
    graph = output.graph
    handles = {op.name for op in ops}
    keys = tf1.GraphKeys
    self.variables = [
      variable
      for variable in graph.get_collection(keys.GLOBAL_VARIABLES)
      if variable.op.name in handles
    ]

  @property
  def output_depth(self) -> Optional[int]:
    """The last dimension of the output; None if unknown or for a scalar."""
    shape = self.output.shape
    return tf1.dimension_value(shape[-1]) if shape.ndims else None

  @errors.named("{self.name}")
  def __call__(
    self,
    inputs: Union[tf1.Tensor, Sequence[tf1.Tensor]],
    name: Optional[str] = None,
  ) -> tf1.Tensor:
    """Returns the output, for the original inputs or for others.

    For the original inputs, this is the existing tensor. For others, the ops
    between inputs and output are copied; the variables are shared, and ops that
    update moving averages are not copied.

    Args:
      inputs: a tensor that replaces the only input, or a list with one tensor
        for each of the attribute `inputs`, in that order.
      name: name scope of the new ops; the part's name for None.

    Returns:
      A tensor like `output`; `output` itself for the original inputs.

    Raises:
      ArgumentError: if there is not one tensor for each input.
      CutError: if a TensorFlow 1 style loop or conditional would be copied.
      DtypeError: if an input has a different type.
      GraphError: if an input belongs to another graph.
      ShapeError: if an input has a shape that does not fit.
    """
    many = isinstance(inputs, (list, tuple))
    given = list(inputs) if many else [inputs]
    if len(given) != len(self.inputs):
      raise errors.ArgumentError(
        f"give one tensor for each of "
        f"{[t.name for t in self.inputs]}, got {len(given)}."
      )
    replace = {}
    for old, new in zip(self.inputs, given):
      checks.check_graph("inputs", new)
      new = tf1.convert_to_tensor(new)
      got = f"{checks.describe(old)}, got {checks.describe(new)}"
      if new.dtype.base_dtype != old.dtype.base_dtype:
        raise errors.DtypeError(
          f"inputs must be as {got}. Convert them with tf.cast."
        )
      if not new.shape.is_compatible_with(old.shape):
        raise errors.ShapeError(
          f"inputs must have the shape of {got}. Reshape it."
        )
      if new is not old:
        replace[old.name] = new
    if not replace:
      return self.output
    for old, new in zip(self.inputs, given):
      replace.setdefault(old.name, new)
    between = walk.dependents(self.inputs, self._ops)
    ops = [op for op in self._ops if any(t.name in between for t in op.inputs)]
    for op in ops:
      if compat.in_v1_control_flow(op):
        raise errors.CutError(
          f"op {op.name!r} is in a TensorFlow 1 style loop or "
          f"conditional, which cannot be copied. Call tf.compat.v1."
          f"enable_control_flow_v2() before the network is built, or call this "
          f"on the tensors of its `inputs`, for which nothing is copied."
        )
    return copying.copy(ops, [self.output], replace, name or self.name)[0]


@errors.named("combine.cut")
def cut(
  at: Union[tf1.Tensor, str],
  inputs: Union[tf1.Tensor, Sequence[tf1.Tensor], None] = None,
  graph: Optional[tf1.Graph] = None,
  name: Optional[str] = None,
) -> Cut:
  """Makes a network from the lower part of a network in a graph.

  It adds no ops; a call of the result may.

  Args:
    at: where the part ends: a tensor, its name (`encoder/Relu:0`), or the name
      of a layer: an op or a name scope with exactly one output tensor.
    inputs: where the part begins: a tensor or a list of tensors; by default the
      placeholders on which the end depends, in the order of the `inputs` of the
      result.
    graph: the graph in which the name `at` is looked up; None for the default
      graph. Not used if `at` is a tensor.
    name: name of the part; by default that of the op of `at`, with `_` for `/`.

  Returns:
    A `Cut`, a network with the variables of the original. Called on the
    original inputs, it returns the existing tensor; called on others, it
    copies the ops.

  Raises:
    ArgumentError: if there is no such tensor or layer, the layer has several
      output tensors, or `at` or `inputs` are no tensors.
    DisconnectedError: if `inputs` is None and the end depends on no
      placeholder, or the end depends on none of `inputs`.
    GraphError: if tensors belong to different graphs.
  """
  if isinstance(at, str):
    graph = tf1.get_default_graph() if graph is None else graph
    output = _find(at, graph)
  else:
    output = walk.check_tensors("at", [at])[0]
  if inputs is None:
    inputs = [
      op.outputs[0]
      for op in walk.ancestors([output])
      if op.type in ("Placeholder", "PlaceholderWithDefault")
    ]
    if not inputs:
      raise errors.DisconnectedError(
        f"{output.name!r} depends on no placeholder. Pass "
        f"inputs=, the tensors at which the part begins."
      )
  elif isinstance(inputs, tf1.Tensor):
    inputs = [inputs]
  inputs = walk.check_tensors("inputs", inputs, output.graph)
  ops = walk.ancestors([output], stop=inputs)
  if output.name not in walk.dependents(inputs, ops):
    raise errors.DisconnectedError(
      f"{output.name!r} does not depend on "
      f"{[tensor.name for tensor in inputs]}. Name the inputs of the network."
    )
  if name is None:
    name = output.op.name.replace("/", "_")
  return Cut(inputs, output, ops, name)


def _find(at, graph):
  """Returns the tensor with a name."""
  operations = graph.get_operations()
  ops = {op.name: op for op in operations}
  op_name, _, index = at.partition(":")
  if op_name in ops:
    outputs = ops[op_name].outputs
    k = int(index) if index.isdigit() else 0
    if (index and not index.isdigit()) or k >= len(outputs):
      names = [tensor.name for tensor in outputs]
      remedy = "Name one of these" if names else "Name an op that has outputs"
      raise errors.ArgumentError(
        f"at is {at!r}, but the outputs of op {op_name!r} are "
        f"{names}. {remedy}."
      )
    if index or len(outputs) == 1:
      return outputs[k]
  scope = at.rstrip("/") + "/"
  leaving = _leaving(operations, scope)
  if len(leaving) == 1:
    return leaving[0]
  if leaving:
    raise errors.ArgumentError(
      f"several tensors come out of layer {at!r}: "
      f"{[tensor.name for tensor in leaving]}. Name one of them."
    )
  known = set(ops)
  for name in ops:
    parts = name.split("/")
    known.update("/".join(parts[:k]) for k in range(1, len(parts)))
  close = difflib.get_close_matches(at, sorted(known), 5)
  remedy = "Give the name of a tensor, such as 'layer/Relu:0'"
  if close:
    remedy = f"Similar names are {close}"
  raise errors.ArgumentError(
    f"the graph has no tensor or layer {at!r}. {remedy}."
  )


def _leaving(operations, scope):
  """Lists the tensors of a scope that no op of the scope reads.

  Only those that depend on a placeholder, which excludes variables, initial
  values and reads of variables.
  """
  sources = [
    op.outputs[0]
    for op in operations
    if op.type in ("Placeholder", "PlaceholderWithDefault", "IteratorGetNext")
  ]
  reached = walk.dependents(sources, operations)
  inside = [op for op in operations if op.name.startswith(scope)]
  read = {tensor.name for op in inside for tensor in op.inputs}
  return [
    tensor
    for op in inside
    for tensor in op.outputs
    if tensor.name in reached and tensor.name not in read
  ]

"""Records of the tensors that a sub-model keeps for its backward pass."""

from __future__ import annotations

import collections
from typing import NamedTuple, Optional, Tuple

import numpy as np

from tangle.compat import tf1
from tangle.graphs import cut, references, walk


class Residual(NamedTuple):
  """One tensor that is kept.

  Attributes:
    name: name of the tensor.
    op_type: type of the op that makes it.
    dtype: its `tf.DType`.
    shape: its static `tf.TensorShape`.
    bytes: its size in bytes: by the static shape, else by the first forward
      run of the sub-model; `None` before that, and for variants and strings.
    variable: the name of the variable whose memory it shares, so that it takes
      no memory of its own until the variable changes; `None` for all others,
      such as copies of reference variables.
  """

  name: str
  op_type: str
  dtype: tf1.DType
  shape: tf1.TensorShape
  bytes: Optional[int]
  variable: Optional[str] = None

  @property
  def is_variable(self) -> bool:
    """Whether it shares the memory of a variable."""
    return self.variable is not None


class Residuals(Tuple[Residual, ...]):
  """A sequence of `Residual`, printable as a table.

  Attributes:
    recomputed: names of the forward ops that the backward pass runs again.
    recomputed_types: pairs of op type and number of these ops, most frequent
      first.
    predicted_bytes: the prediction of `bytes` by which `"min_cut"` or a budget
      chose; `None` for other policies.
    stacks: the number of stacks on which TensorFlow 1 style loops keep tensors,
      one for each iteration, until the end of the partial run. They are not
      among the records, and not counted in `bytes`.
  """

  recomputed: Tuple[str, ...] = ()
  recomputed_types: Tuple[Tuple[str, int], ...] = ()
  predicted_bytes: Optional[int] = None
  stacks: int = 0

  @property
  def bytes(self) -> int:
    """The sum of the known sizes, in bytes, without values of variables.

    A residual whose size is not known counts as 0.
    """
    return sum(r.bytes or 0 for r in self if not r.is_variable)

  @property
  def summary(self) -> str:
    """The number of residuals and their bytes, such as "2 residuals (8 bytes)".

    Values of variables count as residuals, but their bytes are not included.
    """
    is_known = all(r.bytes is not None or r.is_variable for r in self)
    size = f"{self.bytes:,} bytes" if is_known else "not all sizes known yet"
    return f"{len(self)} residuals ({size})"

  def __str__(self):
    rows = [("name", "op", "dtype", "shape", "bytes")]
    for r in sorted(self, key=lambda r: r.is_variable):
      size = "?" if r.bytes is None else f"{r.bytes:,}"
      rows.append((r.name, r.op_type, r.dtype.name, str(r.shape), size))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = [
      "  ".join(
        cell.rjust(width) if k == 4 else cell.ljust(width)
        for k, (cell, width) in enumerate(zip(row, widths))
      ).rstrip()
      for row in rows
    ]
    variables = sum(r.is_variable for r in self)
    if variables:
      title = "values of variables, which share the memory of these:"
      lines.insert(len(lines) - variables, title)
    lines.append(
      f"{len(self) - variables} residuals, {self.bytes:,} bytes, and "
      f"{variables} values of variables"
    )
    if self.recomputed:
      types = ", ".join(f"{n} {kind}" for kind, n in self.recomputed_types)
      lines.append(f"{len(self.recomputed)} ops are computed again: {types}")
    unknown = sum(r.bytes is None and not r.is_variable for r in self)
    if unknown:
      lines.append(f"not counted: residuals of unknown size (?): {unknown}")
    if self.stacks:
      lines.append(
        f"not counted: stacks of TensorFlow 1 style loops, which keep tensors "
        f"of each iteration: {self.stacks}"
      )
    return "\n".join(lines)


def describe(kept, measured=None, recomputed=(), predicted=None, stacks=0):
  """Makes the records of kept tensors.

  Args:
    kept: tensors of any shapes.
    measured: a dict from tensor name to its shape in a run, for tensors whose
      shape is not known statically; `None` if there was no run.
    recomputed: the forward ops that run again; constants, shapes and the like
      (`cut.FREE`) are left out of the result.
    predicted: the predicted bytes; `None` if they were not predicted.
    stacks: what `count_stacks` returned.

  Returns:
    A `Residuals`, in the order of `kept`.
  """
  measured = measured or {}
  records = []
  for tensor in kept:
    size = static_bytes(tensor)
    if size is None and tensor.name in measured:
      count = int(np.prod(measured[tensor.name], dtype=np.int64))
      size = count * tensor.dtype.size
    read = references.read_of(tensor)
    shares = read is not None and read.type == "ReadVariableOp"
    records.append(
      Residual(
        tensor.name,
        tensor.op.type,
        tensor.dtype,
        tensor.shape,
        size,
        read.inputs[0].op.name if shares else None,
      )
    )
  found = Residuals(records)
  working = [op for op in recomputed if op.type not in cut.FREE]
  found.recomputed = tuple(op.name for op in working)
  types = collections.Counter(op.type for op in working)
  found.recomputed_types = tuple(types.most_common())
  found.predicted_bytes = predicted
  found.stacks = stacks
  return found


def count_stacks(items):
  """Counts the stacks of loops that gradients read.

  Args:
    items: tensors of any shapes, or ops, of the backward pass.

  Returns:
    An int.
  """
  ops = walk.ancestors(items, control=True)
  return sum(op.type == "StackV2" for op in ops)


def needs_measuring(tensor):
  """Whether the size of a tensor in bytes is known only in a run.

  Args:
    tensor: a tensor of any shape.

  Returns:
    A bool: false if its static shape is fully known, and for strings, variants
    and resources, which have no such size.
  """
  return static_bytes(tensor) is None and _has_size(tensor)


def static_bytes(tensor):
  """Returns the size of `tensor` in bytes by its static shape.

  Args:
    tensor: a tensor of any shape.

  Returns:
    An int; `None` if the shape is not fully known, and for strings, variants
    and resources.
  """
  if not _has_size(tensor) or not tensor.shape.is_fully_defined():
    return None
  return tensor.shape.num_elements() * tensor.dtype.size


def _has_size(tensor):
  return tensor.dtype.base_dtype.name not in ("string", "variant", "resource")

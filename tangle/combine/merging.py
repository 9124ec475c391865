"""Merges: several tensors become one."""

import functools
from typing import Callable, List, Union

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks

_PAIRWISE = {"max": tf1.maximum, "product": tf1.multiply}

MERGES = ("concat", "sum", "mean", *_PAIRWISE)
"""The merges that can be given by name."""

GATED = ("concat", "sum")
"""Those that go with a gate, which scales what each network returns."""

Merge = Union[str, Callable[[List[hints.Nest]], hints.Nest]]
"""A merge: its name, or a function of the list of what the networks return."""


def check_merge(merge):
  """Raises unless `merge` is valid.

  Args:
    merge: any value.

  Raises:
    ArgumentError: if it is neither one of `MERGES` nor callable.
  """
  if merge not in MERGES and not callable(merge):
    raise errors.ArgumentError(
      f"merge must be one of {MERGES} or a callable from the list "
      f"of the networks' outputs to a tensor, got {merge!r}."
    )


def merge(labels, values, kind, axis=-1):
  """Merges the outputs of several networks.

  Args:
    labels: K names of networks.
    values: K tensors of one type and one shape; for `concat`, sizes along
      `axis` may differ. For a callable, any values.
    kind: one of `MERGES`, or a callable that takes the list of K values.
    axis: the dimension along which `concat` joins.

  Returns:
    A tensor, or the result of the callable. At a tie the gradient of `max` goes
    to the first of the tied values, as with `tf.maximum`.

  Raises:
    ArgumentError: if a value is not a tensor.
    DtypeError: if types differ.
    ShapeError: if shapes differ, a rank is unknown, or, for `concat`, there is
      no such axis. None of the three errors is raised for a callable.
  """
  if callable(kind):
    return kind(list(values))
  tensors = []
  for label, value in zip(labels, values):
    if not isinstance(value, tf1.Tensor):
      raise errors.ArgumentError(
        f"{label!r} must give one tensor for merge={kind!r}, got "
        f"{value!r}. Pass a callable as merge."
      )
    tensors.append(value)
  _check_alike(labels, tensors, kind, axis)
  if kind == "concat":
    return tf1.concat(tensors, axis)
  if kind == "sum":
    return tf1.add_n(tensors)
  if kind == "mean":
    return tf1.add_n(tensors) / len(tensors)
  return functools.reduce(_PAIRWISE[kind], tensors)


def _check_alike(labels, tensors, kind, axis):
  first = tensors[0]
  for label, tensor in zip(labels, tensors):
    both = (
      f"merge={kind!r} of {labels[0]!r} and {label!r}: got "
      f"{checks.describe(first)} and {checks.describe(tensor)}"
    )
    if tensor.dtype.base_dtype != first.dtype.base_dtype:
      raise errors.DtypeError(f"{both}. Convert one of them with tf.cast.")
    shapes = [_without(t.shape, axis, kind, both) for t in (first, tensor)]
    if not shapes[0].is_compatible_with(shapes[1]):
      remedy = "put a nets.Dense after one of them"
      if kind != "concat":
        remedy += ', or pass merge="concat"'
      raise errors.ShapeError(f"{both}. Shapes must be equal: {remedy}.")


def _without(shape, axis, kind, both):
  """Returns the shape that all must share, without the joined dimension."""
  if shape.ndims is None:
    raise errors.ShapeError(
      f"{both}. Their rank is unknown. Give it by set_shape()."
    )
  if kind != "concat":
    return shape
  if not -shape.ndims <= axis < shape.ndims:
    raise errors.ShapeError(
      f"{both}. They have no axis {axis} to concatenate. Give another axis."
    )
  dims = shape.as_list()
  dims[axis] = None
  return tf1.TensorShape(dims)

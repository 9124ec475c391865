"""Selectors: which branch an example, or a batch, takes.

A selector has indices or names. Here it becomes int32 indices that are checked:
if one is out of range, the run fails before any op reads it.
"""

from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1
from tangle.nets import checks

Networks = Union[Sequence[hints.Network], Mapping[str, hints.Network]]
"""The networks that a selector chooses from, in a list or by name."""

Choices = Union[Sequence[hints.Nest], Mapping[str, hints.Nest]]
"""The values that a selector chooses from, in a list or by name."""


class Branches(NamedTuple):
  """The branches that a selector chooses from.

  Attributes:
    labels: how each of the K branches is called in messages.
    items: the K networks or values.
    names: the K names, `None` if the branches have none.
  """

  labels: Sequence[str]
  items: Sequence[Any]
  names: Optional[Sequence[str]]


def list_branches(argument, branches):
  """Lists the branches, in their order.

  Args:
    argument: the argument's name, for messages.
    branches: a list or tuple of K items, or a mapping from name to item.

  Returns:
    A `Branches`.

  Raises:
    ArgumentError: if there are none, if `branches` is neither list nor
      mapping, or if a name is no string.
  """
  names = None
  if hasattr(branches, "items"):
    names, items = tuple(branches.keys()), tuple(branches.values())
    for name in names:
      if not isinstance(name, str):
        raise errors.ArgumentError(
          f"the names of {argument} must be strings, got {name!r}. "
          "Pass a list to select by index."
        )
  elif isinstance(branches, (list, tuple)):
    items = tuple(branches)
  else:
    raise errors.ArgumentError(
      f"{argument} must be a list, or a mapping from name, got "
      f"{errors.show(branches)}. Put each of them into a list."
    )
  if not items:
    raise errors.ArgumentError(
      f"{argument} must have at least one branch, got none. Give a "
      f"list, or a mapping from name, of at least one."
    )
  labels = tuple(repr(label) for label in names or range(len(items)))
  return Branches(labels, items, names)


def list_networks(networks):
  """Lists networks, which must be callable.

  Args:
    networks: as `list_branches` takes them.

  Returns:
    A `Branches`.

  Raises:
    ArgumentError: if one of them cannot be called; also as `list_branches`.
  """
  branches = list_branches("networks", networks)
  for label, network in zip(branches.labels, branches.items):
    if not isinstance(network, Callable):
      raise errors.ArgumentError(
        f"network {label} must be callable, got "
        f"{errors.show(network)}. To choose among tensors, call mux.select."
      )
  return branches


def to_indices(selector, branches, rank):
  """Turns a selector into indices that are in range.

  A statically known selector is checked at once. For any other, a run that
  reads the result fails with an `InvalidArgumentError` that names the values.

  Args:
    selector: int32 or int64 indices in `[0, K)`, or strings among the names;
      a tensor, or a value that TensorFlow converts to one. An empty list has
      int32 indices, none.
    branches: a `Branches` of K.
    rank: the rank it must have, 0 or 1.

  Returns:
    int32 tensor of the selector's shape.

  Gradients:
    None.

  Raises:
    ArgumentError: if the selector is None, is statically known and has an
      element that is no branch, or has names and the branches have none.
    DtypeError: if it is neither int32, int64 nor string.
    GraphError: if it belongs to another graph.
    ShapeError: if it has another rank, or an unknown one.
  """
  checks.check_graph("selector", selector)
  if isinstance(selector, (list, tuple)) and not selector:
    selector = np.zeros([0], np.int32)
  tensor = tf1.convert_to_tensor(selector, name="selector")
  checks.check_rank("selector", tensor, (rank,))
  by_name = tensor.dtype.base_dtype == tf1.string
  if by_name and branches.names is None:
    raise errors.ArgumentError(
      f"selector {checks.describe(tensor)} is of names, but the "
      "branches have none. Pass a mapping from name to branch."
    )
  if not by_name:
    checks.convert_ints("selector", tensor)
  allowed = branches.names if by_name else range(len(branches.items))
  known = tf1.get_static_value(tensor)
  if known is not None:
    return _known_indices(known, list(allowed))
  if by_name:
    same = tf1.equal(tf1.expand_dims(tensor, -1), list(allowed))
    indices = tf1.argmax(tf1.cast(same, tf1.int32), -1, output_type=tf1.int32)
    good = tf1.reduce_any(same, -1)
  else:
    count = tf1.constant(len(allowed), tensor.dtype)
    indices = tf1.cast(tensor, tf1.int32)
    good = tf1.logical_and(tensor >= 0, tensor < count)
  bad = tf1.reshape(tf1.logical_not(good), [-1])
  wrong = tf1.gather_nd(tf1.reshape(tensor, [-1]), tf1.where_v2(bad))
  # Assert puts its op into a conditional if the data is not strings only.
  if not by_name:
    wrong = tf1.as_string(wrong)
  scope = tf1.get_default_graph().get_name_scope()
  message = f"{scope}: selector must be {_allowed(list(allowed))}. Feed such "
  message += f"{'a name' if by_name else 'an index'}, or add a branch; got"
  check_op = tf1.Assert(tf1.reduce_all(good), [message, wrong], summarize=8)
  return after([check_op], indices)


def check_rows(indices, inputs):
  """Checks that there is one selector per row.

  Args:
    indices: `[B]` tensor. If a tensor of `inputs` has a static B, this one gets
      it, too.
    inputs: list of tensors, which must be `[B, ...]`.

  Returns:
    `indices`; or, if B is static nowhere or only in some of the tensors, a copy
    of it. A run that reads the copy fails with `InvalidArgumentError`, which
    names the tensor, if a number of rows differs.

  Raises:
    ShapeError: if a tensor is known to have another number of rows than
      `indices`, is a scalar, or has an unknown rank.
  """
  check_ops = []
  rows = tf1.shape(indices)[0]
  for tensor in inputs:
    if tensor.shape.ndims is None or tensor.shape.ndims < 1:
      raise errors.ShapeError(
        f"each tensor must be [B, ...], one row for each selector, "
        f"got {checks.describe(tensor)}. Call set_shape if its rank is "
        "unknown. What has no rows need not be passed: networks may read it."
      )
    here = tf1.dimension_value(tensor.shape[0])
    known = tf1.dimension_value(indices.shape[0])
    if None not in (here, known) and here != known:
      raise errors.ShapeError(
        f"selector has {known} rows, but there are {here} in "
        f"{checks.describe(tensor)}. Give one selector per row."
      )
    if None in (here, known):
      found = tf1.shape(tensor)[0]
      scope = tf1.get_default_graph().get_name_scope()
      message = (
        f"{scope}: selector must have as many rows as {tensor.name}, one for "
        "each of them. Feed as many of both; got"
      )
      texts = [tf1.as_string(rows), "and", tf1.as_string(found)]
      check_ops.append(tf1.Assert(tf1.equal(rows, found), [message, *texts]))
      indices.set_shape([here])
  return after(check_ops, indices) if check_ops else indices


def after(check_ops, tensor):
  """Adds a copy of `tensor` that is computed only after `check_ops`.

  Args:
    check_ops: list of ops.
    tensor: a tensor of any shape.

  Returns:
    A tensor of the same shape.
  """
  with tf1.control_dependencies(check_ops):
    return tf1.identity(tensor)


def _known_indices(known, allowed):
  """Returns the indices of a statically known selector, as a constant."""
  values = np.asarray(known)
  if values.dtype.kind not in "iu":
    values = np.vectorize(tf1.compat.as_str_any, otypes=[object])(values)
  wrong = [value for value in values.ravel().tolist() if value not in allowed]
  if wrong:
    got = ", ".join(repr(value) for value in wrong[:8])
    got += f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
    raise errors.ArgumentError(
      f"selector must be {_allowed(allowed)}, got {got}. "
      f"{_remedy(allowed, wrong[0])}"
    )
  found = [allowed.index(value) for value in values.ravel().tolist()]
  indices = np.reshape(np.array(found, np.int32), values.shape)
  return tf1.constant(indices, name="indices")


def _remedy(allowed, value):
  """Returns what to do about a selector with the wrong value `value`."""
  if isinstance(allowed[0], str):
    hint = errors.suggest(value, allowed).strip()
    return hint or "Correct the name, or add a branch of this name."
  count = len(allowed)
  branches = f"{count} branches" if count > 1 else "a single branch"
  return f"There are {branches}, counted from 0: correct it, or add a branch."


def _allowed(allowed):
  if isinstance(allowed[0], str):
    # No quotes, as TensorFlow escapes them in the messages of a run.
    return "one of the names " + ", ".join(allowed)
  return f"in [0, {len(allowed)})"

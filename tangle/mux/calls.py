"""Calls one branch, or skips it if it has no rows."""

from typing import Any, NamedTuple

from tangle.compat import tf1
from tangle.mux import structures


class Result(NamedTuple):
  """The outputs of a branch.

  Attributes:
    nest: the nest that the network returned, inside the conditional if there is
      one: only its structure, types and shapes may be used.
    leaves: list of its tensors, in the order of `tf.nest.flatten`, which can be
      used whether or not the branch ran.
  """

  nest: Any
  leaves: Any


def call(label, network, inputs, scope):
  """Calls a network that returns rows, and checks its outputs.

  Args:
    label: how the branch is called in messages.
    network: callable from nest to nest; its own errors reach the caller.
    inputs: nest of tensors, which the network gets as it is.
    scope: name scope of the branch.

  Returns:
    A `Result`; there is no conditional.

  Raises:
    ArgumentError: if the network gives no tensor, or anything but dense ones.
    GraphError: if it gives a tensor of another graph.
    ShapeError: if an output is a scalar or of unknown rank.
  """
  with tf1.name_scope(scope):
    what = f"what branch {label} gives"
    nest = structures.to_tensors(what, network(inputs))
    structures.check_rows(label, nest)
    return Result(nest, tf1.nest.flatten(nest))


def call_if(runs, label, network, inputs, scope, skipped_rows=0):
  """Puts a network into a conditional, which runs it only if `runs` is true.

  The network is called once, when the graph is made. In a run where `runs` is
  false none of its ops runs, so that having no rows cannot spoil its updates or
  its gradients.

  Args:
    runs: scalar bool tensor.
    label: how the branch is called in messages.
    network: callable from nest to nest; its own errors reach the caller.
    inputs: nest of tensors, which the network gets as it is.
    scope: name scope of the branch.
    skipped_rows: number of rows, all zero, of a skipped branch, an int or a
      scalar int32 tensor. If a dimension of a row is statically unknown, it is
      0, and so is the number of rows.

  Returns:
    A `Result` with the outputs of the conditional as `leaves`; their number of
    rows is statically unknown.

  Gradients:
    Zero to everything that the network reads, if it is skipped.

  Raises:
    ArgumentError: if the network gives no tensor, or anything but dense ones.
    GraphError: if it gives a tensor of another graph.
    ShapeError: if an output is a scalar or of unknown rank.
  """
  found = []

  def run():
    found.append(call(label, network, inputs, "run"))
    return list(found[0].leaves)

  def skip():
    leaves = []
    for leaf in found[0].leaves:
      dims = [tf1.dimension_value(dim) or 0 for dim in leaf.shape[1:]]
      known = leaf.shape[1:].is_fully_defined()
      count = skipped_rows if known else 0
      shape = tf1.concat([[count], tf1.constant(dims, tf1.int32)], 0)
      leaves.append(tf1.zeros(shape, leaf.dtype.base_dtype))
    return leaves

  leaves = tf1.nest.flatten(tf1.cond(runs, run, skip, name=scope))
  for leaf, inside in zip(leaves, found[0].leaves):
    leaf.set_shape(tf1.TensorShape([None]).concatenate(inside.shape[1:]))
  return Result(found[0].nest, leaves)


def restore_shape(column, shape):
  """Reshapes empty values to the dimensions of the others.

  A skipped branch does not know its statically unknown dimensions: it gives
  `[0, 0, D]` for `[0, T, D]`.

  Args:
    column: K tensors `[n_k, ...]`, one leaf of each branch.
    shape: the `tf.TensorShape` that they share beyond the rows.

  Returns:
    A list like `column`; `column` itself if the graph knows all dimensions
    beyond the rows.
  """
  if all(value.shape[1:].is_fully_defined() for value in column):
    return column
  inner = tf1.reduce_max(tf1.stack([tf1.shape(v)[1:] for v in column]), 0)
  whole = tf1.concat([[0], inner], 0)
  return [_reshape_if_empty(value, whole, shape) for value in column]


def _reshape_if_empty(value, whole, shape):
  own = tf1.shape(value)
  empty = tf1.fill(tf1.shape(own), tf1.equal(own[0], 0))
  value = tf1.reshape(value, tf1.where_v2(empty, whole, own))
  value.set_shape(tf1.TensorShape([None]).concatenate(shape))
  return value

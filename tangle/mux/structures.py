"""Nests of tensors: the inputs and outputs of branches.

A nest is a tensor, or a list, tuple, namedtuple or dict of nests. The outputs
of all branches must have the same structure, types and shapes.
"""

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks


def to_tensors(what, nest):
  """Converts the leaves of a nest to tensors.

  Args:
    what: what the nest is, for messages.
    nest: a nest of tensors, or of values that TensorFlow converts to tensors.

  Returns:
    The nest, with tensors.

  Raises:
    ArgumentError: if it has no leaf, or a leaf is `None` or no dense tensor.
    GraphError: if a leaf belongs to another graph.
  """
  leaves = tf1.nest.flatten(nest)
  if not leaves:
    raise errors.ArgumentError(
      f"{what} must have at least one tensor, got "
      f"{errors.show(nest)}. Give a tensor, or a list or dict of tensors."
    )
  found = []
  for leaf in leaves:
    composite = isinstance(leaf, (tf1.SparseTensor, tf1.IndexedSlices))
    if leaf is None or composite or isinstance(leaf, tf1.RaggedTensor):
      raise errors.ArgumentError(
        f"{what} must be dense tensors, got "
        f"{errors.show(leaf)}. Leave it out, or make it dense."
      )
    checks.check_graph(what, leaf)
    try:
      found.append(tf1.convert_to_tensor(leaf))
    except (TypeError, ValueError) as error:
      raise errors.ArgumentError(
        f"{what} must be dense tensors, got {errors.show(leaf)}, "
        "which TensorFlow cannot convert to one. Give a tensor or an array of "
        f"numbers. TensorFlow says: {errors.summarize(error).rstrip('.')}."
      ) from error
  return tf1.nest.pack_sequence_as(nest, found)


def check_alike(labels, nests, first_row=1):
  """Raises unless all nests have one structure, types and shapes.

  Args:
    labels: how each of the K branches is called in messages.
    nests: K nests of tensors, one per branch, at least one.
    first_row: the first dimension in which the shapes must agree, 0 or 1. An
      unknown dimension agrees with any.

  Returns:
    The merged shapes, a list of one `tf.TensorShape` per leaf, in the order of
    `tf.nest.flatten`, without the first `first_row` dimensions. A dimension is
    known if any branch knows it.

  Raises:
    ArgumentError: if the structures differ.
    DtypeError: if the types of a leaf differ.
    ShapeError: if the shapes of a leaf differ.
  """
  first = tf1.nest.flatten(nests[0])
  shapes = [leaf.shape[first_row:] for leaf in first]
  for label, nest in zip(labels[1:], nests[1:]):
    both = f"branches {labels[0]} and {label} must give"
    try:
      tf1.nest.assert_same_structure(nests[0], nest)
    except (TypeError, ValueError) as error:
      raise errors.ArgumentError(
        f"{both} the same structure, got {nests[0]!r} and {nest!r}. Let "
        "both give as many tensors, in the same lists or dicts."
      ) from error
    for k, (one, other) in enumerate(zip(first, tf1.nest.flatten(nest))):
      if one.dtype.base_dtype != other.dtype.base_dtype:
        raise errors.DtypeError(
          f"{both} the same types, got {checks.describe(one)} and "
          f"{checks.describe(other)}. Convert one of them with tf.cast."
        )
      try:
        shapes[k] = shapes[k].merge_with(other.shape[first_row:])
      except ValueError as error:
        beyond = " beyond the rows" if first_row else ""
        raise errors.ShapeError(
          f"{both} the same shapes{beyond}, got {checks.describe(one)} and "
          f"{checks.describe(other)}. Change one, or add a layer that does."
        ) from error
  return shapes


def check_rows(label, nest):
  """Raises unless every leaf that a branch gives has rows.

  Args:
    label: how the branch is called in messages.
    nest: nest of tensors.

  Raises:
    ShapeError: if a leaf is a scalar, or has an unknown rank.
  """
  for leaf in tf1.nest.flatten(nest):
    if leaf.shape.ndims is None or leaf.shape.ndims < 1:
      raise errors.ShapeError(
        f"branch {label} must give one row per row that it is "
        f"given, got {checks.describe(leaf)}. Call set_shape if the rank is "
        "unknown."
      )

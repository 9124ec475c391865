"""Checks of arguments, and how a tensor is named in a message."""

import numbers
import re

from tangle import errors
from tangle.compat import tf1

NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*\Z")
"""What can name a scope."""


def outermost(graph):
  """Returns the graph that holds the variables of `graph`.

  The bodies of TensorFlow 2 style loops and branches are separate graphs; the
  variables are in the graph around them.

  Args:
    graph: a `tf.Graph`.

  Returns:
    A `tf.Graph`.
  """
  outer = getattr(graph, "outer_graph", None)
  return graph if outer is None else outermost(outer)


def describe(tensor):
  """Returns name, type and static shape of a tensor, for a message.

  Args:
    tensor: a tensor or variable of any shape, in a graph.

  Returns:
    A string such as `"'x:0' (float32, shape [None, 3])"`.
  """
  shape = tensor.shape
  dims = shape.as_list() if shape.ndims is not None else "unknown"
  return f"{tensor.name!r} ({tensor.dtype.base_dtype.name}, shape {dims})"


def check_graph(argument, value):
  """Raises unless `value` can be used in the default graph.

  Args:
    argument: the argument's name, for the message.
    value: any value; only tensors and variables belong to a graph.

  Raises:
    ArgumentError: if `value` is `None`.
    GraphError: if `value` is from another graph, or an eager tensor while eager
      execution is off. The body of a loop or a branch has the graph around it.
  """
  graph = getattr(value, "graph", None)
  if graph is None:
    if value is None:
      raise errors.ArgumentError(
        f"{argument} must be a tensor, got None. Pass a tensor."
      )
    if isinstance(value, tf1.Tensor) and not tf1.executing_eagerly():
      raise errors.GraphError(
        f"{argument} is an eager tensor, which is in no graph. Pass "
        f"its value, {argument}.numpy(), or feed that to a placeholder."
      )
    return
  if outermost(graph) is not outermost(tf1.get_default_graph()):
    raise errors.GraphError(
      f"{argument} {value.name!r} belongs to another graph. Call "
      "under `with graph.as_default():` of the tensor's graph."
    )


def convert_floats(argument, value, dtype, chooser=None):
  """Returns `value` as a tensor; it must have the given float type already.

  Python numbers have no type of their own, and get `dtype`.

  Args:
    argument: the argument's name, for messages.
    value: a tensor, a variable, an array or nested lists of numbers.
    dtype: the type.
    chooser: how the caller can choose the type by an argument `dtype`, for
      messages, such as `"make the network"`; `None` if it cannot.

  Returns:
    A tensor of `dtype`, of any shape.

  Raises:
    ArgumentError: if `value` is `None`.
    DtypeError: if `value` has another type, even a narrower one.
    GraphError: if `value` is from another graph.
  """
  check_graph(argument, value)
  # A preferred type would silently narrow an array.
  preferred = None if hasattr(value, "dtype") else dtype
  tensor = tf1.convert_to_tensor(value, preferred_dtype=preferred)
  own = tensor.dtype.base_dtype
  if own != dtype:
    other = ""
    if chooser is not None and own.is_floating:
      other = f", or {chooser} with dtype=tf.{own.name}"
    raise errors.DtypeError(
      f"{argument} must be {dtype.name}, got {describe(tensor)}. "
      f"Convert it with tf.cast{other}."
    )
  return tensor


def convert_ints(argument, value):
  """Returns `value` as a tensor of int32 or int64.

  Args:
    argument: the argument's name, for messages.
    value: a tensor, a variable, an array or nested lists of ints.

  Returns:
    A tensor of any shape.

  Raises:
    ArgumentError: if `value` is `None`.
    DtypeError: if `value` is not int32 or int64.
    GraphError: if `value` is from another graph.
  """
  check_graph(argument, value)
  tensor = tf1.convert_to_tensor(value)
  if tensor.dtype.base_dtype not in (tf1.int32, tf1.int64):
    raise errors.DtypeError(
      f"{argument} must be int32 or int64, got {describe(tensor)}. "
      "Convert it with tf.cast."
    )
  return tensor


def check_rank(argument, tensor, ranks):
  """Raises unless `tensor` has one of `ranks`.

  Args:
    argument: the argument's name, for the message.
    tensor: a tensor of any shape.
    ranks: a tuple of ints; None for any known rank.

  Raises:
    ShapeError: if the rank is unknown or not in `ranks`.
  """
  rank = tensor.shape.ndims
  if rank is None or (ranks is not None and rank not in ranks):
    wanted = "known rank"
    if ranks is not None:
      wanted = f"rank {' or '.join(map(str, ranks))}"
    remedy = "Reshape it with tf.reshape"
    if rank is None:
      remedy = (
        "Call set_shape on it with a list of its dimensions, with None for "
        "those that vary"
      )
    raise errors.ShapeError(
      f"{argument} must have {wanted}, got {describe(tensor)}. {remedy}."
    )


def check_positive(argument, value):
  """Returns `value` if it is a positive integer.

  Args:
    argument: the argument's name, for the message.
    value: any value.

  Returns:
    `value` as an int.

  Raises:
    ArgumentError: if `value` is not a positive integer, Python's or numpy's.
  """
  if not isinstance(value, numbers.Integral) or value < 1:
    raise errors.ArgumentError(
      f"{argument} must be a positive integer, got {value!r}."
    )
  return int(value)


def to_dtype(argument, dtype):
  """Returns a dtype as a `tf.DType`.

  Args:
    argument: the argument's name, for the message.
    dtype: a `tf.DType`, a numpy type or a name.

  Raises:
    DtypeError: if it is none of these.
  """
  try:
    return tf1.as_dtype(dtype)
  except TypeError as error:
    raise errors.DtypeError(
      f"{argument} must be a type of TensorFlow, got {errors.show(dtype)}. "
      f"Pass one such as tf.float32."
    ) from error


def to_float(argument, dtype):
  """Returns a float type as a `tf.DType`.

  Args:
    argument: the argument's name, for the message.
    dtype: a `tf.DType`, a numpy type or a name.

  Raises:
    DtypeError: if it is none of these, or not a float type.
  """
  found = to_dtype(argument, dtype)
  if not found.is_floating:
    raise errors.DtypeError(
      f"{argument} must be a float type, got {found.name}. "
      "Pass tf.float32 or tf.float64."
    )
  return found


def to_shape(argument, shape):
  """Returns `shape` as a `tf.TensorShape`.

  Args:
    argument: the argument's name, for the message.
    shape: a `tf.TensorShape`, or a list of ints and `None`.

  Raises:
    ArgumentError: if it is neither.
  """
  try:
    return tf1.TensorShape(shape)
  except (TypeError, ValueError) as error:
    raise errors.ArgumentError(
      f"{argument} must be a shape such as [None, 64], got "
      f"{errors.show(shape)}."
    ) from error


@errors.named("{kind}")
def check_name(kind, name):
  """Returns `name` if it can name a scope.

  Args:
    kind: the name of the class, for the message.
    name: any value.

  Returns:
    `name`.

  Raises:
    ArgumentError: if `name` is not a string, or cannot name a scope.
  """
  if not isinstance(name, str) or not NAME.match(name):
    raise errors.ArgumentError(
      f"name must be a string that can name a scope (a letter, digit or '.', "
      f"then also '_-/'), got {errors.show(name)}. Give a name such as "
      f"'encoder'."
    )
  return name


def check_lengths(lengths):
  """Returns `lengths` as a tensor.

  Args:
    lengths: `[B]` int32 or int64, or None.

  Returns:
    `[B]` int tensor, or None for None.

  Raises:
    DtypeError: if the lengths are neither int32 nor int64.
    GraphError: if `lengths` is from another graph.
    ShapeError: if the rank is not 1.
  """
  if lengths is None:
    return None
  lengths = convert_ints("lengths", lengths)
  check_rank("lengths", lengths, (1,))
  return lengths

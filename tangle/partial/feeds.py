"""Checks the feeds of a forward run, and copies the fed arrays."""

import warnings

import numpy as np

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import feeding


def take(caller, feed_dict, graph, repeated, find=None):
  """Checks the feeds of a forward run, and copies the fed arrays.

  Args:
    caller: the name that error messages begin with.
    feed_dict: a dict as `tf.Session.run` takes it.
    graph: the graph of the session.
    repeated: names of tensors that the backward pass recomputes.
    find: a function from tensor to the tensor that is fed in its place.

  Returns:
    A dict from tensor to array, or to the fed value if that is no array.

  Raises:
    GraphError: if a tensor belongs to another graph, may not be fed, is in
      `repeated`, or TensorFlow's graph optimizer would ignore the feed.
    ShapeError: if an array does not fit its tensor.
    DtypeError: as `convert`.
    ArgumentError: as `flat`.
  """
  # The runtime may use a fed array in place (measured on 1.15 and 2.21); a
  # later change of the array would then change a residual.
  owned = {}
  for tensor, value in flat(feed_dict, graph):
    own_graph = tensor.graph is graph
    tensor = find(tensor) if find is not None and own_graph else tensor
    if tensor.dtype == tf1.resource or not _is_plain(value):
      owned[tensor] = own(value)  # such as a handle
    else:
      array = convert(caller, tensor.name, value, tensor.dtype)
      owned[tensor] = own(array) if array is value else array
  for tensor, value in owned.items():
    if tensor.graph is not graph:
      raise errors.GraphError(
        f"{caller}: feed_dict has {tensor.name!r}, which belongs to another "
        f"graph. Feed the placeholders of the sub-model's own graph."
      )
    if not graph.is_feedable(tensor):
      raise errors.GraphError(
        f"{caller}: {tensor.name!r} may not be fed. Cut at a tensor that "
        f"graph.is_feedable() accepts, or put a tf.identity on it."
      )
    if tensor.name in repeated:
      raise errors.GraphError(
        f"{caller}: {tensor.name!r} ({tensor.op.type}) is fed, but the "
        f"backward pass computes it again, from what the graph has there. "
        f"Name it in inputs, or keep it by another value of residuals."
      )
    if feeding.is_forgotten(tensor):
      raise errors.GraphError(
        f"{caller}: {tensor.name!r} ({tensor.op.type}) is fed, but the graph "
        f"optimizer of TensorFlow 2 may bypass it and use the value that the "
        f"graph computes. Name it in inputs."
      )
    shape = value.shape if isinstance(value, np.ndarray) else None
    if shape is not None and not tensor.shape.is_compatible_with(shape):
      raise errors.ShapeError(
        f"{caller}: {tensor.name!r} must be fed an array that fits the shape "
        f"{tensor.shape}, got {shape}."
      )
  return owned


def flat(feed_dict, graph):
  """Lists the tensors that `feed_dict` feeds, each with its value.

  Args:
    feed_dict: a dict as `tf.Session.run` takes it: keys may be tensors, their
      names, variables, sparse tensors, or tuples of these.
    graph: the graph to look names up in.

  Returns:
    A list of pairs of tensor and value.

  Raises:
    ArgumentError: if a key is a resource variable.
  """
  found, stack = [], list(reversed(list(feed_dict.items())))
  while stack:
    key, value = stack.pop()
    if isinstance(key, tf1.Tensor):
      found.append((key, value))
    elif isinstance(key, tuple):
      stack.extend(reversed(list(zip(key, value))))
    elif isinstance(key, tf1.SparseTensor):
      parts = (key.indices, key.values, key.dense_shape)
      stack.extend(reversed(list(zip(parts, value))))
    elif compat.is_indexed_slices(key):
      parts = (key.values, key.indices, key.dense_shape)
      pairs = [pair for pair in zip(parts, value) if pair[0] is not None]
      stack.extend(reversed(pairs))
    elif getattr(key, "handle", None) is not None:
      raise errors.ArgumentError(
        f"feed_dict has the resource variable {key.name!r}, which TensorFlow "
        f"ignores. Assign it by load() or an op, or feed a tensor."
      )
    else:
      tensor = graph.as_graph_element(key, allow_operation=False)
      found.append((tensor, value))
  return found


def convert(caller, name, value, dtype):
  """Converts a fed value to an array of a dtype, without changing its values.

  Only fractions may lose precision, such as float64 in float32. TensorFlow
  itself would feed 1.5 to an int32 placeholder as 1, and 2**40 in an array as
  0.

  Args:
    caller: the name that error messages begin with.
    name: the name of the fed tensor.
    value: an array, or a value that numpy converts to one.
    dtype: a `tf.DType`.

  Returns:
    An array.

  Raises:
    DtypeError: if `dtype` cannot represent the values.
  """
  wanted = dtype.base_dtype.as_numpy_dtype
  if dtype.base_dtype == tf1.string or getattr(value, "dtype", None) == wanted:
    return np.asarray(value)
  try:
    array = np.asarray(value)
    with np.errstate(all="ignore"), warnings.catch_warnings():
      warnings.simplefilter("ignore")  # numpy warns of lost imaginary parts
      found = array.astype(wanted)
    if dtype.is_integer or dtype.is_bool or array.dtype.kind == "c":
      changed = found != array
    else:
      changed = np.isfinite(array) & ~np.isfinite(found)
  except (TypeError, ValueError, OverflowError) as error:
    raise errors.DtypeError(
      f"{caller}: {name!r} must be an array of {dtype.base_dtype.name}, got "
      f"{_show(value)} ({error})."
    ) from error
  if np.any(changed):
    first = array[changed].flat[0] if array.ndim else array
    raise errors.DtypeError(
      f"{caller}: {name!r} must be {dtype.base_dtype.name}, which has no "
      f"{first}; got an array of {array.dtype}. Convert it with astype() if "
      f"that is meant."
    )
  return found


def _is_plain(value):
  """Whether `value` is numbers or strings, which numpy makes an array of."""
  return isinstance(value, (np.ndarray, np.generic, int, float, complex, list))


def _show(value):
  """Returns the fed value as a short string, for messages."""
  text = repr(value)
  return text if len(text) <= 60 else f"{text[:60]}…"


def own(value):
  """Copies an array that may change later.

  Args:
    value: the fed or fetched value of one tensor.

  Returns:
    A copy of the array, or `value` itself if it is no array.
  """
  return np.array(value) if isinstance(value, np.ndarray) else value

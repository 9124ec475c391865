"""Checks the feeds of a forward run, and copies the fed arrays."""

import warnings

import numpy as np

from tangle import compat, errors
from tangle.compat import tf1
from tangle.graphs import feeding


def take(feed_dict, graph, repeated, find=None):
  """Checks the feeds of a forward run, and copies the fed arrays.

  Args:
    feed_dict: a dict as for `flat`; it is not changed.
    graph: the graph of the session.
    repeated: names of tensors that the backward pass recomputes.
    find: a function from tensor to the tensor that is fed in its place; `None`
      if each tensor is fed itself.

  Returns:
    A new dict from tensor (what `find` returns) to an array of its dtype, a
    copy. A value that stands for no array, such as a handle of a session, is
    taken as it is.

  Raises:
    GraphError: if a tensor belongs to another graph, may not be fed, is in
      `repeated`, or TensorFlow's graph optimizer would ignore the feed.
    ShapeError: if an array does not fit the static shape of its tensor.
    DtypeError: as `convert`.
    ArgumentError: as `flat`.
  """
  # The runtime may use a fed array in place (measured on 1.15 and 2.21); a
  # later change of the array would then change a residual.
  owned = {}
  for tensor, value in flat(feed_dict, graph):
    own_graph = tensor.graph is graph
    tensor = find(tensor) if find is not None and own_graph else tensor
    if tensor.dtype == tf1.resource or not _is_plain(value, tensor.dtype):
      owned[tensor] = own(value)  # such as a handle
    else:
      array = convert(tensor.name, value, tensor.dtype)
      owned[tensor] = own(array) if array is value else array
  for tensor, value in owned.items():
    if tensor.graph is not graph:
      raise errors.GraphError(
        f"feed_dict has {tensor.name!r}, which belongs to another "
        f"graph. Feed the placeholders of the sub-model's own graph."
      )
    if not graph.is_feedable(tensor):
      raise errors.GraphError(
        f"TensorFlow does not allow to feed {tensor.name!r} "
        f"({tensor.op.type}). Put a tf.identity on it, build the network on "
        f"that, and use it as the input."
      )
    if tensor.name in repeated:
      raise errors.GraphError(
        f"{tensor.name!r} ({tensor.op.type}) is fed, but the "
        f"backward pass computes it again, from what the graph has there. "
        f"Name it in inputs, or keep it by another value of residuals."
      )
    if feeding.is_forgotten(tensor):
      raise errors.GraphError(
        f"{tensor.name!r} ({tensor.op.type}) is fed, but the graph "
        f"optimizer of TensorFlow 2 may bypass it and use the value that the "
        f"graph computes. Name it in inputs."
      )
    shape = value.shape if isinstance(value, np.ndarray) else None
    if shape is not None and not tensor.shape.is_compatible_with(shape):
      raise errors.ShapeError(
        f"{tensor.name!r} must be fed an array that fits the shape "
        f"{tensor.shape}, got {shape}. {explain_shape(tensor.shape, shape)}"
      )
  return owned


def flat(feed_dict, graph):
  """Lists the tensors that `feed_dict` feeds, each with its value.

  Args:
    feed_dict: a dict as `tf.Session.run` takes it: keys may be tensors, their
      names such as "x:0", reference variables, sparse tensors, `IndexedSlices`,
      or tuples of these.
    graph: the graph to look names up in. Keys that are tensors may be of
      another graph.

  Returns:
    A list of pairs of tensor and value, in the order of `feed_dict`. A sparse
    tensor or a tuple gives a pair for each of its parts. No value is converted.

  Raises:
    ArgumentError: if `feed_dict` is no dict, or a key is a resource variable or
      not the name of a tensor.
  """
  if not hasattr(feed_dict, "items"):
    remedy = "Give {placeholder: array}"
    if isinstance(feed_dict, tf1.Session):
      remedy = "Pass the session first, then the dict"
    raise errors.ArgumentError(
      f"feed_dict must be a dict from tensor to array, got "
      f"{errors.show(feed_dict)}. {remedy}."
    )
  found, stack = [], list(reversed(list(feed_dict.items())))
  while stack:
    key, value = stack.pop()
    if isinstance(key, tf1.Tensor) and _is_symbolic(key):
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
    elif getattr(key, "handle", None) is not None and _is_symbolic(key):
      raise errors.ArgumentError(
        f"feed_dict has the resource variable {key.name!r}, which "
        f"TensorFlow ignores. Assign it by load() or an op, or feed a tensor."
      )
    else:
      found.append((_element(key, graph), value))
  return found


def _element(key, graph):
  """Returns the tensor that a key of a feed dict names."""
  try:
    return graph.as_graph_element(key, allow_operation=False)
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    names = [op.name for op in graph.get_operations() if "Placeh" in op.type]
    remedy = "Use a placeholder, or its name such as 'x:0', as the key."
    if not isinstance(key, str):
      remedy = f"{remedy[:-1]}, and the array as the value."
    hint = errors.suggest(key, [f"{name}:0" for name in names])
    raise errors.ArgumentError(
      f"feed_dict has the key {errors.show(key)}, which is no tensor "
      f"of the graph.{hint} {remedy}"
    ) from error


def convert(name, value, dtype):
  """Converts a fed value to an array of a dtype, without changing its values.

  Only fractions may lose precision, such as float64 in float32. TensorFlow
  itself would feed 1.5 to an int32 placeholder as 1, and 2**40 in an array as
  0.

  Args:
    name: the name of the fed tensor.
    value: an array, or a value that numpy converts to one.
    dtype: a `tf.DType`.

  Returns:
    An array of `dtype`; `value` itself if it is such an array.

  Raises:
    DtypeError: if `dtype` cannot represent the values, or `value` is `None`, a
      tensor or variable of a graph, an eager variable, nested lists of
      different lengths, or anything else that is no array of numbers.
  """
  wanted = dtype.base_dtype.as_numpy_dtype
  if not isinstance(value, np.ndarray):
    _check_given(name, value, dtype)
  is_alike = getattr(value, "dtype", None) == wanted
  try:
    if dtype.base_dtype == tf1.string or is_alike:
      return np.asarray(value)
    with np.errstate(all="ignore"), warnings.catch_warnings():
      # numpy warns of lost imaginary parts, and of lists of different lengths
      warnings.simplefilter("ignore")
      array = np.asarray(value)
      found = array.astype(wanted)
    if dtype.is_integer or dtype.is_bool or array.dtype.kind == "c":
      changed = found != array
    else:
      changed = np.isfinite(array) & ~np.isfinite(found)
  except (NotImplementedError, TypeError, ValueError, OverflowError) as error:
    raise errors.DtypeError(
      f"{name!r} must be an array of {dtype.base_dtype.name}, got "
      f"{errors.show(value)}, {_fault(value)}."
    ) from error
  if np.any(changed):
    first = array[changed].flat[0] if array.ndim else array
    raise errors.DtypeError(
      f"{name!r} must be {dtype.base_dtype.name}, which has no "
      f"{first}; got an array of {array.dtype}. Convert it with astype() if "
      f"that is meant."
    )
  return found


_PLAIN = (np.ndarray, np.generic, int, float, complex, list, tuple, tf1.Tensor)


def _is_plain(value, dtype):
  """Whether `value` is to be made an array; a handle of a session is not."""
  is_wrong = isinstance(value, (str, bytes, dict, set)) and dtype != tf1.string
  return (
    isinstance(value, _PLAIN)
    or value is None
    or is_wrong
    or _is_symbolic(value)
    or _is_variable(value)
  )


def _is_symbolic(value):
  """Whether `value` is a tensor or variable of a graph, without a value."""
  return isinstance(getattr(value, "graph", None), tf1.Graph)


def _is_variable(value):
  return hasattr(value, "assign_add") and hasattr(value, "dtype")


def _check_given(name, value, dtype):
  """Refuses `None`, and what has no value here; an eager tensor has one."""
  kind = dtype.base_dtype.name
  if value is None:
    raise errors.DtypeError(
      f"{name!r} must be an array of {kind}, got None. Feed an "
      f"array; only a placeholder with a default may be omitted."
    )
  if _is_variable(value) and not _is_symbolic(value):
    raise errors.DtypeError(
      f"{name!r} must be an array of {kind}, got the eager variable "
      f"{value.name!r}. Feed what its numpy() returns outside of graphs."
    )
  if _is_symbolic(value):
    given = getattr(value, "name", None)
    raise errors.DtypeError(
      f"{name!r} must be an array of {kind}, got the tensor "
      f"{repr(given) if given else errors.show(value)}, which has no value "
      f"outside a run. Feed what sess.run() returns for it, or build the "
      f"network on it."
    )


def _fault(value):
  """Says why `value` is no array of numbers, with the remedy."""
  if find_ragged(value)[1]:
    return (
      "whose rows have different lengths. Make them equally long, or, in a "
      "pipeline, let Pipeline.add(pad={name: value}) pad the bucket's axis"
    )
  if _has_strings(value):
    return (
      "which has strings. Convert them to numbers first, as by a vocabulary"
    )
  if isinstance(value, (dict, set)):
    return "which is no array. Feed each of its arrays to its own placeholder"
  if getattr(getattr(value, "dtype", None), "kind", "") == "O":
    return "whose elements are Python objects. Make it an array of numbers"
  return "which cannot be converted. Convert it with np.array() first"


def _has_strings(value):
  if isinstance(value, (list, tuple)):
    return any(map(_has_strings, value))
  kind = getattr(getattr(value, "dtype", None), "kind", "")
  return isinstance(value, (str, bytes)) or kind in ("S", "U")


def find_ragged(value):
  """Finds the axes on which nested lists have different lengths.

  Args:
    value: nested lists, tuples or arrays of numbers.

  Returns:
    Two lists of ints: the greatest length on each axis on which every item is
    a row, and the axes on which lengths differ, empty if the lists are not
    nested equally deep.
  """
  level, lengths, axes = [value], [], []
  while level and all(_is_row(each) for each in level):
    sizes = {len(each) for each in level}
    if len(sizes) > 1:
      axes.append(len(lengths))
    lengths.append(max(sizes))
    level = [item for each in level for item in each]
  return lengths, [] if any(_is_row(each) for each in level) else axes


def _is_row(value):
  is_array = isinstance(value, np.ndarray) and value.ndim > 0
  return is_array or isinstance(value, (list, tuple))


def fill_rows(value, lengths, filler):
  """Returns new nested lists, each filled up at its end to a given length.

  Args:
    value: nested lists, tuples or arrays of different lengths.
    lengths: the length on each axis, at least that of each list; if empty,
      `value` itself is returned.
    filler: the number to fill with.
  """
  if not lengths:
    return value
  size, *rest = lengths
  rows = [fill_rows(item, rest, filler) for item in value]
  return rows + [np.full(rest, filler).tolist()] * (size - len(rows))


def explain_shape(wanted, shape):
  """Returns the remedy for an array whose shape is known not to fit.

  Args:
    wanted: the `tf.TensorShape` that it should fit.
    shape: the shape of the array, a tuple.

  Returns:
    A sentence.
  """
  if wanted.rank is not None and wanted.rank != len(shape):
    kind = "Add" if len(shape) < wanted.rank else "Remove"
    sizes = [
      f"size {size} on axis {axis}"
      for axis, size in enumerate(wanted.as_list())
      if size is not None
    ]
    also = f" There must be {' and '.join(sizes)}." if sizes else ""
    return (
      f"{kind} axes: rank {wanted.rank} is expected and rank {len(shape)} is "
      f"given.{also}"
    )
  wrong = [
    f"axis {axis} must have size {size}"
    for axis, (size, given) in enumerate(zip(wanted.as_list(), shape))
    if size not in (None, given)
  ]
  text = " and ".join(wrong)
  return f"{text[:1].upper()}{text[1:]}."


def check_upstream(tensor, output, value):
  """Checks an upstream gradient of a sub-model's output.

  Args:
    tensor: the output, a tensor of any shape.
    output: its value in the forward run, an array.
    value: the gradient: an array, or what numpy converts to one of the dtype of
      `tensor`.

  Returns:
    An array with the dtype of `tensor` and the shape of `output`; `value`
    itself if it is one.

  Raises:
    DtypeError: if `tensor` is not floating, or `value` is an array of another
      dtype or cannot be converted.
    ShapeError: if `value` has another shape than `output`.
  """
  if not compat.is_differentiable(tensor.dtype):
    raise errors.DtypeError(
      f"the output {tensor.name!r} is {tensor.dtype.name} and can "
      f"have no gradient. Give None for it."
    )
  what = f"the upstream gradient of {tensor.name!r} must"
  kind, array = tensor.dtype.base_dtype, value
  dtype = kind.as_numpy_dtype
  if not isinstance(value, (np.ndarray, np.generic)):
    try:
      array = np.asarray(value, dtype)
    except (NotImplementedError, TypeError, ValueError) as error:
      raise errors.DtypeError(
        f"{what} be an array of {kind.name}, got {errors.show(value)}. Give an "
        f"array with the shape of the output."
      ) from error
  if array.dtype != dtype:
    raise errors.DtypeError(
      f"{what} be {kind.name}, got {array.dtype}. Convert it with astype()."
    )
  if np.shape(array) != np.shape(output):
    raise errors.ShapeError(
      f"{what} have the shape {np.shape(output)} of the output, got "
      f"{np.shape(array)}. Compute it from the outputs of this call."
    )
  return array


def own(value):
  """Copies an array that may change later.

  Args:
    value: the fed or fetched value of one tensor.

  Returns:
    A copy of the array, or `value` itself if it is no array.
  """
  return np.array(value) if isinstance(value, np.ndarray) else value

"""The sub-models of a pipeline: their connections, buckets and feeds."""

import collections
import re
import types
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.partial import feeds as fed
from tangle.pipeline import batches, pieces


class Source(NamedTuple):
  """The output of a sub-model that another one reads."""

  sub_model: str
  output: str

  def __str__(self):
    return f"{self.sub_model}.{self.output}"


class Node(NamedTuple):
  """One sub-model: the arguments of `Pipeline.add`, and its graphs.

  Attributes:
    name: its name.
    build: builds its graph: `build(bucket, reads)` returns a `Piece`.
    buckets: its buckets, `[None]` if it has none.
    reads: read name → the `Source`s that it may come from.
    pad: feed name → the value with which arrays are padded.
    bucket_of: a function from the feeds to the bucket; `None` for the first
      bucket that they fit.
    residuals: its residual policy.
    key: the int64 scalar tensor, the key of its tensors in a step.
    graphs: bucket → `BucketGraph`, once they are built.
    device: its device, `None` if TensorFlow chooses.
  """

  name: str
  build: Any
  buckets: List[Any]
  reads: Dict[str, List[Source]]
  pad: Dict[str, Any]
  bucket_of: Optional[Any]
  residuals: Any
  key: Any
  graphs: Dict[Any, Any]
  device: Optional[str] = None


def default_graph():
  """Returns the default graph.

  Returns:
    A `tf.Graph`.

  Raises:
    GraphError: if TensorFlow executes eagerly, outside of any graph.
  """
  if tf1.executing_eagerly():
    raise errors.GraphError(
      "TensorFlow executes eagerly here, so that there is no graph "
      "to build in. Build and train within `with tf.Graph().as_default():`."
    )
  return tf1.get_default_graph()


def op_name(text):
  """Returns `text` with one `_` for each part that op names may not have."""
  return re.sub(r"[^A-Za-z0-9_.-]+", "_", str(text))


def check_new(name, buckets, known):
  """Checks name and buckets of a sub-model to add.

  Args:
    name: its name.
    buckets: its buckets, or `None`.
    known: the names that are in use.

  Returns:
    The list of its buckets, `[None]` for `None`.

  Raises:
    ArgumentError: if the name is in use or has a dot, `buckets` is empty, two
      buckets are equal, or all are ints and not in ascending order.
  """
  if name in known or "." in name:
    raise errors.ArgumentError(
      f"a sub-model needs a name of its own without a dot; there "
      f"are {list(known)}, got {name!r}. Choose another name."
    )
  buckets = [None] if buckets is None else list(buckets)
  sizes = sorted({size for size in buckets if isinstance(size, int)})
  is_sorted = buckets == sizes or len(sizes) < len(set(buckets))
  if not buckets or len(set(buckets)) < len(buckets) or not is_sorted:
    raise errors.ArgumentError(
      f"buckets must be different from one another, listed from "
      f"small to large, and at least one, got {buckets}."
    )
  return buckets


def check_device(device):
  """Raises if a string is not the name of a device.

  Args:
    device: a string such as `"/job:worker/task:1"` or `"/gpu:0"`, or `None`.

  Raises:
    ArgumentError: if it is anything else.
  """
  if device is None:
    return
  try:
    known = isinstance(device, str) and tf1.DeviceSpec.from_string(device)
  except ValueError:
    known = False
  if not known or not known.to_string():
    raise errors.ArgumentError(
      f"device must name a device, such as '/job:worker/task:1' or "
      f"'/gpu:0', got {device!r}."
    )


def parse_reads(reads, nodes):
  """Parses the argument `reads` of `Pipeline.add`.

  Args:
    reads: read name → `"sub_model.output"`, or a list of these, the
      alternatives.
    nodes: name → `Node` of the sub-models added before. Whether they have the
      outputs is not checked.

  Returns:
    An ordered dict from read name to a list of `Source`; empty for `None`.

  Raises:
    ArgumentError: if a source is malformed, read twice, or its sub-model does
      not exist; if a read has no source, or two of one sub-model.
  """
  parsed = collections.OrderedDict()
  for read, sources in (reads or {}).items():
    sources = [sources] if isinstance(sources, str) else list(sources)
    parsed[read] = []
    for text in sources:
      sub_model, dot, output = text.partition(".")
      if not dot or not output or sub_model not in nodes:
        raise errors.ArgumentError(
          f"the read {read!r} must come from 'sub_model.output' of "
          f"one of {list(nodes)}, got {text!r}."
          f"{_source_remedy(text, nodes)}"
        )
      source = Source(sub_model, output)
      if any(source in found for found in parsed.values()):
        raise errors.ArgumentError(
          f"'{source}' is read twice. Read it once; the builder may "
          f"use the tensor as often as it likes."
        )
      parsed[read].append(source)
    sub_models = [source.sub_model for source in parsed[read]]
    if not sub_models or len(set(sub_models)) < len(sub_models):
      raise errors.ArgumentError(
        f"the read {read!r} must choose among outputs of different "
        f"sub-models, at least one, got {sources}. A batch chooses by the "
        f"sub-models that it names."
      )
  return parsed


def refuse_output(read, source, outputs):
  """Raises the error for a read of an output that does not exist.

  Args:
    read: the name of the read.
    source: its `Source`.
    outputs: the names of the outputs of that sub-model.

  Raises:
    ArgumentError: in any case.
  """
  hint = errors.suggest(source.output, outputs)
  raise errors.ArgumentError(
    f"the read {read!r} comes from '{source}', but "
    f"{source.sub_model!r} has the outputs {list(outputs)}."
    f"{hint or ' Read one of them, or add it to its Piece.'}"
  )


def _source_remedy(text, nodes):
  name, _, output = text.partition(".")
  if name in nodes:
    return f" Name an output too, such as '{name}.h'."
  hint = errors.suggest(text, [f"{known}.{output}" for known in nodes])
  return hint or " Add that sub-model first."


def group_sources(nodes):
  """Finds the sources that share a boundary.

  The alternatives of one read share a boundary. So do sources that both share
  one with a third.

  Args:
    nodes: name → `Node`.

  Returns:
    A dict from each `Source` that is read to the representative of all that
    share its boundary.

  Raises:
    ArgumentError: if two outputs of one sub-model would share a boundary, as
      both would have the same key there.
  """
  group = {}
  for node in nodes.values():
    for sources in node.reads.values():
      merged = {group.get(source, source) for source in sources}
      target = group.get(sources[0], sources[0])
      for source in list(group) + sources:
        if group.get(source, source) in merged:
          group[source] = target
  seen = {}
  for source, target in group.items():
    other = seen.setdefault((source.sub_model, target), source)
    if other != source:
      raise errors.ArgumentError(
        f"one read chooses between '{other}' and other outputs, and "
        f"another read between '{source}' and the same other outputs. Let the "
        f"builder of such an other output return its tensor under two names, "
        f"and give each of the two reads a name of its own."
      )
  return group


@errors.named("Pipeline sub-model {node.name!r}")
def choose_bucket(node, feeds, needed=None):
  """Chooses the bucket for the feeds of one sub-model.

  Args:
    node: a `Node` whose graphs are built.
    feeds: feed name → array, or a value that numpy converts to one.
    needed: names of the required feeds; by default all without a default.

  Returns:
    A `BucketGraph`, the first that all arrays fit, and a dict: placeholder →
    array, padded to that bucket.

  Raises:
    ArgumentError: if `feeds` is no dict, a feed is missing or unknown, or there
      are several buckets and nothing to choose by.
    DtypeError: if a placeholder's dtype cannot represent the values.
    BucketError: if no bucket fits, or `bucket_of` returns what is no bucket.
    ShapeError: if an array has a shape that no larger bucket would take.
  """
  first = node.graphs[node.buckets[0]].piece
  arrays = take(first, feeds, needed, node.pad)
  candidates = batches.candidates(node, arrays)
  if not first.feeds and len(candidates) > 1:
    raise errors.ArgumentError(
      f"it has the buckets {candidates} but no feeds, whose shapes "
      f"would choose one. Give Pipeline.add one bucket, or bucket_of."
    )
  for bucket in candidates:
    feed_dict = fit(node.graphs[bucket].piece, arrays, node.pad)
    if feed_dict is not None:
      return node.graphs[bucket], feed_dict
  last = node.graphs[candidates[-1]].piece.feeds
  for name, array in arrays.items():
    if not _fits(last[name], array, name in node.pad):
      wanted = [node.graphs[b].piece.feeds[name].shape for b in candidates]
      batches.refuse_shape(
        name, array.shape, candidates, wanted, name in node.pad
      )
  raise errors.BucketError(
    f"no single bucket of {candidates} takes the shapes "
    f"{ {name: array.shape for name, array in arrays.items()} }. Add such a "
    f"bucket, or leave the example out."
  )


def take(piece, feeds, needed=None, pad=types.MappingProxyType({})):
  """Checks the feeds of one sub-model and converts them to arrays.

  Args:
    piece: the `Piece` of any bucket.
    feeds: feed name → array, or a value that numpy converts to one.
    needed: names of the required feeds; by default all placeholders without a
      default.
    pad: feed name → the value with which ragged lists are filled up.

  Returns:
    Feed name → array.

  Raises:
    ArgumentError: if `feeds` is no dict, or a feed is missing or unknown.
    DtypeError: if a placeholder's dtype cannot represent the values.
  """
  if not hasattr(feeds, "items"):
    raise errors.ArgumentError(
      f"the batch must have a dict of its feeds, empty if there are "
      f"none, got {type(feeds).__name__}. Give feed name → array, for the "
      f"feeds {list(piece.feeds)}."
    )
  for name in feeds:
    if name not in piece.feeds:
      hint = errors.suggest(name, piece.feeds) or " Leave it out."
      raise errors.ArgumentError(
        f"the batch has a feed {name!r}; the sub-model takes "
        f"{list(piece.feeds)}.{hint}"
      )
  for name, placeholder in piece.feeds.items():
    missing = name not in feeds and (needed is None or name in needed)
    if missing and not pieces.is_optional(placeholder):
      raise errors.ArgumentError(
        f"the batch has no feed {name!r}; the sub-model takes "
        f"{list(piece.feeds)}. Add an array for it."
      )
  return {
    name: _take(name, value, piece.feeds[name], pad)
    for name, value in feeds.items()
  }


def _take(name, value, placeholder, pad):
  """Returns a value as an array; fills up ragged lists where buckets pad."""
  try:
    return fed.convert(name, value, placeholder.dtype)
  except errors.DtypeError:
    lengths, axes = fed.find_ragged(value)
    shape = placeholder.shape
    if not axes or name not in pad or shape.rank != len(lengths):
      raise
    sizes = shape.as_list()
    if any(sizes[axis] is None for axis in axes):  # not an axis of buckets
      raise
  filled = fed.fill_rows(value, lengths, pad[name])
  return fed.convert(name, filled, placeholder.dtype)


def fit(piece, arrays, pad):
  """Pads arrays to a piece, if they fit it.

  Args:
    piece: a `Piece`.
    arrays: feed name → array.
    pad: feed name → the value with which its arrays are padded.

  Returns:
    A dict: placeholder → padded array; `None` if an array does not fit.
  """
  if not all(
    _fits(piece.feeds[name], array, name in pad)
    for name, array in arrays.items()
  ):
    return None
  return {
    piece.feeds[name]: _pad(piece.feeds[name], array, pad.get(name))
    for name, array in arrays.items()
  }


def _fits(placeholder, array, may_pad):
  shape = placeholder.shape
  if shape.rank is None:
    return True
  if shape.rank != array.ndim:
    return False
  return all(
    size is None or given == size or (may_pad and given < size)
    for size, given in zip(shape.as_list(), array.shape)
  )


def _pad(placeholder, array, value):
  if value is None or placeholder.shape.rank is None:
    return array
  widths = [
    (0, 0 if size is None else size - given)
    for size, given in zip(placeholder.shape.as_list(), array.shape)
  ]
  if not any(width for _, width in widths):
    return array
  # In the placeholder's dtype, as the array's may be too narrow for the value.
  array = array.astype(placeholder.dtype.as_numpy_dtype)
  return np.pad(array, widths, mode="constant", constant_values=value)

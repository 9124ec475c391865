"""Restores the collections of a meta graph into a graph that has its ops."""

import logging

from tangle import errors
from tangle.compat import tf1
from tangle.meta_graphs import files

_NEEDED = frozenset(
  [
    tf1.GraphKeys.GLOBAL_VARIABLES,
    tf1.GraphKeys.TRAINABLE_VARIABLES,
    tf1.GraphKeys.COND_CONTEXT,
    tf1.GraphKeys.WHILE_CONTEXT,
  ]
)
"""Collections without which gradients would be wrong."""


def restore(path, meta):
  """Fills the collections of the current graph.

  What a collection of the graph holds already is kept. A collection that cannot
  be restored is dropped, with a warning that names it: one of objects whose
  class this TensorFlow does not know, which `tf.train.import_meta_graph` would
  leave as serialized bytes, or one that raises an error on import.

  Args:
    path: the file with the meta graph, for messages.
    meta: a `MetaGraphDef` whose ops the current graph has.

  Returns:
    A dict: name of a dropped collection → reason, a string; empty if all
    collections were restored.

  Raises:
    GraphError: if a dropped collection is that of the global variables, the
      trainable variables, or the contexts of TensorFlow 1 style loops or
      conditionals. The other collections have then been filled.
  """
  graph = tf1.get_default_graph()
  saved = meta.collection_def
  dropped = {
    key: "it is empty, or of a kind that this TensorFlow does not know"
    for key in sorted(saved)
    if saved[key].WhichOneof("kind") is None
  }
  keys = [key for key in sorted(saved) if key not in dropped]
  before = {key: list(graph.get_collection_ref(key)) for key in keys}
  if _restore(meta, keys) is not None:
    for key in keys:
      _reset(graph, before)
      error = _restore(meta, [key])
      if error is not None:
        dropped[key] = files.first_line(error)
    _reset(graph, before)
    error = _restore(meta, [key for key in keys if key not in dropped])
    if error is not None:
      dropped[tf1.GraphKeys.GLOBAL_VARIABLES] = files.first_line(error)
  for key in keys:
    values = graph.get_collection_ref(key)
    if any(_is_object(value) for value in values[len(before[key]) :]):
      values[:] = before[key]
      dropped[key] = (
        "its objects are of a class that is not registered; import the module "
        "of that class first if you need them"
      )
  lost = {key: why for key, why in dropped.items() if key in _NEEDED}
  if lost:
    raise errors.GraphError(
      f"{path} has collections that are needed and cannot be "
      f"restored: {lost}. Save the graph again where it was built."
    )
  for key, why in dropped.items():
    logging.getLogger(__name__).warning(
      "meta_graphs.load: the collection %r of %s is dropped: %s",
      key,
      path,
      why,
    )
  return dropped


def _is_object(value):
  """Whether a value is an object serialized by TensorFlow, not text."""
  if not isinstance(value, bytes):
    return False
  try:
    text = value.decode("utf-8")
  except UnicodeDecodeError:
    return True
  return any(c < " " and c not in "\t\n\r" for c in text)


def _restore(meta, keys):
  """Restores some collections; returns the error raised, or `None`."""
  # With a given saver definition, no saver ops are added.
  saver_def = tf1.train.SaverDef(
    filename_tensor_name="none",
    save_tensor_name="none",
    restore_op_name="none",
  )
  part = tf1.MetaGraphDef(meta_info_def=meta.meta_info_def, saver_def=saver_def)
  # An import lowers the graph's version to that of the imported definition.
  part.graph_def.versions.CopyFrom(meta.graph_def.versions)
  for key in keys:
    part.collection_def[key].CopyFrom(meta.collection_def[key])
  try:
    tf1.train.import_meta_graph(part)
  except Exception as error:  # each class raises a different one
    return error
  return None


def _reset(graph, collections):
  for key, values in collections.items():
    graph.get_collection_ref(key)[:] = values

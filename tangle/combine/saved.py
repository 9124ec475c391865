"""Reads what a checkpoint or a SavedModel has: names, shapes, types.

Three kinds are read: a checkpoint of `tf.train.Saver`, a SavedModel of
TensorFlow 1, and an object-based one, such as a SavedModel of TensorFlow 2 or
`tf.train.Checkpoint` writes. In the last, a variable has two names: the one it
had, if it is the only one of that name, and its path among the objects. No
values are read here.
"""

import os
from typing import Any, NamedTuple, Optional

from google.protobuf import symbol_database

from tangle import errors
from tangle.compat import tf1

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class Entry(NamedTuple):
  """A saved variable.

  Attributes:
    key: the name by which TensorFlow restores it.
    name: the name of the variable.
    path: its path among the objects; None if names are all there is.
    shape: list of ints.
    dtype: a `tf.DType`.
  """

  key: str
  name: str
  path: Optional[str]
  shape: Any
  dtype: Any


class Saved(NamedTuple):
  """What a checkpoint has.

  Attributes:
    prefix: what `tf.train.Saver.restore` takes.
    entries: a list of `Entry`, sorted by name.
  """

  prefix: str
  entries: Any


def read(caller, path):
  """Reads the names, shapes and types of saved variables.

  Args:
    caller: who asks, for messages.
    path: prefix of a checkpoint, a folder with checkpoints, of which the
      newest is taken, or the folder of a SavedModel.

  Returns:
    A `Saved`.

  Raises:
    DataError: if there is none, or it cannot be read.
  """
  prefix = path
  if os.path.isdir(path):
    prefix = os.path.join(path, "variables", "variables")
    if not os.path.exists(prefix + ".index"):
      prefix = tf1.train.latest_checkpoint(path)
    if prefix is None:
      raise errors.DataError(
        f"{caller}: the folder {path!r} has neither a SavedModel with "
        f"variables nor a checkpoint. Give the prefix of a checkpoint, or the "
        f"folder of a SavedModel that was not frozen."
      )
  try:
    reader = tf1.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
  except (tf1.errors.OpError, ValueError, RuntimeError) as error:
    raise errors.DataError(
      f"{caller}: the checkpoint {prefix!r} cannot be read ({error}). "
      f"Give its path without .index or .data-...."
    ) from error
  dtypes = reader.get_variable_to_dtype_map()
  names = {}
  if _OBJECTS in shapes:
    names = _full_names(reader.get_tensor(_OBJECTS))
  entries = []
  for key in shapes:
    if key == _OBJECTS or (_OBJECTS in shapes and not key.endswith(_VALUE)):
      continue
    object_path = None
    if key.endswith(_VALUE):
      object_path = _unescape(key[: -len(_VALUE)])
    name = names.get(key) or object_path or key
    entries.append(
      Entry(key, name, object_path, list(shapes[key]), dtypes[key].base_dtype)
    )
  return Saved(prefix, sorted(entries, key=lambda entry: entry.name))


def _full_names(serialized):
  """Returns key → name of the variables whose names are the only ones."""
  # TensorFlow has no public name for this message.
  kind = symbol_database.Default().GetSymbol("tensorflow.TrackableObjectGraph")
  names = {}
  for node in kind.FromString(serialized).nodes:
    for attribute in node.attributes:
      names[attribute.checkpoint_key] = attribute.full_name
  found = list(names.values())
  return {k: name for k, name in names.items() if found.count(name) == 1}


def _unescape(path):
  """Undoes how object paths hide slashes and dots in names."""
  return path.replace(".S", "/").replace("..", ".")

"""Lists the variables in checkpoints, SavedModels and Keras files.

Lists name, shape and type of each variable, but no values. Four formats are
read: a checkpoint of `tf.train.Saver`, a SavedModel of TensorFlow 1, a Keras
file, and an object-based checkpoint, such as a SavedModel of TensorFlow 2 or
the files of `tf.train.Checkpoint`. In the last, a variable has two names: its
original name, if that is unique, and its path among the objects. In a Keras
file, the path is that of an array in the file.
"""

import os
from typing import Any, NamedTuple, Optional

from google.protobuf import symbol_database

from tangle import errors
from tangle.combine import keras_files
from tangle.compat import tf1

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# The export of Keras saves each variable twice; these copies are unordered.
_AGAIN = "_all_variables/"


class Entry(NamedTuple):
  """A saved variable.

  Attributes:
    key: the name by which TensorFlow restores it.
    name: the name of the variable.
    path: its path among the objects; None in files that have names only.
    shape: list of ints.
    dtype: a `tf.DType`.
  """

  key: str
  name: str
  path: Optional[str]
  shape: Any
  dtype: Any


class Saved(NamedTuple):
  """The content of a checkpoint.

  Attributes:
    prefix: path prefix, as for `tf.train.Saver.restore`.
    entries: a list of `Entry`, sorted by name.
    arrays: for a Keras file, which no `tf.train.Saver` can read, a function
      from a list of keys to arrays; `None` for others.
  """

  prefix: str
  entries: Any
  arrays: Any = None


def read(path):
  """Reads the names, shapes and types of saved variables, but no values.

  Args:
    path: prefix of a checkpoint, a folder with checkpoints, of which the newest
      is read, the folder of a SavedModel, or a Keras file.

  Returns:
    A `Saved`.

  Raises:
    DataError: if there is none, or it cannot be read.
    MissingPackageError: if h5py is required but not installed.
  """
  if keras_files.is_file(path):
    return _read_keras(path)
  prefix = path
  if os.path.isdir(path):
    prefix = os.path.join(path, "variables", "variables")
    if not os.path.exists(prefix + ".index"):
      prefix = tf1.train.latest_checkpoint(path)
    if prefix is None:
      raise errors.DataError(
        f"the folder {path!r} has neither a SavedModel with "
        f"variables nor a checkpoint. Give the prefix of a checkpoint, or the "
        f"folder of a SavedModel that was not frozen."
      )
  try:
    reader = tf1.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
  except (tf1.errors.OpError, ValueError, RuntimeError) as error:
    raise errors.DataError(
      f"the checkpoint {prefix!r} cannot be read ({errors.summarize(error)}). "
      f"Give its path without .index or .data-...."
    ) from error
  dtypes = reader.get_variable_to_dtype_map()
  names, again = {}, set()
  if _OBJECTS in shapes:
    names, again = _full_names(reader.get_tensor(_OBJECTS))
  entries = []
  for key in shapes:
    if key == _OBJECTS or (_OBJECTS in shapes and not key.endswith(_VALUE)):
      continue
    if key in again:
      continue
    object_path = None
    if key.endswith(_VALUE):
      object_path = _unescape(key[: -len(_VALUE)])
    name = names.get(key) or object_path or key
    entries.append(
      Entry(key, name, object_path, list(shapes[key]), dtypes[key].base_dtype)
    )
  return Saved(prefix, sorted(entries, key=lambda entry: entry.name))


def _read_keras(path):
  """Reads a Keras file."""
  file = keras_files.Weights(path)
  found = list(file.names.values())
  entries = [
    Entry(key, name if found.count(name) == 1 else key, key, *file.of(key))
    for key, name in file.names.items()
  ]
  return Saved(path, sorted(entries, key=lambda entry: entry.name), file.read)


def _full_names(serialized):
  """Finds names of variables in an object graph.

  Returns:
    Key → name of the variables whose names are unique, and the keys of values
    that are saved again under another key.
  """
  # TensorFlow has no public name for this message.
  kind = symbol_database.Default().GetSymbol("tensorflow.TrackableObjectGraph")
  names = {}
  for node in kind.FromString(serialized).nodes:
    for attribute in node.attributes:
      names[attribute.checkpoint_key] = attribute.full_name
  once = {name for k, name in names.items() if not k.startswith(_AGAIN)}
  again = {k for k, n in names.items() if k.startswith(_AGAIN) and n in once}
  found = [name for k, name in names.items() if k not in again]
  return {k: n for k, n in names.items() if found.count(n) == 1}, again


def _unescape(path):
  """Reverses the escaping of slashes and dots in object paths."""
  return path.replace(".S", "/").replace("..", ".")

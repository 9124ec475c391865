"""Weights in Keras files: `.keras`, `.weights.h5` and `.h5`.

In a static graph, Keras creates ops that would load a model's weights, but runs
none of them. Here the values are read for `combine.pretrained` to load. For a
Keras model they are assigned as its own `load_weights` does, in a scratch
graph; for other variables, by the names in the file.
"""

import io
import os
import sys
import zipfile

from tangle import compat, errors
from tangle.combine import variables as variables_lib
from tangle.compat import tf1

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_INNER = "model.weights.h5"


def is_file(path):
  """Whether `path` is a Keras file, judged by its first bytes.

  Args:
    path: a path.

  Returns:
    A bool: true for any HDF5 or zip file; false if `path` is no file.
  """
  return _kind(path) is not None


def _kind(path):
  if not os.path.isfile(path):
    return None
  with open(path, "rb") as file:
    head = file.read(8)
  if head == _HDF5:
    return _HDF5
  return _ZIP if head.startswith(_ZIP) else None


class Weights:
  """The arrays of a file, by their path within it.

  Attributes:
    names: a dict from path to the name of the variable, as far as the file has
      it: the full name in an `.h5` file; else the layer's name and a number.
  """

  def __init__(self, path):
    """Reads the structure of the file, but not the arrays.

    Args:
      path: the file.

    Raises:
      DataError: if the file has no weights, or cannot be read.
      MissingPackageError: if h5py is not installed.
    """
    self._path = path
    self.names, self._kinds = {}, {}
    with self._open() as file:
      groups = {}

      def note(place, item):
        if not hasattr(item, "shape"):
          groups[place] = item
        elif not place.startswith(("optimizer", "_")):
          self._kinds[place] = list(item.shape), tf1.as_dtype(item.dtype)
          self.names[place] = _name(place, groups)

      file.visititems(note)

  def of(self, path):
    """Describes one array.

    Args:
      path: a path within the file, a key of `names`.

    Returns:
      Its shape, a list of ints, and its `tf.DType`.
    """
    return self._kinds[path]

  def read(self, paths):
    """Opens the file again and reads arrays.

    Args:
      paths: list of paths within the file.

    Returns:
      A list of arrays, in the order of `paths`.

    Raises:
      DataError: if the file can no longer be read.
    """
    with self._open() as file:
      return [file[path][()] for path in paths]

  def _open(self):
    with errors.needing("h5py, which reads files of Keras,", "h5py"):
      import h5py
    source = self._path
    if _kind(source) == _ZIP:
      try:
        with zipfile.ZipFile(source) as archive:
          source = io.BytesIO(archive.read(_INNER))
      except (KeyError, zipfile.BadZipFile) as error:
        raise errors.DataError(
          f"{self._path!r} is not a .keras file with weights "
          f"({error}). Save the model by model.save('name.keras')."
        ) from error
    try:
      return h5py.File(source, "r")
    except OSError as error:
      raise errors.DataError(
        f"{self._path!r} cannot be read ({error})."
      ) from error


def _name(place, groups):
  """Returns the name for the dataset at `place`."""
  parts = place.split("/")
  for k in range(1, len(parts)):
    group = groups.get("/".join(parts[:k]))
    if group is not None and "weight_names" in group.attrs:
      return "/".join(parts[k:]).split(":")[0]  # its original name
  holder = groups.get("/".join(parts[:-1]))
  layer = None if holder is None else holder.attrs.get("name")
  return place if layer is None else f"{layer}/{parts[-1]}"


def model_of(into):
  """Returns the Keras model that `into` is or wraps.

  Args:
    into: a part, a network, or any other object.

  Returns:
    The model: `into`, or its attribute `network`, if its class derives from a
    `Model` of Keras; else `None`.
  """
  model = getattr(into, "network", into)
  for base in type(model).__mro__:
    places = base.__module__.split(".")
    if base.__name__ == "Model" and {"keras", "tf_keras"}.intersection(places):
      return model
  return None


def values_for(model, path, strict):
  """Reads the values that `model.load_weights(path)` would assign.

  Adds nothing to the graph of the model, and loads nothing yet.

  Args:
    model: a Keras model whose variables exist.
    path: the file.
    strict: whether a layer that the file does not fit is an error. On 1.15 it
      never is; arrays of other shapes may be returned there.

  Returns:
    A list of `(variable, name, array)`, where `array` is `None` for a variable
    without a value. The name is the one that Keras gives the variable.

  Raises:
    DataError: if the model's version of Keras cannot read the file, or the file
      does not fit.
  """
  package = _package(model)
  options = {} if strict or compat.IS_TF1 else {"skip_mismatch": True}
  try:
    if hasattr(package, "StatelessScope"):
      return _read_stateless(package, model, path, options)
    return _read_aside(model, path, options)
  except Exception as error:  # of any kind: h5py's, zipfile's, Keras' own
    said = errors.join_lines(error)
    raise errors.DataError(
      f"{package.__name__} {_version(package)} cannot load {path!r} "
      f"into {model.name!r} ({type(error).__name__}: {said}). "
      f"{_remedy(path)}"
    ) from error


def _package(model):
  """Returns the module of the version of Keras that a model belongs to."""
  for base in type(model).__mro__:
    root = base.__module__.split(".")[0]
    if root in ("keras", "tf_keras"):
      return sys.modules[root]
  return tf1.keras


def _version(package):
  return getattr(package, "__version__", "of unknown version")


def _remedy(path):
  if compat.IS_TF1:
    return (
      "TensorFlow 1.15 reads the .h5 files of tf.keras and of tf_keras, by "
      "model.save('name.h5'), and neither .keras nor .weights.h5 files: save "
      "the model as .h5 or a checkpoint of it, or specify by mapping= which "
      "array of the file each variable gets."
    )
  return (
    "The model must have the layers that the file was saved from, and the same "
    "Keras must have saved it: Keras 3 or tf_keras. Otherwise pass "
    "strict=False to leave out layers whose shapes differ, or specify by "
    "mapping= which array of the file each variable gets."
  )


def _read_stateless(keras, model, path, options):
  """Lets Keras 3 assign the weights within a stateless scope only."""
  with tf1.Graph().as_default(), keras.StatelessScope() as scope:
    model.load_weights(path, **options)
    found = [(v, scope.get_current_value(v)) for v in model.weights]
    present = [value for _, value in found if value is not None]
    with tf1.Session() as sess:
      arrays = iter(sess.run(present))
  return [
    (*variables_lib.unwrapped([v]), v.path, None if t is None else next(arrays))
    for v, t in found
  ]


def _read_aside(model, path, options):
  """Loads a copy of the model in a graph and a session of its own."""
  with tf1.Graph().as_default() as graph, tf1.Session() as sess:
    copy = type(model).from_config(model.get_config())
    if not copy.built:
      copy.build(model.input_shape)
    sess.run(tf1.global_variables_initializer())
    before = len(graph.get_operations())
    copy.load_weights(path, **options)
    for op in graph.get_operations()[before:]:
      # For later file formats, Keras makes these assign ops but runs none.
      is_assignment = op.type in variables_lib.ASSIGNMENTS
      if is_assignment and op.inputs[1].op.type == "Const":
        sess.run(op)
    arrays = sess.run(copy.weights)
    names = [variable.op.name for variable in copy.weights]
  return list(zip(model.weights, names, arrays))

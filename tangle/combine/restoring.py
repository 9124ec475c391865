"""Sets variables to saved values, by ops that are added once and then run."""

from tangle import errors
from tangle.compat import tf1

_MISFITS = (
  KeyError,
  ValueError,
  tf1.errors.DataLossError,
  tf1.errors.InvalidArgumentError,
  tf1.errors.NotFoundError,
  tf1.errors.OutOfRangeError,
)
"""Errors of h5py and TensorFlow for a file that is gone or another."""


def restore(loaders, graph, sess, report):
  """Loads all variables.

  Args:
    loaders: a list of `Checkpoint` or `Arrays`.
    graph: their graph.
    sess: a session.
    report: a `loading.LoadReport`, for the message.

  Raises:
    GraphError: if `sess` is not a session on `graph`.
    DataError: if the file is gone, or was replaced by one that does not fit.
  """
  if getattr(sess, "graph", None) is not graph:
    raise errors.GraphError(
      "sess must be a session on the graph of the variables. Open it with "
      "tf.compat.v1.Session(graph=...) of that graph."
    )
  try:
    for loader in loaders:
      loader.restore(sess)
  except errors.TangleError:
    raise
  except _MISFITS as error:
    raise errors.DataError(
      f"{report.path!r} cannot be loaded any more: "
      f"{errors.summarize(error).rstrip('.')}. Put the file back as it was "
      f"when pretrained was called, or call pretrained again with what is "
      f"there now."
    ) from error


class Checkpoint:
  """Loads variables from a checkpoint; each saved name goes to one variable."""

  def __init__(self, prefix, variables):
    """Adds the ops to the current graph.

    Args:
      prefix: path prefix, as for `tf.train.Saver.restore`.
      variables: a dict from saved names to variables.
    """
    self._prefix, self._variables = prefix, dict(variables)
    self._saver = tf1.train.Saver(variables)

  def restore(self, sess):
    """Loads the variables.

    Args:
      sess: a session.

    Raises:
      DataError: if a saved value has another shape or type than its variable. A
        `tf.train.Saver` would give a resource variable the saved shape.
      OpError, ValueError: as `tf.train.Saver.restore`, such as if a saved name
        or the file is missing.
    """
    reader = tf1.train.load_checkpoint(self._prefix)
    shapes = reader.get_variable_to_shape_map()
    dtypes = reader.get_variable_to_dtype_map()
    for key, variable in self._variables.items():
      if key not in shapes:
        continue  # the saver raises an error that says so
      dtype, found = variable.dtype.base_dtype, dtypes[key].base_dtype
      shape, saved = variable.shape, shapes[key]
      if dtype != found or not shape.is_compatible_with(saved):
        raise errors.DataError(
          f"{self._prefix!r} has {key!r} as {found.name} "
          f"{list(saved)}, and the variable {variable.op.name!r} is "
          f"{dtype.name} {shape}. If it was replaced, call pretrained again."
        )
    self._saver.restore(sess, self._prefix)


def checkpoints(prefix, variables, keys):
  """Makes loaders for variables, of which several may get the same value.

  Adds ops to the current graph; does not read the files.

  Args:
    prefix: path prefix, as for `tf.train.Saver.restore`.
    variables: a list of variables.
    keys: for each of them the name of its saved value.

  Returns:
    A list of `Checkpoint`; several, since a saver takes each saved name once.
  """
  found, rest = [], list(zip(keys, variables))
  while rest:
    taken, later = {}, []
    for key, variable in rest:
      if key in taken:
        later.append((key, variable))
      else:
        taken[key] = variable
    found.append(Checkpoint(prefix, taken))
    rest = later
  return found


class Arrays:
  """Loads variables from arrays, which stay out of the graph."""

  def __init__(self, variables, read):
    """Adds the ops to the current graph.

    Args:
      variables: a list of variables.
      read: a function that returns an array for each of them, of its shape and
        dtype. It is called at each load.
    """
    self._read = read
    self._values = [
      tf1.placeholder(v.dtype.base_dtype, v.shape, "value_ph")
      for v in variables
    ]
    assigned = [
      tf1.assign(variable, value)
      for variable, value in zip(variables, self._values)
    ]
    self._ops = [getattr(each, "op", each) for each in assigned]

  def restore(self, sess):
    """Calls `read`, and sets the variables to the arrays that it returns.

    Args:
      sess: a session.

    Raises:
      DataError: if `read` raises it, as for a file that cannot be read.
      ValueError: if an array has another shape than its variable.
    """
    sess.run(self._ops, dict(zip(self._values, self._read())))

"""Variables in scopes, as contrib's code makes them.

Variables are resource variables, made by `tf1.get_variable` in the current
variable scope: its reuse, default initializer, dtype and partitioner hold.
"""

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks, half


def opened(caller, scope, default, dtype=None):
  """Opens a variable scope, and the name scope that goes with it.

  Args:
    caller: who asks, for messages.
    scope: a string or a `tf1.VariableScope`; None for `default`.
    default: a string.
    dtype: default dtype of the variables; None for that of the scope around.

  Returns:
    A context manager that gives the `tf1.VariableScope`.

  Raises:
    GraphError: if there is no graph, but eager execution.
  """
  check_graph_mode(caller)
  return tf1.variable_scope(scope or default, dtype=dtype)


def reusing(caller, scope=None, dtype=None):
  """Opens a variable scope that finds what is there and makes what is not.

  No name scope is opened. Where the scope around insists on reuse, so does
  this one.

  Args:
    caller: who asks, for messages.
    scope: a string; None for the current scope.
    dtype: default dtype of the variables; None for that of the scope around.

  Returns:
    A context manager that gives the `tf1.VariableScope`.

  Raises:
    GraphError: if there is no graph, but eager execution.
  """
  check_graph_mode(caller)
  around = tf1.get_variable_scope()
  return tf1.variable_scope(
    scope or around,
    dtype=dtype,
    reuse=around.reuse or tf1.AUTO_REUSE,
    auxiliary_name_scope=False,
  )


def check_graph_mode(caller):
  """Raises unless ops go to a graph.

  Args:
    caller: who asks, for the message.

  Raises:
    GraphError: if there is no graph, but eager execution.
  """
  if tf1.executing_eagerly():
    raise errors.GraphError(
      f"{caller}: called eagerly; the legacy models are for graphs: call under "
      "`with tf1.Graph().as_default():`"
    )


def inner(name):
  """Opens a variable scope below the current one, without a name scope.

  Args:
    name: a string, or a `tf1.VariableScope` to go back to.

  Returns:
    A context manager that gives the `tf1.VariableScope`.
  """
  return tf1.variable_scope(name, auxiliary_name_scope=False)


def make_variable(name, shape, dtype, initializer=None):
  """Makes a variable in the current variable scope, or finds it there.

  Args:
    name: name below the scope.
    shape: list of ints.
    dtype: its dtype.
    initializer: a TensorFlow initializer; None for the scope's own, or else
      Glorot's uniform one.

  Returns:
    A resource variable of `shape`.

  Raises:
    ArgumentError: if the scope cannot give it: there already and not to be
      reused, not there and to be reused, or of another shape or dtype.
  """
  try:
    return tf1.get_variable(
      name, shape, dtype, initializer=initializer, use_resource=True
    )
  except ValueError as error:
    raise errors.ArgumentError(
      f"legacy: cannot make variable {name!r} of shape {list(shape)} in "
      f"variable scope {tf1.get_variable_scope().name!r}; to share variables, "
      "call under `with tf1.variable_scope(tf1.get_variable_scope(), "
      "reuse=tf1.AUTO_REUSE):`, else give another scope=. TensorFlow says: "
      f"{error}"
    ) from error


def read(name, shape, dtype, initializer=None):
  """Returns the value of a variable, read once for all its uses.

  Args:
    name: name below the scope.
    shape: list of ints.
    dtype: its dtype.
    initializer: as for `make_variable`.

  Returns:
    A tensor of `shape`.

  Raises:
    ArgumentError: as for `make_variable`.
  """
  return tf1.convert_to_tensor(make_variable(name, shape, dtype, initializer))


def linear(depths, units, dtype):
  """Makes the variables of a linear map of several tensors side by side.

  Variables: `kernel` `[sum of depths, U]`, and `bias` `[U]` of zeros, which
  no partitioner cuts.

  Args:
    depths: the depths of the tensors, ints.
    units: U.
    dtype: float type.

  Returns:
    A function from a list of tensors, the k-th `[B, depths[k]]`, to `[B, U]`.
  """
  kernel = read("kernel", [sum(depths), units], dtype)
  with inner(tf1.get_variable_scope()) as scope:
    scope.set_partitioner(None)
    bias = read("bias", [units], dtype, tf1.zeros_initializer())

  def apply(parts):
    joined = parts[0] if len(parts) == 1 else tf1.concat(parts, 1)
    return half.add_bias(tf1.matmul(joined, kernel), bias)

  return apply


def check_ids(caller, argument, values):
  """Returns time-major ids as tensors.

  Args:
    caller: who asks, for messages.
    argument: the argument's name, for messages.
    values: T int tensors `[B]`, in a list or tuple.

  Returns:
    A list of T int tensors `[B]`.

  Raises:
    ArgumentError: if it is no list, or an empty one.
    DtypeError: if one is not of integers.
    ShapeError: if one is not of rank 1.
  """
  tensors = []
  for k, value in enumerate(check_list(caller, argument, values)):
    where = f"{argument}[{k}]"
    tensor = checks.convert_ints(caller, where, value)
    checks.check_rank(caller, where, tensor, (1,))
    tensors.append(tensor)
  return tensors


def check_vectors(caller, argument, values):
  """Returns time-major features as tensors.

  Args:
    caller: who asks, for messages.
    argument: the argument's name, for messages.
    values: T float tensors `[B, D]`, in a list or tuple; D the same for all.

  Returns:
    A list of T float tensors `[B, D]`, and D.

  Raises:
    ArgumentError: if it is no list, or an empty one.
    DtypeError: if one is not of floats.
    GraphError: if one is from another graph.
    ShapeError: if one is not of rank 2, or D is unknown or not the same.
  """
  tensors, depth = [], None
  for k, value in enumerate(check_list(caller, argument, values)):
    where = f"{argument}[{k}]"
    checks.check_graph(caller, where, value)
    tensor = tf1.convert_to_tensor(value)
    if not tensor.dtype.is_floating:
      raise errors.DtypeError(
        f"{caller}: {where} must be floats, got {checks.describe(tensor)}; "
        "ids go to the functions that begin with embedding_"
      )
    checks.check_rank(caller, where, tensor, (2,))
    found = tf1.dimension_value(tensor.shape[1])
    depth = found if depth is None else depth
    if found is None or found != depth:
      raise errors.ShapeError(
        f"{caller}: {where} must be [B, {depth or 'D'}], as all of {argument}, "
        f"got {checks.describe(tensor)}; call set_shape if D is only unknown"
      )
    tensors.append(tensor)
  return tensors, depth


def check_list(caller, argument, values):
  """Returns `values` if it is a list of at least one tensor.

  Args:
    caller: who asks, for the message.
    argument: the argument's name, for the message.
    values: anything.

  Returns:
    `values` as a list.

  Raises:
    ArgumentError: if it is no list or tuple, or an empty one.
  """
  if not isinstance(values, (list, tuple)) or not values:
    raise errors.ArgumentError(
      f"{caller}: {argument} must be a list of at least one tensor, one for "
      f"each time step, got {values!r}; tf1.unstack(x, axis=1) makes one of a "
      "batch-major tensor"
    )
  return list(values)

"""Variables in scopes, as in contrib's code.

Variables are resource variables, created by `tf1.get_variable` in the current
variable scope, with its reuse, default initializer, dtype and partitioner.
"""

from tangle import errors
from tangle.compat import tf1
from tangle.nets import checks, half


def opened(scope, default, dtype=None):
  """Opens a variable scope, and the name scope that goes with it.

  Args:
    scope: a string or a `tf1.VariableScope`; None for `default`.
    default: a string.
    dtype: default dtype of the variables; None for the enclosing scope's.

  Returns:
    A context manager that gives the `tf1.VariableScope`.

  Raises:
    GraphError: if eager execution is on.
  """
  check_graph_mode()
  return tf1.variable_scope(scope or default, dtype=dtype)


def reusing(scope=None, dtype=None):
  """Opens a variable scope that reuses or creates variables (`AUTO_REUSE`).

  No name scope is opened. If the enclosing scope has `reuse=True`, so does this
  one.

  Args:
    scope: a string; None for the current scope.
    dtype: default dtype of the variables; None for the enclosing scope's.

  Returns:
    A context manager that gives the `tf1.VariableScope`.

  Raises:
    GraphError: if eager execution is on.
  """
  check_graph_mode()
  around = tf1.get_variable_scope()
  return tf1.variable_scope(
    scope or around,
    dtype=dtype,
    reuse=around.reuse or tf1.AUTO_REUSE,
    auxiliary_name_scope=False,
  )


def check_graph_mode():
  """Raises if eager execution is on.

  Raises:
    GraphError: if eager execution is on.
  """
  if tf1.executing_eagerly():
    raise errors.GraphError(
      "called eagerly. The legacy models are for graphs: call under "
      "`with tf1.Graph().as_default():`."
    )


def inner(name):
  """Opens a variable scope below the current one, without a name scope.

  Args:
    name: a string, or a `tf1.VariableScope` to enter again.

  Returns:
    A context manager that gives the `tf1.VariableScope`.
  """
  return tf1.variable_scope(name, auxiliary_name_scope=False)


@errors.named("legacy")
def make_variable(name, shape, dtype, initializer=None):
  """Creates a variable in the current variable scope, or reuses it.

  Args:
    name: name below the scope.
    shape: list of ints.
    dtype: its dtype.
    initializer: a TensorFlow initializer; None for the scope's default, or
      Glorot uniform if it has none.

  Returns:
    A resource variable of `shape`.

  Raises:
    ArgumentError: if the scope cannot provide it: it exists but reuse is off,
      it does not exist but reuse is on, or its shape or dtype differs.
  """
  try:
    return tf1.get_variable(
      name, shape, dtype, initializer=initializer, use_resource=True
    )
  except ValueError as error:
    raise errors.ArgumentError(
      f"cannot make variable {name!r} of shape {list(shape)} in "
      f"variable scope {tf1.get_variable_scope().name!r}; to share variables, "
      "call under `with tf1.variable_scope(tf1.get_variable_scope(), "
      "reuse=tf1.AUTO_REUSE):`, where tf1 is tf.compat.v1, else call under "
      "another variable scope. TensorFlow says: "
      f"{errors.summarize(error)}"
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
  """Creates the variables of a linear map of several concatenated tensors.

  Variables: `kernel` `[sum of depths, U]`, and `bias` `[U]` of zeros, which is
  never partitioned.

  Args:
    depths: the depths of the tensors, ints.
    units: U.
    dtype: float type.

  Returns:
    A function from a list of tensors, the k-th `[B, depths[k]]`, to `[B, U]`.

  Raises:
    ArgumentError: as `make_variable`.
  """
  kernel = read("kernel", [sum(depths), units], dtype)
  with inner(tf1.get_variable_scope()) as scope:
    scope.set_partitioner(None)
    bias = read("bias", [units], dtype, tf1.zeros_initializer())

  def apply(parts):
    joined = parts[0] if len(parts) == 1 else tf1.concat(parts, 1)
    return half.add_bias(tf1.matmul(joined, kernel), bias)

  return apply


def check_ids(argument, values):
  """Returns time-major ids as tensors.

  Args:
    argument: the argument's name, for messages.
    values: T int tensors `[B]`, in a list or tuple.

  Returns:
    A list of T int tensors `[B]`.

  Raises:
    ArgumentError: if it is not a list, or empty, or an element is None.
    DtypeError: if a tensor is neither int32 nor int64.
    GraphError: if a tensor is from another graph.
    ShapeError: if a tensor is not of rank 1.
  """
  tensors = []
  for k, value in enumerate(check_list(argument, values)):
    where = f"{argument}[{k}]"
    tensor = checks.convert_ints(where, value)
    checks.check_rank(where, tensor, (1,))
    tensors.append(tensor)
  return tensors


def check_vectors(argument, values):
  """Returns time-major features as tensors.

  Args:
    argument: the argument's name, for messages.
    values: T float tensors `[B, D]`, in a list or tuple; D the same for all.

  Returns:
    A list of T float tensors `[B, D]`, and D.

  Raises:
    ArgumentError: if it is not a list, or empty, or an element is None.
    DtypeError: if a tensor does not contain floats.
    GraphError: if a tensor is from another graph.
    ShapeError: if a tensor is not of rank 2, or D is unknown or differs.
  """
  tensors, depth = [], None
  for k, value in enumerate(check_list(argument, values)):
    where = f"{argument}[{k}]"
    checks.check_graph(where, value)
    tensor = tf1.convert_to_tensor(value)
    if not tensor.dtype.is_floating:
      raise errors.DtypeError(
        f"{where} must be floats, got {checks.describe(tensor)}. "
        "Ids go to the functions that begin with embedding_."
      )
    checks.check_rank(where, tensor, (2,))
    found = tf1.dimension_value(tensor.shape[1])
    depth = found if depth is None else depth
    if found is None or found != depth:
      remedy = "Give all of them one depth"
      if found is None:
        remedy = "Call set_shape on it with the depth, as in [None, 5]"
      raise errors.ShapeError(
        f"{where} must be [B, {depth or 'D'}], as all of {argument}, "
        f"got {checks.describe(tensor)}. {remedy}."
      )
    tensors.append(tensor)
  return tensors, depth


def check_list(argument, values):
  """Returns `values` if it is a list of at least one element of any kind.

  Args:
    argument: the argument's name, for the message.
    values: any value.

  Returns:
    `values` as a list.

  Raises:
    ArgumentError: if it is not a list or tuple, or empty.
  """
  is_list = isinstance(values, (list, tuple))
  if not is_list or not values:
    remedy = "Make one of a batch-major tensor with tf.unstack(x, axis=1)"
    if is_list:
      remedy = "Give the tensor of at least one step"
    raise errors.ArgumentError(
      f"{argument} must be a list of at least one tensor, one for "
      f"each time step, got {values!r}. {remedy}."
    )
  return list(values)

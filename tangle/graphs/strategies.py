"""Variables of a distribution strategy, which have one component per device.

A variable made in the scope of a `tf.distribute.MirroredStrategy` looks like
one variable, but neither `tf.gradients` nor an optimizer outside of the scope
accepts it. Its components are ordinary variables. A
`tf.distribute.OneDeviceStrategy` makes plain variables.
"""

import re

from tangle import compat, errors
from tangle.compat import tf1


def components(variable):
  """Returns the variables that hold the memory of `variable`.

  Args:
    variable: a `tf.Variable`, or a variable of a strategy.

  Returns:
    A list of variables: those of the devices, or `variable` itself.
  """
  strategy = getattr(variable, "distribute_strategy", None)
  if strategy is None:
    return [variable]
  return list(strategy.experimental_local_results(variable))


def in_replica():
  """Whether this is called within `strategy.run`, for one device.

  Returns:
    A bool: false without a strategy, and in the scope of one.
  """
  distribute = tf1.distribute
  return distribute.has_strategy() and not distribute.in_cross_replica_context()


def check(variables):
  """Refuses variables if an update would change only one of their copies.

  Args:
    variables: variables of a graph, components among them.

  Raises:
    ArgumentError: if a strategy keeps a variable on several devices, and this
      is not called within `strategy.run`.
  """
  if in_replica():
    return
  for variable in variables:
    whole = _whole(variable)
    if whole is not None and len(components(whole)) > 1:
      raise errors.ArgumentError(
        f"a distribution strategy keeps the variable "
        f"{whole.name!r} on {len(components(whole))} devices, and the outputs "
        f"read only the copy {variable.name!r}, so that an update would leave "
        f"the others behind. Use a strategy of one device, such as "
        f"tf.distribute.OneDeviceStrategy, or build the network and its "
        f"sub-model in a function that strategy.run (TensorFlow 1.15: "
        f"strategy.experimental_run_v2) calls for each device."
      )


_DELEGATES = (
  "ModelAverageOptimizer",
  "MovingAverageOptimizer",
  "SyncReplicasOptimizer",
  "VariableClippingOptimizer",
)
"""Optimizers whose `compute_gradients` only calls that of another."""


def check_optimizer(optimizer, computes=False):
  """Refuses what cannot apply gradients, or does more than to apply them.

  Args:
    optimizer: the argument.
    computes: whether `compute_gradients` of the optimizer will be called; if
      not, an optimizer that changes this method is refused.

  Raises:
    ArgumentError: if it is an optimizer of Keras, a class, a train op, or
      anything else than an optimizer; or if it computes gradients in its own
      way, as loss scaling does.
  """
  remedy = "Give an optimizer, such as tf.compat.v1.train.AdamOptimizer()"
  if _is_of_keras(optimizer):
    given = f"the Keras optimizer {_class_of(optimizer).__name__}"
    remedy = (
      "In a graph, a Keras optimizer may change no weight. Give one of "
      "tf.compat.v1.train, such as tf.compat.v1.train.AdamOptimizer(0.001)"
    )
  elif isinstance(optimizer, type):
    given = f"the class {optimizer.__name__}"
    remedy = f"Make an instance: {optimizer.__name__}()"
  elif isinstance(optimizer, (tf1.Operation, tf1.Tensor)) and hasattr(
    optimizer, "graph"
  ):
    given = f"the op {optimizer.name!r}"
    remedy = "Give the optimizer itself, not what its minimize() returns"
  elif not callable(getattr(optimizer, "apply_gradients", None)):
    given = errors.show(optimizer)
  else:
    if not computes:
      _check_gradients(optimizer)
    return
  raise errors.ArgumentError(
    f"optimizer must be an optimizer, got {given}. {remedy}."
  )


def _check_gradients(optimizer):
  """Refuses an optimizer that has its own `compute_gradients`."""
  while type(optimizer).__name__ in _DELEGATES:
    own = vars(optimizer)
    optimizer = own.get("_opt", own.get("_optimizer"))
  kind = type(optimizer)
  method = getattr(kind, "compute_gradients", None)
  if method in (None, tf1.train.Optimizer.compute_gradients):
    return
  raise errors.ArgumentError(
    f"optimizer is a {kind.__name__}, which has a compute_gradients "
    f"of its own (loss scaling and averaging over workers are done there). "
    f"The gradients are computed without it, so that this would be lost. Give "
    f"the optimizer that it wraps, or do the same in apply_gradients of a "
    f"subclass."
  )


def check_global_step(global_step, graph=None):
  """Refuses a step counter that is no variable of a graph.

  Args:
    global_step: the argument; `None` is accepted.
    graph: the graph that it must be in; by default any.

  Raises:
    ArgumentError: if it is no variable of a graph, or not of numbers.
    GraphError: if it belongs to another graph.
  """
  if global_step is None:
    return
  own = getattr(global_step, "graph", None)  # eager variables have none
  dtype = getattr(global_step, "dtype", None)
  is_variable = hasattr(global_step, "assign_add") and own is not None
  if not is_variable or not (dtype.is_integer or dtype.is_floating):
    raise errors.ArgumentError(
      f"global_step must be a variable of the graph that counts "
      f"steps, got {errors.show(global_step)}. Give "
      f"tf.compat.v1.train.get_or_create_global_step(), or None to count no "
      f"steps."
    )
  if graph is not None and own is not graph:
    raise errors.GraphError(
      f"global_step {global_step.name!r} belongs to another graph. "
      f"Make it within the graph of the variables that are trained, such as "
      f"by tf.compat.v1.train.get_or_create_global_step()."
    )


def make_optimizers(make, rates):
  """Makes one optimizer per learning rate.

  Args:
    make: a function from a learning rate to an optimizer, or a class.
    rates: the learning rates, numbers or scalar tensors.

  Returns:
    A list of optimizers, in the order of `rates`.

  Raises:
    ArgumentError: if `make` is no function, or makes no optimizer, or one that
      `check_optimizer` refuses.
  """
  if not callable(make):
    is_made = hasattr(make, "apply_gradients")
    name = type(make).__name__ if is_made else "AdamOptimizer"
    raise errors.ArgumentError(
      f"optimizer_at_rate must be a function from a learning rate to "
      f"an optimizer, got {make!r}. Give a class without calling it, such as "
      f"optimizer_at_rate=tf.compat.v1.train.{name}: it is called with the "
      f"rate of each group."
    )
  optimizers = [make(rate) for rate in rates]
  for optimizer in optimizers:
    check_optimizer(optimizer)
  return optimizers


def _class_of(optimizer):
  return optimizer if isinstance(optimizer, type) else type(optimizer)


def _is_of_keras(optimizer):
  """Whether Keras, of any kind and version, has the class or a base of it."""
  kind = _class_of(optimizer)
  return not issubclass(kind, tf1.train.Optimizer) and any(
    re.search(r"(^|[._])keras\.", f"{base.__module__}.")
    for base in kind.__mro__
  )


def apply_gradients(optimizer, grads_and_vars, global_step=None, name=None):
  """Does `optimizer.apply_gradients`, in the context that the variables need.

  If a strategy keeps the variables, or this is called in the scope of one,
  `strategy.run` makes the call, as optimizers refuse other calls there.

  Args:
    optimizer: a `tf.compat.v1.train.Optimizer`.
    grads_and_vars: an iterable of pairs of gradient and variable.
    global_step: a variable that the update increases by 1; `None` for none.
    name: as the optimizer takes it.

  Returns:
    The op of the update.

  Raises:
    ValueError: as the optimizer, such as if no pair has a gradient.
  """
  pairs = list(grads_and_vars)
  options = {} if name is None else {"name": name}
  strategy = needed(variable for _, variable in pairs)
  if strategy is None:
    if global_step is not None:
      options["global_step"] = global_step
    return optimizer.apply_gradients(pairs, **options)
  run = strategy.experimental_run_v2 if compat.IS_TF1 else strategy.run
  op = strategy.group(run(lambda: optimizer.apply_gradients(pairs, **options)))
  if global_step is None:
    return op
  # An optimizer in a strategy refuses a step counter made outside its scope.
  with tf1.control_dependencies([op]):
    return tf1.group(global_step.assign_add(1))


def needed(variables):
  """Returns the strategy whose `run` has to make an update.

  Args:
    variables: the variables that change.

  Returns:
    A `tf.distribute.Strategy`: the one in whose scope this is called, or the
    one that keeps a variable; `None` if the update can be made directly.
  """
  distribute = tf1.distribute
  if distribute.has_strategy():
    return None if in_replica() else distribute.get_strategy()
  for variable in variables:
    whole = _whole(variable)
    if whole is not None:
      return whole.distribute_strategy
  return None


def _whole(variable):
  """Returns the variable that `variable` is a component of, or `None`."""
  if getattr(variable, "distribute_strategy", None) is not None:
    return variable
  # There is no public API. 2.x has the attribute at the handle.
  for holder in (variable, getattr(variable, "handle", None)):
    reference = getattr(holder, "_distributed_container", None)
    if reference is not None:
      return reference()
  return None

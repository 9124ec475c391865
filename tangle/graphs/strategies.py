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
    ArgumentError: if a strategy keeps one on several devices, and this is not
      called within `strategy.run`.
  """
  if in_replica():
    return
  for variable in variables:
    whole = _whole(variable)
    if whole is not None and len(components(whole)) > 1:
      raise errors.ArgumentError(
        f"{errors.caller()}: a distribution strategy keeps the variable "
        f"{whole.name!r} on {len(components(whole))} devices, and the outputs "
        f"read only the copy {variable.name!r}, so that an update would leave "
        f"the others behind. Use a strategy of one device, such as "
        f"tf.distribute.OneDeviceStrategy, or build the network and its "
        f"sub-model in a function that strategy.run (TensorFlow 1.15: "
        f"strategy.experimental_run_v2) calls for each device."
      )


def check_optimizer(optimizer):
  """Refuses what cannot apply gradients.

  Args:
    optimizer: the argument.

  Raises:
    ArgumentError: if it is an optimizer of Keras, a class, a train op, or
      anything else than an optimizer.
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
  elif isinstance(optimizer, (tf1.Operation, tf1.Tensor)):
    given = f"the op {optimizer.name!r}"
    remedy = "Give the optimizer itself, not what its minimize() returns"
  elif not callable(getattr(optimizer, "apply_gradients", None)):
    given = repr(optimizer)
  else:
    return
  raise errors.ArgumentError(
    f"{errors.caller()}: optimizer must be an optimizer, got {given}. {remedy}."
  )


def make_optimizers(make, rates):
  """Makes one optimizer per learning rate.

  Args:
    make: a function from a learning rate to an optimizer, or a class.
    rates: the learning rates, numbers or scalar tensors.

  Returns:
    A list of optimizers.

  Raises:
    ArgumentError: if `make` is no function, or makes no optimizer.
  """
  if not callable(make):
    remedy = "Give a class, such as tf.compat.v1.train.AdamOptimizer"
    if hasattr(make, "apply_gradients"):
      remedy += ", without calling it: it is called with the rate of each group"
    raise errors.ArgumentError(
      f"{errors.caller()}: optimizer must be a function from a learning rate "
      f"to an optimizer, got {make!r}. {remedy}."
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
    global_step: as the optimizer takes it.
    name: as the optimizer takes it.

  Returns:
    The op of the update.
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
    A `tf.distribute.Strategy`, or `None`.
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

"""Names and options of methods, and their checks."""

import inspect
import numbers

import numpy as np

from tangle import errors
from tangle.compat import tf1
from tangle.gradients import methods
from tangle.nets import checks

LINEAR = ("sum", "mean", "weighted")
"""The methods whose weights do not depend on gradients."""

DROP = "graddrop"
"""The method that weighs each entry separately."""

METHODS = LINEAR + tuple(methods.WEIGHTINGS) + (DROP,)
"""The names of all methods."""

_OPTIONS = {
  "sum": (),
  "mean": (),
  "weighted": ("weights",),
  DROP: ("leak", "seed"),
}


def check_method(method, options, count):
  """Checks the name of a method, and its options.

  Args:
    method: the name.
    options: a dict of options.
    count: K.

  Raises:
    ArgumentError: if there is no such method or option, `weighted` has no
      `weights`, or an option is out of range: `weights` and `preference` as for
      `check_weights`, `c` and `regularization` at least 0, `max_norm` positive
      or None. `leak` and `seed` are not checked here.
    DtypeError, GraphError, ShapeError: as `check_weights`.
  """
  if method not in METHODS:
    raise errors.ArgumentError(
      f"method must be one of {', '.join(METHODS)}, got {method!r}."
      f"{errors.suggest(method, METHODS)}"
    )
  known = _OPTIONS.get(method)
  if known is None:
    known = tuple(inspect.signature(methods.WEIGHTINGS[method]).parameters)[2:]
  for option in options:
    if option not in known:
      raise errors.ArgumentError(
        f"method {method!r} has no option {option!r}. It has "
        f"{', '.join(known) or 'none'}."
      )
  if method == "weighted" and "weights" not in options:
    raise errors.ArgumentError(
      f"method 'weighted' needs weights=, one for each of the {count} losses."
    )
  for option in ("weights", "preference"):
    if options.get(option) is not None:
      check_weights(option, options[option], count)
  for option, least in (("c", 0), ("regularization", 0), ("max_norm", None)):
    value = options.get(option)
    if value is None:
      continue
    good = isinstance(value, (numbers.Real, np.number)) and np.isfinite(value)
    if not good or (value < least if least is not None else value <= 0):
      range_text = "positive" if least is None else f"at least {least}"
      raise errors.ArgumentError(
        f"{option} must be a number, {range_text}, got {value!r}."
      )


def check_weights(argument, weights, count):
  """Checks that there is one weight per loss, finite and at least 0.

  Args:
    argument: the argument to name in messages.
    weights: K numbers, or a float tensor `[K]`, whose shape is checked.
    count: K.

  Raises:
    ArgumentError: if there are too few or too many, or one is negative, not
      finite or not a number.
    DtypeError: if a tensor does not have a floating type.
    GraphError: if a tensor belongs to another graph.
    ShapeError: if a tensor has another shape than `[K]`.
  """
  if isinstance(weights, tf1.Tensor) or hasattr(weights, "op"):
    checks.check_graph(argument, weights)
    if not weights.dtype.base_dtype.is_floating:
      raise errors.DtypeError(
        f"{argument} must be of a floating type, got "
        f"{checks.describe(weights)}. Convert it with tf.cast."
      )
    if weights.shape.ndims is None or weights.shape.as_list() != [count]:
      raise errors.ShapeError(
        f"{argument} must have shape [{count}], one weight for each "
        f"loss, got {checks.describe(weights)}."
      )
    return
  try:
    found = np.asarray(weights, np.float64)
  except (TypeError, ValueError) as error:
    raise errors.ArgumentError(
      f"{argument} must be numbers, got {weights!r}."
    ) from error
  if found.shape != (count,):
    raise errors.ArgumentError(
      f"{argument} must be {count} numbers, one for each loss, got {weights!r}."
    )
  if not np.all(np.isfinite(found)) or np.any(found < 0):
    remedy = ""
    if argument == "weights":
      remedy = " To maximize a loss, negate it or its gradients."
    raise errors.ArgumentError(
      f"{argument} must be finite and at least 0, got {weights!r}.{remedy}"
    )


def linear_weights(method, count, weights=None):
  """Returns the weights of a method that needs no gradients.

  Args:
    method: one of `LINEAR`.
    count: K.
    weights: the weights for `"weighted"`, checked before. If they are a tensor,
      its values are checked when the graph runs; negative or non-finite ones
      fail with `InvalidArgumentError`.

  Returns:
    `[K]` float64.
  """
  if method != "weighted":
    value = 1.0 if method == "sum" else 1.0 / count
    return tf1.constant([value] * count, tf1.float64)
  found = tf1.cast(tf1.convert_to_tensor(weights), tf1.float64)
  if tf1.get_static_value(found) is not None:
    return found
  good = tf1.logical_and(tf1.is_finite(found), found >= 0)
  message = "gradients: weights must be finite and at least 0, got"
  check_op = tf1.Assert(tf1.reduce_all(good), [message, tf1.as_string(found)])
  with tf1.control_dependencies([check_op]):
    return tf1.identity(found)

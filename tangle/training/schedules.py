"""Learning rate schedules, with state that a resumed run restores.

A schedule is an object with

    rate(step)      returns the rate for the step that follows `step` steps
    report(loss)    takes the mean loss of the interval since the last report
    state()         returns the state for a checkpoint, an exact JSON dict
    restore(state)  resumes from a state

The arguments of a schedule are given again in each run; the state has only what
changes in training.
"""

from __future__ import annotations

import math
from typing import Any, Mapping, Optional

import numpy as np

from tangle import errors, hints
from tangle.compat import tf1


class Constant:
  """The same rate at each step."""

  @errors.named("Constant")
  def __init__(self, initial: float) -> None:
    """Sets the rate.

    Args:
      initial: the rate, at least 0.

    Raises:
      ArgumentError: if `initial` is out of range.
    """
    self._initial = _check("initial", initial, 0)

  def rate(self, step: int) -> float:
    """Returns the rate, the same for every step.

    Args:
      step: how many steps have been done.

    Returns:
      A float.
    """
    del step
    return self._initial

  def report(self, loss: float) -> None:
    """Does nothing: the rate does not depend on the loss.

    Args:
      loss: ignored.
    """

  def state(self) -> hints.State:
    """Returns an empty dict."""
    return {}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Does nothing.

    Args:
      state: ignored.
    """


class Cosine(Constant):
  """Decays along half a cosine, then stays constant.

  `final + (initial - final) * (1 + cos(pi * min(step / steps, 1))) / 2`

  Source: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm
  Restarts", eq. 5, one period.
  """

  @errors.named("Cosine")
  def __init__(self, initial: float, steps: int, final: float = 0.0) -> None:
    """Sets the curve.

    Args:
      initial: the rate of the first step, at least 0.
      steps: the number of steps after which the rate is `final`, at least 1.
      final: the final rate, at least 0.

    Raises:
      ArgumentError: if an argument is out of range.
    """
    super().__init__(_check("initial", initial, 0))
    self._steps = _check("steps", steps, 1)
    self._final = _check("final", final, 0)

  def rate(self, step: int) -> float:
    """Returns the rate of a step.

    Args:
      step: how many steps have been done.

    Returns:
      A float.
    """
    share = (1 + math.cos(math.pi * min(step / self._steps, 1.0))) / 2
    return self._final + (self._initial - self._final) * share


class Plateau:
  """Multiplies the rate by a factor when the loss has increased.

  The rate is lowered at a report whose loss is greater than each of the last
  `window` losses, once there have been that many.

  Source: TensorFlow's translate tutorial (2015), `translate.py`, `train`. It
  differs in that the recent losses are part of the state; the tutorial loses
  them when training stops. The product is computed in float32, as in the
  tutorial's variable.
  """

  @errors.named("Plateau")
  def __init__(
    self, initial: float = 0.5, factor: float = 0.99, window: int = 3
  ) -> None:
    """Sets the initial rate.

    Args:
      initial: the first rate, at least 0. Restoring a state replaces it.
      factor: from 0 to 1.
      window: how many earlier losses to compare with, at least 1.

    Raises:
      ArgumentError: if an argument is out of range.
    """
    self._rate = float(np.float32(_check("initial", initial, 0)))
    self._factor = _check("factor", factor, 0, 1)
    self._window = int(_check("window", window, 1))
    self._losses = []

  def rate(self, step: int) -> float:
    """Returns the current rate, which only reports change.

    Args:
      step: ignored.

    Returns:
      A float.
    """
    del step
    return self._rate

  def report(self, loss: float) -> None:
    """Lowers the rate if the loss has increased.

    Args:
      loss: the mean loss since the last report.
    """
    full = len(self._losses) == self._window
    if full and loss > max(self._losses):
      self._rate = float(np.float32(self._rate) * np.float32(self._factor))
    self._losses = (self._losses + [float(loss)])[-self._window :]

  def state(self) -> hints.State:
    """Returns a dict with `rate`, a float, and `losses`, the last losses."""
    return {"rate": self._rate, "losses": list(self._losses)}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Resumes from a state.

    Args:
      state: what `state` returned.
    """
    self._rate = float(state["rate"])
    self._losses = list(map(float, state["losses"]))[-self._window :]


class WarmUp:
  """Multiplies the rate of another schedule by a factor that rises to 1.

  `schedule.rate(step) * min((step + 1) / steps, 1)`
  """

  @errors.named("WarmUp")
  def __init__(self, schedule: Any, steps: int) -> None:
    """Wraps a schedule.

    Args:
      schedule: the schedule to wrap.
      steps: length of the warm-up, at least 1; the rate of the step with this
        number is the first at its full value.

    Raises:
      ArgumentError: if `steps` is out of range.
    """
    self._schedule = schedule
    remedy = "To begin at the full rate, leave WarmUp out"
    self._steps = _check("steps", steps, 1, remedy=remedy)

  def rate(self, step: int) -> float:
    """Returns the rate of a step.

    Args:
      step: how many steps have been done.

    Returns:
      A float.
    """
    return self._schedule.rate(step) * min((step + 1) / self._steps, 1.0)

  def report(self, loss: float) -> None:
    """Passes the loss to the wrapped schedule.

    Args:
      loss: the mean loss since the last report.
    """
    self._schedule.report(loss)

  def state(self) -> hints.State:
    """Returns the state of the wrapped schedule."""
    return self._schedule.state()

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the wrapped schedule.

    Args:
      state: what `state` returned.
    """
    self._schedule.restore(state)


class LearningRate:
  """A variable that holds the rate of a schedule.

      rate = schedules.LearningRate(schedules.Plateau())
      optimizer = tf1.train.GradientDescentOptimizer(rate.variable)

  The variable is not trainable, and is assigned only when the rate changes.

  Attributes:
    schedule: the schedule.
    variable: a scalar variable.
  """

  @errors.named("LearningRate")
  def __init__(
    self,
    schedule: Any,
    variable: Optional[hints.Variable] = None,
    name: str = "learning_rate",
  ) -> None:
    """Adds the ops that read and set the variable to its graph.

    A new variable is added to the default graph; its initial value is the rate
    of step 0. A given variable is not set before `update`.

    Args:
      schedule: the schedule.
      variable: a scalar variable to hold the rate, for a model whose variables
        must have certain names; by default a new float32 variable.
      name: name of the new variable; the ops are in the scope `<name>_assign`.

    Raises:
      ShapeError: if `variable` is not a scalar.
      ValueError: of TensorFlow, if a variable `name` exists and is not reused.
    """
    self.schedule = schedule
    if variable is None:
      variable = tf1.get_variable(
        name,
        initializer=np.float32(schedule.rate(0)),
        trainable=False,
        use_resource=True,
      )
    if variable.shape.rank != 0:
      raise errors.ShapeError(
        f"the variable {variable.name!r} must be a scalar, got "
        f"shape {variable.shape}."
      )
    self.variable: hints.Variable = variable
    self._value = None  # the value of the variable, if known
    with variable.graph.as_default(), tf1.name_scope(f"{name}_assign"):
      self._dtype = variable.dtype.base_dtype
      self._value_ph = tf1.placeholder(self._dtype, [], "value_ph")
      self._read = variable.read_value()
      self._assign_op = variable.assign(self._value_ph, read_value=False)

  def forget(self) -> None:
    """Makes the next `update` read the variable from the session."""
    self._value = None

  def update(self, sess: hints.Session, step: int) -> float:
    """Sets the variable to the rate of a step, if its value differs.

    Args:
      sess: a session in which the variable has a value.
      step: how many steps have been done.

    Returns:
      The rate, rounded to the dtype of the variable.
    """
    wanted = np.asarray(self.schedule.rate(step), self._dtype.as_numpy_dtype)
    if self._value is None:
      self._value = sess.run(self._read)
    if wanted != self._value:
      sess.run(self._assign_op, {self._value_ph: wanted})
      self._value = wanted
    return float(wanted)

  def state(self) -> hints.State:
    """Returns a dict with `kind` and `state`, those of the schedule."""
    return {"kind": _kind(self.schedule), "state": self.schedule.state()}

  @errors.named("LearningRate")
  def restore(self, state: Mapping[str, Any]) -> None:
    """Resumes from a state, after the session has restored the variable.

    Args:
      state: what `state` returned.

    Raises:
      TrainingError: if the state is of another kind of schedule.
      KeyError: if it lacks `kind` or `state`.
    """
    kind = _kind(self.schedule)
    if state["kind"] != kind:
      raise errors.TrainingError(
        f"the checkpoint is of a run with the schedule "
        f"{state['kind']}, this one has {kind}. Use the same, or another "
        f"folder."
      )
    self.schedule.restore(state["state"])
    self.forget()


def _kind(schedule):
  inner = getattr(schedule, "_schedule", None)
  name = type(schedule).__name__
  return name if inner is None else f"{name} of {_kind(inner)}"


def _check(argument, value, smallest, largest=math.inf, remedy=""):
  """Returns `value` as a float if it is in range."""
  if not smallest <= value <= largest or not math.isfinite(value):
    limits = f"at least {smallest}"
    if math.isfinite(largest):
      limits += f" and at most {largest}"
    remedy = f" {remedy}." if remedy else ""
    raise errors.ArgumentError(
      f"{argument} must be {limits}, got {value}.{remedy}"
    )
  return float(value)

"""Learning rates that change in training, and go on where a run was stopped.

A schedule is an object with

    rate(step)      the rate of the step that comes after `step` steps
    report(loss)    is told the mean loss of each interval between reports
    state()         what a checkpoint needs, a dict that JSON gives back exactly
    restore(state)  goes on from there

Its arguments are given anew in each run; a state has only what training has
made of them.
"""

import math

import numpy as np

from tangle import errors
from tangle.compat import tf1


class Constant:
  """The same rate at each step."""

  def __init__(self, initial):
    """Sets the rate.

    Args:
      initial: the rate, at least 0.

    Raises:
      ArgumentError: if it is out of range.
    """
    self._initial = _check("Constant", "initial", initial, 0)

  def rate(self, step):
    """Returns the rate of any step.

    Args:
      step: how many steps have been done.

    Returns:
      A float.
    """
    del step
    return self._initial

  def report(self, loss):
    """Does nothing: the rate does not depend on the loss.

    Args:
      loss: ignored.
    """

  def state(self):
    """Returns an empty dict."""
    return {}

  def restore(self, state):
    """Does nothing.

    Args:
      state: ignored.
    """


class Cosine(Constant):
  """Falls along half a cosine, then stays.

  `final + (initial - final) * (1 + cos(pi * min(step / steps, 1))) / 2`

  Source: Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm
  Restarts", eq. 5, one period of it.
  """

  def __init__(self, initial, steps, final=0.0):
    """Sets the curve.

    Args:
      initial: the rate of the first step, at least 0.
      steps: after how many steps the rate is `final`, at least 1.
      final: the rate from there on, at least 0.

    Raises:
      ArgumentError: if one of them is out of range.
    """
    super().__init__(_check("Cosine", "initial", initial, 0))
    self._steps = _check("Cosine", "steps", steps, 1)
    self._final = _check("Cosine", "final", final, 0)

  def rate(self, step):
    """Returns the rate of a step.

    Args:
      step: how many steps have been done.

    Returns:
      A float.
    """
    share = (1 + math.cos(math.pi * min(step / self._steps, 1.0))) / 2
    return self._final + (self._initial - self._final) * share


class Plateau:
  """Multiplies the rate by a factor when the loss has got worse.

  At a report, the rate falls if the loss is greater than each of the last
  `window` ones, and there have been so many.

  Source: TensorFlow's translate tutorial (2015), `translate.py`, `train`. There
  the losses of the last reports are lost when training is stopped; here they
  are part of the state. The product is taken in float32, as by its variable.
  """

  def __init__(self, initial=0.5, factor=0.99, window=3):
    """Sets the beginning.

    Args:
      initial: the first rate, at least 0. A state brings its own.
      factor: from 0 to 1.
      window: how many losses the new one is compared with, at least 1.

    Raises:
      ArgumentError: if one of them is out of range.
    """
    self._rate = float(np.float32(_check("Plateau", "initial", initial, 0)))
    self._factor = _check("Plateau", "factor", factor, 0, 1)
    self._window = int(_check("Plateau", "window", window, 1))
    self._losses = []

  def rate(self, step):
    """Returns the rate as the last report has left it.

    Args:
      step: ignored.

    Returns:
      A float.
    """
    del step
    return self._rate

  def report(self, loss):
    """Lowers the rate if it is time to.

    Args:
      loss: the mean loss since the last report.
    """
    full = len(self._losses) == self._window
    if full and loss > max(self._losses):
      self._rate = float(np.float32(self._rate) * np.float32(self._factor))
    self._losses = (self._losses + [float(loss)])[-self._window :]

  def state(self):
    """Returns the rate and the last losses, a dict."""
    return {"rate": self._rate, "losses": list(self._losses)}

  def restore(self, state):
    """Goes on from a state.

    Args:
      state: what `state` returned.
    """
    self._rate = float(state["rate"])
    self._losses = list(map(float, state["losses"]))[-self._window :]


class WarmUp:
  """Raises the rate of another schedule along a line from 0 to 1 times itself.

  `schedule.rate(step) * min((step + 1) / steps, 1)`
  """

  def __init__(self, schedule, steps):
    """Wraps a schedule.

    Args:
      schedule: the schedule.
      steps: the rate of this step is the first that is not lowered, at least 1.

    Raises:
      ArgumentError: if `steps` is out of range.
    """
    self._schedule = schedule
    self._steps = _check("WarmUp", "steps", steps, 1)

  def rate(self, step):
    """Returns the rate of a step.

    Args:
      step: how many steps have been done.

    Returns:
      A float.
    """
    return self._schedule.rate(step) * min((step + 1) / self._steps, 1.0)

  def report(self, loss):
    """Tells the schedule.

    Args:
      loss: the mean loss since the last report.
    """
    self._schedule.report(loss)

  def state(self):
    """Returns the state of the schedule."""
    return self._schedule.state()

  def restore(self, state):
    """Restores the schedule.

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

  def __init__(self, schedule, variable=None, name="learning_rate"):
    """Adds the variable and the op that assigns it to the default graph.

    Args:
      schedule: the schedule.
      variable: a scalar variable to hold the rate, such as that of a model that
        must have certain names; by default a new one, float32.
      name: of the new variable, and of the name scope of the ops.

    Raises:
      ShapeError: if `variable` is no scalar.
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
        f"LearningRate: the variable {variable.name!r} must be a scalar, got "
        f"shape {variable.shape}."
      )
    self.variable = variable
    self._value = None  # what the variable has, if known
    with variable.graph.as_default(), tf1.name_scope(f"{name}_assign"):
      self._dtype = variable.dtype.base_dtype
      self._value_ph = tf1.placeholder(self._dtype, [], "value_ph")
      self._read = variable.read_value()
      self._assign_op = variable.assign(self._value_ph, read_value=False)

  def forget(self):
    """Makes the next `update` look at what the variable has in the session."""
    self._value = None

  def update(self, sess, step):
    """Sets the variable to the rate of a step, if it has another.

    Args:
      sess: a session.
      step: how many steps have been done.

    Returns:
      The rate, a float, as the variable has it.
    """
    wanted = np.asarray(self.schedule.rate(step), self._dtype.as_numpy_dtype)
    if self._value is None:
      self._value = sess.run(self._read)
    if wanted != self._value:
      sess.run(self._assign_op, {self._value_ph: wanted})
      self._value = wanted
    return float(wanted)

  def state(self):
    """Returns the kind and the state of the schedule, a dict."""
    return {"kind": _kind(self.schedule), "state": self.schedule.state()}

  def restore(self, state):
    """Goes on from a state; the session has restored the variable, too.

    Args:
      state: what `state` returned.

    Raises:
      TrainingError: if it is of another kind of schedule.
    """
    kind = _kind(self.schedule)
    if state["kind"] != kind:
      raise errors.TrainingError(
        f"LearningRate: the checkpoint is of a run with the schedule "
        f"{state['kind']}, this one has {kind}. Use the same, or another "
        f"folder."
      )
    self.schedule.restore(state["state"])
    self.forget()


def _kind(schedule):
  inner = getattr(schedule, "_schedule", None)
  name = type(schedule).__name__
  return name if inner is None else f"{name} of {_kind(inner)}"


def _check(caller, argument, value, smallest, largest=math.inf):
  """Returns `value` as a float if it is in range."""
  if not smallest <= value <= largest or not math.isfinite(value):
    limits = f"at least {smallest}"
    if math.isfinite(largest):
      limits += f" and at most {largest}"
    raise errors.ArgumentError(
      f"{caller}: {argument} must be {limits}, got {value}."
    )
  return float(value)

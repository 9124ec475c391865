"""Checks of the arguments of the training loop."""

import math
import numbers
import os

from tangle import errors
from tangle.partial import run_errors


def check_kinds(sess, trainer, out_dir):
  """Checks what is no number and no function.

  Args:
    sess: a session.
    trainer: an object with a method `step`.
    out_dir: the name of a folder.

  Raises:
    ArgumentError: if one is anything else.
    GraphError: if the session runs another graph than the trainer's pipeline; a
      trainer without a `pipeline` may have any.
    SessionError: if `sess` is a monitored session that is closed.
  """
  graph = getattr(getattr(trainer, "pipeline", None), "graph", None)
  if graph is None:  # any graph will do
    graph = getattr(sess, "graph", None) or object()
  call = "Loop(sess, trainer, source, out_dir, max_steps)"
  remedy = "trainer.pipeline.graph"
  run_errors.check_session(sess, graph, call, remedy)
  if not callable(getattr(trainer, "step", None)):
    raise errors.ArgumentError(
      f"trainer must have a method step(sess, batch), got "
      f"{errors.show(trainer)}. Give what Pipeline.minimize() returns, or an "
      f"object of your own with such a method."
    )
  is_name = isinstance(out_dir, (str, bytes, os.PathLike))
  if not is_name or not os.fspath(out_dir):
    raise errors.ArgumentError(
      f"out_dir must be the name of a folder, got "
      f"{errors.show(out_dir)}. Give a name, such as 'runs/first'; the folder "
      f"is made if it is missing."
    )


def check_numbers(values):
  """Checks numbers of steps.

  Args:
    values: those of `max_steps`, `report_every`, `validate_every` and
      `checkpoint_every`; the last two may be `None`.

  Raises:
    ArgumentError: if one is not a whole number, or less than 1. Infinity is
      accepted.
  """
  names = "max_steps", "report_every", "validate_every", "checkpoint_every"
  for name, value in zip(names, values):
    if name in names[2:] and value is None:
      continue
    is_number = isinstance(value, numbers.Real)
    if not is_number or not value >= 1 or (value % 1 and value != math.inf):
      raise errors.ArgumentError(
        f"{name} must be a whole number, at least 1, got "
        f"{errors.show(value)}. Give a number of steps."
      )


def check_validation(validate, validate_every, patience):
  """Refuses settings of validations that are never made.

  Args:
    validate: a function, or `None`.
    validate_every: the number of steps between validations, or `None`.
    patience: a number of validations, or `None`.

  Raises:
    ArgumentError: if `validate` is `None` and one of the others is not.
  """
  settings = {"validate_every": validate_every, "patience": patience}
  for name, value in settings.items():
    if validate is None and value is not None:
      raise errors.ArgumentError(
        f"{name}={errors.show(value)} has no effect, as there is no "
        f"validation. Give validate, too, a function of the session that "
        f"returns a dict of figures, or leave {name} out."
      )


def check_functions(values):
  """Checks functions.

  Args:
    values: those of `feeds`, `validate`, `progress`, `report` and `reopen`:
      functions, or `None` where there is none.

  Raises:
    ArgumentError: if one is anything else.
  """
  for (name, remedy), value in zip(_REMEDIES.items(), values):
    if value is not None and not callable(value):
      raise errors.ArgumentError(
        f"{name} must be a function, got {value!r}. {remedy}"
      )


_REMEDIES = {
  "feeds": "Give a function of a batch and a step.",
  "validate": "Give a function of the session that returns a dict of figures; "
  "validate_every is the number of steps between validations.",
  "progress": "Give a function of step, max_steps and result.",
  "report": "Give a function of a line of text, such as print.",
  "reopen": "Give a function without arguments that opens a session.",
}

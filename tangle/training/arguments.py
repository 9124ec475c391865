"""Checks of the arguments of the training loop."""

import numbers

from tangle import errors


def check_numbers(values):
  """Checks numbers of steps.

  Args:
    values: those of `max_steps`, `report_every`, `validate_every` and
      `checkpoint_every`; the last may be `None`.

  Raises:
    ArgumentError: if one is not a number, or less than 1.
  """
  names = "max_steps", "report_every", "validate_every", "checkpoint_every"
  for name, value in zip(names, values):
    if name == "checkpoint_every" and value is None:
      continue
    if not isinstance(value, numbers.Real) or not value >= 1:
      raise errors.ArgumentError(
        f"Loop: {name} must be at least 1, got {value!r}. Give a number of "
        f"steps."
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
        f"Loop: {name} must be a function, got {value!r}. {remedy}"
      )


_REMEDIES = {
  "feeds": "Give a function of a batch and a step.",
  "validate": "Give a function of the session that returns a dict of figures; "
  "validate_every is the number of steps between validations.",
  "progress": "Give a function of step, max_steps and result.",
  "report": "Give a function of a line of text, such as print.",
  "reopen": "Give a function without arguments that opens a session.",
}

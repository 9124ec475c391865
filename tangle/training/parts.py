"""The state of a run in a checkpoint: the states of all its parts."""

import contextlib

from tangle import errors

# Errors that objects raise when they restore the state of something else.
_MISFITS = (
  *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
  RecursionError,
)


def state(parts, loss, position):
  """Returns the state of a run.

  Args:
    parts: name → object with `state()`.
    loss: the loss of the last step, or `None`.
    position: the position of the stream of batches.

  Returns:
    A dict with the keys `position`, `loss` and `parts`, for `restore`.
  """
  found = {name: part.state() for name, part in parts.items()}
  return {"position": position, "loss": loss, "parts": found}


def restore(restored, parts):
  """Restores the states of the parts of a run.

  Args:
    restored: a `checkpoints.Restored`.
    parts: name → object with `restore(state)`.

  Returns:
    The loss of the last step, and the position of the stream of batches.

  Raises:
    TrainingError: if the checkpoint has the states of other parts, or a part
      cannot restore its own; earlier parts have been restored then.
    TangleError: one that a part's `restore` raises, as it is.
  """
  whole = restored.state if isinstance(restored.state, dict) else {}
  states = whole.get("parts")
  states = states if isinstance(states, dict) else {}
  if sorted(states) != sorted(parts):
    raise errors.TrainingError(
      f"the checkpoint {restored.prefix!r} has the state of "
      f"{sorted(states)}, this run has {sorted(parts)}. Give rate and extra as "
      f"in that run, or another folder."
    )
  with explained(restored):
    for name, part in parts.items():
      part.restore(states[name])
    loss, position = whole["loss"], whole["position"]
    if loss is not None and not isinstance(loss, (int, float)):
      raise TypeError(f"the loss is {loss!r}")
  return loss, position


@contextlib.contextmanager
def explained(restored):
  """A context that explains errors from a checkpoint whose state does not fit.

  Args:
    restored: a `checkpoints.Restored`; with `None` errors pass unchanged.

  Yields:
    Nothing.

  Raises:
    TrainingError: for an ArithmeticError, AttributeError, LookupError,
      RecursionError, TypeError or ValueError in the context that is no
      `TangleError`; it names the checkpoint.
  """
  try:
    yield
  except _MISFITS as error:
    if restored is None or isinstance(error, errors.TangleError):
      raise
    raise errors.TrainingError(
      f"the state in the checkpoint {restored.prefix!r} does not fit "
      f"this run ({type(error).__name__}: {errors.summarize(error)}). It is of "
      f"another version of tangle, or of other parts: resume with those, "
      f"remove the folder of this checkpoint to resume from an older one, or "
      f"give another folder."
    ) from error

"""Early stopping when validation no longer improves."""

from tangle import errors


class Patience:
  """Counts the validations since the best one.

  Attributes:
    best: the lowest score so far; `None` before the first that is not NaN.
    best_step: the step of the best score; `None` as long as `best` is.
    waited: how many validations there have been since.
  """

  @errors.named("Patience")
  def __init__(self, patience=None):
    """Starts the count.

    Args:
      patience: stop after this many validations in a row without a new best;
        `None` for never.

    Raises:
      ArgumentError: if `patience` is less than 1.
    """
    if patience is not None and patience < 1:
      raise errors.ArgumentError(
        f"patience must be at least 1, got {patience}."
      )
    self._patience = patience
    self.best = self.best_step = None
    self.waited = 0

  def add(self, step, score):
    """Adds the score of a validation.

    Args:
      step: how many steps have been done.
      score: lower is better; a tie and NaN never count as better.

    Returns:
      Whether it is the best so far.
    """
    score = float(score)
    better = score == score and (self.best is None or score < self.best)
    if better:
      self.best, self.best_step, self.waited = score, int(step), 0
    else:
      self.waited += 1
    return better

  @property
  def exhausted(self):
    """Whether to stop: `waited` has reached `patience`, if there is one."""
    return self._patience is not None and self.waited >= self._patience

  def state(self):
    """Returns the state: a dict with `best`, `best_step` and `waited`."""
    return {
      "best": self.best,
      "best_step": self.best_step,
      "waited": self.waited,
    }

  def restore(self, state):
    """Resumes from a state.

    Args:
      state: what `state` returned.

    Raises:
      KeyError, TypeError, ValueError: if it is of another form.
    """
    best, step = state["best"], state["best_step"]
    self.best = None if best is None else float(best)
    self.best_step = None if step is None else int(step)
    self.waited = int(state["waited"])

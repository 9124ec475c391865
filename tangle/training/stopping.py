"""Early stopping: an end when validation gets no better."""

from tangle import errors


class Patience:
  """Counts the validations since the best one.

  Attributes:
    best: the lowest score so far; `None` before the first.
    best_step: the step that it belongs to.
    waited: how many validations there have been since.
  """

  def __init__(self, patience=None):
    """Starts the count.

    Args:
      patience: after how many validations in a row that are not better than
        the best to stop; never for `None`.

    Raises:
      ArgumentError: if it is less than 1.
    """
    if patience is not None and patience < 1:
      raise errors.ArgumentError(
        f"Patience: patience must be at least 1, got {patience}."
      )
    self._patience = patience
    self.best = self.best_step = None
    self.waited = 0

  def add(self, step, score):
    """Takes the score of a validation into account.

    Args:
      step: how many steps have been done.
      score: lower is better; one that is not a number is never better.

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
    """Whether it is time to stop."""
    return self._patience is not None and self.waited >= self._patience

  def state(self):
    """Returns what a checkpoint needs, a dict."""
    return {
      "best": self.best,
      "best_step": self.best_step,
      "waited": self.waited,
    }

  def restore(self, state):
    """Goes on from a state.

    Args:
      state: what `state` returned.
    """
    best, step = state["best"], state["best_step"]
    self.best = None if best is None else float(best)
    self.best_step = None if step is None else int(step)
    self.waited = int(state["waited"])

"""How fast a training is, over all runs that it has taken."""

import time


class Speedometer:
  """A trainer that counts examples and seconds in its steps.

  A part of the state of `training.loop.Loop`.
  """

  def __init__(self, trainer, count=None):
    """Wraps a trainer.

    Args:
      trainer: an object with `step(sess, batch)`.
      count: a function of a batch that returns how many examples it has; by
        default the rows that `"decoder"` is fed as `"inputs"`.
    """
    self._trainer = trainer
    self._count = count or (lambda batch: len(batch["decoder"]["inputs"]))
    self._seconds, self._words = 0.0, 0

  def step(self, sess, batch):
    """Makes a step.

    Args:
      sess: a session.
      batch: sub-model → feed → array.

    Returns:
      What the trainer returns.
    """
    begin = time.perf_counter()
    result = self._trainer.step(sess, batch)
    self._seconds += time.perf_counter() - begin
    self._words += self._count(batch)
    return result

  def shown(self, progress):
    """Returns a callable for the loop that shows the speed, too.

    Args:
      progress: a `progress.Bar`, or what is called like one.

    Returns:
      A function of step, number of steps, and result.
    """

    def show(step, steps, result):
      note = f"{self.figures()['words_per_s']:,.0f} words/s"
      progress(step, steps, result, note)

    return show

  def figures(self):
    """Returns the figures: `train_s`, `words_per_s` (examples a second)."""
    return {
      "train_s": self._seconds,
      "words_per_s": self._words / self._seconds if self._seconds else 0.0,
    }

  def state(self):
    """Returns what a checkpoint needs."""
    return {"seconds": self._seconds, "words": self._words}

  def restore(self, state):
    """Goes on from a state.

    Args:
      state: what `state` returned.
    """
    self._seconds, self._words = state["seconds"], state["words"]

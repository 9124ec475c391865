"""Experiments with several trainings: their numbers and accuracies."""

from tangle import errors


def check_counts(per_class, **numbers):
  """Returns numbers of images per class as ints, after checking all numbers.

  Args:
    per_class: ints, or texts of them.
    **numbers: name → number.

  Returns:
    A list of ints.

  Raises:
    ArgumentError: if `per_class` is empty or has no ints, or a number is less
      than 1.
  """
  try:
    counts = [int(count) for count in per_class]
  except ValueError as error:
    raise errors.ArgumentError(
      f"per_class must be whole numbers, got {per_class}."
    ) from error
  if not counts or min([*numbers.values(), *counts]) < 1:
    raise errors.ArgumentError(
      f"{', '.join(numbers)} and each of per_class must be at least "
      f"1, got {', '.join(map(str, numbers.values()))} and {counts}."
    )
  return counts


class Tally:
  """Counts trainings, and collects an accuracy of each.

  Attributes:
    accuracies: series → mode → x → list of accuracies, one per seed.
  """

  def __init__(
    self, names, series, modes, trainings, progress=None, write_metrics=None
  ):
    """Begins with no accuracies.

    Args:
      names: what records call the series, the mode and x.
      series: all series.
      modes: all modes.
      trainings: how many trainings there are in all.
      progress: called as `progress(trainings done, trainings)`.
      write_metrics: called with the names above, `seed=` and `accuracy=`.
    """
    self._names, self._trainings, self._done = names, trainings, 0
    self._progress, self._write_metrics = progress, write_metrics
    self.accuracies = {one: {mode: {} for mode in modes} for one in series}

  def add(self, series, mode, x, seed, accuracy):
    """Adds the accuracy of a training."""
    self.accuracies[series][mode].setdefault(x, []).append(accuracy)
    self._done += 1
    if self._write_metrics is not None:
      labels = dict(zip(self._names, (series, mode, x)))
      self._write_metrics(**labels, seed=seed, accuracy=accuracy)
    if self._progress is not None:
      self._progress(self._done, self._trainings)

  def reduce(self, function):
    """Returns series → mode → x → a function of the list of accuracies."""
    return {
      series: {
        mode: {x: function(values) for x, values in points.items()}
        for mode, points in modes.items()
      }
      for series, modes in self.accuracies.items()
    }

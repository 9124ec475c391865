"""The figures of a run, for files, for TensorBoard and for people."""

import os
import time

from tangle import errors
from tangle.pipeline import diagrams
from tangle.training import meters, records, runs, summaries

_SHOWN = ("loss", "perplexity", "learning_rate", "steps_per_s")
_OWN = _SHOWN + ("step", "buckets", "global_norm", "seconds")


class MetricsWriter:
  """Collects figures and writes them, at most one record per step.

  All figures but `seconds` and `steps_per_s` depend on the steps alone. The
  order of calls is `restore` if a run resumes, `open`, the others, `close`.

  Attributes:
    meter: the `Meter` of the losses since the last report.
    records: the `Records`, once `open` was called.
  """

  def __init__(self, measure, label, with_perplexity, say):
    """Creates the writer; writes nothing yet.

    Args:
      measure: as in `meters.Meter`.
      label: as in `meters.Meter`.
      with_perplexity: whether reports include perplexities.
      say: called with lines of text.
    """
    self.meter = meters.Meter(measure, label)
    self.records = None
    self.say = say
    self._with_perplexity = with_perplexity
    self._summaries = None
    self._earlier_s = 0.0
    self._kept = None

  def open(self, out_dir, graph, step, resumed, pipeline=None):
    """Opens `metrics.jsonl` and the files in the folder `summaries`.

    Records after the state that was restored are removed.

    Args:
      out_dir: the folder of the run.
      graph: the graph.
      step: how many steps have been done.
      resumed: whether a run in the folder is resumed and its state has been
        restored.
      pipeline: the `Pipeline`, to show its residuals; `None` without one.

    Raises:
      DataError: if the records of the resumed run have changed, or if the run
        is new and the folder already has records.
      FileError: if the file of the records cannot be read or written.
    """
    if not resumed and records.is_begun(out_dir):
      raise errors.DataError(
        f"{out_dir!r} has {records.NAME} of a run, and none of its "
        f"checkpoints. Put the checkpoints back, or give another folder."
      )
    self.records = records.Records(out_dir, self._kept if resumed else None)
    folder = os.path.join(out_dir, "summaries")
    resume_step = step if resumed else None
    texts = _describe(out_dir)
    if pipeline is not None:
      texts["residuals"] = diagrams.list_residuals(pipeline)
    self._summaries = summaries.Summaries(
      folder, graph, resume_step, self.say, texts
    )
    self._begun_s = self._reported_s = time.monotonic()
    self._reported_step = step

  @property
  def seconds(self):
    """Seconds of training, including the earlier runs that this one resumes."""
    return self._earlier_s + time.monotonic() - self._begun_s

  def report(self, step, result, rate):
    """Ends an interval between two reports: clears `meter`, says a line.

    Nothing is written to a file; give the figures to `write`.

    Args:
      step: how many steps have been done.
      result: the result of the last step.
      rate: the learning rate of the last step, or `None`.

    Returns:
      The mean loss of the interval, `None` if it counts nothing, and a dict of
      its figures: those of `Meter.figures`; `steps_per_s` and `seconds`;
      `global_norm` and `learning_rate`, unless they are `None`.
    """
    mean = self.meter.mean
    figures = self.meter.figures(with_perplexity=self._with_perplexity)
    self.meter.clear()
    norm = getattr(result, "global_norm", None)
    if norm is not None:
      figures["global_norm"] = float(norm)
    if rate is not None:
      figures["learning_rate"] = rate
    now = time.monotonic()
    passed = max(now - self._reported_s, 1e-9)
    figures["steps_per_s"] = (step - self._reported_step) / passed
    figures["seconds"] = self.seconds
    self._reported_s, self._reported_step = now, step
    text = [f"{name} {figures[name]:.4g}" for name in _SHOWN if name in figures]
    self.say(f"step {step}: {', '.join(text)}")
    return mean, figures

  def write(self, step, figures):
    """Writes the figures of a step.

    Args:
      step: how many steps have been done.
      figures: a dict; nothing is written if it is empty.

    Raises:
      FileError: if the record cannot be written.
      TypeError: if a figure is nothing that `records.to_json` takes.
    """
    if figures:
      self.records.write(step=step, **figures)
      self._summaries.write(step, figures)

  def sync(self):
    """Waits until all figures have reached the files.

    Raises:
      FileError: if the records cannot be written. What is wrong with summaries
        is reported only.
    """
    self.records.sync()
    self._summaries.sync()

  def close(self):
    """Closes the files of summaries; records are closed after each `write`."""
    self._summaries.close()

  def state(self):
    """Returns the state to save: a dict with `meter`, `seconds`, `records`."""
    return {
      "meter": self.meter.state(),
      "seconds": self.seconds,
      "records": self.records.state(),
    }

  def restore(self, state):
    """Resumes from a state; call `open` afterwards.

    Args:
      state: what `state` returned.

    Raises:
      ValueError: if a number of bytes or a count is negative.
      AttributeError, KeyError, TypeError, ValueError: if it is of another form.
    """
    seconds, kept = float(state["seconds"]), state["records"]
    kept = {"bytes": int(kept["bytes"]), "sha256": str(kept["sha256"])}
    if kept["bytes"] < 0:
      raise ValueError("a number of bytes is negative")
    self.meter.restore(state["meter"])
    self._earlier_s, self._kept = seconds, kept


def _describe(out_dir):
  """Returns texts about a run: its settings, if they are recorded."""
  try:
    groups = runs.read(out_dir)["settings"]
  except errors.TangleError:  # whoever needs the settings is told
    return {}
  rows = [
    {"group": group, "setting": name, "value": value}
    for group, settings in groups.items()
    if isinstance(settings, dict)
    for name, value in settings.items()
  ]
  return {"settings": rows}


def check_validation(figures, watch):
  """Checks the figures that `validate` returned.

  Args:
    figures: the dict that it returned.
    watch: the name of the figure that decides which checkpoint is the best.

  Returns:
    That figure, a float.

  Raises:
    ArgumentError: if `figures` is no dict, has no `watch`, `float` cannot
      convert its value, or a figure has a name that the loop uses for its own.
      NaN and infinities are not refused.
  """
  if not hasattr(figures, "items"):
    raise errors.ArgumentError(
      f"validate must return a dict from name to number, got "
      f"{figures!r}. Return {{{watch!r}: number}}."
    )
  taken = [name for name in figures if name in _OWN]
  if taken:
    raise errors.ArgumentError(
      f"validate returns figures with the names {taken}, which the loop "
      f"uses for its own. Give them other names, such as "
      f"{'validation_' + taken[0]!r}."
    )
  try:
    return float(figures[watch])
  except (KeyError, TypeError, ValueError):
    raise errors.ArgumentError(
      f"validate must return a number {watch!r}, the figure that decides "
      f"which checkpoint is the best, got {figures}. Add it, or give the name "
      f"of another figure as watch."
    ) from None

"""Tables of a script's figures for people, in words and units."""

import numbers

from tangle.experiments import tables

_PERCENT, _COUNT, _NATS = "{:.1%}", "{:,.0f}", "{:.3f} nats per symbol"
_SECONDS, _PER_S = "{:,.1f} s", "{:,.0f} per second"

SCALARS = {
  "test_wer": ("test word error rate", _PERCENT),
  "test_per": ("test phoneme error rate", _PERCENT),
  "test_bleu": ("test BLEU", "{:.1f}"),
  "test_words": ("words measured on test", _COUNT),
  "test_left_out": ("test lines that could not be decoded", _COUNT),
  "validation_wer": ("validation word error rate, best step", _PERCENT),
  "validation_per": ("validation phoneme error rate, best step", _PERCENT),
  "validation_bleu": ("validation BLEU, best step", "{:.1f}"),
  "validation_loss": ("validation loss, best step", _NATS),
  "loss": ("training loss, last report", _NATS),
  "perfect_seeds": ("trainings with all paths right", _COUNT),
  "seeds": ("trainings", _COUNT),
  "majority": ("accuracy of the most frequent digit of a token", _PERCENT),
  "frozen_changed": ("frozen numbers that changed", _COUNT),
  "best_step": ("best step", _COUNT),
  "steps": ("steps", _COUNT),
  "lines": ("lines decoded", _COUNT),
  "seconds": ("time", _SECONDS),
  "train_s": ("time in training steps", _SECONDS),
  "build_s": ("time to build the graphs", _SECONDS),
  "examples_per_s": ("examples trained", _PER_S),
  "words_per_s": ("words trained", _PER_S),
  "graphs": ("static graphs", _COUNT),
  "joint_graphs": ("static graphs of a joint model", _COUNT),
  "graph_ops": ("ops in the static graphs", _COUNT),
  "source_waste": ("padding of the source", _PERCENT),
  "target_waste": ("padding of the target", _PERCENT),
  "reason": ("ended by", "{}"),
}
"""Name of a figure → its name in words, and the format with the unit."""

NESTED = {
  "accuracy": ("accuracy", _PERCENT),
  "means": ("accuracy on held-out images, by images per class", _PERCENT),
  "paths": ("accuracy on held-out paths, by their number", _PERCENT),
  "digits": ("accuracy on held-out digits, by digits shown", _PERCENT),
  "test_bleu": ("test BLEU", "{:.1f}"),
  "reached": ("starts from which the Pareto front is reached", _COUNT),
  "final": ("accuracy after the last step", _PERCENT),
  "mean": ("accuracy, mean of all evaluations", _PERCENT),
}
"""Name of a figure that is a dict → title of its table, format of a value."""


def format_figures(figures):
  """Formats the figures of a script.

  Args:
    figures: name → number, text, list of numbers, of which the mean is shown,
      or nested dicts of them. Names that are neither in `SCALARS` nor in
      `NESTED` are not shown. Of `curve`, the validation at the best step is.

  Returns:
    A string of several lines, without a line break at its end; "" if there is
    nothing to show.

  Raises:
    MissingPackageError: if tabulate is not installed.
  """
  shown = dict(_best(figures), **figures)
  rows = []
  for name, (words, form) in SCALARS.items():
    value = _mean(shown.get(name))
    if value is not None and not isinstance(value, dict):
      rows.append([words, form.format(value).replace("_", " ")])
  parts = []
  for name, (title, form) in NESTED.items():
    if isinstance(figures.get(name), dict) and figures[name]:
      lines, columns = _matrix(figures[name], form)
      parts.append(tables.layout(lines, columns, "simple", title))
  if rows:
    parts.append(tables.layout(rows, ["value"], "simple", "figure"))
  return "\n\n".join(parts)


def _best(figures):
  """Returns the figures of the validation at the best step."""
  for point in figures.get("curve") or ():
    if point.get("step") == figures.get("best_step"):
      return point
  return {}


def _mean(value):
  """Returns a value, of a list the mean; `None` for what cannot be shown."""
  if isinstance(value, (list, tuple)):
    known = [part for part in value if isinstance(part, numbers.Real)]
    return sum(known) / len(known) if known else None
  return value


def _matrix(nested, form):
  """Returns lines and names of columns: the innermost keys are the columns."""
  cells, columns = {}, {}
  for path, value in _leaves(nested):
    row, column = (path[:-1], path[-1]) if len(path) > 1 else (path, "")
    cells.setdefault(row, {})[column] = form.format(value)
    columns[column] = None
  lines = [
    [
      ", ".join(row).replace("_", " "),
      *[found.get(column, "-") for column in columns],
    ]
    for row, found in cells.items()
  ]
  return lines, [column.replace("_", " ") for column in columns]


def _leaves(nested, path=()):
  for key, value in nested.items():
    if isinstance(value, dict):
      yield from _leaves(value, (*path, str(key)))
    elif _mean(value) is not None:
      yield (*path, str(key)), _mean(value)

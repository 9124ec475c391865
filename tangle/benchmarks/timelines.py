"""Timelines of steps with micro-batches."""

from tangle import errors
from tangle.experiments import plots


def held_sets(timeline, name):
  """Returns how many micro-batches' residuals a sub-model holds at once.

  Args:
    timeline: a list of `micro_batches.Ran`.
    name: the sub-model.

  Returns:
    An int; 0 for a sub-model that no other reads, which has no backward run.
  """
  own = [ran for ran in timeline if ran.sub_model == name]
  if not any(ran.is_backward for ran in own):
    return 0
  held, most = 0, 0
  for ran in sorted(own, key=lambda ran: ran.begin_s):
    held += -1 if ran.is_backward else 1
    most = max(most, held)
  return most


@errors.named("timelines.plot")
def plot(timeline, title, path):
  """Draws the runs of a step: sub-models from top to bottom over time.

  Args:
    timeline: a list of `micro_batches.Ran`.
    title: title of the plot.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  names = sorted({ran.sub_model for ran in timeline if ran.sub_model})
  places = {**{name: k for k, name in enumerate(names)}, None: len(names)}
  drawing = plots.open_drawing(10, 0.6 * len(places) + 1.8)
  axes = drawing.subplots()
  begin = min(ran.begin_s for ran in timeline)
  back = {ran.sub_model for ran in timeline if ran.is_backward}
  seen = set()
  for ran in timeline:
    kind, color = "forward", plots.COLORS[0]
    if ran.sub_model is None:
      kind, color = "update", plots.COLORS[2]
    elif ran.is_backward:
      kind, color = "backward", plots.COLORS[1]
    elif ran.sub_model not in back:
      kind, color = "forward and backward", plots.COLORS[3]
    left, width = 1e3 * (ran.begin_s - begin), 1e3 * (ran.end_s - ran.begin_s)
    axes.barh(
      places[ran.sub_model],
      width,
      left=left,
      color=color,
      edgecolor="white",
      label=None if kind in seen else kind,
    )
    seen.add(kind)
    if ran.sub_model is not None:
      axes.text(
        left + width / 2,
        places[ran.sub_model],
        str(ran.micro_batch),
        ha="center",
        va="center",
        color="white",
      )
  axes.set_yticks(range(len(places)))
  axes.set_yticklabels([*names, "update"])
  axes.invert_yaxis()
  axes.set_xlabel("time in ms; numbers are those of micro-batches")
  axes.set_title(title)
  axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)

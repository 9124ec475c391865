"""Plots of a training: its figures over the steps, and padding by bucket."""

import itertools
import json
import os

import numpy as np

from tangle import errors, files
from tangle.experiments import plots, tasks
from tangle.seq2seq import bucketing
from tangle.training import records

FILE = "training.png"

_LIMIT = 1 << 30  # bytes, of `metrics.jsonl`
_RATE = {"learning_rate": "at the step"}
_LOSSES = {"loss": "training", "validation_loss": "validation"}
_RATES = {
  "validation_wer": "word error rate",
  "validation_per": "phoneme error rate",
}


def write(out_dir, padding=None, report=print):
  """Draws the figures of a run into its folder, if that can be done.

  Args:
    out_dir: the folder, with `metrics.jsonl`; gets `training.png`.
    padding: what `padding_by_bucket` returned, to draw it, too.
    report: called with a line of text if matplotlib is missing, or the picture
      cannot be written.

  Raises:
    FileError: if `metrics.jsonl` cannot be read.
  """
  text = files.read_bytes(os.path.join(out_dir, records.NAME), _LIMIT)
  found = [json.loads(line) for line in text.decode("utf-8").splitlines()]
  try:
    draw(found, padding or {}, os.path.join(out_dir, FILE))
  except (errors.MissingPackageError, OSError) as error:
    report(f"No plot is drawn: {error}")


def padding_by_bucket(task):
  """Returns the share of padding in each bucket, without that of pooling.

  Args:
    task: a `tasks.Task`; with joint buckets nothing is returned.

  Returns:
    A dict: name of a side, such as `source` → bucket → share of its positions.
    A side that is source and target has ` (target)` after its name as target.
    Buckets without examples are left out.
  """
  lengths, layout = {}, tasks.LAYOUTS[task.layout]
  sources = {name for one in task.directions for name in one.sources}
  for one, encoded in task.encoded["train"].items():
    buckets = task.buckets[one]
    if isinstance(buckets, bucketing.JointBuckets):
      return {}
    target = one.target + " (target)" * (one.target in sources)
    each = zip(buckets.sides, encoded.examples.side_lengths(layout))
    for name, (side, own) in zip((*one.sources, target), each):
      lengths.setdefault(name, (side, buckets.strict, []))[2].append(own)
  found = {}
  for name, (side, strict, parts) in lengths.items():
    each = np.concatenate(parts)
    places = np.searchsorted(side, each, "right" if strict else "left")
    found[name] = {
      bucket: 1.0 - float(np.mean(each[places == k])) / bucket
      for k, bucket in enumerate(side)
      if np.any(places == k)
    }
  return found


@errors.named("training_plots")
def draw(found, padding, path):
  """Draws panels: loss, error rates, learning rate, and padding by bucket.

  A panel without figures is left out.

  Args:
    found: the records of a run, a list of dicts with `step`.
    padding: as from `padding_by_bucket`.
    path: the PNG file to write.
  """
  panels = [
    ("Loss", "nats per symbol", _series(found, _LOSSES), 1),
    ("Error rates on validation", "percent", _series(found, _RATES), 100),
    ("Learning rate", "learning rate", _series(found, _RATE), 1),
  ]
  panels = [panel for panel in panels if panel[2]]
  count = len(panels) + bool(padding)
  if not count:
    return
  drawing, spaces = plots.open_panels(count, 2, (4.8, 3.4))
  for axes, (title, unit, lines, scale) in zip(spaces, panels):
    for color, (name, points) in zip(plots.COLORS, lines.items()):
      steps, values = zip(*points)
      values = [scale * value for value in values]
      axes.plot(steps, values, color=color, label=name, marker=".")
    axes.set(title=title, xlabel="step", ylabel=unit)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=6)
    axes.legend(frameon=False)
  if padding:
    _draw_padding(spaces[-1], padding)
  for axes in spaces:
    plots.hide_edges(axes)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)


def _series(found, names):
  """Returns name in words → list of (step, value)."""
  lines = {}
  for name, words in names.items():
    points = [
      (record["step"], record[name])
      for record in found
      if isinstance(record.get(name), (int, float)) and "step" in record
    ]
    if points:
      lines[words] = points
  return lines


def _draw_padding(axes, padding):
  """Draws bars for the buckets of each side."""
  width = 0.8 / len(padding)
  count = max(map(len, padding.values()))
  for k, (color, (name, shares)) in enumerate(
    zip(itertools.cycle(plots.COLORS), padding.items())
  ):
    places = np.arange(len(shares)) + (k - 0.5 * (len(padding) - 1)) * width
    values = [100 * share for share in shares.values()]
    axes.bar(places, values, width, color=color, label=name)
    for place, value, bucket in zip(places, values, shares):
      axes.text(place, value, str(bucket), ha="center", va="bottom", fontsize=8)
  axes.set_xticks(range(count))
  axes.set_xticklabels([str(k + 1) for k in range(count)])
  axes.set(
    title="Padding by bucket",
    xlabel="bucket, its length above the bar",
    ylabel="percent of positions",
  )
  axes.margins(y=0.15)
  axes.legend(frameon=False)

"""Plots: lines over a few x values with their spread, and bars of ratios."""

import numpy as np

from tangle import errors

COLORS = ("#4c72b0", "#c44e52", "#55a868", "#8172b2", "#ccb974", "#64b5cd")


def open_drawing(width, height):
  """Makes an empty figure of a size in inches, which needs no display."""
  with errors.needing("matplotlib", "tangle-graph[plot]"):
    from matplotlib import figure
    from matplotlib.backends import backend_agg
  drawing = figure.Figure(figsize=(width, height))
  backend_agg.FigureCanvasAgg(drawing)
  return drawing


def open_panels(count, most, size, margin=(0.0, 0.0), **sharing):
  """Makes a figure of panels in rows; places that are left stay empty.

  Args:
    count: how many panels there are.
    most: how many a row has at most.
    size: width and height of a panel, in inches.
    margin: width and height to add to those of all panels.
    **sharing: of axes, as for `Figure.subplots`.

  Returns:
    A matplotlib `Figure`, and a list of `count` axes, row by row.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  columns = min(most, count)
  rows = -(-count // columns)
  drawing = open_drawing(
    size[0] * columns + margin[0], size[1] * rows + margin[1]
  )
  panels = np.ravel(drawing.subplots(rows, columns, squeeze=False, **sharing))
  for axes in panels[count:]:
    axes.set_visible(False)
  return drawing, list(panels[:count])


def label_panels(panels, most, titles, below, side):
  """Labels the panels of `open_panels`: x axes below, y axes at the side."""
  columns = min(most, len(panels))
  for k, (axes, title) in enumerate(zip(panels, titles)):
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    if k % columns == 0:
      axes.set_ylabel(side, fontsize=8)
    if k + columns >= len(panels):
      axes.set_xlabel(below, fontsize=8)
      axes.tick_params(labelbottom=True)


def hide_edges(axes):
  """Leaves out the lines above and to the right of a panel."""
  for edge in ("top", "right"):
    axes.spines[edge].set_visible(False)


def draw_means(axes, lines, **style):
  """Draws name → x → values: lines of their means, and bands of quartiles."""
  for color, (name, points) in zip(COLORS, lines.items()):
    places = sorted(points)
    values = [np.asarray(points[place], float) for place in places]
    low, high = (
      [np.percentile(value, percent) for value in values]
      for percent in (25, 75)
    )
    means = [value.mean() for value in values]
    axes.plot(places, means, color=color, label=name, **style)
    axes.fill_between(places, low, high, color=color, alpha=0.2, linewidth=0)


@errors.named("draw_series")
def draw_series(panels, path, logarithmic=False, title=""):
  """Draws panels side by side: means as lines, quartiles as bands.

  Args:
    panels: a list of (x label, y label, name of a line → x → list of values).
    path: the PNG file to write.
    logarithmic: whether the x axis is logarithmic.
    title: of the whole; that bands are quartiles is added.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  count = len(panels)
  drawing, places = open_panels(count, count, (5.0, 3.8))
  for axes, (below, side, lines) in zip(places, panels):
    draw_means(axes, lines, marker="o")
    if logarithmic:
      axes.set_xscale("log")
    ticks = sorted({place for points in lines.values() for place in points})
    axes.set_xticks(ticks)
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(below)
    axes.set_ylabel(side)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    hide_edges(axes)
  drawing.suptitle(f"{title} (mean and quartiles of seeds)".strip())
  drawing.tight_layout(rect=(0, 0, 1, 0.97))
  drawing.savefig(path, dpi=120)


@errors.named("draw_ratios")
def draw_ratios(rows, column, title, path):
  """Draws the ratios of all rows that have one as bars.

  Lines show the quartiles of the paired ratios.

  Args:
    rows: row name → column → value, with `<column>_quartiles`.
    column: the column to draw.
    title: title of the plot.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  names = [name for name in rows if column + "_quartiles" in rows[name]]
  values = [rows[name][column] for name in names]
  quartiles = [rows[name][column + "_quartiles"] for name in names]
  spread = [
    [max(0.0, v - low) for v, (low, _) in zip(values, quartiles)],
    [max(0.0, high - v) for v, (_, high) in zip(values, quartiles)],
  ]
  drawing = open_drawing(7, 0.5 * len(names) + 1.6)
  axes = drawing.subplots()
  places = range(len(names))
  axes.barh(places, values, xerr=spread, color=COLORS[0], ecolor="#333333")
  gap = 0.01 * max(high for _, high in quartiles)
  for place, value, (_, high) in zip(places, values, quartiles):
    text = f"{value:.3f}" if value < 100 else f"{value:,.0f}"
    axes.text(max(value, high) + gap, place, text, va="center")
  axes.axvline(1.0, color="#333333", linewidth=0.8)
  axes.set_yticks(list(places))
  axes.set_yticklabels(names)
  axes.invert_yaxis()
  axes.set_xlim(0, 1.15 * max(high for _, high in quartiles))
  axes.set_title(title)
  axes.set_xlabel("ratio: median, and quartiles as lines")
  hide_edges(axes)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)


def draw_by_labels(found, sides, path, title):
  """Draws the accuracy of several modes over the number of labels.

  Args:
    found: series → mode → labelled images per class → list of accuracies.
    sides: series to draw → y label of its panel.
    path: the PNG file to write.
    title: of the whole.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  panels = []
  for series, side in sides.items():
    lines = {
      mode.replace("_", " "): points for mode, points in found[series].items()
    }
    panels.append(("labelled images per class", side, lines))
  draw_series(panels, path, logarithmic=True, title=title)

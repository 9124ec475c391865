"""Tables and plots of measurements."""

from tangle.experiments import plots


def format_table(rows, columns):
  """Formats rows as a text table.

  Args:
    rows: row name → column → value; a row with a `reason` shows only that.
    columns: the columns to show.

  Returns:
    A string of several lines.
  """
  lines = [["", *columns]]
  for name, row in rows.items():
    if "reason" in row:
      lines.append([name, "cannot run: " + row["reason"]])
    else:
      lines.append([name, *[_format(row.get(column)) for column in columns]])
  full = [line for line in lines if len(line) == len(columns) + 1]
  widths = [max(len(line[k]) for line in full) for k in range(len(columns) + 1)]
  widths[0] = max(len(line[0]) for line in lines)
  return "\n".join(
    "  ".join(
      cell.rjust(width) if k else cell.ljust(width)
      for k, (cell, width) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  )


def _format(value):
  if value is None:
    return "-"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, float):
    return f"{value:.4g}"
  return f"{value:,}" if isinstance(value, int) else str(value)


def plot_ratios(rows, column, title, path):
  """Draws the ratios of all rows that have one, as bars with quartiles.

  Args:
    rows: row name → column → value, with `<column>_quartiles`.
    column: the column to draw.
    title: title of the plot.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  names = [name for name, row in rows.items() if column in row]
  values = [rows[name][column] for name in names]
  quartiles = [rows[name][column + "_quartiles"] for name in names]
  spread = [
    [max(0.0, v - low) for v, (low, _) in zip(values, quartiles)],
    [max(0.0, high - v) for v, (_, high) in zip(values, quartiles)],
  ]
  drawing = plots.open_drawing("plot_ratios", 7, 0.5 * len(names) + 1.2)
  axes = drawing.subplots()
  places = range(len(names))
  axes.barh(places, values, xerr=spread, color="#4c72b0", ecolor="#333333")
  gap = 0.01 * max(high for _, high in quartiles)
  for place, value, (_, high) in zip(places, values, quartiles):
    text = f"{value:.3f}" if value < 100 else f"{value:,.0f}"
    axes.text(max(value, high) + gap, place, text, va="center")
  axes.axvline(1.0, color="#333333", linewidth=0.8)
  axes.set_yticks(list(places))
  axes.set_yticklabels(names)
  axes.invert_yaxis()
  axes.set_xlim(0, 1.15 * max(high for _, high in quartiles))
  axes.set_xlabel(title)
  for side in ("top", "right"):
    axes.spines[side].set_visible(False)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)

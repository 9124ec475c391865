"""Tables of figures as text or Markdown."""

from tangle import errors


def format_table(rows, columns):
  """Formats figures as a text table.

  Args:
    rows: row name → column → value. A row that has a value for `reason` could
      not be measured: it is not in the table, and its reason is written on a
      line below.
    columns: the columns to show; `-` stands for a value that a row lacks.

  Returns:
    A string of several lines, empty without rows.

  Raises:
    MissingPackageError: if tabulate is not installed.
  """
  cells = [
    [name, *[_format(row.get(column)) for column in columns]]
    for name, row in rows.items()
    if "reason" not in row
  ]
  lines = [
    f"{name}  cannot run: {row['reason']}"
    for name, row in rows.items()
    if "reason" in row
  ]
  return "\n".join(filter(None, [layout(cells, columns), *lines]))


def layout(cells, columns, kind="plain", corner=""):
  """Lays out a table with row names at the left, and figures at the right.

  Args:
    cells: a list of rows, each a list of a name and a value per column.
    columns: heads of the columns, without that of the names.
    kind: name of a format of tabulate, such as plain, or pipe for Markdown.
    corner: head of the column of names.

  Returns:
    A string of several lines, empty without rows.

  Raises:
    MissingPackageError: if tabulate is not installed.
  """
  if not cells:
    return ""
  with errors.needing("tabulate", "tangle-graph[scripts]"):
    import tabulate
  return tabulate.tabulate(
    cells,
    [corner, *columns],
    kind,
    colalign=["left"] + ["right"] * len(columns),
    disable_numparse=True,
  )


def _format(value):
  if value is None:
    return "-"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, float):
    return f"{value:.4g}"
  return f"{value:,}" if isinstance(value, int) else str(value)

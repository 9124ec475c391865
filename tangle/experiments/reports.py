"""What benchmarks print, write and draw, in one place.

A benchmark takes a report as `report=`, and gives it rows of figures as soon as
they are measured.
"""

import os

from tangle import files
from tangle.experiments import machine, plots, tables
from tangle.training import progress, records


class Report:
  """Prints tables on standard output; writes `metrics.jsonl`, and plots.

  The files are in a folder.
  """

  def __init__(self, out_dir):
    """Makes the folder.

    Args:
      out_dir: the folder.
    """
    self._folder = out_dir
    self._records = records.Records(out_dir)
    self._bar = None

  def count(self, done, total):
    """Moves the progress bar to `done` of `total` processes."""
    if self._bar is None:
      self._bar = progress.Bar(unit="process")
    self._bar.count(done, total)

  def note(self, **figures):
    """Writes a record that no table shows, with `figures`."""
    self._records.write(**figures)

  def say(self, text):
    """Prints text on standard output, as a line."""
    print(text, flush=True)

  def show(self, rows, columns, key="candidate", **labels):
    """Prints rows as a table, and writes a record for each.

    Args:
      rows: name → figures.
      columns: the figures that the table shows.
      key: what the records call the name.
      **labels: name → value, which belong to all rows.
    """
    if labels:
      words = (f"{name.replace('_', ' ')} {v}" for name, v in labels.items())
      print(", ".join(words))
    print(tables.format_table(rows, columns), flush=True)
    for name, row in rows.items():
      self._records.write(**dict(labels, **{key: name}), **row)

  def save(self, name, text):
    """Writes text to a file of this name in the folder."""
    files.write_text(os.path.join(self._folder, name), text.encode("utf-8"))

  def draw(self, name, plot, *arguments):
    """Draws a plot.

    Args:
      name: of the file, without its ending.
      plot: called with the arguments and the path of the PNG file.
      *arguments: what it draws.

    Returns:
      The path.
    """
    path = os.path.join(self._folder, f"{name}.png")
    plot(*arguments, path)
    return path

  def draw_ratios(self, name, rows, column, title):
    """Draws the ratios of rows as bars, if there are any.

    Args:
      name: of the file, without its ending.
      rows, column, title: as for `plots.draw_ratios`.

    Returns:
      The path, None if there are no ratios.
    """
    if any(f"{column}_quartiles" in row for row in rows.values()):
      return self.draw(name, plots.draw_ratios, rows, column, title)
    return None

  def __enter__(self):
    return self

  def __exit__(self, *error):
    if self._bar is not None:
      self._bar.close()
    if error[0] is None:
      print(f"load of the last minute at the end: {machine.describe_load()}")


class Quiet:
  """A report that prints, writes and draws nothing."""

  def note(self, *unused, **also_unused):
    """Does nothing, as all that a report is asked for."""

  count = say = show = save = draw = draw_ratios = note


QUIET = Quiet()
"""The report of a benchmark that only returns its figures."""

"""A progress bar on a terminal."""

from __future__ import annotations

import sys
from typing import Any, Optional, TextIO

from tangle import errors


class Bar:
  """Shows the progress of a run, if its output is a terminal.

      with progress.Bar() as bar:
        loop.train(..., progress=bar, report=bar.write)

  If the output is no terminal, only the lines of `write` are written.
  """

  @errors.named("progress.Bar")
  def __init__(self, unit: str = "step", file: Optional[TextIO] = None) -> None:
    """Opens the bar.

    Args:
      unit: the unit that is counted.
      file: the stream to write to, standard error by default. If it is not a
        terminal, only the lines of `write` are written.

    Raises:
      MissingPackageError: if tqdm is not installed.
    """
    with errors.needing("tqdm", "tangle-graph[scripts]"):
      import tqdm
    self._file = sys.stderr if file is None else file
    self._bar = tqdm.tqdm(
      disable=not self._file.isatty(), unit=unit, file=self._file
    )
    self._begun = False

  def __call__(
    self, step: int, max_steps: int, result: Any, note: str = ""
  ) -> None:
    """Updates the bar; does nothing if the output is no terminal.

    Args:
      step: how many steps have been done.
      max_steps: how many there will be at most.
      result: the result of the last step, with a number `loss`.
      note: further text to show, such as the throughput.
    """
    bar = self._bar
    if bar.disable:
      return
    if not self._begun:  # a resumed run does not begin at 0
      bar.initial = step - 1
      bar.n = step - 1
      bar.total = max_steps
      self._begun = True
    text = ", ".join(filter(None, [f"loss {result.loss:.4f}", note]))
    bar.set_postfix_str(text, refresh=False)
    bar.update(step - bar.n)

  def count(self, done: int, total: int) -> None:
    """Updates the bar from counts, in place of `__call__`.

    Args:
      done: how many are done.
      total: how many there are in all.
    """
    self._bar.total = total
    self._bar.update(done - self._bar.n)

  def write(self, text: str) -> None:
    """Prints a line above the bar, to standard error or the bar's `file`.

    If that is no terminal, only the line is printed.

    Args:
      text: the line, without a line break.
    """
    self._bar.write(text, file=self._file)

  def close(self) -> None:
    """Closes the bar."""
    self._bar.close()

  def __enter__(self) -> Bar:
    return self

  def __exit__(self, *_: Any) -> None:
    self.close()

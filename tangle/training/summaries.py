"""Figures, texts and the graph for TensorBoard, also for resumed runs."""

from __future__ import annotations

import contextlib
import glob
import math
import numbers
import os
import socket
import time
from typing import Any, Callable, Mapping, Optional

from tangle import errors, files
from tangle.compat import tf1

TRAIN = "train"
VALIDATION = "validation"

_PREFIX = "validation_"


class Summaries:
  """Writes figures into a folder for TensorBoard.

  What training and validation give is in two sub-folders, `train` and
  `validation`, where it has the same name: TensorBoard takes each for a run,
  and shows both in one chart.

  Each start of a run writes new files. TensorBoard ignores what an earlier
  file has after the step from which the run resumes. If a file cannot be
  written, no method raises: this is reported once, and nothing is written any
  more.
  """

  def __init__(
    self,
    folder: str,
    graph: tf1.Graph,
    resume_step: Optional[int] = None,
    report: Callable[[str], Any] = print,
    texts: Optional[Mapping[str, Any]] = None,
  ) -> None:
    """Opens a file, and writes graph and texts if the run has none there yet.

    Args:
      folder: created if missing.
      graph: the `tf.Graph`.
      resume_step: the step from which a run resumes; `None` for a new run.
      report: called with a line of text if summaries cannot be written.
      texts: a dict of texts and tables about the whole run, as for `write`.
    """
    self._folder, self._report = folder, report
    self._resume_step, self._stopped = resume_step, False
    self._writers = {}  # sub-folder → its writer
    self._empty = []  # files without content to keep
    if not self._open(TRAIN) or resume_step is None:
      definition = graph.as_graph_def(add_shapes=True)
      self._add(TRAIN, graph_def=definition.SerializeToString())
      self._add(TRAIN, summary=_summary(texts or {}))
    if self._old(VALIDATION):
      self._open(VALIDATION)
    self.sync()
    self._empty = []

  def _old(self, name):
    """Lists the files of earlier starts in a sub-folder."""
    folder = glob.escape(os.path.join(self._folder, name))
    return glob.glob(os.path.join(folder, "events.out.tfevents.*"))

  def _open(self, name):
    """Opens a file in a sub-folder; returns whether there were others."""
    old = self._old(name)
    # File names count in seconds: two runs within one second would otherwise
    # share a name. TensorBoard reads files in the order of their names.
    file = (
      f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
      f".{len(old):06d}"
    )
    self._try(self._make_writer, name, file)
    self._add(name, file_version="brain.Event:2")
    # TensorBoard takes the first start in a folder for no restart, so that a
    # new run needs one, too.
    start = tf1.SessionLog(status=tf1.SessionLog.START)
    step = 0 if self._resume_step is None else self._resume_step + 1
    self._add(name, step=step, session_log=start)
    return bool(old)

  def _make_writer(self, name, file):
    path = os.path.join(self._folder, name, file)
    self._empty.append(path)
    files.make_folder(os.path.dirname(path))
    # A `tf.summary.FileWriter` writes in a thread whose errors are not raised,
    # and on 1.15 waiting for them never ends.
    self._writers[name] = tf1.io.TFRecordWriter(path)

  def _try(self, write, *arguments):
    """Calls a function; on an error, reports it and stops writing."""
    if self._stopped:
      return
    try:
      write(*arguments)
    except (OSError, ValueError, tf1.errors.OpError) as error:
      self._stopped, self._writers = True, {}
      for path in self._empty:  # free the disk space for checkpoints
        with contextlib.suppress(OSError):
          os.remove(path)
      reason = errors.summarize(error)
      self._report(
        f"No more summaries are written into {self._folder!r}: {reason}"
      )

  def _add(self, name, step=0, **content):
    """Appends an event to the file of a sub-folder."""
    if not self._stopped:
      event = tf1.Event(wall_time=time.time(), step=step, **content)
      self._try(self._writers[name].write, event.SerializeToString())

  def write(self, step: int, figures: Mapping[str, Any]) -> None:
    """Writes figures, those that begin with `validation_` without this prefix.

    Args:
      step: how many steps have been done.
      figures: a dict from names to numbers; to texts in Markdown; to tables,
        which are lists of dicts with the same keys; or to dicts of these, whose
        names are joined by `/`. All else, and what is not finite, is skipped.
        Nothing is written after `close` or after an error.
    """
    parts = {TRAIN: {}, VALIDATION: {}}
    for tag, value in figures.items():
      if tag.startswith(_PREFIX):
        parts[VALIDATION][tag[len(_PREFIX) :]] = value
      else:
        parts[TRAIN][tag] = value
    for name, part in parts.items():
      if part:
        if name not in self._writers:
          self._open(name)
        self._add(name, step=step, summary=_summary(part))

  def sync(self) -> None:
    """Hands everything written so far to the operating system."""
    for writer in list(self._writers.values()):
      self._try(writer.flush)

  def close(self) -> None:
    """Closes the files."""
    for writer in list(self._writers.values()):
      self._try(writer.close)
    self._writers, self._stopped = {}, True


def _summary(figures):
  """Returns a `tf.Summary` of figures."""
  values = []
  for tag, value in _flat("", figures):
    tag = _to_utf8(tag).decode("utf-8")
    if isinstance(value, str):
      plugin = tf1.SummaryMetadata.PluginData(plugin_name="text")
      values.append(
        tf1.Summary.Value(
          tag=tag,
          metadata=tf1.SummaryMetadata(plugin_data=plugin),
          tensor=tf1.make_tensor_proto(_to_utf8(value), tf1.string),
        )
      )
    else:
      values.append(tf1.Summary.Value(tag=tag, simple_value=value))
  return tf1.Summary(value=values)


def _to_utf8(text):
  """Encodes a text; a lone surrogate, which has no code, is escaped."""
  return text.encode("utf-8", "backslashreplace")


def _flat(prefix, figures):
  """Yields the tags of nested figures, with their numbers and texts."""
  for name, value in figures.items():
    if isinstance(value, dict):
      yield from _flat(f"{prefix}{name}/", value)
    elif isinstance(value, str):
      yield f"{prefix}{name}", value
    elif isinstance(value, numbers.Real) and math.isfinite(value):
      yield f"{prefix}{name}", float(value)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
      yield f"{prefix}{name}", _table(value)


def _table(rows):
  """Returns a table in Markdown.

  Args:
    rows: dicts with the same keys, the names of the columns.

  Returns:
    A string.
  """
  names = list(rows[0])
  cells = [names, ["---"] * len(names)]
  for row in rows:
    cells.append([_escape(str(row[name])) for name in names])
  return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _escape(text):
  """Returns `text` as Markdown that shows it as it is, in one line."""
  line = " ".join(text.split())
  special = "\\`*_{}[]<>()#+-!|"
  return "".join(f"\\{c}" if c in special else c for c in line)

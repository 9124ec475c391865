"""Scalars and the graph for TensorBoard, also for resumed runs."""

import contextlib
import glob
import math
import numbers
import os
import socket
import time

from tangle import errors, files
from tangle.compat import tf1


class Summaries:
  """Writes figures into a folder for TensorBoard.

  Each start of a run writes a new file. TensorBoard ignores what an earlier
  file has after the step from which the run resumes. If summaries cannot be
  written, this is reported once and the run continues without them.
  """

  def __init__(self, folder, graph, resume_step=None, report=print):
    """Opens a file, and writes the graph if the folder has none yet.

    Args:
      folder: created if missing.
      graph: the `tf.Graph`.
      resume_step: the step from which a run resumes; `None` for a new run.
      report: called with a line of text if summaries cannot be written.
    """
    self._folder, self._report = folder, report
    old = glob.glob(os.path.join(glob.escape(folder), "events.out.tfevents.*"))
    # File names count in seconds: two runs within one second would otherwise
    # share a name. TensorBoard reads files in the order of their names.
    name = (
      f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
      f".{len(old):06d}"
    )
    self._writer, self._path = None, os.path.join(folder, name)
    self._try(self._open)
    self._add(file_version="brain.Event:2")
    if resume_step is None or not old:
      definition = graph.as_graph_def(add_shapes=True)
      self._add(graph_def=definition.SerializeToString())
    if old:
      start = tf1.SessionLog(status=tf1.SessionLog.START)
      step = 0 if resume_step is None else resume_step + 1
      self._add(step=step, session_log=start)
    self.sync()
    self._path = None  # from here on the file has content to keep

  def _open(self):
    files.make_folder(self._folder)
    # A `tf.summary.FileWriter` writes in a thread whose errors are not raised,
    # and on 1.15 waiting for them never ends.
    self._writer = tf1.io.TFRecordWriter(self._path)

  def _try(self, write, *arguments):
    """Calls a function; on an error, reports it and stops writing."""
    try:
      write(*arguments)
    except (OSError, ValueError, tf1.errors.OpError) as error:
      self._writer = None
      if self._path is not None:  # free the disk space for checkpoints
        with contextlib.suppress(OSError):
          os.remove(self._path)
      reason = errors.summarize(error)
      self._report(
        f"No more summaries are written into {self._folder!r}: {reason}"
      )

  def _add(self, step=0, **content):
    """Appends an event."""
    if self._writer is not None:
      event = tf1.Event(wall_time=time.time(), step=step, **content)
      self._try(self._writer.write, event.SerializeToString())

  def write(self, step, figures):
    """Writes the numbers among figures.

    Args:
      step: how many steps have been done.
      figures: a dict from names to numbers, or to dicts of numbers, whose names
        are joined by `/`. Values that are not finite numbers are skipped.
    """
    scalars = dict(_scalars("", figures))
    values = [
      tf1.Summary.Value(tag=tag, simple_value=value)
      for tag, value in scalars.items()
    ]
    self._add(step=step, summary=tf1.Summary(value=values))

  def sync(self):
    """Waits until everything is written to the file."""
    if self._writer is not None:
      self._try(self._writer.flush)

  def close(self):
    """Closes the file."""
    if self._writer is not None:
      self._try(self._writer.close)
      self._writer = None


def _scalars(prefix, figures):
  """Yields the tags and numbers of nested figures."""
  for name, value in figures.items():
    if isinstance(value, dict):
      yield from _scalars(f"{prefix}{name}/", value)
    elif isinstance(value, numbers.Real) and math.isfinite(value):
      yield f"{prefix}{name}", float(value)

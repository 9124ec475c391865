"""Scalars and the graph for TensorBoard, also of a run that goes on."""

import glob
import math
import numbers
import os

from tangle.compat import tf1


class Summaries:
  """Writes figures into a folder for TensorBoard.

  It writes a file of its own each time a run goes on. What an earlier one has
  written after the step where it goes on, TensorBoard leaves out.
  """

  def __init__(self, folder, graph, resume_step=None):
    """Opens a file, and writes the graph if there is none yet.

    Args:
      folder: is made if need be.
      graph: the `tf.Graph`.
      resume_step: the step where a run goes on; `None` for one that begins.
    """
    old = glob.glob(os.path.join(folder, "events.out.tfevents.*"))
    begins = resume_step is None or not old
    # A name has the second in it: within the same one, the run before would
    # lose its file. TensorBoard reads in the order of the names.
    suffix = f".{len(old):06d}"
    with graph.as_default():  # in eager mode there is no writer
      self._writer = tf1.summary.FileWriter(folder, filename_suffix=suffix)
      if begins:
        self._writer.add_graph(graph)
    if old:
      start = tf1.SessionLog(status=tf1.SessionLog.START)
      step = 0 if resume_step is None else resume_step + 1
      self._writer.add_session_log(start, global_step=step)
    self._writer.flush()

  def write(self, step, figures):
    """Writes the numbers among figures.

    Args:
      step: how many steps have been done.
      figures: a dict of names and numbers, or dicts of such, whose names are
        joined by `/`. What is no finite number is left out.
    """
    scalars = dict(_scalars("", figures))
    values = [
      tf1.Summary.Value(tag=tag, simple_value=value)
      for tag, value in scalars.items()
    ]
    self._writer.add_summary(tf1.Summary(value=values), step)

  def sync(self):
    """Waits until all is in the file."""
    self._writer.flush()

  def close(self):
    """Ends the file."""
    self._writer.close()


def _scalars(prefix, figures):
  """Yields the tags and numbers of nested figures."""
  for name, value in figures.items():
    if isinstance(value, dict):
      yield from _scalars(f"{prefix}{name}/", value)
    elif isinstance(value, numbers.Real) and math.isfinite(value):
      yield f"{prefix}{name}", float(value)

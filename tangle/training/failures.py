"""Failures that stop a run: non-finite numbers, a full disk, no memory."""

import math
import os

import numpy as np

from tangle import errors, files
from tangle.compat import tf1

OUT_OF_ROOM = (
  errors.FileError,
  MemoryError,
  tf1.errors.ResourceExhaustedError,
)
"""The errors raised when the disk or the memory is full."""


def say_how_to_go_on(error, step):
  """Returns the error that ends a run, with the remedy.

  Args:
    error: one of `OUT_OF_ROOM`.
    step: how many steps have been done.

  Returns:
    A `FileError` if `error` is one, else a `TrainingError`.
  """
  advice = "Started again, the run resumes from its last checkpoint."
  if isinstance(error, errors.FileError):
    found = errors.FileError(f"after step {step}: {error} {advice}")
    found.errno = error.errno
    return found
  reason = errors.summarize(error)
  return errors.TrainingError(
    f"out of memory after step {step}"
    f"{f' ({reason})' if reason else ''}. Free memory, or give smaller batches "
    f"or a smaller network, which is another run. {advice}"
  )


class Guard:
  """Checks losses after each step, and weights before each checkpoint."""

  def __init__(self, graph, out_dir, name="guard"):
    """Adds an op that computes which trainable variables are finite.

    Args:
      graph: the graph, which must not be finalized. Its trainable variables of
        floating dtypes are checked.
      out_dir: the folder to write the batch to if its loss is not finite.
      name: name scope of the new ops.
    """
    self._out_dir = out_dir
    with graph.as_default(), tf1.name_scope(name):
      variables = [
        v for v in tf1.trainable_variables() if v.dtype.base_dtype.is_floating
      ]
      self._names = [variable.op.name for variable in variables]
      self._finite = [
        tf1.reduce_all(tf1.math.is_finite(v.read_value())) for v in variables
      ]

  def check_result(self, step, result, batch, feeds):
    """Stops the run if a loss, or the norm of the gradients, is not finite.

    Args:
      step: the number of the step, from 1.
      result: the result that the trainer returned.
      batch: the batch from the source, as for `write_batch`.
      feeds: the argument that the trainer was called with, likewise.

    Raises:
      ArgumentError: if the result has no loss.
      TrainingError: if a value is not finite. The batch is then in the file
        `failed-step-<step>.npz` in `out_dir`, or the message says why not.
    """
    if getattr(result, "loss", None) is None:
      raise errors.ArgumentError(
        "trainer.step has returned no loss. Return an object with the "
        "attribute loss, a number."
      )
    norm = getattr(result, "global_norm", None)
    for what, value in ("loss", result.loss), ("global norm", norm):
      if value is not None and not math.isfinite(value):
        path = os.path.join(self._out_dir, f"failed-step-{step:08d}.npz")
        try:
          write_batch(path, batch, feeds)
          where = f"The batch is in {path!r}."
        except OSError as error:
          where = f"The batch is lost: {files.explain(path, error)}"
        raise errors.TrainingError(
          f"the {what} is {value} at step {step}, in the buckets "
          f"{getattr(result, 'buckets', None)}. {where} Lower the learning "
          f"rate or the norm that gradients are clipped to, or check the data "
          f"of the batch. Started again, the run resumes from its last "
          f"checkpoint."
        )

  def check_weights(self, sess, step):
    """Stops the run if a trainable variable is not finite.

    Args:
      sess: a session.
      step: how many steps have been done.

    Raises:
      TrainingError: if one is not finite; the message names all such variables.
    """
    found = sess.run(self._finite)
    bad = [name for name, finite in zip(self._names, found) if not finite]
    if bad:
      raise errors.TrainingError(
        f"after step {step} these variables have values that are not "
        f"finite: {bad}. No checkpoint is made of them. Give the trainer a "
        f"clip_norm, so that the first such step is reported, or lower the "
        f"learning rate."
      )


def write_batch(path, batch, feeds):
  """Writes a batch into a file for `np.load`; makes the folder if needed.

  Args:
    path: the file to write, ending in `.npz`.
    batch: arrays, and dicts, lists and namedtuples of them, saved as
      `batch/name/...`. Anything else than an array of numbers or strings is
      saved as text.
    feeds: likewise, saved as `feeds/name/...`; left out if it is `batch`.

  Raises:
    OSError: if the file cannot be written.
  """
  arrays = dict(_arrays("batch", batch))
  if feeds is not batch:
    arrays.update(_arrays("feeds", feeds))
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  np.savez(path, **arrays)


def _arrays(name, value):
  """Yields the names and arrays in a batch."""
  if hasattr(value, "_asdict"):
    value = value._asdict()
  if isinstance(value, dict):
    for key, part in value.items():
      yield from _arrays(f"{name}/{getattr(key, 'name', key)}", part)
    return
  try:
    array = np.asarray(value)
  except ValueError:  # lists of different lengths
    array = None
  if array is not None and array.dtype.kind in "biufcSU":
    yield name, array
  elif isinstance(value, (list, tuple)):
    for number, part in enumerate(value):
      yield from _arrays(f"{name}/{number}", part)
  else:
    yield name, np.asarray(repr(value))

"""Savers whose files are on this machine, wherever the variables are.

A `tf.train.Saver` writes and reads its files on a task of the cluster: the one
the session is connected to on TensorFlow 2, the first one on 1.15. If that task
does not share a disk with the training process, the checkpoints are lost to it.
"""

import contextlib

from tangle import errors
from tangle.compat import tf1
from tangle.partial import run_errors
from tangle.pipeline import faults

# Errors of TensorFlow for files whose bytes have changed.
_DAMAGES = (
  tf1.errors.DataLossError,
  tf1.errors.FailedPreconditionError,
  tf1.errors.InternalError,
  tf1.errors.InvalidArgumentError,
  tf1.errors.NotFoundError,
  tf1.errors.OutOfRangeError,
)


class Saver:
  """Saves and restores variables, in the files of `tf.train.Saver`.

  In a session on a cluster, values pass through this process, one variable per
  run; `save` holds all of them in memory. In any other session, and if any of
  the variables is partitioned or its initializer does not assign a tensor that
  can be fed, a `tf.train.Saver` saves and restores all of them.
  """

  def __init__(self, variables):
    """Adds the ops of a `tf.train.Saver` to the default graph.

    Args:
      variables: the variables, at least one.

    Raises:
      ValueError: of TensorFlow, if there are none.
    """
    self._variables = list(variables)
    self._saver = tf1.train.Saver(self._variables, max_to_keep=0)
    self._may_pass = all(map(_is_usual, self._variables))

  def _passes(self, sess):
    """Whether values pass through this process."""
    return self._may_pass and bool(faults.address_of(sess))

  @errors.named("Saver")
  def save(self, sess, prefix):
    """Writes the values of the variables.

    Args:
      sess: a session.
      prefix: path prefix of the files; their folder must exist.

    Raises:
      FileError: if the files cannot be written, or TensorFlow gives another
        error in a local session.
      SessionError: if a variable has no value in a local session.
      OpError: of TensorFlow, if a run on a cluster fails.
    """
    if not self._passes(sess):
      is_local = not faults.address_of(sess)
      with _explained(prefix, sess) if is_local else contextlib.nullcontext():
        self._saver.save(
          sess, prefix, write_meta_graph=False, write_state=False
        )
      return
    found = {v.op.name: sess.run(v) for v in self._variables}
    with tf1.Graph().as_default(), tf1.Session() as here:
      placeholders = [
        tf1.placeholder(v.dtype.base_dtype) for v in self._variables
      ]
      op = tf1.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(found),
        shape_and_slices=[""] * len(found),
        tensors=placeholders,
      )
      with _explained(prefix):
        here.run(op, dict(zip(placeholders, found.values())))

  def restore(self, sess, prefix):
    """Sets the variables to the values of a checkpoint.

    Args:
      sess: a session.
      prefix: path prefix of its files.

    Raises:
      DataError: if TensorFlow cannot read the files, in a local session. In a
        session on a cluster its own error passes, as a lost task may be why.
    """
    if not self._passes(sess):
      try:
        self._saver.restore(sess, prefix)
      except _DAMAGES as error:
        if faults.address_of(sess):  # the cause may be a lost task
          raise
        raise unreadable(error) from error
      return
    reader = tf1.train.load_checkpoint(prefix)
    for v in self._variables:
      value = reader.get_tensor(v.op.name)
      sess.run(v.initializer, {v.initializer.inputs[1]: value})


def unreadable(error):
  """Returns the error for files that TensorFlow cannot read.

  Args:
    error: the error that TensorFlow raised.

  Returns:
    A `DataError`.
  """
  reason = errors.summarize(error)
  return errors.DataError(f"TensorFlow cannot read the weights: {reason}")


@contextlib.contextmanager
def _explained(prefix, sess=None):
  """Explains in one line an error of TensorFlow in writing files."""
  try:
    yield
  except (tf1.errors.OpError, OSError) as error:
    found = sess and run_errors.explain(error, sess)
    if isinstance(found, errors.SessionError):  # such as a missing value
      raise found from error
    reason = errors.summarize(error)
    raise errors.FileError(
      f"{prefix!r} cannot be written: {reason}. Free space on its disk "
      f"and memory, see whether you may write there, and try again."
    ) from error


def _is_usual(variable):
  """Whether a variable's initializer assigns a tensor that can be fed."""
  op = variable.initializer
  # Set for a part of a partitioned variable; there is no public API for it.
  if getattr(variable, "_save_slice_info", None) is not None:
    return False
  return (
    op is not None
    and op.type in ("Assign", "AssignVariableOp")
    and op.graph.is_feedable(op.inputs[1])
  )

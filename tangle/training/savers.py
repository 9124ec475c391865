"""Savers whose files are this process's, wherever the variables live.

A `tf.train.Saver` writes and reads its files on a task of the cluster: that of
the session's address on TensorFlow 2, the first one on 1.15. Where tasks have
other disks than the process that trains, its checkpoints are not found again.
"""

import contextlib

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import faults

# What TensorFlow raises for files of other bytes than it has written.
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

  In a session of a cluster, values go through this process, one variable a run.
  In any other session, and for variables that are partitioned or have no
  initializer of the usual kind, it is a `tf.train.Saver`.
  """

  def __init__(self, variables):
    """Adds the ops of a `tf.train.Saver` to the default graph.

    Args:
      variables: the variables.
    """
    self._variables = list(variables)
    self._saver = tf1.train.Saver(self._variables, max_to_keep=0)
    self._may_pass = all(map(_is_usual, self._variables))

  def _passes(self, sess):
    """Whether values go through this process."""
    return self._may_pass and bool(faults.address_of(sess))

  def save(self, sess, prefix):
    """Writes the values of the variables.

    Args:
      sess: a session.
      prefix: of the files; their folder must be there.

    Raises:
      FileError: if they cannot be written.
    """
    if not self._passes(sess):
      is_local = not faults.address_of(sess)
      with _explained(prefix) if is_local else contextlib.nullcontext():
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
    """Gives the variables the values of a checkpoint.

    Args:
      sess: a session.
      prefix: of its files.

    Raises:
      DataError: if TensorFlow cannot read them.
    """
    if not self._passes(sess):
      try:
        self._saver.restore(sess, prefix)
      except _DAMAGES as error:
        if faults.address_of(sess):  # a task may have been lost
          raise
        raise unreadable(error) from error
      return
    reader = tf1.train.load_checkpoint(prefix)
    for v in self._variables:
      value = reader.get_tensor(v.op.name)
      sess.run(v.initializer, {v.initializer.inputs[1]: value})


def unreadable(error):
  """Returns what is said of files that TensorFlow cannot read.

  Args:
    error: what it has raised.

  Returns:
    A `DataError`.
  """
  reason = errors.summarize(error)
  return errors.DataError(f"TensorFlow cannot read the weights: {reason}")


@contextlib.contextmanager
def _explained(prefix):
  """Says in one line what TensorFlow could not write."""
  try:
    yield
  except (tf1.errors.OpError, OSError) as error:
    reason = errors.summarize(error)
    raise errors.FileError(
      f"Saver: {prefix!r} cannot be written: {reason}. Free space on its disk "
      f"and memory, see whether you may write there, and try again."
    ) from error


def _is_usual(variable):
  """Whether a variable's initializer assigns a tensor that can be fed."""
  op = variable.initializer
  # Of a part of a partitioned variable; no public API tells that.
  if getattr(variable, "_save_slice_info", None) is not None:
    return False
  return (
    op is not None
    and op.type in ("Assign", "AssignVariableOp")
    and op.graph.is_feedable(op.inputs[1])
  )

"""Savers whose files are this process's, wherever the variables live.

A `tf.train.Saver` writes and reads its files on a task of the cluster: that of
the session's address on TensorFlow 2, the first one on 1.15. Where tasks have
other disks than the process that trains, its checkpoints are not found again.
"""

from tangle.compat import tf1
from tangle.pipeline import faults


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
    """
    if not self._passes(sess):
      self._saver.save(sess, prefix, write_meta_graph=False, write_state=False)
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
      here.run(op, dict(zip(placeholders, found.values())))

  def restore(self, sess, prefix):
    """Gives the variables the values of a checkpoint.

    Args:
      sess: a session.
      prefix: of its files.
    """
    if not self._passes(sess):
      self._saver.restore(sess, prefix)
      return
    reader = tf1.train.load_checkpoint(prefix)
    for v in self._variables:
      value = reader.get_tensor(v.op.name)
      sess.run(v.initializer, {v.initializer.inputs[1]: value})


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

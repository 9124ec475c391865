"""How to configure the sessions of a graph of which many parts are run."""

from tangle.compat import tf1


def session_config(config=None):
  """Returns a configuration with which first steps take less time and memory.

  Each time that a session makes a run for the first time, TensorFlow's graph
  optimizer (Grappler) copies the whole graph, however few of its ops run. A
  pipeline makes a few runs for each bucket, so that this takes most of the
  time of its first steps, and more than in proportion to the buckets. With
  this configuration sessions do without that optimizer. They still fold
  constants and share equal ops, and steps of the recurrent networks that were
  measured take the same time; losses differ by rounding.

  It does not pay for few runs that are made very often where Grappler fuses
  or reorders ops: convolutions on a GPU above all. It also switches off what
  Grappler does on request, such as automatic mixed precision.

  Args:
    config: a `tf.compat.v1.ConfigProto` to begin with, which is not changed.

  Returns:
    A `tf.compat.v1.ConfigProto`, to be changed further.
  """
  found = tf1.ConfigProto()
  if config is not None:
    found.CopyFrom(config)
  found.graph_options.rewrite_options.disable_meta_optimizer = True
  return found

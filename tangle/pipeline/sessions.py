"""Configures sessions for graphs of which many different parts are run."""

from __future__ import annotations

from typing import Optional

from tangle.compat import tf1


def session_config(config: Optional[tf1.ConfigProto] = None) -> tf1.ConfigProto:
  """Returns a configuration with which first steps take less time and memory.

  When a session makes a run for the first time, TensorFlow's graph optimizer
  (Grappler) copies the whole graph, however few of its ops run. A pipeline
  makes several runs per bucket, so that this takes most of the time of its
  first steps; the total grows faster than the number of buckets. This
  configuration switches Grappler off. Sessions still fold constants and share
  equal ops. In measurements with recurrent networks, the time per step was the
  same; losses differed by rounding.

  Do not use it for a few runs that are repeated often and whose ops Grappler
  fuses or reorders, especially convolutions on a GPU. It also switches off the
  options of Grappler, such as automatic mixed precision.

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

"""Counts how often ops run, from the trace of a session."""

import collections

from tangle.compat import tf1
from tangle.graphs import cut


class Tracer:
  """A session that counts the executions of every op it runs.

  The graph optimizer must be off, since it renames and merges ops.

  Attributes:
    session: the session, for runs that are not to be counted.
    counts: op name → number of executions so far.
  """

  def __init__(self, graph, config=None):
    """Opens a session.

    Args:
      graph: the graph to run.
      config: the `ConfigProto` to use; it is changed.
    """
    config = config or tf1.ConfigProto()
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    self.session = tf1.Session(graph=graph, config=config)
    self._options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
    self.graph = graph
    self.counts = collections.Counter()

  def run(self, fetches, feed_dict=None):
    """Runs and counts; arguments and result are those of `Session.run`."""
    metadata = tf1.RunMetadata()
    found = self.session.run(
      fetches, feed_dict, options=self._options, run_metadata=metadata
    )
    for device in metadata.step_stats.dev_stats:
      for node in device.node_stats:
        # TensorFlow 1.15 lists each op a second time, as name:type.
        if ":" not in node.node_name:
          self.counts[node.node_name] += 1
    return found

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.session.close()


def working_ops(ops):
  """Lists those of `ops` that compute: no constants, handles or feeds.

  Args:
    ops: forward ops.

  Returns:
    A list of ops.
  """
  idle = cut.FREE | {"Placeholder", "PlaceholderWithDefault"}
  return [op for op in ops if op.type not in idle]

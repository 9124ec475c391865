"""Counts how often ops run, from the trace of a session."""

import collections

from tangle.compat import tf1
from tangle.graphs import cut


class Tracer:
  """A session that counts the executions of every op it runs.

  Without a session of the caller, it opens one whose graph optimizer is off,
  since that renames and merges ops.

  Attributes:
    session: the session, for runs that are not to be counted.
    counts: op name → number of executions so far.
    seconds: the summed time of all ops so far.
  """

  def __init__(self, graph, config=None, session=None):
    """Opens a session.

    Args:
      graph: the graph to run.
      config: the `ConfigProto` to use; it is changed.
      session: a session of the graph to use instead.
    """
    config = config or tf1.ConfigProto()
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    self.session = session or tf1.Session(graph=graph, config=config)
    self._options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
    self.graph = graph
    self.counts = collections.Counter()
    self.seconds = 0.0

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
          micros = node.op_end_rel_micros - node.op_start_rel_micros
          self.seconds += 1e-6 * micros
    return found

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.session.close()


def working_ops(ops):
  """Lists those `ops` that compute: no constants, handles or feeds."""
  idle = cut.FREE | {"Placeholder", "PlaceholderWithDefault"}
  return [op for op in ops if op.type not in idle]

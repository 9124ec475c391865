"""Paired timing: candidates step in turn, so that noise affects all alike."""

import time

import numpy as np

from tangle.compat import tf1


def run_in_turn(steps, rounds, warm_up=3):
  """Times steps A B C A B C ....

  Args:
    steps: name → callable without arguments.
    rounds: how often each is timed.
    warm_up: how often each runs before the timed steps.

  Returns:
    Name → array `[rounds]` of seconds; entries of one index are a pair.
  """
  for _ in range(warm_up):
    for step in steps.values():
      step()
  seconds = {name: np.zeros(rounds) for name in steps}
  for k in range(rounds):
    for name, step in steps.items():
      begin = time.perf_counter()
      step()
      seconds[name][k] = time.perf_counter() - begin
  return seconds


def add_ratio(row, column, seconds, base):
  """Adds the median of paired ratios to a row, and its quartiles.

  Args:
    row: the dict to add to.
    column: name of the ratio; that of the quartiles is `<column>_quartiles`.
    seconds: an array `[rounds]`.
    base: likewise; entries of one index are a pair.
  """
  low, median, high = np.percentile(seconds / base, [25, 50, 75]).tolist()
  row[column] = median
  row[f"{column}_quartiles"] = [low, high]


def make_rows(seconds, **bases):
  """Computes figures from the times of candidates.

  Args:
    seconds: as `run_in_turn` returns it.
    **bases: suffix → name of a candidate. One that was not timed is skipped.

  Returns:
    Name → a dict: `step_s`, the median; for each base `to_<suffix>`, the median
    of paired ratios, and `to_<suffix>_quartiles`.
  """
  rows = {}
  for name, found in seconds.items():
    row = rows[name] = {"step_s": float(np.median(found))}
    for suffix, base in bases.items():
      if base in seconds:
        add_ratio(row, f"to_{suffix}", found, seconds[base])
  return rows


def open_session(graph, threads=0, target="", draw=None, op_threads=None):
  """Opens a session in which all variables have values.

  Args:
    graph: the graph that it runs, with all its variables, and not finalized.
    threads: threads within and between ops; 0 for TensorFlow's default.
    target: target of a cluster.
    draw: a function of name → shape of all trainable variables, in order, that
      returns name → value; by default they have their initial values.
    op_threads: threads within an op; `threads` for None or 0.

  Returns:
    A `tf1.Session`.
  """
  config = session_config(threads)
  config.intra_op_parallelism_threads = op_threads or threads
  sess = tf1.Session(target, graph=graph, config=config)
  with graph.as_default():
    sess.run(tf1.global_variables_initializer())
    variables = tf1.trainable_variables() if draw else ()
    drawn = draw and draw({v.op.name: v.shape.as_list() for v in variables})
    for variable in variables:
      variable.load(drawn[variable.op.name], sess)
  return sess


def normal(rng, scale):
  """Returns a `draw` for `open_session`, of normally distributed values.

  Args:
    rng: a `RandomState`.
    scale: the standard deviation.
  """
  return lambda shapes: {
    name: scale * rng.standard_normal(shape) for name, shape in shapes.items()
  }


def session_config(threads):
  """Returns a `ConfigProto`; `threads` is 0 for the default number."""
  return tf1.ConfigProto(
    intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
  )

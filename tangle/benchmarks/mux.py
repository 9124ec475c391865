"""Compares multiplexers, and separate networks, on K equal branches.

A step is the forward pass, the gradients to inputs and weights, and plain
gradient descent, on a batch whose examples are spread evenly. For `switch` the
whole batch takes one branch, a different one in each step. `separate` runs the
session once per branch, on the branch's own rows, which Python gathers.
"""

import contextlib
import os
from typing import NamedTuple

import numpy as np

from tangle import compat, errors, mux
from tangle.benchmarks import elsewhere, executions, timing
from tangle.compat import tf1
from tangle.experiments import plots, reports
from tangle.nets import feedforward

WHERE, ROUTE, SWITCH, SEPARATE = "where", "route", "switch", "separate"
NAMES = (WHERE, "where_run_empty", ROUTE, "route_run_empty", SWITCH, SEPARATE)
COLUMNS = ("step_s", "to_where", "gflop", "op_s", "peak_bytes", "untaken_runs")

_STATUS = "/proc/self/status"


class Sizes(NamedTuple):
  """Sizes of the networks.

  Attributes:
    batch: B, examples per step.
    depth: D, depth of inputs and outputs.
    units: depth of the two hidden layers.
  """

  batch: int = 2048
  depth: int = 64
  units: int = 512


class Contender:
  """One way to run K branches, in its own graph and session.

  Attributes:
    variables: the weights, in the order of the branches.
    graph: the graph.
    session: the session.
  """

  def __init__(self, name, branches, sizes, threads=0):
    """Builds the graph and opens the session.

    Args:
      name: one of `NAMES`.
      branches: K.
      sizes: a `Sizes`.
      threads: threads within and between ops; 0 for TensorFlow's default.

    Raises:
      ArgumentError: if the name is unknown.
    """
    if name not in NAMES:
      raise errors.ArgumentError(
        f"benchmarks.mux: contender must be one of {NAMES}, got {name!r}"
      )
    self.name, self._branches, self._turn = name, branches, 0
    rng = np.random.RandomState(0)
    x = rng.standard_normal([sizes.batch, sizes.depth]).astype(np.float32)
    self._selector = rng.permutation(np.arange(sizes.batch) % branches)
    self._x = x
    self._rows = [x[self._selector == k] for k in range(branches)]
    self.graph = tf1.Graph()
    with self.graph.as_default():
      self._build(sizes)
      self._init_op = tf1.global_variables_initializer()
    config = timing.session_config(threads)
    self.session = tf1.Session(graph=self.graph, config=config)
    self.session.run(self._init_op)

  def _build(self, sizes):
    networks = [_network(k, sizes) for k in range(self._branches)]
    self._x_ph = tf1.placeholder(tf1.float32, [None, sizes.depth])
    rank = 0 if self.name == SWITCH else 1
    self._selector_ph = tf1.placeholder(tf1.int32, [None] * rank)
    if self.name == SEPARATE:
      outputs = [network(self._x_ph) for network in networks]
    else:
      function = getattr(mux, self.name.split("_")[0])
      options = {"run_empty": True} if self.name.endswith("_empty") else {}
      outputs = [function(self._selector_ph, self._x_ph, networks, **options)]
    self.variables = variables = tf1.trainable_variables()
    self._step_ops = []
    for output in outputs:
      loss = tf1.reduce_mean(output**2)
      slope, *gradients = tf1.gradients(loss, [self._x_ph, *variables])
      optimizer = tf1.train.GradientDescentOptimizer(1e-3)
      train_op = optimizer.apply_gradients(
        [(g, v) for g, v in zip(gradients, variables) if g is not None]
      )
      # Fetches a number, as the graph optimizer prunes ops that are only run.
      self._step_ops.append([train_op, tf1.reduce_sum(slope)])

  def step(self, sess=None):
    """Runs one step.

    Args:
      sess: what runs it, such as a `Tracer`; None for the own session.

    Returns:
      The branch that `switch` took, None for others.
    """
    sess = sess or self.session
    if self.name == SEPARATE:
      for step_op, rows in zip(self._step_ops, self._rows):
        sess.run(step_op, {self._x_ph: rows})
      return None
    selector = self._selector
    if self.name == SWITCH:
      selector, self._turn = self._turn, (self._turn + 1) % self._branches
    feed = {self._x_ph: self._x, self._selector_ph: selector}
    sess.run(self._step_ops[0], feed)
    return selector if self.name == SWITCH else None

  def op_s(self):
    """Returns the summed seconds of all ops of a step, from its trace."""
    timed = _TimedSession(self.session)
    self.step(timed)
    return timed.seconds

  def untaken_runs(self):
    """Counts the executions of ops of branches that no row takes.

    Returns:
      An int for `switch`, None for others, which take every branch.
    """
    if self.name != SWITCH:
      return None
    types = {op.name: op.type for op in self.graph.get_operations()}
    with executions.Tracer(self.graph) as tracer:
      tracer.session.run(self._init_op)
      own = f"net_{self.step(tracer)}"
      # The conditional's switches are in the scope of the branch; names that
      # begin with "_" are the session's fetches.
      return sum(
        count
        for name, count in tracer.counts.items()
        if types.get(name) not in compat.V1_CONTROL_FLOW
        and not name.startswith("_")
        and any(p.startswith("net_") and p != own for p in name.split("/"))
      )

  def close(self):
    """Closes the session."""
    self.session.close()


def compare(
  branches=(2, 4, 8, 16, 32),
  units=(16, 512),
  contenders=NAMES,
  batch_size=2048,
  depth=64,
  rounds=10,
  threads=0,
  memory=True,
  *,
  report=reports.QUIET,
):
  """Measures contenders at several numbers of branches, and of units.

  Args:
    branches: each K, number of branches, to measure at.
    units: depths of the hidden layers to measure at.
    contenders: some of `NAMES`; `where` is always measured, as ratios are
      relative to it.
    batch_size: B, examples per step.
    depth: D, depth of inputs and outputs.
    rounds: timed steps of each contender.
    threads: threads within and between ops; 0 for TensorFlow's default.
    memory: whether to measure memory, in a new process per contender.
    report: a `reports.Report`, which also gets a plot.

  Returns:
    Units → K → contender → `step_s` (median seconds), `to_where` (median of
    paired ratios) with `to_where_quartiles`, `gflop` (of the matrix products,
    by formula), `op_s` (seconds of all ops of one step, added up), `peak_bytes`
    (highest resident memory of a process minus that before the first step, so
    including what TensorFlow needs to prepare the step; None without `memory`,
    or outside Linux), and `untaken_runs` (`switch` only). Numbers are strings.

  Raises:
    ArgumentError: if there is no contender of some name.
  """
  results = {}
  for width in units:
    sizes = Sizes(batch_size, depth, width)
    for count in branches:
      rows = _measure(count, sizes, contenders, rounds, threads)
      for name in rows if memory else ():
        rows[name]["peak_bytes"] = peak_bytes(name, count, sizes, threads)
      report.show(rows, COLUMNS, units=width, branches=count)
      results.setdefault(str(width), {})[str(count)] = rows
  report.draw("mux", plot, results)
  return results


def _measure(branches, sizes, names, rounds, threads):
  """Returns the figures of contenders that step in turn, but for memory."""
  with contextlib.ExitStack() as stack:
    contenders = {}
    for name in dict.fromkeys([WHERE, *names]):
      contenders[name] = Contender(name, branches, sizes, threads)
      stack.callback(contenders[name].close)
    seconds = timing.run_in_turn(
      {name: found.step for name, found in contenders.items()}, rounds
    )
    rows = timing.make_rows(seconds, where=WHERE)
    for name, found in contenders.items():
      rows[name].update(
        gflop=_gflop(name, branches, sizes),
        op_s=found.op_s(),
        peak_bytes=None,
        untaken_runs=found.untaken_runs(),
      )
  return rows


def peak_bytes(name, branches, sizes, threads=0):
  """Measures the memory of a contender's steps, in a new process.

  Args:
    name: one of `NAMES`.
    branches: K.
    sizes: a `Sizes`.
    threads: threads within and between ops; 0 for TensorFlow's default.

  Returns:
    Bytes: the highest resident size minus that before the first step; None
      outside Linux, where it is not available.
  """
  if not os.path.exists(_STATUS):
    return None
  return elsewhere.run(
    "mux.peak_bytes", __name__, name, branches, list(sizes), threads
  )


def _grow(name, branches, sizes, threads):
  contender = Contender(name, branches, Sizes(*sizes), threads)
  before = _status_bytes("VmRSS")
  for _ in range(3):
    contender.step()
  contender.close()
  return max(0, _status_bytes("VmHWM") - before)


def _status_bytes(field):
  """Reads a size of this process, which `getrusage` mixes with its parent's."""
  with open(_STATUS, encoding="ascii", errors="replace") as file:
    sizes = dict(line.split(":", 1) for line in file if ":" in line)
  return 1024 * int(sizes[field].split()[0])


def plot(results, path):
  """Draws the time of a step over K, one panel for each size.

  Args:
    results: size name → K → contender → figures.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  drawing = plots.open_drawing("plot", 5 * len(results), 4)
  panels = drawing.subplots(1, len(results), squeeze=False)[0]
  for axes, (size, by_branches) in zip(panels, results.items()):
    counts = [int(k) for k in by_branches]
    for name in next(iter(by_branches.values())):
      times = [rows[name]["step_s"] for rows in by_branches.values()]
      axes.plot(counts, times, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(counts)
    axes.set_xticklabels([str(k) for k in counts])
    axes.set_xlabel("K branches")
    axes.set_ylabel("seconds per step")
    axes.set_title(f"{size} units")
    axes.legend(fontsize=7)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)


def _network(k, sizes):
  layers = [
    feedforward.Dense(sizes.units, tf1.tanh, name=f"branch_{k}_lower"),
    feedforward.Dense(sizes.units, tf1.tanh, name=f"branch_{k}_upper"),
    feedforward.Dense(sizes.depth, name=f"branch_{k}_outputs"),
  ]

  def network(x):
    with tf1.name_scope(f"net_{k}"):
      for layer in layers:
        x = layer(x)
      return x

  return network


def _gflop(name, branches, sizes):
  """Two per weight and row forward, four backward."""
  weights = 2 * sizes.depth * sizes.units + sizes.units**2
  rows = sizes.batch * (branches if name.startswith(WHERE) else 1)
  return 6e-9 * weights * rows


class _TimedSession:
  """Runs with a trace, and adds up the time of the ops."""

  def __init__(self, sess):
    self._sess = sess
    self.seconds = 0.0

  def run(self, fetches, feed_dict):
    """Runs as `Session.run` does, and notes the time."""
    options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
    metadata = tf1.RunMetadata()
    self._sess.run(fetches, feed_dict, options, metadata)
    for device in metadata.step_stats.dev_stats:
      for node in device.node_stats:
        # TensorFlow 1.15 lists each op a second time, as name:type.
        if ":" not in node.node_name:
          self.seconds += 1e-6 * (
            node.op_end_rel_micros - node.op_start_rel_micros
          )


if __name__ == "__main__":
  elsewhere.answer(_grow)

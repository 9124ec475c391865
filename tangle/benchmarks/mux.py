"""Compares multiplexers, and separate networks, on K equal branches.

A step is the forward pass, the gradients to inputs and weights, and plain
gradient descent, on a batch whose examples are spread evenly. For `switch` the
whole batch takes one branch, a different one in each step. `separate` runs the
session once per branch, on the branch's own rows, which Python gathers.
"""

import contextlib
from typing import NamedTuple

import numpy as np

from tangle import compat, errors, mux
from tangle.benchmarks import executions, names, processes, timing
from tangle.benchmarks import memory as memory_lib
from tangle.compat import tf1
from tangle.experiments import plots, reports
from tangle.nets import feedforward

WHERE, ROUTE, SWITCH, SEPARATE = "where", "route", "switch", "separate"
NAMES = (WHERE, "where_run_empty", ROUTE, "route_run_empty", SWITCH, SEPARATE)
COLUMNS = ("step_s", "to_where", "gflop", "op_s", "peak_bytes", "untaken_runs")


class BranchSizes(NamedTuple):
  """Examples per step B, width of inputs and outputs D, and of both layers."""

  batch: int
  width: int
  units: int


class BranchesTraining:
  """One way to run K branches, in its own graph and session.

  Attributes:
    variables: the weights, in the order of the branches.
    graph: the graph.
    session: the session.
  """

  @errors.named("benchmarks.mux")
  def __init__(self, name, branches, sizes, threads=0):
    """Builds the graph and opens the session.

    Args:
      name: one of `NAMES`.
      branches: K.
      sizes: a `BranchSizes`.
      threads: threads within and between ops; 0 for TensorFlow's default.

    Raises:
      ArgumentError: if the name is unknown.
    """
    names.check("the candidate", name, NAMES)
    self.name, self._branches, self._turn = name, branches, 0
    rng = np.random.RandomState(0)
    x = rng.standard_normal([sizes.batch, sizes.width]).astype(np.float32)
    self._selector = rng.permutation(np.arange(sizes.batch) % branches)
    self._x = x
    self._rows = [x[self._selector == k] for k in range(branches)]
    self.graph = tf1.Graph()
    with self.graph.as_default():
      self._build(sizes)
    self.session = timing.open_session(self.graph, threads)

  def _build(self, sizes):
    networks = [_network(k, sizes) for k in range(self._branches)]
    self._x_ph = tf1.placeholder(tf1.float32, [None, sizes.width])
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
    tracer = executions.Tracer(self.graph, session=self.session)
    self.step(tracer)
    return tracer.seconds

  def untaken_runs(self):
    """Counts the executions of ops of branches that no row takes, in one step.

    The step is made in a new session; the weights of `session` do not change.

    Returns:
      An int for `switch`, None for others, which take every branch.
    """
    if self.name != SWITCH:
      return None
    types = {op.name: op.type for op in self.graph.get_operations()}
    with executions.Tracer(self.graph) as tracer:
      with self.graph.as_default():
        tracer.session.run(tf1.global_variables_initializer())
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


def compare_multiplexers(
  branches=(2, 4, 8, 16, 32),
  units=(16, 512),
  candidates=NAMES,
  batch_size=2048,
  width=64,
  rounds=10,
  threads=0,
  memory=True,
  *,
  report=reports.QUIET,
):
  """Measures candidates at several numbers of branches, and of units.

  Args:
    branches: each K, number of branches, to measure at.
    units: widths of the hidden layers to measure at.
    candidates: some of `NAMES`; `where` is always measured, as ratios are
      relative to it.
    batch_size: B, examples per step.
    width: D, width of inputs and outputs.
    rounds: timed steps of each candidate.
    threads: threads within and between ops; 0 for TensorFlow's default.
    memory: whether to measure memory, in a new process per candidate.
    report: a `reports.Report`, which also gets a plot.

  Returns:
    Units → K → candidate → `step_s` (median seconds), `to_where` (median of
    paired ratios) with `to_where_quartiles`, `gflop` (of the matrix products,
    by formula), `op_s` (seconds of all ops of one step, added up), `peak_bytes`
    (highest resident memory of a process minus that before the first step, so
    including what TensorFlow needs to prepare the step; None without `memory`,
    or outside Linux), and `untaken_runs` (`switch` only). Numbers are strings.

  Raises:
    ArgumentError: if there is no candidate of some name.
  """
  results = {}
  for each in units:
    sizes = BranchSizes(batch_size, width, each)
    for count in branches:
      rows = _measure(count, sizes, candidates, rounds, threads)
      for name in rows if memory else ():
        rows[name]["peak_bytes"] = peak_bytes(name, count, sizes, threads)
      report.show(rows, COLUMNS, units=each, branches=count)
      results.setdefault(str(each), {})[str(count)] = rows
  report.draw("mux", plot, results)
  return results


def _measure(branches, sizes, wanted, rounds, threads):
  """Returns the figures of candidates that step in turn, but for memory."""
  with contextlib.ExitStack() as stack:
    candidates = {}
    for name in dict.fromkeys([WHERE, *wanted]):
      candidates[name] = BranchesTraining(name, branches, sizes, threads)
      stack.callback(candidates[name].session.close)
    seconds = timing.run_in_turn(
      {name: found.step for name, found in candidates.items()}, rounds
    )
    rows = timing.make_rows(seconds, where=WHERE)
    for name, found in candidates.items():
      rows[name].update(
        gflop=_gflop(name, branches, sizes),
        op_s=found.op_s(),
        peak_bytes=None,
        untaken_runs=found.untaken_runs(),
      )
  return rows


def peak_bytes(name, branches, sizes, threads=0):
  """Returns by how many bytes a candidate's steps raise the peak of a process.

  Args:
    name: as all others, an argument of `BranchesTraining`.
    branches: likewise.
    sizes: likewise.
    threads: likewise.

  Returns:
    An int; None outside Linux, where it is not available.
  """
  if memory_lib.read_status("VmRSS") is None:
    return None
  return processes.call(_grow, name, branches, list(sizes), threads)


def _grow(name, branches, sizes, threads):
  candidate = BranchesTraining(name, branches, BranchSizes(*sizes), threads)
  before = memory_lib.read_status("VmRSS")
  for _ in range(3):
    candidate.step()
  candidate.session.close()
  return max(0, memory_lib.read_status("VmHWM") - before)


@errors.named("plot")
def plot(results, path):
  """Draws the time of a step over K, one panel for each size.

  Args:
    results: size name → K → candidate → figures.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  drawing = plots.open_drawing(5 * len(results), 4)
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
    feedforward.Dense(sizes.width, name=f"branch_{k}_outputs"),
  ]

  def network(x):
    with tf1.name_scope(f"net_{k}"):
      for layer in layers:
        x = layer(x)
      return x

  return network


def _gflop(name, branches, sizes):
  """Two per weight and row forward, four backward."""
  weights = 2 * sizes.width * sizes.units + sizes.units**2
  rows = sizes.batch * (branches if name.startswith(WHERE) else 1)
  return 6e-9 * weights * rows

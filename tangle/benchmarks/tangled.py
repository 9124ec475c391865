"""Cost of the calculator's trainings: one graph, six graphs, joint graphs.

All train on the same number of examples: B for each of the four pairs of
encoder and operation, with both decoders. `one_graph` takes them mixed in one
step. `where` does so too, and computes every branch for every example.
`six_graphs` and `joint` take one pair per step. `joint` has one graph per pair,
which covers all eight paths, and no boundaries.
"""

import gc

import numpy as np

from tangle import errors, mux
from tangle.benchmarks import memory, names, processes, timing
from tangle.compat import tf1
from tangle.experiments import calculator, digits, reports
from tangle.pipeline import joint

NAMES = ("one_graph", "where", "six_graphs", "joint")
"""The candidates."""

COLUMNS = ("example_s", "to_one_graph", "ops", "graph_bytes", "rss_bytes")


class CalculatorTraining:
  """Trains `calculator.Networks` by one of `NAMES`, in its own session.

  Attributes:
    graph: its graph.
    session: its session.
  """

  @errors.named("tangled.CalculatorTraining")
  def __init__(self, name, batch_size, units, hidden):
    """Builds it: `name` is one of `NAMES`, the rest as `compare_trainings`."""
    names.check("the candidate", name, NAMES)
    self.graph = tf1.Graph()
    self._lessons = _repeat(digits.make_lessons(), batch_size)
    self._name = name
    optimizer = tf1.train.AdamOptimizer()
    with self.graph.as_default():
      networks = calculator.Networks(units, hidden)
      if name in ("one_graph", "where"):
        multiplexer = mux.where if name == "where" else mux.route
        self._model = calculator.OneGraph(networks, multiplexer)
      else:
        self._model = calculator.SixGraphs(networks)
      if name == "joint":
        pairs = [
          dict.fromkeys(self._model.batch(*pair, lesson))
          for pair, lesson in self._lessons.items()
        ]
        self._trainer = joint.JointTrainer(
          self._model.pipeline, optimizer, combinations=pairs
        )
      else:
        self._model.minimize(optimizer)
    self.session = timing.open_session(self.graph)

  def step(self):
    """Trains on all four pairs; returns the loss."""
    if self._name != "joint":
      return self._model.step(self.session, self._lessons)
    losses = [
      self._trainer.step(self.session, self._model.batch(*pair, lesson)).loss
      for pair, lesson in self._lessons.items()
    ]
    return float(np.mean(losses))


def _repeat(lessons, count):
  """Returns lessons of `count` examples instead of ten."""
  rows = np.arange(count) % 10
  return {
    pair: digits.Lesson(
      *[{form: x[rows] for form, x in part.items()} for part in lesson[:3]],
      results=lesson.results[rows],
    )
    for pair, lesson in lessons.items()
  }


def compare_trainings(
  batch_size=1024, units=256, hidden=1024, rounds=15, *, report=reports.QUIET
):
  """Measures all candidates, stepping them in turn.

  Args:
    batch_size: B, examples of each pair of encoder and operation.
    units: width of the codes.
    hidden: width of the hidden layers.
    rounds: timed steps over all four pairs.
    report: a `reports.Report`.

  Returns:
    A dict from candidate to `example_s` (median seconds per example),
    `to_one_graph` (median of paired ratios) with `to_one_graph_quartiles`,
    `ops`, `graph_bytes`, and `rss_bytes`: what building and three steps add to
    the resident memory of a new process.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  memory.meter()
  sizes = batch_size, units, hidden
  found = {name: CalculatorTraining(name, *sizes) for name in NAMES}
  seconds = timing.run_in_turn({n: c.step for n, c in found.items()}, rounds)
  rows = timing.make_rows(seconds, one_graph=NAMES[0])
  for name, candidate in found.items():
    rows[name].update(
      example_s=rows[name].pop("step_s") / (4 * batch_size),
      ops=len(candidate.graph.get_operations()),
      graph_bytes=candidate.graph.as_graph_def().ByteSize(),
    )
    candidate.session.close()
  grown = processes.call_each(_grow, NAMES, *sizes, report=report)
  for name, row in rows.items():
    row["rss_bytes"] = grown[name]
  report.show(rows, COLUMNS)
  return rows


def _grow(*arguments):
  resident = memory.meter()
  gc.collect()
  before = resident()
  candidate = CalculatorTraining(*arguments)
  for _ in range(3):
    candidate.step()
  gc.collect()
  return resident() - before

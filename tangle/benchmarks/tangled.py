"""Cost of the calculator's trainings: one graph, six graphs, joint graphs.

All train on the same number of examples: B for each of the four pairs of
encoder and operation, with both decoders. `one_graph` takes them mixed in one
step. `where` does so too, and computes every branch for every example.
`six_graphs` and `joint` take one pair per step. `joint` has one graph per pair,
which covers all eight paths, and no boundaries.
"""

import gc

import numpy as np

from tangle import mux
from tangle.benchmarks import elsewhere, memory, timing
from tangle.compat import tf1
from tangle.experiments import calculator, digits, reports
from tangle.pipeline import joint

NAMES = ("one_graph", "where", "six_graphs", "joint")
"""The contenders."""

COLUMNS = ("example_s", "to_one_graph", "ops", "graph_bytes", "rss_bytes")


class Contender:
  """One way to train the calculator, in its own graph and session.

  Attributes:
    graph: its graph.
  """

  def __init__(self, name, batch_size, units, hidden):
    """Builds it.

    Args:
      name: one of `NAMES`.
      batch_size: B, examples of each pair of encoder and operation.
      units: depth of the codes.
      hidden: depth of the hidden layers.
    """
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
      initialize = tf1.global_variables_initializer()
    self.session = tf1.Session(graph=self.graph)
    self.session.run(initialize)

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


def compare(
  batch_size=1024, units=256, hidden=1024, rounds=15, *, report=reports.QUIET
):
  """Measures all contenders, stepping them in turn.

  Args:
    batch_size: B, examples of each pair of encoder and operation.
    units: depth of the codes.
    hidden: depth of the hidden layers.
    rounds: timed steps over all four pairs.
    report: a `reports.Report`.

  Returns:
    A dict from contender to `example_s` (median seconds per example),
    `to_one_graph` (median of paired ratios) with `to_one_graph_quartiles`,
    `ops`, `graph_bytes`, and `rss_bytes`: what building and three steps add to
    the resident memory of a new process.

  Raises:
    MissingPackageError: if psutil is not installed.
  """
  memory.meter("tangled.compare")
  found = {name: Contender(name, batch_size, units, hidden) for name in NAMES}
  seconds = timing.run_in_turn({n: c.step for n, c in found.items()}, rounds)
  rows = timing.make_rows(seconds, one_graph=NAMES[0])
  for name, contender in found.items():
    rows[name].update(
      example_s=rows[name].pop("step_s") / (4 * batch_size),
      ops=len(contender.graph.get_operations()),
      graph_bytes=contender.graph.as_graph_def().ByteSize(),
    )
    contender.session.close()
  sizes = batch_size, units, hidden
  grown = elsewhere.run_each(
    "tangled.compare", __name__, NAMES, *sizes, report=report
  )
  for name, row in rows.items():
    row["rss_bytes"] = grown[name]
  report.show(rows, COLUMNS)
  return rows


def _grow(*arguments):
  resident = memory.meter("tangled.compare")
  gc.collect()
  before = resident()
  contender = Contender(*arguments)
  for _ in range(3):
    contender.step()
  gc.collect()
  return resident() - before


if __name__ == "__main__":
  elsewhere.answer(_grow)

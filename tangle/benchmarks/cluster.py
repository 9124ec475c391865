"""Speed-up of a pipeline distributed over tasks of this machine.

A chain of equal heavy stages, each on a task that computes with one thread. The
baseline is one process with one thread that trains the joint graph on the
whole batch. If the machine has fewer cores than tasks, stages can wait instead
of computing.
"""

import os
from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import memory, timelines, timing
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.nets import feedforward
from tangle.pipeline import clusters, joint, pieces, pipeline, schedules

COLUMNS = (
  "step_s",
  "to_joint",
  "ideal",
  "sent_bytes",
  "boundary_bytes",
  "held_sets",
  "held_bytes",
  "predicted_bytes",
  "same_losses",
)

JOINT = "joint"


class StagesTraining:
  """Trains a chain of equal stages: on tasks, or joint in this process."""

  def __init__(self, name, sizes, target="", micro_batches=1, schedule="1f1b"):
    """Builds it.

    Args:
      name: a scope for its variables; variables of the same name on one cluster
        would be shared.
      sizes: a `StageSizes`.
      target: target of a cluster with one task per stage; `""` for the joint
        graph in this process.
      micro_batches: M.
      schedule: as `Pipeline.minimize` takes it.
    """
    rng = np.random.RandomState(0)
    x = rng.standard_normal((sizes.rows, sizes.units)).astype(np.float32)
    self._batch = {f"stage_{k}": {} for k in range(sizes.stages)}
    self._batch["stage_0"] = {"x": x}
    with tf1.Graph().as_default() as graph, tf1.variable_scope(name):
      built = _wire(sizes, bool(target))
      optimizer = tf1.train.GradientDescentOptimizer(0.01)
      if target:
        self.trainer = built.minimize(
          optimizer, 1.0, micro_batches=micro_batches, schedule=schedule
        )
      else:
        self.trainer = joint.JointTrainer(built, optimizer, 1.0)
    draw = timing.normal(rng, 1 / np.sqrt(sizes.units))
    self.session = timing.open_session(graph, 1, target, draw)

  def step(self):
    """Makes a step; returns the loss."""
    return self.trainer.step(self.session, self._batch).loss


class StageSizes(NamedTuple):
  """Sizes of the network and its batches.

  Attributes:
    stages: S.
    rows: B, rows of a batch.
    units: U, of each layer and boundary.
    layers: dense layers of a stage.
    wait_s: seconds that a stage waits in a step, half of them forward.
  """

  stages: int
  rows: int
  units: int
  layers: int
  wait_s: float

  @property
  def boundary_bytes(self):
    """Bytes of boundaries, their gradients and the feed in a step."""
    return (2 * (self.stages - 1) + 1) * self.rows * self.units * 4

  def held_bytes(self, sets, count):
    """Returns the bytes that a step adds to the memory of the first stage.

    Args:
      sets: number of micro-batches whose residuals it holds at once.
      count: number of micro-batches of a batch.

    Returns:
      An int: the input and the output of each layer per set, and twice the
      gradients of the variables: their sum, and the next one. The values of
      variables take no additional memory.
    """
    rows = -(-self.rows // count)
    values = sets * rows * self.units * (self.layers + 1)
    return 4 * (values + 2 * self.layers * (self.units + 1) * self.units)


def _wire(sizes, is_placed):
  """Returns the pipeline, not built yet."""

  def make(k):
    dense = [
      feedforward.Dense(sizes.units, tf1.tanh, name=f"dense_{k}_{n}")
      for n in range(sizes.layers)
    ]

    def build(bucket, reads):
      del bucket
      feeds = {}
      if k:
        h = reads["h"]
      else:
        h = feeds["x"] = tf1.placeholder(tf1.float32, [None, sizes.units])
      for layer in dense:
        h = layer(h)
      if sizes.wait_s:
        h = wait(h, sizes.wait_s / 2 / sizes.rows)
      if k < sizes.stages - 1:
        return pieces.Piece(feeds, {"h": h})
      return pieces.Piece(feeds, loss=tf1.reduce_mean(tf1.square(h)))

    return build

  found = pipeline.Pipeline()
  for k in range(sizes.stages):
    found.add(
      f"stage_{k}",
      make(k),
      reads={"h": f"stage_{k - 1}.h"} if k else None,
      device=clusters.device(k) if is_placed else None,
    )
  return found


def wait(x, row_s):
  """Returns `x` after a wait that keeps no core busy, on any task.

  The gradient waits equally long.

  Args:
    x: a float32 tensor of `[B, ...]`.
    row_s: seconds per row.

  Returns:
    A tensor like `x`.
  """

  @tf1.custom_gradient
  def slow(x):
    return _sleep(x, row_s), lambda dy: _sleep(dy, row_s)

  return slow(x)


def _sleep(x, row_s):
  """Returns `x` after a wait."""
  # The data set sleeps before its element, and before it reports that there is
  # no other one.
  micros = tf1.cast(tf1.shape(x)[0], tf1.float32) * (row_s / 2 * 1e6)
  kind = {"output_types": [x.dtype], "output_shapes": [[]]}
  after_x = tf1.reshape(x, [-1])[0]
  data = tf1.raw_ops.ExperimentalSleepDataset(
    input_dataset=tf1.raw_ops.TensorDataset(
      components=[after_x], output_shapes=[[]]
    ),
    sleep_microseconds=tf1.cast(micros, tf1.int64),
    **kind,
  )
  found = tf1.raw_ops.DatasetToSingleElement(dataset=data, **kind)
  with tf1.control_dependencies(found):
    return tf1.identity(x)


def compare_schedules(
  stages=2,
  rows=4096,
  units=1024,
  layers=4,
  micro_batches=(2, 4),
  orders=("1f1b", "gpipe"),
  rounds=5,
  wait_s=0.0,
  *,
  report=reports.QUIET,
):
  """Measures the joint graph and the pipeline on tasks, in turn.

  Args:
    stages: S, number of stages, each on its own task.
    rows: examples of a batch, B.
    units: width of the layers, U.
    layers: dense layers of a stage.
    micro_batches: numbers of micro-batches to measure, M, each 2 or more.
    orders: names of schedules, 1f1b or gpipe.
    rounds: timed steps of each.
    wait_s: seconds that a stage waits in a step, half of them forward, in
      addition to its computation.
    report: a `reports.Report`, which also gets a plot, and per candidate a
      Gantt chart of a step.

  Returns:
    Candidate → `step_s`; `to_joint`, the median of pairs with quartiles;
    `ideal`, `(M + S - 1) / (S M)`; `sent_bytes`, sent over loopback in a step,
    and `boundary_bytes`, those of boundaries, their gradients and the feed;
    `held_sets`, how many micro-batches' residuals the first stage held at once;
    `held_bytes`, by how much its task grew in a step, and `predicted_bytes`,
    those of so many sets and the gradients; `same_losses`, to 1e-4. And
    `load`, those of the last 1, 5 and 15 minutes.

  Raises:
    ArgumentError: if there are fewer than 2 stages, another size is less than
      1, `wait_s` is negative, `micro_batches` are not from 2 to `rows`, or a
      schedule is unknown.
    MissingPackageError: if psutil is not installed.
  """
  sizes = StageSizes(stages, rows, units, layers, wait_s)
  _check(sizes)
  plans = _plans(micro_batches, orders, rows)
  sent = memory.loopback()
  with clusters.LocalCluster(stages, threads=1) as cluster:
    found = {JOINT: StagesTraining(JOINT, sizes)}
    for name, plan in plans.items():
      found[name] = StagesTraining(name, sizes, cluster.target, *plan)
    losses = {n: [c.step() for _ in range(3)] for n, c in found.items()}
    steps = {name: candidate.step for name, candidate in found.items()}
    seconds = timing.run_in_turn(steps, rounds, warm_up=0)  # warm already
    results = timing.make_rows(seconds, joint=JOINT)
    for name, candidate in found.items():
      near = np.allclose(losses[name], losses[JOINT], rtol=1e-4, atol=0)
      results[name]["same_losses"] = bool(near)
      if name != JOINT:
        figures, timeline = _record(candidate, sent)
        title = f"One step as it ran: {name}"
        report.draw(f"gantt_{name}", timelines.plot, timeline, title)
        count = plans[name][0]
        results[name].update(
          figures,
          ideal=(count + stages - 1) / (stages * count),
          boundary_bytes=sizes.boundary_bytes,
          predicted_bytes=sizes.held_bytes(figures["held_sets"], count),
        )
      candidate.session.close()
  for name, held in _measure_held(sizes, plans).items():
    results[name]["held_bytes"] = held
  report.show(results, COLUMNS)
  title = "step to that of one process"
  report.draw_ratios("cluster_to_joint", results, "to_joint", title)
  return dict(results, load=list(os.getloadavg()))


def _check(sizes):
  for name, value in sizes._asdict().items():
    least = {"stages": 2, "wait_s": 0}.get(name, 1)
    if value < least:
      raise errors.ArgumentError(
        f"cluster.compare_schedules: {name} must be at least {least}, got "
        f"{value}."
      )


@errors.named("cluster.compare_schedules")
def _plans(micro_batches, orders, rows):
  """Returns candidate → number of micro-batches and schedule."""
  found = {}
  for count in micro_batches:
    if not 2 <= count <= rows:
      raise errors.ArgumentError(
        f"micro_batches must be from 2 to {rows}, "
        f"the rows of a batch, got {count}."
      )
    for schedule in orders:
      schedules.check(count, schedule)
      found[f"{schedule}_{count}"] = count, schedule
  return found


def _record(candidate, sent):
  """Makes a step that is not timed; returns figures and the timeline."""
  timeline = []
  candidate.trainer.record(timeline)
  before = sent()
  candidate.step()
  figures = {
    "sent_bytes": sent() - before,
    "held_sets": timelines.held_sets(timeline, "stage_0"),
  }
  return figures, timeline


def _measure_held(sizes, plans):
  """Returns candidate → by how much the first task grows in a step."""
  found = {}
  # Freed memory returns to the system at once, so that the memory of a task is
  # what it holds. This takes time.
  environment = {"MALLOC_MMAP_THRESHOLD_": "65536"}
  with clusters.LocalCluster(
    sizes.stages, threads=1, environment=environment
  ) as cluster:
    for name, plan in plans.items():
      candidate = StagesTraining(name, sizes, cluster.target, *plan)
      candidate.step()
      process_id = cluster.process_id(0)
      found[name] = memory.measure_peak(process_id, candidate.step)
      candidate.session.close()
  return found

"""What it is worth to lay a pipeline over tasks of this machine.

A chain of equal heavy stages, each on a task of its own with one thread. The
baseline is one process with one thread that trains the joint graph on the
whole batch. The machine needs a core for each task.
"""

import numpy as np

from tangle.benchmarks import timing
from tangle.compat import tf1
from tangle.experiments import plots
from tangle.nets import feedforward
from tangle.pipeline import clusters, joint, pieces, pipeline

COLUMNS = (
  "step_s",
  "to_joint",
  "sent_bytes",
  "held_sets",
  "held_bytes",
  "same_losses",
)

JOINT = "joint"


class Contender:
  """One way to train the network, in a graph and session of its own."""

  def __init__(self, sizes_of, target="", micro_batches=1, schedule="1f1b"):
    """Builds it.

    Args:
      sizes_of: stages, rows B of a batch, units U, layers of a stage.
      target: of a cluster with a task for each stage; `""` for the joint graph
        in this process.
      micro_batches: M.
      schedule: as `Pipeline.minimize` takes it.
    """
    self._sizes = sizes_of
    stages, rows, units, layers = sizes_of
    rng = np.random.RandomState(0)
    x = rng.standard_normal((rows, units)).astype(np.float32)
    self._batch = {f"stage_{k}": {} for k in range(stages)}
    self._batch["stage_0"] = {"x": x}
    with tf1.Graph().as_default() as graph:
      built = _wire(stages, units, layers, bool(target))
      optimizer = tf1.train.GradientDescentOptimizer(0.01)
      if target:
        self.trainer = built.minimize(
          optimizer, 1.0, micro_batches=micro_batches, schedule=schedule
        )
      else:
        self.trainer = joint.JointTrainer(built, optimizer, 1.0)
      config = tf1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
      )
      self.session = tf1.Session(target, graph=graph, config=config)
      self.session.run(tf1.global_variables_initializer())
      for variable in tf1.trainable_variables():
        shape = variable.shape.as_list()
        scale = 1 / np.sqrt(units)
        variable.load(scale * rng.standard_normal(shape), self.session)

  def step(self):
    """Makes a step; returns the loss."""
    return self.trainer.step(self.session, self._batch).loss

  def set_bytes(self, rows):
    """Returns the bytes that the first stage keeps of a part of `rows` rows.

    Args:
      rows: how many.

    Returns:
      An int, by formula: the input and the value of each layer; values of
      variables take no memory of their own.
    """
    _, _, units, layers = self._sizes
    return 4 * rows * units * (layers + 1)


def _wire(stages, units, layers, is_placed):
  """Returns the pipeline, not built yet."""

  def make(k):
    dense = [
      feedforward.Dense(units, tf1.tanh, name=f"dense_{k}_{n}")
      for n in range(layers)
    ]

    def build(bucket, reads):
      del bucket
      feeds = {}
      if k:
        h = reads["h"]
      else:
        h = feeds["x"] = tf1.placeholder(tf1.float32, [None, units])
      for layer in dense:
        h = layer(h)
      if k < stages - 1:
        return pieces.Piece(feeds, {"h": h})
      return pieces.Piece(feeds, loss=tf1.reduce_mean(tf1.square(h)))

    return build

  found = pipeline.Pipeline()
  for k in range(stages):
    found.add(
      f"stage_{k}",
      make(k),
      reads={"h": f"stage_{k - 1}.h"} if k else None,
      device=clusters.device(k) if is_placed else None,
    )
  return found


def held_sets(timeline, name):
  """Returns how many micro-batches have residuals at once in a sub-model.

  Args:
    timeline: a list of `micro_batches.Ran`.
    name: the sub-model.

  Returns:
    An int; 0 for a sub-model that goes backward in its forward runs.
  """
  own = [ran for ran in timeline if ran.sub_model == name]
  if not any(ran.is_backward for ran in own):
    return 0
  held, most = 0, 0
  for ran in sorted(own, key=lambda ran: ran.begin_s):
    held += -1 if ran.is_backward else 1
    most = max(most, held)
  return most


def compare(
  stages=2,
  rows=256,
  units=512,
  layers=4,
  micro_batches=(2, 4),
  schedules=("1f1b", "gpipe"),
  rounds=10,
):
  """Measures the joint graph and the pipeline on tasks, in turn.

  Args:
    stages: how many, each on a task.
    rows: B.
    units: U.
    layers: dense layers of a stage.
    micro_batches: the numbers of parts, each 2 or more.
    schedules: names of schedules.
    rounds: timed steps of each.

  Returns:
    Contender → `step_s`; `to_joint`, the median of pairs with quartiles;
    `sent_bytes` of boundaries and their gradients in a step, by formula;
    `held_sets`, how many micro-batches' residuals the first stage held at
    once, and `held_bytes`, by the rows of a part; `same_losses`, to 1e-4. And
    contender → its timeline.
  """
  sizes_of = stages, rows, units, layers
  with clusters.LocalCluster(stages, threads=1) as cluster:
    found = {JOINT: Contender(sizes_of)}
    for schedule in schedules:
      for count in micro_batches:
        name = f"{schedule}_{count}"
        found[name] = Contender(sizes_of, cluster.target, count, schedule)
    losses = {n: [c.step() for _ in range(3)] for n, c in found.items()}
    steps = {name: contender.step for name, contender in found.items()}
    seconds = timing.run_in_turn(steps, rounds)
    rows_of, timelines = {}, {}
    for name, contender in found.items():
      ratio = timing.ratio(seconds[name], seconds[JOINT])
      row = rows_of[name] = {
        "step_s": float(np.median(seconds[name])),
        "to_joint": ratio.median,
        "to_joint_quartiles": [ratio.low, ratio.high],
      }
      near = np.allclose(losses[name], losses[JOINT], rtol=1e-4, atol=0)
      row["same_losses"] = bool(near)
      if name != JOINT:
        timelines[name] = timeline = []
        contender.trainer.record(timeline)
        contender.step()
        row["sent_bytes"] = 2 * (stages - 1) * rows * units * 4
        row["held_sets"] = held_sets(timeline, "stage_0")
        part = rows // int(name.split("_")[1])
        row["held_bytes"] = row["held_sets"] * contender.set_bytes(part)
      contender.session.close()
  return rows_of, timelines


def plot_timeline(timeline, title, path):
  """Draws the runs of a step: sub-models from top to bottom over time.

  Args:
    timeline: a list of `micro_batches.Ran`.
    title: title of the plot.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  names = sorted({ran.sub_model for ran in timeline if ran.sub_model})
  places = {**{name: k for k, name in enumerate(names)}, None: len(names)}
  drawing = plots.open_drawing("plot_timeline", 10, 0.6 * len(places) + 1.8)
  axes = drawing.subplots()
  begin = min(ran.begin_s for ran in timeline)
  back = {ran.sub_model for ran in timeline if ran.is_backward}
  seen = set()
  for ran in timeline:
    kind, color = "forward", plots.COLORS[0]
    if ran.sub_model is None:
      kind, color = "update", plots.COLORS[2]
    elif ran.is_backward:
      kind, color = "backward", plots.COLORS[1]
    elif ran.sub_model not in back:
      kind, color = "forward and backward", plots.COLORS[3]
    left, width = 1e3 * (ran.begin_s - begin), 1e3 * (ran.end_s - ran.begin_s)
    axes.barh(
      places[ran.sub_model],
      width,
      left=left,
      color=color,
      edgecolor="white",
      label=None if kind in seen else kind,
    )
    seen.add(kind)
    if ran.sub_model is not None:
      axes.text(
        left + width / 2,
        places[ran.sub_model],
        str(ran.micro_batch),
        ha="center",
        va="center",
        color="white",
      )
  axes.set_yticks(range(len(places)))
  axes.set_yticklabels([*names, "update"])
  axes.invert_yaxis()
  axes.set_xlabel("time in ms; numbers are those of micro-batches")
  axes.set_title(title)
  axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)

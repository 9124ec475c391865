"""Cost of N x M joint graphs and of N + M graphs, for a bucketed model.

The model is the legacy one with attention, unrolled, trained as the translate
tutorial trains it: stochastic gradient descent with clipping. Joint has one
graph per pair of a source and a target bucket, split one per bucket. Each
candidate runs in its own process, on the same weights and batches, and the
losses of both must agree.
"""

import itertools
from typing import NamedTuple, Tuple

import numpy as np

from tangle import errors
from tangle.benchmarks import builds, memory, names, processes
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.nets import checks
from tangle.pipeline import joint, pipeline
from tangle.seq2seq import vocabulary
from tangle.seq2seq.legacy import builders, cells, parts, wrappers

JOINT = "joint"
SPLIT = "split"
NAMES = (JOINT, SPLIT)
"""Names of the candidates."""

CELLS = {"gru": cells.GRUCell, "lstm": cells.BasicLSTMCell}
"""Name → class of a legacy cell."""

FIGURES = (
  "ops",
  "graph_bytes",
  "build_s",
  "build_cpu_s",
  "rss_bytes",
  "above_import_bytes",
  "all_pairs_s",
  "step_s",
)
"""Figures of a candidate for which lower is better."""

TOLERANCE = 1e-4
"""The largest allowed relative difference of the candidates' losses."""


class GridSetting(NamedTuple):
  """A model, its buckets and how long to measure."""

  source_buckets: Tuple[int, ...]
  target_buckets: Tuple[int, ...]
  cell: str
  layers: int
  heads: int
  units: int
  symbols: int
  batch_size: int
  rounds: int


def compare_joint_and_split(
  source_buckets=(5, 10, 15, 20, 30, 40),
  target_buckets=(5, 10, 15, 20, 30, 40),
  cell="gru",
  layers=1,
  heads=1,
  units=128,
  symbols=1000,
  batch_size=16,
  rounds=2,
  *,
  report=reports.QUIET,
):
  """Measures joint and split, each in its own process.

  Args:
    source_buckets: N lengths, rising.
    target_buckets: M lengths, rising.
    cell: kind of cell, one of `CELLS`.
    layers: number of stacked cells.
    heads: number of attention heads.
    units: width of cells and embeddings.
    symbols: number of source symbols, and of target symbols.
    batch_size: examples per batch.
    rounds: how often all pairs are timed, after one round of warm-up.
    report: a `reports.Report`.

  Returns:
    A dict. `joint` and `split` each have: `ops`; `graph_bytes`, those of the
    GraphDef; `build_s`, seconds to build the training ops; `build_cpu_s`,
    processor time of that, which other programs affect less; `rss_bytes`,
    resident memory after one step in every pair; `above_import_bytes`, the same
    minus that before building; `all_pairs_s`, from the start of building until
    the last pair has had its first step; `step_s`, the median over steps
    through all pairs; `graphs`, their number. `ratios` has joint over split for
    each of `FIGURES`. `loss_difference` is the largest relative difference of a
    loss, over the first step in every pair.

  Raises:
    ArgumentError: if lengths do not rise from 1 or more, the cell is unknown,
      `symbols` is less than 5, or another number is not a positive integer.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails, or the losses differ by more than
      `TOLERANCE`.
  """
  setting = GridSetting(
    tuple(source_buckets),
    tuple(target_buckets),
    cell,
    layers,
    heads,
    units,
    symbols,
    batch_size,
    rounds,
  )
  check(setting)
  memory.meter()
  found = processes.call_each(
    measure_training,
    NAMES,
    setting,
    report=report,
    remedy="give fewer or shorter buckets",
  )
  losses = [found[name].pop("losses") for name in NAMES]
  difference = loss_difference(*losses)
  ratios = {key: found[JOINT][key] / found[SPLIT][key] for key in FIGURES}
  found["ratios"] = ratios
  report.show(found, FIGURES)
  report.note(loss_difference=difference)
  return dict(found, loss_difference=difference)


@errors.named("graphs.GridSetting")
def check(setting):
  """Raises an ArgumentError unless a `GridSetting`, `setting`, is possible."""
  names.check("cell", setting.cell, CELLS)
  for field in ("source_buckets", "target_buckets"):
    lengths = list(getattr(setting, field))
    if not lengths or lengths != sorted(set(lengths)) or lengths[0] < 1:
      raise errors.ArgumentError(
        f"{field} must be positive lengths from small to large, got {lengths}."
      )
  for field in ("layers", "heads", "units", "batch_size", "rounds"):
    checks.check_positive(field, getattr(setting, field))
  if setting.symbols <= vocabulary.UNK_ID + 1:
    raise errors.ArgumentError(
      f"symbols must be more than the {vocabulary.UNK_ID + 1} "
      f"special ones, got {setting.symbols}."
    )


def loss_difference(losses, other_losses):
  """Returns the largest relative difference of two lists of floats.

  Args:
    losses: a list of floats.
    other_losses: as many.

  Raises:
    TrainingError: if it is above `TOLERANCE`.
  """
  ratios = np.array(other_losses) / np.array(losses)
  difference = float(np.max(np.abs(ratios - 1)))
  if not difference <= TOLERANCE:
    raise errors.TrainingError(
      f"graphs.compare_joint_and_split: joint and split must have the same "
      f"losses on the same weights and batches, to {TOLERANCE}; they differ by "
      f"{difference}."
    )
  return difference


@errors.named("graphs.measure_training")
def measure_training(name, setting):
  """Measures a candidate in this process; returns its figures, and `losses`."""
  names.check("name", name, NAMES)
  setting = GridSetting(*setting)
  batches, count = make_batches(setting), []

  def build():
    trainer, graphs = make_trainer(name, setting)
    count.append(graphs)
    return trainer, batches

  graph, found = builds.measure_build(
    build, timed=len(batches), rounds=setting.rounds
  )
  return dict(
    {key: found[key] for key in (*FIGURES, "losses") if key in found},
    graphs=count[0],
    graph_bytes=graph.as_graph_def().ByteSize(),
  )


def make_trainer(name, setting):
  """Builds all graphs of a candidate in the default graph.

  Args:
    name: one of `NAMES`.
    setting: a `GridSetting`.

  Returns:
    An object with a method `step`, and the number of graphs.
  """
  made = [CELLS[setting.cell](setting.units) for _ in range(setting.layers)]
  model = parts.AttentionModel(
    wrappers.MultiRNNCell(made) if setting.layers > 1 else made[0],
    setting.symbols,
    setting.symbols,
    setting.units,
    num_heads=setting.heads,
  )
  found = pipeline.Pipeline()
  found.add("encoder", builders.encoder_builder(model), setting.source_buckets)
  found.add(
    "decoder",
    builders.decoder_builder(model),
    setting.target_buckets,
    reads=builders.reads("encoder"),
  )
  optimizer = tf1.train.GradientDescentOptimizer(0.5)
  if name == JOINT:
    trainer = joint.JointTrainer(found, optimizer, clip_norm=5.0)
    return trainer, len(trainer.combinations)
  return found.minimize(optimizer, clip_norm=5.0), len(found.graph_counts())


def make_batches(setting):
  """Returns a batch for each of the N * M pairs of buckets of a `setting`."""
  rng = np.random.RandomState(20150611)
  pairs = itertools.product(setting.source_buckets, setting.target_buckets)
  batches, size = [], setting.batch_size
  for source, target in pairs:
    shape = [size, source + target]
    ids = rng.randint(vocabulary.UNK_ID + 1, setting.symbols, shape)
    ids = ids.astype(np.int32)
    targets = ids[:, source:]
    inputs = np.roll(targets, 1, axis=1)
    inputs[:, 0] = vocabulary.GO_ID
    lengths = rng.randint(1, target + 1, [size, 1])
    weights = (np.arange(target) < lengths).astype(np.float32)
    decoder = {"inputs": inputs, "targets": targets, "weights": weights}
    batches.append({"encoder": {"source": ids[:, :source]}, "decoder": decoder})
  return batches

"""How time, memory and ops grow with the size of a model.

Along each of `axes.NAMES` the same pipeline is measured at several sizes,
split and joint, each in its own process. Growth is given by the exponents that
`exponents` fits.
"""

from tangle import errors
from tangle.benchmarks import (
  axes,
  builds,
  exponents,
  graphs,
  memory,
  names,
  processes,
)
from tangle.compat import tf1
from tangle.experiments import plots, reports
from tangle.nets import checks
from tangle.pipeline import joint, sessions

SPLIT = graphs.SPLIT
JOINT = graphs.JOINT
NAMES = (SPLIT, JOINT)
"""Names of the candidates."""

FIGURES = (
  "build_s",
  "build_cpu_s",
  "first_cpu_s",
  "step_s",
  "step_cpu_s",
  "above_import_bytes",
  "ops",
)
"""Figures that grow."""

WARM_UP = 5
"""Steps before the timed ones."""


def compare_sizes(
  length=(10, 30, 100, 300, 1000),
  buckets=(1, 2, 4, 6, 8, 12),
  sub_models=(2, 8, 32, 100, 300),
  residuals=(10, 100, 1000, 10000),
  layers=(50, 250, 1000, 5000),
  outputs=(20, 100, 500, 2000),
  units=32,
  batch_size=16,
  bucket_steps=8,
  steps=15,
  *,
  report=reports.QUIET,
):
  """Measures split and joint training at all sizes, each in its own process.

  Joint training is left out above the `joint_largest` of an axis. An axis of
  which no size is given is left out, too.

  Args:
    length: steps of a sequence to measure at.
    buckets: numbers of buckets on each side.
    sub_models: numbers of sub-models of a pipeline.
    residuals: numbers of residuals of a sub-model.
    layers: numbers of layers of a sub-model.
    outputs: numbers of outputs of a sub-model.
    units: width of layers and inputs.
    batch_size: examples per batch.
    bucket_steps: steps of the middle bucket.
    steps: timed steps at each point.
    report: a `reports.Report`, which also gets a plot for each axis.

  Returns:
    A dict: `points`, axis → candidate → list of figures; `exponents`, axis →
    candidate → figure → [overall, tail]; and `steepest`, figure → [the largest
    tail of split, its axis]. The figures: `size`; `build_s`, seconds to build
    the training ops, and `build_cpu_s`, processor time of that, which other
    programs affect less; `first_cpu_s`, processor time of the first step in
    every pair of buckets, or of the first step; `step_s` and `step_cpu_s`,
    medians over steps in one pair of buckets; `above_import_bytes`, resident
    memory after them, minus that before building; `ops`; `loss`, that of the
    first step, which is the same for all candidates.

  Raises:
    ArgumentError: if `axes.check` refuses sizes, or `steps` is not a positive
      integer.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails.
  """
  sizes = axes.FixedSizes(units, batch_size, bucket_steps)
  given = length, buckets, sub_models, residuals, layers, outputs
  points = {axis: each for axis, each in zip(axes.NAMES, given) if each}
  found = _measure_points(points, sizes, steps, report)
  for axis, candidates in found.items():
    for candidate, rows in candidates.items():
      for row in rows:
        report.note(axis=axis, candidate=candidate, **row)
    report.draw(f"growth_{axis}", plot, found, axis)
  fitted = {
    axis: {
      name: exponents.fit_each(rows, FIGURES)
      for name, rows in candidates.items()
    }
    for axis, candidates in found.items()
  }
  table = {
    f"{axis} {name}": exponents.write(row)
    for axis, candidates in fitted.items()
    for name, row in candidates.items()
  }
  report.show(table, FIGURES, "exponents")
  return {
    "exponents": fitted,
    "steepest": steepest(fitted),
    "points": found,
  }


@errors.named("growth.compare_sizes")
def _measure_points(points, sizes, steps, report):
  """Returns axis → candidate → list of figures."""
  for axis, chosen in points.items():
    axes.check(axis, chosen, sizes)
  checks.check_positive("steps", steps)
  memory.meter()
  work = [
    (axis, candidate, size)
    for axis, chosen in points.items()
    for size in chosen
    for candidate in NAMES
    if candidate == SPLIT or size <= (axes.AXES[axis].joint_largest or size)
  ]
  found = {axis: {name: [] for name in NAMES} for axis in points}
  for done, (axis, candidate, size) in enumerate(work, 1):
    remedy = f"give smaller sizes than {size}"
    figures = processes.call(
      measure_size, axis, candidate, size, sizes, steps, remedy=remedy
    )
    found[axis][candidate].append(figures)
    report.count(done, len(work))
  return found


@errors.named("growth.measure_size")
def measure_size(axis, candidate, size, sizes, steps):
  """Measures a candidate at one size, in this process; returns figures."""
  names.check("candidate", candidate, NAMES)
  sizes = axes.FixedSizes(*sizes)

  def build():
    found, batches = axes.make(axis, size, sizes)
    optimizer = tf1.train.AdamOptimizer()
    if candidate == SPLIT:
      return found.minimize(optimizer), batches
    return joint.JointTrainer(found, optimizer), batches

  config = sessions.session_config()
  _, found = builds.measure_build(
    build, config, rounds=WARM_UP + steps, warm_up=WARM_UP
  )
  found["above_import_bytes"] = found["above_import_at_end_bytes"]
  figures = {figure: found[figure] for figure in FIGURES}
  return {"size": size, **figures, "loss": found["losses"][0]}


def steepest(fitted):
  """Finds the axis along which each figure of split grows most at large sizes.

  Args:
    fitted: axis → candidate → what `exponents.fit_each` returned.

  Returns:
    Figure → the largest tail exponent and its axis, `None` if there is none.
  """
  found = {}
  for figure in FIGURES:
    tails = [
      (candidates[SPLIT][figure].tail, axis)
      for axis, candidates in fitted.items()
      if candidates[SPLIT][figure] is not None
    ]
    found[figure] = max(tails) if tails else None
  return found


@errors.named("growth.plot")
def plot(found, axis, path):
  """Draws `build_s`, `step_s` and `above_import_bytes` along an axis.

  Scales are logarithmic. A dashed line shows linear growth through the value of
  the candidate `split` at the last size.

  Args:
    found: `points` of what `compare_sizes` returned.
    axis: one of its axes.
    path: the PNG file to write.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  figures = ("build_s", "step_s", "above_import_bytes")
  drawing = plots.open_drawing(5.0 * len(figures), 3.8)
  drawing.suptitle(f"Growth with the number of {axes.AXES[axis].label}")
  for figure, panel in zip(figures, drawing.subplots(1, len(figures))):
    for color, (name, rows) in zip(plots.COLORS, found[axis].items()):
      xs = [row["size"] for row in rows]
      ys = [max(row[figure], 1e-9) for row in rows]
      panel.loglog(xs, ys, marker="o", color=color, label=name)
      if name == SPLIT:
        line = [ys[-1] * x / xs[-1] for x in xs]
        panel.loglog(xs, line, "--", color="#999999", label="linear")
    ticks = [row["size"] for row in found[axis][SPLIT]]
    panel.set_xticks(ticks)
    panel.set_xticklabels([f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel(axes.AXES[axis].label)
    panel.set_ylabel(f"{figure} (log scale)")
    panel.legend(frameon=False)
  drawing.tight_layout()
  drawing.savefig(path, dpi=120)

"""How time, memory and ops grow with the size of a model.

Along each of `axes.NAMES` the same pipeline is measured at several sizes,
split and joint, each in its own process. The growth of a figure y with the size
x is given by the exponent e of y ~ x^e: 0 is constant, 1 is linear, 2
quadratic. It is the slope of the least-squares line through the points (log x,
log y):

    overall: through all sizes
    tail: through the last `TAIL` sizes

Fixed costs dominate at small sizes, so that `overall` is too low where they are
high; `tail` is closer to the growth at large sizes.
"""

import gc
import time
from typing import NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import axes, elsewhere, graphs, memory
from tangle.compat import tf1
from tangle.experiments import plots, reports
from tangle.nets import checks
from tangle.pipeline import joint, sessions

SPLIT = graphs.SPLIT
JOINT = graphs.JOINT
NAMES = (SPLIT, JOINT)
"""Names of the contenders."""

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

TAIL = 3
"""Number of largest sizes from which the exponent of the tail is fitted."""

WARM_UP = 5
"""Steps before the timed ones."""


class Exponent(NamedTuple):
  """Exponents of a figure's growth, as defined in the module."""

  overall: float
  tail: float


def compare(
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
  """Measures all contenders at all sizes, each in its own process.

  Args:
    length: steps of a sequence to measure at; none to leave this axis out.
    buckets: numbers of buckets on each side, or none.
    sub_models: numbers of sub-models of a pipeline, or none.
    residuals: numbers of residuals of a sub-model, or none.
    layers: numbers of layers of a sub-model, or none.
    outputs: numbers of outputs of a sub-model, or none.
    units: depth of layers and inputs.
    batch_size: examples per batch.
    bucket_steps: steps of the middle bucket.
    steps: timed steps at each point.
    report: a `reports.Report`, which also gets a plot for each axis.

  Returns:
    A dict: `points`, axis → contender → list of dicts, each as `measure`
    returns it; `exponents`, axis → contender → figure → [overall, tail]; and
    `steepest`, figure → [the largest tail of split, its axis].

  Raises:
    ArgumentError: if a size or `steps` is not possible.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails.
  """
  sizes = axes.Sizes(units, batch_size, bucket_steps)
  given = length, buckets, sub_models, residuals, layers, outputs
  points = {axis: each for axis, each in zip(axes.NAMES, given) if each}
  found = _measure_points(points, sizes, steps, report)
  for axis, contenders in found.items():
    for contender, rows in contenders.items():
      for row in rows:
        report.note(axis=axis, contender=contender, **row)
    report.draw(f"growth_{axis}", plot, found, axis)
  fitted = exponents(found)
  report.show(table_rows(fitted), FIGURES, "exponents")
  return {
    "exponents": fitted,
    "steepest": steepest(fitted),
    "points": found,
  }


def _measure_points(points, sizes, steps, report):
  """Returns axis → contender → list of figures."""
  for axis, chosen in points.items():
    axes.check(axis, chosen, sizes)
  checks.check_positive("growth.compare", "steps", steps)
  memory.meter("growth.compare")
  work = [
    (axis, contender, size)
    for axis, chosen in points.items()
    for size in chosen
    for contender in NAMES
    if contender == SPLIT or size <= (axes.AXES[axis].joint_largest or size)
  ]
  found = {axis: {name: [] for name in NAMES} for axis in points}
  for done, (axis, contender, size) in enumerate(work, 1):
    figures = elsewhere.run(
      "growth.compare",
      __name__,
      axis,
      contender,
      size,
      sizes,
      steps,
      remedy=f"give smaller sizes than {size}",
    )
    found[axis][contender].append(figures)
    report.count(done, len(work))
  return found


def measure(axis, contender, size, sizes, steps):
  """Measures one contender in this process, which should be a fresh one.

  Args:
    axis: one of `axes.NAMES`.
    contender: one of `NAMES`.
    size: size along the axis.
    sizes: an `axes.Sizes`.
    steps: timed steps.

  Returns:
    A dict: `size`; `build_s`, seconds to build the training ops, and
    `build_cpu_s`, processor time of that, which other programs affect less;
    `first_cpu_s`, processor time of the first step in every pair of buckets, or
    of the first step; `step_s` and `step_cpu_s`, medians over steps in one pair
    of buckets; `above_import_bytes`, resident memory after them, minus that
    before building; `ops`; `loss`, that of the first step, which is the same
    for all contenders.

  Raises:
    ArgumentError: if the axis or the contender is unknown.
    MissingPackageError: if psutil is not installed.
  """
  if contender not in NAMES:
    raise errors.ArgumentError(
      f"growth.measure: contender must be one of {NAMES}, got {contender!r}."
    )
  sizes = axes.Sizes(*sizes)
  resident = memory.meter("growth.measure")
  gc.collect()
  before_bytes = resident()
  with tf1.Graph().as_default() as graph:
    begin = _now()
    found, batches = axes.make(axis, size, sizes)
    optimizer = tf1.train.AdamOptimizer()
    if contender == SPLIT:
      trainer = found.minimize(optimizer)
    else:
      trainer = joint.JointTrainer(found, optimizer)
    initialize_op = tf1.global_variables_initializer()
    build_s, build_cpu_s = _now() - begin
    with tf1.Session(graph=graph, config=sessions.session_config()) as sess:
      sess.run(initialize_op)
      graphs.load_weights(sess)
      begin = _now()
      losses = [trainer.step(sess, batch).loss for batch in batches]
      _, first_cpu_s = _now() - begin
      seconds = [
        _time_step(trainer, sess, batches[0]) for _ in range(WARM_UP + steps)
      ]
      gc.collect()
      above_import_bytes = resident() - before_bytes
  step_s, step_cpu_s = np.median(seconds[WARM_UP:], axis=0)
  return {
    "size": size,
    "build_s": float(build_s),
    "build_cpu_s": float(build_cpu_s),
    "first_cpu_s": float(first_cpu_s),
    "step_s": float(step_s),
    "step_cpu_s": float(step_cpu_s),
    "above_import_bytes": above_import_bytes,
    "ops": len(graph.get_operations()),
    "loss": losses[0],
  }


def _now():
  """Returns wall time and processor time, in seconds."""
  return np.array([time.perf_counter(), time.process_time()])


def _time_step(trainer, sess, batch):
  begin = _now()
  trainer.step(sess, batch)
  return _now() - begin


def fit(xs, ys):
  """Fits exponents, as defined in the module.

  Args:
    xs: positive sizes, rising.
    ys: as many figures.

  Returns:
    An `Exponent`, `None` where there are fewer than two sizes or a figure is
    not positive.
  """
  if len(xs) < 2 or min(ys) <= 0:
    return None
  x, y = np.log(xs), np.log(ys)
  return Exponent(
    float(np.polyfit(x, y, 1)[0]),
    float(np.polyfit(x[-TAIL:], y[-TAIL:], 1)[0]),
  )


def exponents(found):
  """Fits an exponent for each figure.

  Args:
    found: `points` of what `compare` returned.

  Returns:
    Axis → contender → figure → `Exponent`, or `None` as from `fit`.
  """
  return {
    axis: {
      name: {
        figure: fit([p["size"] for p in rows], [p[figure] for p in rows])
        for figure in FIGURES
      }
      for name, rows in contenders.items()
    }
    for axis, contenders in found.items()
  }


def table_rows(fitted):
  """Arranges exponents as rows of a table.

  Args:
    fitted: what `exponents` returned.

  Returns:
    "axis contender" → figure → "overall / tail".
  """
  return {
    f"{axis} {name}": {
      figure: value and f"{value.overall:.2f} / {value.tail:.2f}"
      for figure, value in row.items()
    }
    for axis, contenders in fitted.items()
    for name, row in contenders.items()
  }


def steepest(fitted, contender=SPLIT):
  """Finds the axis along which each figure grows most at large sizes.

  Args:
    fitted: what `exponents` returned.
    contender: one of `NAMES`.

  Returns:
    A dict from figure to a pair: the largest tail exponent, and its axis;
    `None` where none could be fitted.
  """
  found = {}
  for figure in FIGURES:
    tails = [
      (contenders[contender][figure].tail, axis)
      for axis, contenders in fitted.items()
      if contenders[contender][figure] is not None
    ]
    found[figure] = max(tails) if tails else None
  return found


def plot(found, axis, path):
  """Draws the figures along an axis, on logarithmic scales.

  Args:
    found: `points` of what `compare` returned.
    axis: one of its axes.
    path: the PNG file to write. A dashed line shows linear growth through the
      last split point.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  figures = ("build_s", "step_s", "above_import_bytes")
  drawing = plots.open_drawing("growth.plot", 5.0 * len(figures), 3.8)
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


if __name__ == "__main__":
  elsewhere.answer(measure)

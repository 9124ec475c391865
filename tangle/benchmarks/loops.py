"""Memory over many steps of a TensorFlow 1 style loop on reference variables.

Such a loop runs through TensorFlow's `partial_run`, which leaks on 2.x. A
program without tangle measures how much of the growth is due to `partial_run`.
"""

from typing import Optional

from tangle import errors
from tangle.benchmarks import memory, models, names, processes
from tangle.benchmarks import strategies as strategies_lib
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.nets import checks

NAMES = (
  strategies_lib.JOINT,
  strategies_lib.PARTIAL_RUN,
  strategies_lib.AUTO,
  strategies_lib.PIPELINE,
)
"""Strategies that are compared unless others are asked for."""

SIZES = models.ModelSizes(batch=4, units=16, steps=10)
"""Small, so that many steps do not take long."""

STEPS = {"full": (10000, 2000), "small": (40, 10)}
"""Name of a length → steps, and steps of the warm-up."""

COLUMNS = ("steps", "first_mib", "last_mib", "growth", "bytes_a_step")


@errors.named("benchmarks.loops")
def compare_strategies(
  strategies=NAMES,
  size="full",
  steps: Optional[int] = None,
  warm_up: Optional[int] = None,
  *,
  report=reports.QUIET,
):
  """Measures strategies, each in its own process.

  Args:
    strategies: some of `strategies_lib.NAMES`.
    size: how many steps to run, one of `STEPS`.
    steps: how many steps to run, instead of those of the size.
    warm_up: how many of them run before memory is measured, instead of those of
      the size.
    report: a `reports.Report`.

  Returns:
    Strategy → `steps`; `rss_bytes`, `first_mib`, `last_mib`, `growth` and
    `bytes_a_step`, as `memory.watch` returns them; `loss`, that of the last
    step.

  Raises:
    ArgumentError: if a strategy or the size is unknown, or `warm_up` is not
      positive and less than `steps`.
    MissingPackageError: if psutil is not installed.
    TrainingError: if a process fails.
  """
  names.check("the size", size, STEPS)
  steps = STEPS[size][0] if steps is None else steps
  warm_up = STEPS[size][1] if warm_up is None else warm_up
  for name in strategies:
    _check(name, steps, warm_up)
  memory.meter()
  rows = processes.call_each(
    watch_strategy, strategies, steps, warm_up, report=report
  )
  report.show(rows, COLUMNS, "strategy")
  return rows


def watch_strategy(name, steps, warm_up, sizes=SIZES):
  """Trains for many steps in this process; returns a row of all strategies."""
  _check(name, steps, warm_up)
  strategy = strategies_lib.Strategy(name, models.make("reference_rnn", sizes))
  loss = [0.0]  # the last only, as a list of all would count as growth

  def step(k):
    del k
    loss[0] = strategy.step(sess)

  with tf1.Session(graph=strategy.graph) as sess:
    strategy.load(sess, strategies_lib.initial_values(strategy))
    figures = memory.watch(step, steps, warm_up)
  return dict(figures, loss=float(loss[0]))


@errors.named("benchmarks.loops")
def _check(name, steps, warm_up):
  names.check("the strategy", name, strategies_lib.NAMES)
  checks.check_positive("warm_up", warm_up)
  if steps <= warm_up:
    raise errors.ArgumentError(
      f"steps must be more than warm_up={warm_up}, got {steps}."
    )

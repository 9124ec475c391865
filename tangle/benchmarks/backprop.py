"""Strategies for the gradient of the lower part of a network, in turn.

All step in one process, so that ratios are paired.
"""

from tangle import errors
from tangle.benchmarks import executions, models
from tangle.benchmarks import strategies as strategies_lib
from tangle.experiments import reports
from tangle.graphs import internals

COLUMNS = (
  "step_s",
  "to_joint",
  "to_double",
  "to_published",
  "forward_runs",
  "residuals",
  "residual_bytes",
  "max_difference",
)


def compare_strategies(
  model="attention",
  strategies=strategies_lib.DEFAULTS,
  batch_size=64,
  units=256,
  steps=40,
  target_steps=20,
  rounds=30,
  threads=0,
  *,
  report=reports.QUIET,
):
  """Measures strategies on one model, stepping them in turn.

  Args:
    model: one of `models.NAMES`.
    strategies: some of `strategies_lib.NAMES`; joint and double forward are
      always measured, as the ratios are relative to them.
    batch_size: examples per step.
    units: width of the layers.
    steps: length of the source.
    target_steps: length of the target.
    rounds: timed steps of each strategy.
    threads: threads within and between ops; 0 for TensorFlow's default.
    report: a `reports.Report`, which also gets a plot.

  Returns:
    A dict from strategy to `step_s` (median seconds), `to_joint`,
    `to_double` and `to_published` (medians of paired ratios), `forward_runs`
    (average executions per step of an op of the lower part, without ops of
    TensorFlow 1 style loops; `None` for partial runs), `residuals` (their
    number), `residual_bytes`, `max_difference` (largest difference of a
    gradient from joint's, relative to the largest gradient of its variable);
    `None` where a figure does not apply. For a strategy that cannot run:
    `reason`.

  Raises:
    ArgumentError: if a model or strategy is unknown.
  """
  sizes = models.ModelSizes(batch_size, units, steps, target_steps)
  network = models.make(model, sizes)
  names = dict.fromkeys(
    [strategies_lib.JOINT, strategies_lib.DOUBLE, *strategies]
  )
  rows = strategies_lib.run_in_turn(
    network,
    {name: (name, {}) for name in names},
    _describe,
    rounds,
    threads,
    joint=strategies_lib.JOINT,
    double=strategies_lib.DOUBLE,
    published=strategies_lib.PUBLISHED,
  )
  report.show(rows, COLUMNS, "strategy", model=model)
  report.draw_ratios(
    f"backprop_{model}", rows, "to_joint", f"{model}: step to joint"
  )
  return rows


def _describe(strategy, sess, values):
  """Returns the figures of a strategy that are not measured in turn."""
  del sess
  row = dict.fromkeys(COLUMNS, None)
  row["forward_runs"] = _forward_runs(strategy, values)
  if strategy.residuals is not None:
    row["residuals"] = len(strategy.residuals)
    row["residual_bytes"] = strategy.residuals.bytes
  return row


def _forward_runs(strategy, values):
  """Returns how often an op of the lower part runs in a step, on average."""
  ops = executions.working_ops(strategy.forward_ops)
  ops = [op for op in ops if not internals.in_v1_loop(op)]
  with executions.Tracer(strategy.graph) as tracer:
    strategy.load(tracer.session, values)
    try:
      strategy.step(tracer)
    except errors.CallError:
      return None  # a partial run cannot be traced
  return sum(tracer.counts[op.name] for op in ops) / len(ops)

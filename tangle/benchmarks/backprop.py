"""Compares strategies for the gradient of the lower part of a network."""

import contextlib
import os

import numpy as np

from tangle import errors
from tangle.benchmarks import executions, models, strategies, tables, timing
from tangle.compat import tf1
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


def compare(
  model_name,
  strategy_names=strategies.DEFAULTS,
  sizes=None,
  rounds=30,
  threads=0,
  out_dir=None,
):
  """Measures strategies on one model, stepping them in turn.

  Args:
    model_name: one of `models.NAMES`.
    strategy_names: some of `strategies.NAMES`; joint and double forward are
      always measured, as the ratios are relative to them.
    sizes: a `models.Sizes`.
    rounds: timed steps of each strategy.
    threads: threads within and between ops; 0 for TensorFlow's default.
    out_dir: folder where `backprop_<model>.png` is written; `None` for no plot.

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
  model = models.make(model_name, sizes or models.Sizes())
  names = list(dict.fromkeys([strategies.JOINT, strategies.DOUBLE]))
  names += [name for name in strategy_names if name not in names]
  rows, steps = {}, {}
  with contextlib.ExitStack() as stack:
    values, expected = None, None
    for name in names:
      try:
        strategy = strategies.Strategy(name, model)
      except (errors.CutError, tf1.errors.OpError) as error:
        rows[name] = {"reason": str(error)}
        continue
      config = tf1.ConfigProto(
        intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=threads,
      )
      sess = stack.enter_context(
        tf1.Session(graph=strategy.graph, config=config)
      )
      if values is None:
        values = strategies.initial_values(strategy)
      strategy.load(sess, values)
      found = strategy.first_gradients(sess)
      expected = expected or found
      rows[name] = dict.fromkeys(COLUMNS)
      rows[name]["forward_runs"] = _forward_runs(strategy, values)
      rows[name]["max_difference"] = largest_difference(found, expected)
      if strategy.residuals is not None:
        rows[name]["residuals"] = len(strategy.residuals)
        rows[name]["residual_bytes"] = strategy.residuals.bytes
      steps[name] = lambda strategy=strategy, sess=sess: strategy.step(sess)
    seconds = timing.run_in_turn(steps, rounds)
  for name, found in seconds.items():
    rows[name]["step_s"] = float(np.median(found))
    for key, base in (
      ("to_joint", strategies.JOINT),
      ("to_double", strategies.DOUBLE),
      ("to_published", strategies.PUBLISHED),
    ):
      if base not in seconds:
        continue
      ratio = timing.ratio(found, seconds[base])
      rows[name][key] = ratio.median
      rows[name][key + "_quartiles"] = [ratio.low, ratio.high]
  if out_dir is not None:
    os.makedirs(out_dir, exist_ok=True)
    path = os.path.join(out_dir, f"backprop_{model_name}.png")
    tables.plot_ratios(rows, "to_joint", f"{model_name}: step to joint", path)
  return rows


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


def largest_difference(found, expected):
  """Returns the largest difference of gradients.

  Args:
    found: variable name → array.
    expected: variable name → array.

  Returns:
    A float, relative to the largest entry of each expected array.
  """
  return max(
    float(np.max(np.abs(found[name] - array)))
    / max(float(np.max(np.abs(array))), 1e-30)
    for name, array in expected.items()
  )

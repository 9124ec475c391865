"""Cost of keeping fewer residuals: bytes against the time of a step.

Candidates step in turn in one process, so that ratios are paired.
"""

import functools
import time

import numpy as np

from tangle import errors
from tangle.benchmarks import models, names, strategies
from tangle.compat import tf1
from tangle.experiments import reports
from tangle.graphs import cut, handles, walk
from tangle.nets import checks
from tangle.partial import choice, policies, split

FRONTIER = "frontier"

_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "Conv2D")


def _is_product(tensor):
  return tensor.op.type in _PRODUCTS


CANDIDATES = {
  FRONTIER: {"residuals": policies.FRONTIER},
  "budget_75": {"residuals": policies.Budget(fraction=0.75)},
  "min_cut": {"residuals": policies.MIN_CUT},
  "budget_50_products": {
    "residuals": policies.Budget(fraction=0.5),
    "recompute": _is_product,
  },
  "min_cut_products": {
    "residuals": policies.MIN_CUT,
    "recompute": _is_product,
  },
}
"""Name → options of a sub-model; with `products` all ops except random and
stateful ones may be recomputed, otherwise only cheap ones."""

NAMES = tuple(CANDIDATES)
"""Names of the candidates."""

COLUMNS = (
  "bytes",
  "to_frontier_bytes",
  "measured_bytes",
  "residuals",
  "recomputed",
  "cut_s",
  "step_s",
  "to_frontier",
  "max_difference",
)


@errors.named("residuals.compare_policies")
def compare_policies(
  model="lstm",
  candidates=NAMES,
  batch_size=64,
  units=256,
  steps=40,
  target_steps=20,
  rounds=30,
  threads=0,
  large_ops=0,
  *,
  report=reports.QUIET,
):
  """Measures residual policies on one model, stepping them in turn.

  Args:
    model: one of `models.NAMES`.
    candidates: some of `NAMES`; the frontier is measured in any case.
    batch_size: examples per step.
    units: width of the layers.
    steps: length of the source.
    target_steps: length of the target.
    rounds: timed steps of each.
    threads: threads within and between ops; 0 for TensorFlow's default.
    large_ops: how many ops a graph has whose minimum cut is also timed, 0 for
      none.
    report: a `reports.Report`, which also gets a plot.

  Returns:
    A dict from name to `bytes` (predicted, without values of variables),
    `to_frontier_bytes` (relative to the frontier), `measured_bytes` (of the
    arrays of a run), `residuals` and `recomputed` (how many tensors are kept
    and how many ops are recomputed), `cut_s` (seconds to build all), `step_s`
    (median seconds of a training step), `to_frontier` (median of paired ratios)
    with `to_frontier_quartiles`, `max_difference` (largest difference of a
    gradient from the frontier's, relative to the largest gradient of its
    variable). For a budget that cannot be met: `reason`. And `large`, what
    `time_cut` returns, if it is asked for.

  Raises:
    ArgumentError: if a model or a name is unknown.
  """
  for name in candidates:
    names.check("a candidate", name, NAMES)
  sizes = models.ModelSizes(batch_size, units, steps, target_steps)
  network = models.make(model, sizes)
  wanted = {
    name: (strategies.DEVICE, CANDIDATES[name])
    for name in dict.fromkeys([FRONTIER, *candidates])
  }
  rows = strategies.run_in_turn(
    network, wanted, _describe, rounds, threads, frontier=FRONTIER
  )
  for row in rows.values():
    if "bytes" in row:
      row["to_frontier_bytes"] = row["bytes"] / rows[FRONTIER]["bytes"]
  report.show(rows, COLUMNS, model=model)
  report.draw_ratios(
    f"residuals_{model}", rows, "to_frontier", f"{model}: step to frontier"
  )
  if large_ops:
    rows["large"] = time_cut(large_ops)
  return rows


def _describe(strategy, sess, values):
  """Returns the figures of the residuals of a strategy."""
  del values
  found = strategy.sub_model.residuals
  kept = [record for record in found if not record.is_variable]
  measured = sess.run([record.name for record in kept], strategy.lower_feeds)
  total = sum(np.asarray(array).nbytes for array in measured)
  predicted = found.predicted_bytes
  return {
    "bytes": int(found.bytes if predicted is None else predicted),
    "measured_bytes": int(total),
    "residuals": len(found),
    "recomputed": len(found.recomputed),
    "cut_s": strategy.build_s,
  }


@errors.named("residuals.time_cut")
def time_cut(ops=100000):
  """Times the minimum cut of a large graph: an LSTM of thousands of steps.

  Args:
    ops: the least number of ops of the graph, forward and backward.

  Returns:
    A dict: `ops`; `gradients_s`, seconds in `tf.gradients`; `cut_s`, seconds to
    find the minimum cut, and `cut_cpu_s`, its processor time; `kept` and
    `recomputed`, how many tensors and ops.

  Raises:
    ArgumentError: if `ops` is not positive.
  """
  checks.check_positive("ops", ops)
  policy = choice.make(policies.MIN_CUT)
  with tf1.Graph().as_default() as graph:
    x = tf1.placeholder(tf1.float32, [2, 4])
    kernel = tf1.get_variable("kernel", [8, 16], use_resource=True)
    weights, c, h = tf1.convert_to_tensor(kernel), x, x
    while len(graph.get_operations()) < 0.41 * ops:
      z = tf1.matmul(tf1.concat([x, h], 1), weights)
      i, g, f, o = tf1.split(z, 4, axis=1)
      c = tf1.sigmoid(f) * c + tf1.sigmoid(i) * tf1.tanh(g)
      h = tf1.sigmoid(o) * tf1.tanh(c)
    before = len(graph.get_operations())
    upstream = tf1.placeholder(tf1.float32, [2, 4])
    begin = time.perf_counter()
    targets = tf1.gradients(h, [x, handles.of(kernel)], grad_ys=upstream)
    gradients_s = time.perf_counter() - begin
    new_ops = set(graph.get_operations()[before:])
    search = functools.partial(
      cut.cut, targets, new_ops.__contains__, {upstream.name}, {x.name}
    )
    piece = split.Split([x], [h], residuals=policy)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    plan = choice.find(
      policy,
      search,
      targets,
      piece.shapes,
      frozenset(),
      piece.bytes_of,
    )
    return {
      "ops": len(graph.get_operations()),
      "gradients_s": gradients_s,
      "cut_s": time.perf_counter() - begin,
      "cut_cpu_s": time.process_time() - begin_cpu,
      "kept": len(walk.names(plan.cut.kept)),
      "recomputed": len(plan.cut.recomputed),
    }

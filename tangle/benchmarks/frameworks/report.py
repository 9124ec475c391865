"""PyTorch, JAX, TensorFlow 2 and contrib against split and joint training.

Each candidate runs in its own process, from the same weights on the same batch;
they step in turn, so that ratios are paired. If a candidate's interpreter or
package is missing, its row says so. `frameworks.md` has all results, with
plots. g2p_demo and multi30k are whole jobs: an epoch, the step alone, and
decoding.
"""

import os
import sys
from typing import Optional

from tangle.benchmarks.frameworks import (
  candidates as candidates_lib,
)
from tangle.benchmarks.frameworks import figures, kinds, networks, turns
from tangle.experiments import machine, reports, tables

_OPTIMIZERS = ("sgd", "adam")
_WAITS = ("", "active", "passive")


def compare_frameworks(
  tasks=kinds.NAMES,
  size="design",
  candidates=candidates_lib.NAMES,
  python2="",
  python1="",
  torch_python="",
  multi30k=(),
  optimizer="sgd",
  learning_rate=0.01,
  clip_norm=1.0,
  threads=2,
  op_threads: Optional[int] = None,
  omp_wait_policy="",
  rounds=20,
  budget_s=60.0,
  repeats=1,
  *,
  report=reports.QUIET,
):
  """Compares candidates on tasks, one task after another.

  Args:
    tasks: what to train, some of `kinds.NAMES`.
    size: how large it is, one of `networks.SIZE_NAMES`.
    candidates: what to compare, some of `candidates_lib.NAMES`.
    python2: interpreter that has TensorFlow 2; this one by default.
    python1: interpreter that has TensorFlow 1.15; empty for none.
    torch_python: interpreter that has PyTorch and JAX; this one by default.
    multi30k: source and target file to read for multi30k, instead of drawn
      examples.
    optimizer: what trains, one of `_OPTIMIZERS`.
    learning_rate: that of the optimizer.
    clip_norm: global norm that gradients are scaled down to.
    threads: threads, and processors, of a candidate.
    op_threads: threads inside an op of tangle's networks; as threads by
      default.
    omp_wait_policy: how OpenMP's threads wait, active or passive; as they do by
      themselves if empty.
    rounds: most turns of each candidate.
    budget_s: seconds of a repeat after which no turn begins.
    repeats: how often to repeat everything, each time in new processes.
    report: a `reports.Report`, which also gets a plot of each ratio, and
      `frameworks.md` with all results.

  Returns:
    An ordered dict: task → candidate → figures, as `candidates.measure_task`
    returns them; and machine → the properties that they depend on.

  Raises:
    ArgumentError: if a name is unknown.
    MissingPackageError: if matplotlib is not installed.
  """
  sizes = {name: kinds.find_sizes(name, size) for name in tasks}
  settings = candidates_lib.SharedSettings(
    {
      "python2": python2 or sys.executable,
      "python1": python1,
      "torch_python": torch_python or sys.executable,
    },
    None,  # a size for each task
    networks.Optimizer(optimizer, learning_rate, clip_norm),
    threads,
    options={candidates_lib.TANGLE_NETWORKS: {"op_threads": op_threads}},
    environment={"OMP_WAIT_POLICY": omp_wait_policy} if omp_wait_policy else {},
    files={"multi30k": list(multi30k)},
  )
  timing = turns.TurnSettings(rounds=rounds, budget_s=budget_s, repeats=repeats)
  facts = dict(
    machine.describe(),
    size=size,
    threads=threads,
    optimizer=optimizer,
    omp_wait_policy=omp_wait_policy or "as it is",
    op_threads=op_threads or threads,
    **{name: str(found) for name, found in sizes.items()},
  )
  report.note(**facts)
  results, images = {}, {}
  for name in tasks:
    own = settings._replace(sizes=sizes[name])
    rows = results[name] = candidates_lib.measure_task(
      name, candidates, own, timing
    )
    report.show(rows, figures.columns_of(rows), task=name)
    facts[f"load_after_{name}"] = machine.describe_load()
    images[name] = [
      report.draw_ratios(f"{name}_{ratio}", rows, ratio, f"{name}: {ratio}")
      for ratio in figures.RATIOS
    ]
  report.save("frameworks.md", write(results, facts, images))
  return dict(results, machine=facts)


def write(results, facts, images):
  """Returns all results as Markdown.

  Args:
    results: task → candidate → figures, as `figures.make_rows` returns them.
    facts: name → text or number: machine, settings.
    images: task → PNG files beside the text, `None` for one that is missing.
  """
  summary = [
    [name, column[3:], *(f"{found[key]:.3f}" for key in ("median", "worst"))]
    for name, columns in figures.summarize(results).items()
    for column, found in columns.items()
  ]
  parts = [
    "# Split and joint training in several frameworks",
    "Each candidate ran in its own process; they stepped in turn, from the "
    "same weights on the same batch. Brackets hold quartiles of paired ratios.",
    _list(facts),
    "## All tasks",
    tables.layout(summary, ["to", "median", "worst"], "pipe", "candidate"),
  ]
  versions = {}
  for task, rows in results.items():
    parts += [f"## {task}", _table(rows)]
    parts += [
      f"![{task}: ratios]({os.path.basename(path)})"
      for path in images.get(task, ())
      if path
    ]
    for name, row in rows.items():
      pairs = sorted(row.get("versions", {}).items())
      if pairs:
        versions[name] = ", ".join(f"{key} {value}" for key, value in pairs)
  parts += ["## Columns", _list(figures.COLUMNS)]
  return "\n\n".join([*parts, "## Versions", _list(versions)]) + "\n"


def _list(facts):
  return "\n".join(f"- **{name}**: {value}" for name, value in facts.items())


def _table(rows):
  """Returns the table of a task, and reasons below it."""
  columns = figures.columns_of(rows)
  cells = [
    [name, *(_cell(row, column) for column in columns)]
    for name, row in rows.items()
    if "reason" not in row
  ]
  reasons = {
    name: f"cannot run: {row['reason']}"
    for name, row in rows.items()
    if "reason" in row
  }
  table = tables.layout(cells, columns, "pipe", "candidate")
  return f"{table}\n\n{_list(reasons)}".strip()


def _cell(row, column):
  value = row.get(column)
  if value is None:
    return "–"
  if isinstance(value, bool):
    wrong = column == "same_losses" and not value
    return "**no**" if wrong else "yes" if value else "no"
  if column.endswith("_bytes"):
    return f"{value / 1e6:,.0f} MB"
  if column.endswith("_s"):
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.4g} ms"
  quartiles = row.get(f"{column}_quartiles")
  spread = "" if quartiles is None else " [{:.2f}, {:.2f}]".format(*quartiles)
  return f"{value:.3g}{spread}" if value < 1000 else f"{value:,.0f}"

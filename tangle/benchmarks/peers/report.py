"""PyTorch, JAX, TensorFlow 2 and contrib against split and joint training.

Each contender runs in its own process, from the same weights on the same batch;
they step in turn, so that ratios are paired. If a contender's interpreter or
package is missing, its row says so. `peers.md` has all results, with plots.
g2p_demo and multi30k are whole jobs: an epoch, the step alone, and decoding.
"""

import os
import sys
from typing import Optional

from tangle.benchmarks.peers import figures, harness, kinds, roster
from tangle.benchmarks.peers import tasks as tasks_lib
from tangle.experiments import machine, reports, tables

_OPTIMIZERS = ("sgd", "adam")
_WAITS = ("", "active", "passive")

_MEANINGS = {
  "step_s": "Median seconds of a training step; for g2p of a cycle of them",
  "words_per_s": "Words that are trained on in a second",
  "to_own_joint": "Step over that of the same framework in one graph",
  "to_pytorch": "Step over PyTorch's, split to split and joint to joint",
  "to_contrib": "Words per second over those of TensorFlow 1.15's contrib",
  "to_limit": "Step over its matrix products alone at the best rate measured",
  "step_cpu_s": "Least processor seconds of a step, over all threads",
  "epoch_s": "Seconds of a whole epoch in a new process: reading, planning of "
  "buckets, padding, building, compilation and all steps, but not the import",
  "examples_per_s": "Examples that are trained on in a second of the epoch",
  "epoch_to_pytorch": "Epoch over PyTorch's, in seconds",
  "epoch_cpu_s": "Processor seconds of the epoch, over all threads",
  "padding": "Positions of the epoch's batches, above PyTorch's, as a share",
  "greedy_per_s": "Sources that are decoded in a second by greedy search",
  "beam_per_s": "Likewise by beam search with 4 open sequences",
  "first_step_s": "Seconds of the first step, compilation in it; in the jobs "
  "from the beginning of the epoch",
  "rss_bytes": "Peak resident memory of the process",
  "same_symbols": "Share of sources for which greedy search finds the same "
  "symbols as the first contender's, with its weights",
  "same_losses": "Whether the first losses are the median of all, to 1e-4",
}


def compare(
  tasks=kinds.NAMES,
  size="design",
  contenders=roster.NAMES,
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
  """Compares contenders on tasks, one task after another.

  Args:
    tasks: what to train, some of `kinds.NAMES`.
    size: how large it is, one of `tasks_lib.SIZES`.
    contenders: what to compare, some of `roster.NAMES`.
    python2: interpreter that has TensorFlow 2; this one by default.
    python1: interpreter that has TensorFlow 1.15; empty for none.
    torch_python: interpreter that has PyTorch and JAX; this one by default.
    multi30k: source and target file to read for multi30k, instead of drawn
      examples.
    optimizer: what trains, one of `_OPTIMIZERS`.
    learning_rate: that of the optimizer.
    clip_norm: global norm that gradients are scaled down to.
    threads: threads, and processors, of a contender.
    op_threads: threads inside an op of tangle's networks; as threads by
      default.
    omp_wait_policy: how OpenMP's threads wait, active or passive; as they do by
      themselves if empty.
    rounds: most turns of each contender.
    budget_s: seconds of a repeat after which no turn begins.
    repeats: how often to repeat everything, each time in new processes.
    report: a `reports.Report`, which also gets a plot of each ratio, and
      `peers.md` with all results.

  Returns:
    An ordered dict: task → contender → figures, as `roster.compare` returns
    them; and machine → the properties that they depend on.

  Raises:
    ArgumentError: if a name is unknown.
    MissingPackageError: if matplotlib is not installed.
  """
  sizes = {name: kinds.choose_sizes(name, size) for name in tasks}
  settings = roster.Settings(
    {
      "python2": python2 or sys.executable,
      "python1": python1,
      "torch_python": torch_python or sys.executable,
    },
    None,  # a size for each task
    tasks_lib.Optimizer(optimizer, learning_rate, clip_norm),
    threads,
    options={"ours": {"op_threads": op_threads}},
    environment={"OMP_WAIT_POLICY": omp_wait_policy} if omp_wait_policy else {},
    files={"multi30k": list(multi30k)},
  )
  timing = harness.Settings(rounds=rounds, budget_s=budget_s, repeats=repeats)
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
    rows = results[name] = roster.compare(name, contenders, own, timing)
    report.show(rows, figures.columns_of(rows), task=name)
    facts[f"load_after_{name}"] = machine.describe_load()
    images[name] = [
      report.draw_ratios(f"{name}_{ratio}", rows, ratio, f"{name}: {ratio}")
      for ratio in figures.RATIOS
    ]
  report.save("peers.md", write(results, facts, images))
  return dict(results, machine=facts)


def write(results, facts, images):
  """Writes all results as Markdown.

  Args:
    results: task → contender → figures, as `figures.make_rows` returns them.
    facts: name → text or number: machine, settings.
    images: task → PNG files beside the text, `None` for one that is missing.

  Returns:
    A string.
  """
  summary = [
    [name, column[3:], *(f"{found[key]:.3f}" for key in ("median", "worst"))]
    for name, columns in figures.summarize(results).items()
    for column, found in columns.items()
  ]
  parts = [
    "# Tangle and its peers",
    "Each contender ran in its own process; they stepped in turn, from the "
    "same weights on the same batch. Brackets hold quartiles of paired ratios.",
    _list(facts),
    "## All tasks",
    tables.layout(summary, ["to", "median", "worst"], "pipe", "contender"),
  ]
  for task, rows in results.items():
    parts += [f"## {task}", _table(rows)]
    parts += [
      f"![{task}: ratios]({os.path.basename(path)})"
      for path in images.get(task, ())
      if path
    ]
  parts += ["## Columns", _list(_MEANINGS)]
  parts += ["## Versions", _list(_versions(results))]
  return "\n\n".join(parts) + "\n"


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
  table = tables.layout(cells, columns, "pipe", "contender")
  reasons = {
    name: f"cannot run: {row['reason']}"
    for name, row in rows.items()
    if "reason" in row
  }
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


def _versions(results):
  """Returns contender → its versions, as text."""
  found = {}
  for rows in results.values():
    for name, row in rows.items():
      if "versions" in row:
        pairs = sorted(row["versions"].items())
        found[name] = ", ".join(f"{key} {value}" for key, value in pairs)
  return found

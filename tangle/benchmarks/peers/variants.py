"""Ablations: the effect of each part of tangle and each process setting.

The same training with one thing changed at a time: how runs are made, how
recurrent layers are built, settings of TensorFlow and of the C library's
allocator. Each variant has its own process. All step in turn, so that ratios to
the default are paired.
"""

import sys
from typing import Any, Dict, NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import timing as timing_lib
from tangle.benchmarks.peers import figures, harness, ours, roster
from tangle.benchmarks.peers import tasks as tasks_lib
from tangle.experiments import machine, reports

DEFAULT = "default"
MODES = ours.MODES

COLUMNS = ("step_s", "to_default", "first_step_s", "rss_bytes", "same_losses")
"""Columns of the table."""


class Variant(NamedTuple):
  """One change to the default.

  Attributes:
    about: a description.
    options: arguments of `ours.build`.
    environment: environment variables of the process.
  """

  about: str
  options: Dict[str, Any]
  environment: Dict[str, str]


_KEEP_MEMORY = {
  "MALLOC_TRIM_THRESHOLD_": "4294967296",
  "MALLOC_MMAP_THRESHOLD_": "4294967296",
  "MALLOC_TOP_PAD_": "67108864",
}
_XLA = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}

VARIANTS = {
  DEFAULT: Variant("fused layers, prepared runs", {}, {}),
  "session_run": Variant("`Session.run` for each run", {"runs": "session"}, {}),
  "one_op_thread": Variant("one thread inside an op", {"op_threads": 1}, {}),
  "cells": Variant("cell by cell", {"implementation": "cells"}, {}),
  "onednn_off": Variant(
    "no oneDNN kernels", {}, {"TF_ENABLE_ONEDNN_OPTS": "0"}
  ),
  "xla": Variant("clusters compiled by XLA", {}, _XLA),
  "keep_memory": Variant(
    "glibc gives no memory back to the system", {}, _KEEP_MEMORY
  ),
  "one_arena": Variant("one arena of glibc", {}, {"MALLOC_ARENA_MAX": "1"}),
}
"""Name → `Variant`."""

NAMES = tuple(VARIANTS)
"""Names of the variants."""


def compare(
  tasks=tasks_lib.NAMES,
  size="design",
  variants=NAMES,
  mode="split",
  python="",
  threads=2,
  rounds=20,
  budget_s=60.0,
  repeats=1,
  *,
  report=reports.QUIET,
):
  """Measures variants of trainings.

  Args:
    tasks: what to train, some of `tasks_lib.NAMES`.
    size: how large it is, one of `tasks_lib.SIZES`.
    variants: what to compare, some of `NAMES`, including the default.
    mode: in parts or in one graph, one of `MODES`.
    python: interpreter that has the TensorFlow to measure; this one by default.
    threads: threads, and processors, of a process.
    rounds: most turns of each variant.
    budget_s: seconds of a repeat after which no turn begins.
    repeats: how often to repeat everything, each time in new processes.
    report: a `reports.Report`, which also gets a plot for each task.

  Returns:
    Task → variant → `step_s`, `to_default` with quartiles, `first_step_s`,
    `rss_bytes`, `same_losses`, or a `reason`.

  Raises:
    ArgumentError: if a variant is unknown, or the default is missing.
  """
  settings = roster.Settings(
    {"python2": python or sys.executable},
    tasks_lib.SIZES[size],
    tasks_lib.Optimizer("sgd", 0.01, 1.0),
    threads,
  )
  timing = harness.Settings(rounds=rounds, budget_s=budget_s, repeats=repeats)
  report.note(size=size, mode=mode, **machine.describe())
  results = {}
  for task in tasks:
    rows = results[task] = measure(task, variants, settings, mode, timing)
    report.show(rows, COLUMNS, "variant", task=task)
    report.draw_ratios(
      f"{task}_to_default", rows, "to_default", f"{task}: step to default"
    )
  return results


def measure(task, names, settings, mode="split", timing=None):
  """Measures variants of a training.

  Args:
    task: one of `tasks_lib.NAMES`.
    names: names of the variants, from `NAMES`, including the default.
    settings: a `roster.Settings` whose `pythons` has python2.
    mode: split or joint.
    timing: a `harness.Settings`.

  Returns:
    Variant → figures, as from `compare`.

  Raises:
    ArgumentError: as `compare`.
  """
  for name in names:
    if name not in VARIANTS:
      raise errors.ArgumentError(
        f"variants.compare: variants must be of {NAMES}, got {name!r}."
      )
  if DEFAULT not in names:
    raise errors.ArgumentError(
      f"variants.compare: {DEFAULT!r} must be among the variants, as the "
      f"others are compared with it; got {list(names)}."
    )
  contenders = {}
  for name in names:
    variant = VARIANTS[name]
    changed = settings._replace(
      options={"ours": variant.options},
      environment=dict(settings.environment, **variant.environment),
    )
    contenders[name] = roster.make_contender(f"tangle_{mode}", task, changed)
  return make_rows(harness.measure(contenders, timing))


def make_rows(found):
  """Computes figures from the measurements of a harness.

  Args:
    found: name → dict, as `harness.measure` returns it.

  Returns:
    As `compare`.
  """
  base = found[DEFAULT]
  seconds = {
    name: np.array(measured["seconds"])
    for name, measured in found.items()
    if "reason" not in measured
  }
  figured = timing_lib.make_rows(seconds, default=DEFAULT)
  rows = {}
  for name, measured in found.items():
    if "reason" in measured:
      rows[name] = {"reason": measured["reason"]}
      continue
    row = rows[name] = figured[name]
    row["first_step_s"] = measured["first_step_s"]
    row["rss_bytes"] = measured["rss_bytes"]
    if "reason" not in base:
      same = np.allclose(
        measured["losses"], base["losses"], rtol=figures.TOLERANCE, atol=0
      )
      row["same_losses"] = bool(same)
  return rows

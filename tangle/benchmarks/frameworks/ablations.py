"""Ablations: the effect of each part of tangle and each process setting.

The same training with one thing changed at a time: how runs are made, how
recurrent layers are built, settings of TensorFlow and of the C library's
allocator. Each has its own process. All step in turn, so that ratios to the
default are paired.
"""

import sys
from typing import Any, Dict, NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import names, timing
from tangle.benchmarks.frameworks import (
  candidates,
  figures,
  in_tangle,
  networks,
  turns,
)
from tangle.experiments import machine, reports

DEFAULT = "default"
MODES = in_tangle.MODES

COLUMNS = ("step_s", "to_default", "first_step_s", "rss_bytes", "same_losses")
"""Columns of the table."""


class Ablation(NamedTuple):
  """One change to the default.

  Attributes:
    about: a description.
    options: arguments of `in_tangle.build_networks`.
    environment: environment variables of the process.
  """

  about: str
  options: Dict[str, Any] = {}
  environment: Dict[str, str] = {}


_KEEP_MEMORY = {
  "MALLOC_TRIM_THRESHOLD_": "4294967296",
  "MALLOC_MMAP_THRESHOLD_": "4294967296",
  "MALLOC_TOP_PAD_": "67108864",
}
_XLA = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}

ABLATIONS = {
  DEFAULT: Ablation("fused layers, prepared runs"),
  "session_run": Ablation("`Session.run` for each run", {"runs": "session"}),
  "one_op_thread": Ablation("one thread inside an op", {"op_threads": 1}),
  "cells": Ablation("cell by cell", {"implementation": "cells"}),
  "onednn_off": Ablation(
    "no oneDNN kernels", {}, {"TF_ENABLE_ONEDNN_OPTS": "0"}
  ),
  "xla": Ablation("clusters compiled by XLA", {}, _XLA),
  "keep_memory": Ablation(
    "glibc gives no memory back to the system", {}, _KEEP_MEMORY
  ),
  "one_arena": Ablation("one arena of glibc", {}, {"MALLOC_ARENA_MAX": "1"}),
}
"""Name → `Ablation`."""

NAMES = tuple(ABLATIONS)
"""Names of the ablations."""


@errors.named("ablations.compare_changes")
def compare_changes(
  tasks=networks.NAMES,
  size="design",
  ablations=NAMES,
  mode="split",
  python="",
  threads=2,
  rounds=20,
  budget_s=60.0,
  repeats=1,
  *,
  report=reports.QUIET,
):
  """Measures ablations of trainings.

  Args:
    tasks: what to train, some of `networks.NAMES`.
    size: how large it is, one of `networks.SIZE_NAMES`.
    ablations: what to compare, some of `NAMES`, including the default.
    mode: in parts or in one graph, one of `MODES`.
    python: interpreter that has the TensorFlow to measure; this one by default.
    threads: threads, and processors, of a process.
    rounds: most turns of each ablation.
    budget_s: seconds of a repeat after which no turn begins.
    repeats: how often to repeat everything, each time in new processes.
    report: a `reports.Report`, which also gets a plot for each task.

  Returns:
    Task → ablation → `step_s`, `to_default` with quartiles, `first_step_s`,
    `rss_bytes`, `same_losses`, or a `reason`.

  Raises:
    ArgumentError: if an ablation is unknown, or the default is missing.
  """
  for name in ablations:
    names.check("an ablation", name, NAMES)
  if DEFAULT not in ablations:
    raise errors.ArgumentError(
      f"{DEFAULT!r} must be among the ablations, as "
      f"the others are compared with it; got {list(ablations)}."
    )
  optimizer = networks.Optimizer("sgd", 0.01, 1.0)
  pythons = {"python2": python or sys.executable}
  settings = turns.TurnSettings(
    rounds=rounds, budget_s=budget_s, repeats=repeats
  )
  report.note(size=size, mode=mode, **machine.describe())
  results = {}
  for task in tasks:
    sizes = networks.SIZES[task][size]
    shared = candidates.SharedSettings(pythons, sizes, optimizer, threads)
    made = {
      name: make_candidate(name, f"tangle_{mode}", task, shared)
      for name in ablations
    }
    rows = results[task] = make_rows(turns.measure(made, settings))
    report.show(rows, COLUMNS, "ablation", task=task)
    report.draw_ratios(
      f"{task}_to_default", rows, "to_default", f"{task}: step to default"
    )
  return results


def make_candidate(name, candidate, task, settings):
  """Returns how to start an ablation, a `turns.Candidate`.

  Args:
    name: one of `NAMES`.
    candidate: tangle_split or tangle_joint.
    task: one of `networks.NAMES`.
    settings: a `candidates.SharedSettings` that all share.
  """
  ablation = ABLATIONS[name]
  changed = settings._replace(
    options={candidates.TANGLE_NETWORKS: ablation.options},
    environment=ablation.environment,
  )
  return candidates.make_candidate(candidate, task, changed)


def make_rows(found):
  """Returns the rows of a task, for what `turns.measure` has `found`."""
  ran = {name: row for name, row in found.items() if "reason" not in row}
  seconds = {name: np.array(row["seconds"]) for name, row in ran.items()}
  rows = dict(found, **timing.make_rows(seconds, default=DEFAULT))
  for name, measured in ran.items():
    row = rows[name]
    row["first_step_s"] = measured["first_step_s"]
    row["rss_bytes"] = measured["rss_bytes"]
    if DEFAULT in ran:
      row["same_losses"] = np.allclose(
        measured["losses"],
        ran[DEFAULT]["losses"],
        rtol=figures.TOLERANCE,
        atol=0,
      )
  return rows

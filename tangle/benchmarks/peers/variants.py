"""Ablations: the effect of each part of tangle and each process setting.

The same training with one thing changed at a time: how runs are made, how
recurrent layers are built, settings of TensorFlow and of the C library's
allocator. Each variant has its own process. All step in turn, so that ratios to
the default are paired.
"""

import collections
from typing import Any, Dict, NamedTuple

import numpy as np

from tangle import errors
from tangle.benchmarks import timing as timing_lib
from tangle.benchmarks.peers import figures, harness, roster

DEFAULT = "default"

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


VARIANTS = collections.OrderedDict(
  [
    (DEFAULT, Variant("fused layers, prepared runs", {}, {})),
    (
      "session_run",
      Variant("`Session.run` for each run", {"runs": "session"}, {}),
    ),
    (
      "one_op_thread",
      Variant("one thread inside an op", {"op_threads": 1}, {}),
    ),
    (
      "cells",
      Variant("cell by cell", {"implementation": "cells"}, {}),
    ),
    (
      "onednn_off",
      Variant("no oneDNN kernels", {}, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    ),
    (
      "xla",
      Variant(
        "clusters compiled by XLA",
        {},
        {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"},
      ),
    ),
    (
      "keep_memory",
      Variant(
        "glibc gives no memory back to the system",
        {},
        {
          "MALLOC_TRIM_THRESHOLD_": "4294967296",
          "MALLOC_MMAP_THRESHOLD_": "4294967296",
          "MALLOC_TOP_PAD_": "67108864",
        },
      ),
    ),
    (
      "one_arena",
      Variant("one arena of glibc", {}, {"MALLOC_ARENA_MAX": "1"}),
    ),
  ]
)
"""Name → `Variant`."""

NAMES = tuple(VARIANTS)
"""Names of the variants."""


def compare(task, names, settings, mode="split", timing=None):
  """Measures variants of a training.

  Args:
    task: one of `tasks.NAMES`.
    names: names of the variants, from `NAMES`, including the default.
    settings: a `roster.Settings` whose `pythons` has python2.
    mode: split or joint.
    timing: a `harness.Settings`.

  Returns:
    Name → figures: `step_s`, `to_default` with quartiles, `first_step_s`,
    `rss_bytes`, `same_losses`, or a `reason`.

  Raises:
    ArgumentError: if a variant is unknown, or the default is missing.
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
  contenders = collections.OrderedDict()
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
  rows = collections.OrderedDict()
  for name, measured in found.items():
    if "reason" in measured:
      rows[name] = {"reason": measured["reason"]}
      continue
    seconds = np.array(measured["seconds"])
    row = {
      "step_s": float(np.median(seconds)),
      "first_step_s": measured["first_step_s"],
      "rss_bytes": measured["rss_bytes"],
    }
    if "reason" not in base:
      ratio = timing_lib.ratio(seconds, np.array(base["seconds"]))
      row["to_default"] = ratio.median
      row["to_default_quartiles"] = [ratio.low, ratio.high]
      row["same_losses"] = bool(
        np.allclose(
          measured["losses"], base["losses"], rtol=figures.TOLERANCE, atol=0
        )
      )
    rows[name] = row
  return rows

"""Figures of the real jobs: those of steps, and of epochs and decoding."""

import math

import numpy as np

from tangle.benchmarks.peers import figures, jobs_measure

PYTORCH = "pytorch_joint"
"""The contender that ratios are relative to."""


def make_rows(found, flops):
  """Computes figures from the measurements of contenders.

  Args:
    found: name → dict, as `jobs_measure.measure` returns it.
    flops: floating-point operations of a step.

  Returns:
    Name → figures, as `figures.make_rows` returns them, with `to_pytorch` for
    either mode. In addition `step_cpu_s`, the lowest processor time of a step;
    `epoch_s`, including the reading of the examples but not the import of the
    framework; `examples_per_s` of the epoch; `epoch_cpu_s`; `epoch_to_pytorch`,
    a ratio of seconds; `padding`, the share of positions above PyTorch's;
    `greedy_per_s` and `beam_per_s`, sources per second; `same_symbols`, the
    share of sources for which greedy search has found the same symbols as the
    first contender. A contender with another network has losses of NaN, and no
    `same_losses`.
  """
  rows = figures.make_rows(found, flops, pytorch=PYTORCH)
  expected = None
  for name, row in rows.items():
    measured = found.get(name, {})
    if "epoch" not in measured or "reason" in row:
      continue
    epoch = measured["epoch"]
    reading_s = measured["build_s"] - measured["import_s"]
    row["step_cpu_s"] = min(measured["cpu_s"])
    row["epoch_s"] = epoch["wall_s"] + reading_s
    row["examples_per_s"] = epoch["examples"] / row["epoch_s"]
    row["epoch_cpu_s"] = epoch["cpu_s"]
    row["epoch"] = {k: epoch[k] for k in ("steps", "positions", "loss")}
    for key, _ in jobs_measure.SEARCHES:
      if key in measured:
        sums = measured[key]["checksums"]
        row[f"{key}_per_s"] = len(sums) / measured[key]["seconds"]
        row[f"{key}_length"] = measured[key]["lengths"]
    if any(math.isnan(loss) for loss in row["losses"]):
      for key in ("losses", "loss_difference", "same_losses"):
        del row[key]
    elif "greedy" in measured:
      sums = np.array(measured["greedy"]["checksums"])
      expected = sums if expected is None else expected
      row["same_symbols"] = float(np.mean(sums == expected))
  _compare_epochs(rows)
  return rows


def _compare_epochs(rows):
  base = rows.get(PYTORCH, {})
  if "epoch_s" not in base:
    return
  for row in rows.values():
    if "epoch_s" in row:
      row["epoch_to_pytorch"] = row["epoch_s"] / base["epoch_s"]
      positions = row["epoch"]["positions"] / row["epoch"]["steps"]
      positions /= base["epoch"]["positions"] / base["epoch"]["steps"]
      row["padding"] = positions - 1

"""Figures of candidates: paired ratios, the roofline, agreement of losses."""

import math

import numpy as np

from tangle.benchmarks import timing
from tangle.benchmarks.frameworks import turns

COLUMNS = {
  "step_s": "Median seconds of a training step; for g2p of a cycle of them",
  "words_per_s": "Words that are trained on in a second",
  "to_own_joint": "Step over that of the same framework in one graph",
  "to_pytorch": "Step over PyTorch's, split to split and joint to joint",
  "to_contrib": "Words per second over those of TensorFlow 1.15's contrib",
  "to_roofline": "Step over its matrix products alone at the best rate "
  "measured",
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
  "same_losses": "Whether the first losses are the median of all, to 1e-4",
  "same_symbols": "Share of sources for which greedy search finds the same "
  "symbols as the first candidate's, with its weights",
}
"""Column → its meaning; a table has those of `columns_of`."""

RATIOS = tuple(column for column in COLUMNS if column.startswith("to_"))
"""Columns that have quartiles, and are plotted."""

CONTRIB = "contrib_joint"
"""The candidate that `to_contrib` is relative to."""

PYTORCH = "pytorch_joint"
"""The candidate that ratios of jobs are relative to."""

TOLERANCE = 1e-4
"""Largest allowed relative difference of a loss from the median of all."""

ROOFLINE = "roofline"
"""Prefix of candidates that only compute matrix products; name of a row."""


def columns_of(rows):
  """Returns those of `COLUMNS` that some row of `rows` has."""
  held = set().union(*rows.values()) if rows else set()
  return tuple(column for column in COLUMNS if column in held)


def make_rows(found, flops, words=0, is_job=False):
  """Computes figures from the measurements of a task.

  Args:
    found: name → dict, as `turns.measure` returns it. Names end in `_split` or
      `_joint`; those that begin with `ROOFLINE` return rates.
    flops: floating-point operations of a step.
    words: words that a step trains on; 0 if there are none.
    is_job: whether they did a whole job.

  Returns:
    Name → figures, as in `COLUMNS`, or a `reason`. Ratios to other candidates
    are medians of pairs. `to_pytorch` is relative to PyTorch in the same mode;
    in a job, always in joint. For `to_contrib` alone higher is better. Ratios
    have quartiles, too. The row `ROOFLINE` has `flops`, the best `rate` of a
    product, and `step_s`, the time of a step with only products at this rate.
    In a job, a candidate with another network has losses of NaN, and no
    `same_losses`.
  """
  rows, roofline = {}, _find_roofline(found, flops)
  losses = [
    measured["losses"]
    for name, measured in found.items()
    if "losses" in measured and not name.startswith(ROOFLINE)
  ]
  medians = np.nanmedian(losses, axis=0) if losses else None
  for name, measured in found.items():
    if name.startswith(ROOFLINE):
      continue
    if "reason" in measured:
      rows[name] = {"reason": measured["reason"]}
      continue
    seconds = np.array(measured["seconds"])
    quartiles = np.percentile(seconds, [25, 75])
    row = rows[name] = {
      "step_s": float(np.median(seconds)),
      "step_s_quartiles": quartiles.tolist(),
      "rounds": len(seconds),
    }
    if words:
      row["words_per_s"] = words / row["step_s"]
    _add_ratios(row, name, found, PYTORCH if is_job else None)
    if "step_s" in roofline:
      row["to_roofline"] = row["step_s"] / roofline["step_s"]
      row["to_roofline_quartiles"] = (quartiles / roofline["step_s"]).tolist()
    for key in ("first_step_s", "build_s", "rss_bytes", "losses", "versions"):
      row[key] = measured[key]
    relative = np.abs(np.array(row["losses"]) - medians) / np.abs(medians)
    row["loss_difference"] = float(relative.max())
    row["same_losses"] = row["loss_difference"] <= TOLERANCE
  if is_job:
    _add_job(rows, found)
  if roofline:
    rows[ROOFLINE] = roofline
  return rows


def _add_ratios(row, name, found, pytorch):
  """Adds the ratios to other candidates."""
  mode = name.rsplit("_", 1)[-1]
  bases = {
    "to_own_joint": name[: -len(mode)] + "joint",
    "to_pytorch": pytorch or f"pytorch_{mode}",
    "to_contrib": CONTRIB,
  }
  for column, base in bases.items():
    if "seconds" in found.get(base, {}):
      pair = [np.array(found[key]["seconds"]) for key in (name, base)]
      # Words per second: higher is better, so the ratio is inverted.
      pair = pair[::-1] if column == "to_contrib" else pair
      timing.add_ratio(row, column, *pair)


def _find_roofline(found, flops):
  """Returns the row of the roofline; empty if it was not measured."""
  asked = {k: v for k, v in found.items() if k.startswith(ROOFLINE)}
  rates = {
    name: max(measured["values"] + measured["losses"])
    for name, measured in asked.items()
    if "reason" not in measured
  }
  if rates:
    best = max(rates, key=rates.get)
    rate = rates[best]
    return {
      "step_s": flops / rate,
      "to_roofline": 1.0,
      "flops": flops,
      "rate": rate,
      "best": best,
      "rates": rates,
    }
  return {"reason": next(iter(asked.values()))["reason"]} if asked else {}


def _add_job(rows, found):
  """Adds the figures of epochs and of decoding."""
  expected = None
  for name, row in rows.items():
    if "reason" in row:
      continue
    measured = found[name]
    epoch = measured["epoch"]
    reading_s = measured["build_s"] - measured["import_s"]
    row["step_cpu_s"] = min(measured["cpu_s"])
    row["epoch_s"] = epoch["wall_s"] + reading_s
    row["examples_per_s"] = epoch["examples"] / row["epoch_s"]
    row["epoch_cpu_s"] = epoch["cpu_s"]
    row["epoch"] = {k: epoch[k] for k in ("steps", "positions", "loss")}
    for key in dict(turns.SEARCHES):
      if key in measured:
        count = len(measured[key]["checksums"])
        row[f"{key}_per_s"] = count / measured[key]["seconds"]
        row[f"{key}_length"] = measured[key]["lengths"]
    if any(math.isnan(loss) for loss in row["losses"]):
      for key in ("losses", "loss_difference", "same_losses"):
        del row[key]
    elif "greedy" in measured:
      sums = np.array(measured["greedy"]["checksums"])
      expected = sums if expected is None else expected
      row["same_symbols"] = float(np.mean(sums == expected))
  base = rows.get(PYTORCH, {})
  for row in rows.values():
    if "epoch_s" in row and "epoch_s" in base:
      row["epoch_to_pytorch"] = row["epoch_s"] / base["epoch_s"]
      positions, other = (
        each["epoch"]["positions"] / each["epoch"]["steps"]
        for each in (row, base)
      )
      row["padding"] = positions / other - 1


def summarize(tasks):
  """Returns the figures over all tasks.

  Args:
    tasks: task → rows, as `make_rows` returns them.

  Returns:
    Candidate → `to_own_joint` and `to_pytorch`, each with `median` and `worst`
    over the tasks that have it. Candidates that have neither are left out.
  """
  found = {}
  for rows in tasks.values():
    for name, row in rows.items():
      for column in ("to_own_joint", "to_pytorch"):
        if column in row:
          values = found.setdefault(name, {}).setdefault(column, [])
          values.append(row[column])
  return {
    name: {
      column: {"median": float(np.median(values)), "worst": max(values)}
      for column, values in columns.items()
    }
    for name, columns in found.items()
  }

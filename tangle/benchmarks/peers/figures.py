"""Figures of contenders: paired ratios, the limit, agreement of losses."""

import collections

import numpy as np

from tangle.benchmarks import timing

COLUMNS = (
  "step_s",
  "words_per_s",
  "to_own_joint",
  "to_pytorch",
  "to_contrib",
  "to_limit",
  "step_cpu_s",
  "epoch_s",
  "examples_per_s",
  "epoch_to_pytorch",
  "epoch_cpu_s",
  "padding",
  "greedy_per_s",
  "beam_per_s",
  "first_step_s",
  "rss_bytes",
  "same_losses",
  "same_symbols",
)
"""Columns that a table shows if a row has them; see `columns_of`."""

RATIOS = tuple(column for column in COLUMNS if column.startswith("to_"))
"""Columns that have quartiles, and are plotted."""

CONTRIB = "contrib_joint"
"""The contender that `to_contrib` is relative to."""

TOLERANCE = 1e-4
"""Largest allowed relative difference of a loss from the median of all."""

LIMIT = "limit"
"""Prefix of contenders that only compute matrix products; name of a row."""


def columns_of(rows):
  """Returns the columns of a task's table: those that a row has.

  Args:
    rows: name → figures, as `make_rows` returns them.

  Returns:
    A tuple of names.
  """
  held = set().union(*rows.values()) if rows else set()
  return tuple(column for column in COLUMNS if column in held)


def make_rows(found, flops, words=0, pytorch=None):
  """Computes figures from the measurements of a harness.

  Args:
    found: name → dict, as `harness.measure` returns it. Names end in `_split`
      or `_joint`; those that begin with `LIMIT` return rates.
    flops: floating-point operations of a step.
    words: words that a step trains on; 0 if there are none.
    pytorch: contender that `to_pytorch` is relative to; by default PyTorch in
      the same mode.

  Returns:
    Name → figures, or a `reason`. `to_own_joint` is the median ratio to the
    same contender's joint training; `to_pytorch` that to PyTorch in the same
    mode; `to_limit` is the median step time over the limit's. With words there
    are `words_per_s`, and `to_contrib`, their median ratio to those of
    `CONTRIB`, the only ratio for which higher is better. Paired ratios have
    quartiles, too. The row `LIMIT` has `flops`, the best `rate` of a product,
    and `step_s`, the time of a step with only products at this rate.
  """
  rows = {}
  limit = _find_limit(found, flops)
  medians = _median_losses(found)
  for name, measured in found.items():
    if name.startswith(LIMIT):
      continue
    if "reason" in measured:
      rows[name] = {"reason": measured["reason"]}
      continue
    seconds = np.array(measured["seconds"])
    low, median, high = np.percentile(seconds, [25, 50, 75])
    row = {
      "step_s": float(median),
      "step_s_quartiles": [float(low), float(high)],
      "rounds": len(seconds),
    }
    if words:
      row["words_per_s"] = words / row["step_s"]
    for column, ratio in _pair(name, seconds, found, pytorch).items():
      row[column] = ratio.median
      row[f"{column}_quartiles"] = [ratio.low, ratio.high]
    if "step_s" in limit:
      row["to_limit"] = row["step_s"] / limit["step_s"]
      row["to_limit_quartiles"] = [s / limit["step_s"] for s in (low, high)]
    for key in ("first_step_s", "build_s", "rss_bytes", "losses", "versions"):
      row[key] = measured[key]
    row["loss_difference"] = _difference(measured["losses"], medians)
    row["same_losses"] = row["loss_difference"] <= TOLERANCE
    rows[name] = row
  if limit:
    rows[LIMIT] = limit
  return rows


def _pair(name, seconds, found, pytorch):
  """Returns column → `timing.ratio` to the contender of that column."""
  mode = name.rsplit("_", 1)[-1]
  bases = {
    "to_own_joint": name[: -len(mode)] + "joint",
    "to_pytorch": pytorch or f"pytorch_{mode}",
    "to_contrib": CONTRIB,
  }
  ratios = collections.OrderedDict()
  for column, base in bases.items():
    other = found.get(base, {})
    if "seconds" in other:
      pair = seconds, np.array(other["seconds"])
      # Words per second: higher is better, so the ratio is inverted.
      pair = pair[::-1] if column == "to_contrib" else pair
      ratios[column] = timing.ratio(*pair)
  return ratios


def _find_limit(found, flops):
  """Returns the row of the limit; empty if the limit was not measured."""
  asked = {k: v for k, v in found.items() if k.startswith(LIMIT)}
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
      "to_limit": 1.0,
      "flops": flops,
      "rate": rate,
      "best": best,
      "rates": rates,
    }
  if asked:
    return {"reason": next(iter(asked.values()))["reason"]}
  return {}


def _median_losses(found):
  """Returns the medians of the first losses over all contenders."""
  losses = [
    measured["losses"]
    for name, measured in found.items()
    if "losses" in measured and not name.startswith(LIMIT)
  ]
  return np.nanmedian(losses, axis=0) if losses else None


def _difference(losses, medians):
  relative = np.abs(np.array(losses) - medians) / np.abs(medians)
  return float(relative.max())


def summarize(tasks):
  """Returns the figures over all tasks.

  Args:
    tasks: task → rows, as `make_rows` returns them.

  Returns:
    Contender → `to_own_joint` and `to_pytorch`, each with `median` and `worst`
    over the tasks that have it. Contenders that have neither are left out.
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

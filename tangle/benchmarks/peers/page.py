"""One HTML page of all results, which needs no server and no network."""

import base64
import html
import os

from tangle.benchmarks import tables
from tangle.benchmarks.peers import figures

_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto;
       padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .25em .8em; text-align: right;
         border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
td.reason { text-align: left; color: #777; }
td.wrong { color: #b00; font-weight: bold; }
img { max-width: 100%; }
"""

_MEANINGS = {
  "step_s": "Median seconds of a training step; for g2p of a cycle of them",
  "words_per_s": "Words that are trained on in a second",
  "to_own_joint": "Step over that of the same framework in one graph",
  "to_pytorch": "Step over PyTorch's, split to split and joint to joint",
  "to_contrib": "Words a second over those of TensorFlow 1.15's contrib",
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


def draw(folder, task, rows):
  """Draws each ratio that a task has, with its quartiles.

  Args:
    folder: where to write `<task>_<ratio>.png`.
    task: name of the task.
    rows: contender → figures, as `figures.make_rows` returns them.

  Returns:
    A list of the files, for `write`.

  Raises:
    MissingPackageError: if matplotlib is not installed.
  """
  paths = []
  for column in figures.RATIOS:
    drawn = {k: v for k, v in rows.items() if f"{column}_quartiles" in v}
    if drawn:
      path = os.path.join(folder, f"{task}_{column}.png")
      tables.plot_ratios(drawn, column, f"{task}: {column}", path)
      paths.append(path)
  return paths


def write(path, results, facts, images=None):
  """Writes the page.

  Args:
    path: the HTML file to write.
    results: task → contender → figures, as `figures.make_rows` returns them.
    facts: name → text or number: machine, settings.
    images: task → list of PNG files to embed in the page.
  """
  parts = [
    "<!DOCTYPE html>",
    '<html lang="en"><head><meta charset="utf-8">',
    f"<title>Tangle and its peers</title><style>{_STYLE}</style></head><body>",
    "<h1>Tangle and its peers</h1>",
    "<p>Each contender ran in a process of its own; they stepped in turn, from "
    "the same weights on the same batch. Brackets hold quartiles of the ratios "
    "of pairs.</p>",
    _list(facts),
    "<h2>All tasks</h2>",
    _table_of_summary(figures.summarize(results)),
  ]
  for task, rows in results.items():
    parts += [f"<h2>{html.escape(task)}</h2>", _table(rows)]
    parts += [_image(file, task) for file in (images or {}).get(task, ())]
  parts += [
    "<h2>Columns</h2>",
    _list(_MEANINGS),
    "<h2>Versions</h2>",
    _list(_versions(results)),
    "</body></html>",
  ]
  with open(path, "w", encoding="utf-8", newline="\n") as file:
    file.write("\n".join(parts) + "\n")


def _list(facts):
  items = [
    f"<li><b>{html.escape(str(name))}</b>: {html.escape(str(value))}</li>"
    for name, value in facts.items()
  ]
  return "<ul>" + "\n".join(items) + "</ul>"


def _row(cells, tag="td"):
  return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _table(rows):
  """Returns the table of a task."""
  columns = figures.columns_of(rows)
  lines = [_row(["", *columns], "th")]
  for name, row in rows.items():
    if "reason" in row:
      reason = html.escape(f"cannot run: {row['reason']}")
      lines.append(
        f"<tr><td>{html.escape(name)}</td>"
        f'<td class="reason" colspan="{len(columns)}">{reason}</td>'
        f"</tr>"
      )
      continue
    cells = [html.escape(name)]
    cells += [_cell(row, column) for column in columns]
    line = _row(cells)
    if row.get("same_losses") is False:
      line = line.replace("<td>no</td>", '<td class="wrong">no</td>')
    lines.append(line)
  return "<table>" + "\n".join(lines) + "</table>"


def _cell(row, column):
  value = row.get(column)
  if value is None:
    return "&ndash;"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if column.endswith("_bytes"):
    return f"{value / 1e6:,.0f} MB"
  if column.endswith("_s"):
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.4g} ms"
  quartiles = row.get(f"{column}_quartiles")
  spread = "" if quartiles is None else " [{:.2f}, {:.2f}]".format(*quartiles)
  return f"{value:.3g}{spread}" if value < 1000 else f"{value:,.0f}"


def _table_of_summary(summary):
  lines = [_row(["", "to", "median", "worst"], "th")]
  for name, columns in summary.items():
    for column, found in columns.items():
      numbers = [f"{found[key]:.3f}" for key in ("median", "worst")]
      lines.append(_row([html.escape(name), column[3:], *numbers]))
  return "<table>" + "\n".join(lines) + "</table>"


def _image(path, task):
  with open(path, "rb") as file:
    data = base64.b64encode(file.read()).decode("ascii")
  alt = html.escape(f"ratios of {task}")
  return f'<p><img alt="{alt}" src="data:image/png;base64,{data}"></p>'


def _versions(results):
  """Returns contender → its versions, as text."""
  found = {}
  for rows in results.values():
    for name, row in rows.items():
      if "versions" in row:
        pairs = sorted(row["versions"].items())
        found[name] = ", ".join(f"{key} {value}" for key, value in pairs)
  return found

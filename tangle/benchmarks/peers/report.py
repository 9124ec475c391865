"""Compares contenders on several tasks, and writes the results."""

import os

from tangle.benchmarks import tables
from tangle.benchmarks.peers import figures, kinds, page, roster
from tangle.experiments import machine
from tangle.training import records


def compare(names, size, contenders, settings, timing, out_dir, **facts):
  """Compares contenders on tasks, one task after another.

  Prints the table of each task as soon as it is measured.

  Args:
    names: names of the tasks.
    size: name of their size.
    contenders: names of `roster.NAMES`.
    settings: a `roster.Settings`, whose sizes are those of each task.
    timing: a `harness.Settings`.
    out_dir: folder where to write `metrics.jsonl`, with a record per task and
      contender; a plot of each ratio; and `peers.html`, a page with all
      results.
    **facts: name → further text or number for the page.

  Returns:
    An ordered dict: task → contender → figures, as `roster.compare` returns
    them; and `machine` → the further facts of the page.

  Raises:
    ArgumentError: if a name is unknown.
    MissingPackageError: if matplotlib is not installed.
  """
  sizes = {name: kinds.choose_sizes(name, size) for name in names}
  facts = dict(
    machine.describe(),
    size=size,
    threads=settings.threads,
    optimizer=settings.optimizer.name,
    **facts,
  )
  facts.update({name: str(found) for name, found in sizes.items()})
  journal = records.Records(out_dir)
  journal.write(**facts)
  results, images = {}, {}
  for name in names:
    own = settings._replace(sizes=sizes[name])
    rows = roster.compare(name, contenders, own, timing)
    for contender, row in rows.items():
      journal.write(task=name, contender=contender, **row)
    print(name)
    print(tables.format_table(rows, figures.columns_of(rows)), flush=True)
    results[name] = rows
    facts[f"load_after_{name}"] = machine.describe_load()
    images[name] = page.draw(out_dir, name, rows)
  page.write(os.path.join(out_dir, "peers.html"), results, facts, images)
  results["machine"] = facts
  return results

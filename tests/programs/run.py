"""Tries every store on every program: `python -m tests.programs.run`.

    python -m tests.programs.run --pythons=.venv-tf1/bin/python --verbose

Prints a table in Markdown, with a row for each program and how it is cut, then
how often each store ended how, and last one JSON object. `--verbose` prints
what was said where it is not right. Ends with 1 if a gradient is wrong, or
something fails after sub-models are made.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import time

from tangle import compat
from tangle.compat import tf1
from tangle.experiments import control_flow
from tangle.partial import sub_model
from tests.programs import checks, listing

KINDS = ("resource", "reference")
STYLES = control_flow.STYLES
STORES = sub_model.STORES + (sub_model.AUTO,)
BAD = (checks.WRONG, checks.HANGS, checks.FAILS)


def tabulate(names=None, stores=STORES, out=None):
  """Tries programs with stores, on the TensorFlow that is installed.

  Args:
    names: keys of `listing.ALL`; all by default.
    stores: names of stores.
    out: where to print progress; nowhere by default.

  Returns:
    A dict: program and cut → kind of variables and style of control flow →
    store → dict of `outcome` and `text`.
  """
  found = collections.OrderedDict()
  begin = time.monotonic()
  for name in names or listing.ALL:
    for style in STYLES:
      with compat.control_flow(style == "v2"):
        _tabulate_style(found, name, style, stores)
    if out is not None:
      seconds = time.monotonic() - begin
      print(f"{name}: after {seconds:.0f} s", file=out, flush=True)
  return found


def _tabulate_style(found, name, style, stores):
  make = listing.ALL[name]
  with tf1.Graph().as_default():
    cuts = list(checks.build(make, True).cuts)
  truth = None
  for kind in KINDS:
    reason = ""
    try:
      result = checks.run_joint(make, kind == "resource")
      # With reference variables the joint graph itself may be wrong.
      truth = result if kind == "resource" else truth
    except checks.Unbuilt as error:
      reason = str(error)
    for cut in cuts:
      cells = found.setdefault(f"{name}, {cut}", collections.OrderedDict())
      row = cells.setdefault(f"{kind} {style}", collections.OrderedDict())
      for store in stores:
        outcome, text = checks.UNBUILT, reason or "no truth"
        if truth is not None and not reason:
          is_resource = kind == "resource"
          outcome, text = checks.outcome(make, cut, is_resource, store, truth)
        row[store] = {"outcome": outcome, "text": text}


def tabulate_elsewhere(python, names=None, stores=STORES):
  """Does the same in another Python, which may have another TensorFlow.

  Args:
    python: the interpreter.
    names: as for `tabulate`.
    stores: as for `tabulate`.

  Returns:
    The version of TensorFlow there, and what `tabulate` returns.

  Raises:
    RuntimeError: if the interpreter fails.
  """
  program = (
    "import json, sys; from tests.programs import run; "
    "table = run.tabulate(*json.loads(sys.argv[1]), out=sys.stderr); "
    "print(json.dumps([run.control_flow.version(), table]))"
  )
  done = subprocess.run(
    [python, "-W", "ignore", "-c", program, json.dumps([names, stores])],
    cwd=str(pathlib.Path(__file__).resolve().parent.parent.parent),
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    capture_output=True,
    text=True,
  )
  if done.returncode:
    raise RuntimeError(f"{python} failed: {done.stderr.strip()[-500:]}")
  order = collections.OrderedDict
  return json.loads(done.stdout.splitlines()[-1], object_pairs_hook=order)


def count(table):
  """Counts outcomes.

  Args:
    table: what `tabulate` returns.

  Returns:
    A dict: store → outcome → how often, without what never was.
  """
  found = collections.OrderedDict()
  for row in table.values():
    for cells in row.values():
      for store, cell in cells.items():
        counts = found.setdefault(store, collections.Counter())
        counts[cell["outcome"]] += 1
  return {store: dict(counts) for store, counts in found.items()}


def format_counts(tables):
  """Writes counts as a table.

  Args:
    tables: version of TensorFlow → what `tabulate` returns.

  Returns:
    Lines of Markdown, a row for each version and store.
  """
  heads = ["TensorFlow", "store"] + list(checks.OUTCOMES)
  lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
  for label, table in tables.items():
    for store, counts in count(table).items():
      cells = [label, store]
      cells += [str(counts.get(name, 0)) for name in checks.OUTCOMES]
      lines.append("| " + " | ".join(cells) + " |")
  return "\n".join(lines)


def explain(tables):
  """Yields a line for each cell that is not right, with what was said.

  Args:
    tables: version of TensorFlow → what `tabulate` returns.

  Yields:
    Strings.
  """
  for label, table in tables.items():
    for name, row in table.items():
      for column, cells in row.items():
        for store, cell in cells.items():
          if cell["outcome"] != checks.RIGHT:
            text = " ".join(cell["text"].split())
            yield (
              f"{label}: {name}, {column}, {store}: {cell['outcome']}: {text}"
            )


def main(argv=None, out=sys.stdout):
  """Reads the flags, and prints.

  Args:
    argv: the flags; those of the process by default.
    out: where to print.

  Returns:
    0, or 1 if there is a bad cell.
  """
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--programs", help="names, by commas; all by default")
  parser.add_argument("--stores", help="names, by commas; all by default")
  parser.add_argument("--pythons", help="other interpreters, by commas")
  parser.add_argument("--verbose", action="store_true")
  args = parser.parse_args(argv)
  names = args.programs.split(",") if args.programs else None
  stores = args.stores.split(",") if args.stores else list(STORES)
  begin = time.monotonic()
  table = tabulate(names, stores, sys.stderr if args.verbose else None)
  tables = {control_flow.version(): table}
  for python in args.pythons.split(",") if args.pythons else []:
    label, table = tabulate_elsewhere(python, names, stores)
    tables[label] = table
  print(control_flow.format_markdown(tables, "program"), file=out)
  print("\n" + format_counts(tables), file=out)
  if args.verbose:
    for line in explain(tables):
      print(line, file=out)
  counts = {label: count(table) for label, table in tables.items()}
  bad = sum(
    each.get(name, 0)
    for counted in counts.values()
    for each in counted.values()
    for name in BAD
  )
  print(
    json.dumps(
      {"counts": counts, "seconds": round(time.monotonic() - begin, 1)}
    ),
    file=out,
    flush=True,
  )
  return int(bad > 0)


if __name__ == "__main__":
  tf1.logging.set_verbosity(tf1.logging.ERROR)
  sys.exit(main())

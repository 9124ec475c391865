"""Checks many random programs: `python -m tests.fuzz.run --programs=10000`.

Prints what failed as Python text, made as small as it goes, a table of what was
refused and why, and last one JSON object. Ends with 1 if a program failed. With
`--types` it only counts the types of ops that the programs have.
"""

import argparse
import collections
import json
import re
import sys
import time

import numpy as np

from tangle.compat import tf1
from tests.fuzz import (
  checks,
  drawing,
  pipelines,
  programs,
  reasons,
  remedies,
  tables,
)

ADVISED = "advised"
REFERENCE = "reference variable"
_RESULTS = (checks.RIGHT, ADVISED, checks.REFUSED, checks.UNBUILT, "wrong")


def draw(seed, number):
  """Draws the program of that number.

  Args:
    seed: of the whole run.
    number: of the program.

  Returns:
    A `Program`.
  """
  rng = np.random.RandomState([seed, number])
  return drawing.draw(lambda n: int(rng.randint(n)))


def outcome(program, check=checks.examine):
  """Checks a program, and what the messages make of it where it is refused.

  Args:
    program: a `Program`.
    check: what checks it.

  Returns:
    How it ends: a result of `check`, "wrong", or `ADVISED` if it is right once
    the advice of the messages is followed; and what was said first.
  """
  first = None
  for _ in range(5):
    try:
      result, why = check(program)
    except checks.Wrong as error:
      return "wrong", f"{error} (after: {first})" if first else str(error)
    if result != checks.REFUSED:
      break
    first = first or why
    program = remedies.follow(program, why)
    if program is None:
      return checks.REFUSED, why
  if first and result == checks.RIGHT:
    return ADVISED, first
  return result, first or why


def shrink(program, tries=300, check=checks.examine):
  """Makes a program that fails smaller, as long as it fails.

  Args:
    program: a `Program` whose check is wrong.
    tries: how many programs to check at most.
    check: what checks it.

  Returns:
    A `Program` whose check is wrong.
  """
  found = True
  while found:
    found = False
    for candidate in programs.smaller(program):
      tries -= 1
      if tries < 0:
        return program
      if outcome(candidate, check)[0] == "wrong":
        program, found = candidate, True
        break
  return program


def run(count, seed=1, first=0, shrunk=5, out=sys.stdout, check=checks.examine):
  """Checks programs.

  Args:
    count: how many.
    seed: of the run.
    first: the number of the first.
    shrunk: how many failures to make smaller.
    out: where to print.
    check: `checks.examine`, or `pipelines.examine`.

  Returns:
    A dict for JSON.
  """
  begin = time.monotonic()
  table = collections.defaultdict(collections.Counter)
  total, failures = collections.Counter(), []
  said = {kind: collections.Counter() for kind in (checks.REFUSED, ADVISED)}
  kinds = collections.defaultdict(collections.Counter)
  for number in range(first, first + count):
    program = draw(seed, number)
    result, why = outcome(program, check)
    style = "v1" if not program.flow_v2 else "v2"
    way = f"{program.store}/{program.residuals}/{style}"
    table[way][result] += 1
    total[result] += 1
    for kind in kinds_of(program):
      kinds[kind][result] += 1
    if result in said:
      said[result][reasons.key(why)] += 1
    if result == "wrong":
      print(f"# program {number} of seed {seed}: {why}", file=out)
      if len(failures) < shrunk:
        program = shrink(program, check=check)
        why = outcome(program, check)[1]
      print(f"{program}# {why}\n", file=out, flush=True)
      failures.append({"number": number, "program": str(program), "why": why})
    if (number + 1 - first) % 100 == 0:
      seconds = time.monotonic() - begin
      print(
        f"{number + 1}: {dict(total)} in {seconds:.0f} s", file=out, flush=True
      )
  return {
    "programs": count,
    "seed": seed,
    **{key: total[key] for key in _RESULTS},
    "seconds": round(time.monotonic() - begin, 1),
    "reasons": dict(said[checks.REFUSED].most_common()),
    "advice": dict(said[ADVISED].most_common()),
    "kinds": {key: dict(found) for key, found in sorted(kinds.items())},
    "table": {key: dict(found) for key, found in sorted(table.items())},
    "failures": failures,
  }


def count_types(count, seed=1):
  """Counts the types of ops in the graphs of programs, and their functions.

  Args:
    count: how many programs.
    seed: of the run.

  Returns:
    A `Counter`: type → programs whose forward graph has it.
  """
  found = collections.Counter()
  for number in range(count):
    with tf1.Graph().as_default() as graph:
      try:
        programs.build(draw(seed, number))
      except Exception:  # TensorFlow's own: see `reference.taken`
        continue
    definition = graph.as_graph_def()
    nodes = [definition.node] + [
      f.node_def for f in definition.library.function
    ]
    calls = {f.signature.name for f in definition.library.function}
    types = {node.op for part in nodes for node in part}
    found.update(types - calls)
  return found


def kinds_of(program):
  """Lists what makes a program hard: names that results are counted by."""
  found = [mark for mark in program.marks if mark != tables.KINK]
  if tables.FLOW in found:
    found.append("flow_v2" if program.flow_v2 else "flow_v1")
  if re.search(r"(weight|state)\([^()]*\], False\b", program.source):
    found.append(REFERENCE)
  return found or ["plain"]


def format_reasons(found):
  """Writes what was refused, and why, as a Markdown table.

  Args:
    found: what `run` returns.

  Returns:
    Lines of text; the share of each reason is that of all programs.
  """
  lines = [
    "| refused at first because | right as the message advises | refused still "
    "| share |",
    "|---|---|---|---|",
  ]
  advice, rest = found["advice"], found["reasons"]
  for reason in dict.fromkeys([*advice, *rest]):
    lines.append(
      _row(found, reason, advice.get(reason, 0), rest.get(reason, 0))
    )
  lines.append(_row(found, "any reason", found[ADVISED], found["refused"]))
  return "\n".join(lines)


def _row(found, reason, advised, refused):
  """Writes a row of the table."""
  first, last = [
    100.0 * count / max(found["programs"], 1)
    for count in (advised + refused, refused)
  ]
  return f"| {reason} | {advised} | {refused} | {first:.1f} → {last:.1f} % |"


def main():
  """Reads the flags and runs."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--programs", type=int, default=1000)
  parser.add_argument("--seed", type=int, default=1)
  parser.add_argument("--first", type=int, default=0)
  parser.add_argument("--pipelines", action="store_true")
  parser.add_argument("--types", action="store_true")
  args = parser.parse_args()
  if args.types:
    types = count_types(args.programs, args.seed)
    print(json.dumps({"types": len(types), "programs": dict(types)}))
    return
  check = pipelines.examine if args.pipelines else checks.examine
  found = run(args.programs, args.seed, args.first, check=check)
  print(format_reasons(found))
  print(json.dumps(found))
  sys.exit(1 if found["wrong"] else 0)


if __name__ == "__main__":
  main()

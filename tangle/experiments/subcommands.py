"""A script that runs one of several functions: `script.py NAME --flags`.

The arguments of each function are its flags, as `command_line` has them. They
are read without importing the function's module, so that help and mistakes are
answered at once; TensorFlow is imported after that.
"""

import difflib
import importlib
import inspect
import os
import sys
import textwrap

from absl import flags

from tangle.experiments import command_line, flag_rules, outlines

_HELP = ("-h", "--help", "-help", "--helpfull", "--helpshort")


def run(about, functions, call, out_dir="out"):
  """Runs the function that the command line names, with its flags.

  `--help` lists the names, and `NAME --help` the flags of a name. An unknown
  name or flag, or a value that a flag does not take, ends the script with exit
  code 2 and a line for each mistake on standard error.

  Args:
    about: what the script does, for its help.
    functions: name → dotted name of a function; the arguments with a default
      become flags.
    call: called as `call(name, function, settings, out_dir)` with the function
      and a dict of its arguments; returns the figures, as the main function of
      `command_line.run`.
    out_dir: `--out_dir` is a folder of the name of the function in this one,
      unless it is given.
  """
  script = os.path.basename(sys.argv[0])
  name, rest = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
  if name in _HELP:
    print(_list_names(script, about, functions))
    return
  if name not in functions:
    near = difflib.get_close_matches(name, functions, 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    names = ", ".join(functions)
    _refuse(f"{script}: there is no {name!r}. {hint}The names are: {names}.")
  outline = outlines.read(functions[name])
  values = flags.FlagValues()
  command_line.define_in(values, [outline], {})
  flags.DEFINE_string(
    "out_dir",
    os.path.join(out_dir, name),
    "the folder for figures and plots.",
    flag_values=values,
  )
  if set(_HELP) & set(rest):
    print(_explain(script, name, functions[name], outline, values))
    return
  problems = flag_rules.parse(values, ["", *rest])[1]
  if problems:
    flag_rules.refuse(f"{script} {name}", problems)
  settings = command_line.take(outline, values)

  def main():
    module, _, function = functions[name].rpartition(".")
    found = getattr(importlib.import_module(module), function)
    return call(name, found, settings, values.out_dir)

  command_line.end(f"{os.path.splitext(script)[0]} {name}", main)


def _refuse(message):
  print(message, file=sys.stderr)
  sys.exit(2)


def _list_names(script, about, functions):
  """Returns the help of the script: each name and what it does."""
  width = max(map(len, functions)) + 2
  lines = [about.strip(), "", f"usage: {script} NAME [flags]", ""]
  for name, function in functions.items():
    text = outlines.describe(function.rpartition(".")[0]).split("\n")[0]
    lines.append(f"  {name:{width}}{text}")
  return "\n".join([*lines, "", f"{script} NAME --help lists the flags."])


def _explain(script, name, function, outline, values):
  """Returns the help of a name: what it does and its flags."""
  about = outlines.describe(function.rpartition(".")[0])
  returned = inspect.getdoc(outline).partition("\nReturns:\n")[2]
  figures = returned.partition("\nRaises:\n")[0].rstrip()
  lines = [about, "", f"usage: {script} {name} [flags]", ""]
  for flag in [*command_line.settings(outline), "out_dir"]:
    found = values[flag]
    head = f"  --[no]{flag}" if found.boolean else f"  --{flag}"
    text = f"{found.help} Default: {_describe_default(found)}."
    lines.append(head)
    lines += textwrap.wrap(
      text, 78, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
  if figures:
    lines += ["", "figures:", figures]
  return "\n".join(lines)


def _describe_default(flag):
  """Returns the default of a flag as text."""
  value = flag.default
  if isinstance(value, list):
    if value and value == getattr(flag.parser, "choices", None):
      return "all"
    return ", ".join(map(str, value)) or "none"
  return "none" if value in (None, "") else str(value)

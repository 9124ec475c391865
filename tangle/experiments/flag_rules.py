"""Which values flags may have, and the parser that reports all wrong ones.

A setting of one name has one rule in all scripts. The rules are those that can
be checked before TensorFlow is imported; the experiments check the rest.
"""

import difflib
import glob
import os
import sys

from absl import flags

CHOICES = {
  "bucketing": ("independent", "joint"),
  "cell": ("gru", "lstm"),
  "layout": ("plain", "tutorial", "self_test"),
  "model": ("attention", "legacy"),
  "multiplexer": ("route", "where"),
  "optimizer": ("adam", "sgd"),
  "output_bias": ("zeros", "frequencies", "auto"),
  "pipeline_schedule": ("1f1b", "gpipe"),
  "sampling": ("epochs", "tutorial"),
  "schedule": ("cosine", "plateau", "constant"),
  "stores": ("device", "host", "session", "recompute"),
  "tokens": ("words", "tutorial", "characters"),
  "training": ("one_graph", "six_graphs", "separate"),
  "unknown": ("drop", "unk"),
  "variables": ("resource", "reference"),
}

_FROM_1 = """
  batch_size beam_size buckets calculator_steps checkpoint_every
  embedding_dim evaluations every heads hidden layers max_held_out max_steps
  max_tokens micro_batches min_count n_best num_sampled pairs patience per_class
  pretrain_steps report_every rounds seeds steps stream_records tasks toy_steps
  units vocabulary width"""

LEAST = dict.fromkeys(_FROM_1.split(), 1)
LEAST.update(dict.fromkeys(["limit", "seed", "threads", "warm_up_steps"], 0))

POSITIVE = (
  *("clip_norm", "epochs", "final_learning_rate", "learning_rate", "scale"),
  *("seconds", "toy_rate"),
)

FILES = ("train", "validation", "test", "in", "references", "vocabularies")
"""Files and folders to read; `{}` in a name stands for sources and targets."""

PREFIXES = ("checkpoint", "init_checkpoint")
"""Checkpoints, which are several files with one prefix."""

_KINDS = {
  "int": "must be a whole number",
  "float": "must be a number",
  "bool": "must be true or false",
}


def parse(values, argv, check=None, positional=()):
  """Parses a command line, and finds all that is wrong with it.

  Args:
    values: the `FlagValues` to parse into, such as `absl.flags.FLAGS`.
    argv: the script, and its arguments.
    check: called without arguments if all flags can be parsed; returns a list
      of further problems.
    positional: what the arguments that are no flags are, such as
      `["a .meta file"]`; they must be existing files.

  Returns:
    The list of the arguments that are no flags, and that of the problems.
  """
  given, problems = _read_flag_files(values, argv[1:])
  rest = []
  while given:
    argument = given.pop(0)
    name = argument.lstrip("-").partition("=")[0]
    if argument == "--":
      rest, given = rest + given, []
    elif not argument.startswith("-") or not name:
      rest.append(argument)
    elif not _exists(values, name):
      near = difflib.get_close_matches(name, list(values), 1)
      hint = f"; did you mean --{near[0]}?" if near else ""
      problems.append(f"{argument}: there is no such flag{hint}")
    else:
      group = [argument]
      if "=" not in argument and name in values and not values[name].boolean:
        group += given[:1]
        del given[:1]
      problems += _parse_one(values, name, group)
  if len(rest) != len(positional):
    wanted = ", ".join(positional) or "flags only"
    problems.append(f"{' '.join(rest) or 'no argument'}: expected {wanted}")
  else:
    problems += [f"{p}: does not exist" for p in rest if not os.path.exists(p)]
  is_parsed = not problems
  values.mark_as_parsed()
  for name in sorted(values):
    if values[name].present or name == "out_dir":
      given = f"--{name}={_text(values[name].value)}"
      found = _check(values, name, values[name].value)
      problems += [f"{given}: {problem}" for problem in dict.fromkeys(found)]
  if check and is_parsed:
    problems += check()
  return rest, problems


def refuse(script, problems):
  """Prints what is wrong as lines on standard error; exits with code 2."""
  lines = "\n".join(f"  {line}" for line in problems)
  print(
    f"{script}: wrong arguments. --help lists the flags.\n{lines}",
    file=sys.stderr,
  )
  sys.exit(2)


def _read_flag_files(values, arguments):
  """Returns the arguments with those of flag files, and a list of problems."""
  given, problems = [], []
  for argument in arguments:
    try:
      given += values.read_flags_from_files([argument], force_gnu=False)
    except flags.Error:
      problems.append(f"{argument}: the file cannot be read")
  return given, problems


def _exists(values, name):
  if name in values or name in ("flagfile", "undefok"):
    return True
  inner = name[2:] if name.startswith("no") else ""
  return inner in values and bool(values[inner].boolean)


def _parse_one(values, name, group):
  """Parses one flag; returns a list of its problems."""
  try:
    values(["", *group])
  except flags.Error as error:
    kind = values[name].flag_type() if name in values else None
    problem = _KINDS.get(kind) or str(error).partition(": ")[2] or str(error)
    return [f"{'='.join(group)}: {problem}"]
  return []


def _text(value):
  return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check(values, name, value):
  """Yields what is wrong with the value of a flag that was given."""
  if name == "out_dir" and value is not None:
    yield from _check_folder(value)
  if name == "out" and value:
    if os.path.isdir(value):
      yield "is a folder; name a file"
    yield from _check_folder(os.path.dirname(value) or os.curdir)
  is_enum = isinstance(values[name].parser, flags.EnumParser)
  if value is None or value == "" or is_enum:
    return
  for part in value if isinstance(value, list) else [value]:
    chosen = isinstance(part, str) and name in CHOICES
    if chosen and part not in CHOICES[name]:
      yield f"must be one of {', '.join(CHOICES[name])}"
    yield from _check_number(name, part)
    yield from _check_path(values, name, part)


def _check_number(name, value):
  known = name in LEAST or name in POSITIVE or name == "dropout_rate"
  if not known or isinstance(value, bool):
    return
  try:
    number = float(value)
  except ValueError:
    if name == "per_class":
      yield "must be whole numbers"
    return
  if name == "dropout_rate" and not 0 <= number < 1:
    yield "must be at least 0 and less than 1"
  if name in LEAST and not number >= LEAST[name]:
    yield f"must be at least {LEAST[name]}"
  if name in POSITIVE and not 0 < number < float("inf"):
    yield "must be positive and finite"


def _check_folder(path):
  """Yields why files cannot be written to a folder, which is not made yet."""
  if not path:
    yield "must be the name of a folder"
    return
  path = os.path.abspath(path)
  while not os.path.lexists(path):
    path = os.path.dirname(path)
  if not os.path.isdir(path):
    yield f"{path} is not a folder; name another place"
  elif not os.access(path, os.W_OK | os.X_OK):
    yield f"{path} cannot be written to; name a folder that you may write to"


def _check_path(values, name, value):
  if name in PREFIXES:
    if not glob.glob(glob.escape(value) + "*"):
      yield "there is no such checkpoint"
    return
  if name not in FILES:
    return
  sides = [values[s].value for s in ("sources", "targets") if s in values]
  names = [name for side in sides for text in side for name in text.split("+")]
  every = [value.replace("{}", name) for name in names]
  for path in dict.fromkeys(every or [value]):
    if not os.path.exists(path):
      yield f"{path} does not exist"

"""Code that scripts share: their flags, output and exit codes.

An argument with a default becomes a flag of the same name; its help text is the
argument's entry in the docstring. So each setting is defined in one place.
Keyword-only arguments, those after a `*`, get no flag. A default of `None`
needs a type hint, such as `Optional[int]`.

A function can be given by its name. Its source is then read, so that flags are
checked, and `--help` is shown, before TensorFlow is imported:

    TRAIN = "tangle.experiments.seq2seq.train"
    command_line.define(TRAIN)

    def main():
      from tangle.experiments import seq2seq

      return seq2seq.train(**command_line.take(TRAIN, FLAGS))

    if __name__ == "__main__":
      command_line.run(main)

If the docstring says that an argument is "one of" or "some of" a constant,
such as "one of `models.NAMES`", other values are refused, and the help lists
those there are.

This module imports nothing that imports TensorFlow, until a script is run.
"""

import collections.abc
import inspect
import os
import re
import signal
import sys
import typing

from absl import app, flags

from tangle import errors, files
from tangle.experiments import flag_rules, quiet, signatures, summary

_VALUES = flags.FLAGS
_LISTS = (list, collections.abc.Sequence)
_CHOICES = re.compile(r"\b(?:one|some) of `([\w.]+)`")
_ARGUMENT = re.compile(r"^([a-z_][a-z0-9_]*): (.*)$")


def define(*functions, **defaults):
  """Defines a flag for each argument with a default.

  If several functions have an argument of the same name, they share one flag.

  Args:
    *functions: functions or classes, with Google-style docstrings, or names of
      such in tangle, as `signatures.read` takes them.
    **defaults: name → default of the flag, where it differs from that of the
      function; `None` for an argument that gets no flag.

  Raises:
    ArgumentError: if a type cannot be determined, or an argument has no help
      text.
  """
  flags.disclaim_key_flags()  # so that --help lists them as the script's
  define_in(_VALUES, functions, defaults)


def define_in(flag_values, functions, defaults):
  """Defines flags as `define` does, in another place.

  Args:
    flag_values: an `absl.flags.FlagValues`.
    functions: as for `define`.
    defaults: as for `define`, a dict.

  Raises:
    ArgumentError: as `define`.
  """
  known = set()
  for function in map(_load, functions):
    texts = describe(function)
    hints = typing.get_type_hints(_inner(function))
    for name, parameter in settings(function).items():
      if name in known or (name in defaults and defaults[name] is None):
        continue
      known.add(name)
      if name not in texts:
        raise errors.ArgumentError(
          f"command_line.define: {function.__name__} does not describe "
          f"{name!r}. Add it to Args in its docstring."
        )
      default = defaults.get(name, parameter.default)
      if isinstance(default, signatures.Elsewhere):
        default = None  # `take` leaves it to the function
      text, choices = _find_choices(function, texts[name])
      parser, serializer = _parser(
        function, name, hints.get(name), parameter.default, choices
      )
      if isinstance(default, tuple):
        default = list(default)
      if parser is None:
        flags.DEFINE_bool(name, default, text, flag_values=flag_values)
      else:
        flags.DEFINE(parser, name, default, text, flag_values, serializer)


def take(function, flag_values, **known):
  """Returns the keyword arguments of a function, with the values of the flags.

  Args:
    function: one of those given to `define`.
    flag_values: `absl.flags.FLAGS`, parsed.
    **known: name → value, used instead of the flag.

  Returns:
    A dict from name to value, without arguments that have no flag, and those
    whose default only the function knows.
  """
  found = settings(function)
  values = {
    name: flag_values[name].value for name in found if name in flag_values
  }
  for name, parameter in found.items():
    elsewhere = isinstance(parameter.default, signatures.Elsewhere)
    if elsewhere and values.get(name, 0) is None:
      del values[name]
  values.update(known)
  return values


def run(main, check=None, positional=()):
  """Runs a script, and prints its figures: a table, and one line of JSON.

  All wrong flags are reported together, before TensorFlow is imported; the exit
  code is then 2. An error of tangle's, a file error or a lack of memory ends
  the script with its message and exit code 1. A run that SIGINT or SIGTERM has
  ended, whose figures have the signal's name as `signal`, prints its figures
  and exits with code 130 or 143. Of TensorFlow's messages only errors are
  shown, unless the user has set TF_CPP_MIN_LOG_LEVEL. What the figures depend
  on, such as the processor, is printed on standard error.

  Args:
    main: a function of the positional arguments that returns a dict of figures,
      or `None` to print no line; it is called after the flags are parsed.
    check: as `flag_rules.parse` calls it.
    positional: as `flag_rules.parse` takes it.
  """
  script = os.path.splitext(os.path.basename(sys.argv[0]))[0]

  def parse(argv):
    rest, problems = flag_rules.parse(flags.FLAGS, argv, check, positional)
    if problems:
      lines = "\n".join("  " + problem for problem in problems)
      print(
        f"{script}: wrong arguments. --help lists the flags.\n{lines}",
        file=sys.stderr,
      )
      sys.exit(2)
    return [argv[0], *rest]

  def start(argv):
    with quiet.running() as is_quiet:
      _run(script, main, argv[1:], is_quiet)

  app.run(start, flags_parser=parse)


def _run(script, main, arguments, is_quiet, with_table=True):
  """Imports TensorFlow, calls `main`, and prints its figures or its error."""
  with quiet.importing():
    from tangle.compat import tf1
    from tangle.experiments import machine
    from tangle.training import records
  tf1.logging.set_verbosity(tf1.logging.WARN)
  if is_quiet:
    tf1.get_logger().addFilter(quiet.is_worth_telling)
  print(machine.summarize(), file=sys.stderr)
  try:
    summary.load_tabulate()  # fails now, not after an hour
    figures = main(*arguments)
  except errors.TangleError as error:
    sys.exit(f"{script}: {error}")
  except OSError as error:
    sys.exit(f"{script}: {_explain(error)}")
  except (MemoryError, tf1.errors.ResourceExhaustedError) as error:
    reason = errors.summarize(error) or "free some, or use smaller sizes"
    sys.exit(f"{script}: out of memory: {reason}")
  except KeyboardInterrupt as error:
    name = error.args[0] if error.args else "SIGINT"
    print(f"{script}: ended by {name}.", file=sys.stderr)
    sys.exit(128 + signal.Signals[name])
  if figures is not None:
    text = with_table and summary.format_figures(figures)
    if text:
      print(f"\n{text}\n")
    print(records.to_json(figures), flush=True)
    if figures.get("signal"):
      sys.exit(128 + signal.Signals[figures["signal"]])


def end(script, main):
  """Calls the main function of a script, as `run` describes it.

  Args:
    script: the name that error messages begin with.
    main: as for `run`; it prints its tables itself.
  """
  with quiet.running() as is_quiet:
    _run(script, main, (), is_quiet, with_table=False)


def _explain(error):
  """Returns the text of an OSError, with the remedy if it names a file."""
  if error.filename is None:
    return error
  return files.explain(error.filename, error, "opened")


def settings(function):
  """Returns the arguments of a function that can become flags.

  Args:
    function: a function, or its name.

  Returns:
    A dict from name to `inspect.Parameter`, in order.
  """
  found = inspect.signature(_load(function)).parameters
  return {
    name: parameter
    for name, parameter in found.items()
    if parameter.default is not parameter.empty
    and parameter.kind is not parameter.KEYWORD_ONLY
  }


def describe(function):
  """Returns the description of each argument in a docstring.

  Args:
    function: a function with a Google-style docstring.

  Returns:
    A dict from name to its description in one line.
  """
  texts, name, inside = {}, None, False
  for line in inspect.getdoc(_inner(function)).split("\n"):
    if not line.startswith(" "):
      inside = line == "Args:" if line else inside
      continue
    if not inside:
      continue
    found = _ARGUMENT.match(line[2:])
    if found:
      name = found.group(1)
      texts[name] = found.group(2)
    elif name is not None:
      texts[name] += " " + line.strip()
  return texts


def _load(function):
  return signatures.read(function) if isinstance(function, str) else function


def _inner(function):
  return function.__init__ if inspect.isclass(function) else function


class _ListParser(flags.ListParser):
  """Reads a list of values of one type, or of some choices if there are any."""

  def __init__(self, kind, choices):
    super().__init__()
    self._kind, self.choices = kind, choices

  def parse(self, argument):
    """Returns a list; raises `ValueError` if a value is no possible one."""
    values = [_convert(text, self._kind) for text in super().parse(argument)]
    for value in values:
      if self.choices and value not in self.choices:
        raise ValueError(
          f"{value!r} is none of {', '.join(map(str, self.choices))}"
        )
    return values


def _convert(value, kind):
  try:
    return kind(value)
  except ValueError:
    expected = {int: "an integer", float: "a number"}[kind]
    raise ValueError(f"{value!r} is not {expected}") from None


def _find_choices(function, text):
  """Returns the help text of an argument, and its possible values or None."""
  found = _CHOICES.search(text)
  if not found:
    return text, None
  value = getattr(_inner(function), "__globals__", {})
  first, *rest = found.group(1).split(".")
  value = value.get(first)
  for name in rest:
    value = getattr(value, name, None)
  if not isinstance(value, (dict, list, tuple)) or not value:
    return text, None
  shown = text.replace(f"`{found.group(1)}`", ", ".join(map(str, value)))
  return shown, list(value)


def _parser(function, name, hint, default, choices):
  """Returns absl's parser and serializer of a type; None for a boolean."""
  inner = [kind for kind in getattr(hint, "__args__", ()) or () if kind]
  known = default is not None and not isinstance(default, signatures.Elsewhere)
  kind = type(default) if known else hint
  if not known and type(None) in inner:  # Optional[...]
    kind = inner[0]
  origin = getattr(kind, "__origin__", None)
  kind = list if origin in _LISTS else origin or kind
  if kind is bool:
    return None, None
  if kind in (list, tuple):
    each = type(default[0]) if known and default else str
    parser = _ListParser(each, choices)
    return parser, flags.ListSerializer(",")
  if kind is str and choices:
    return flags.EnumParser(choices), flags.ArgumentSerializer()
  parsers = {
    int: flags.IntegerParser,
    float: flags.FloatParser,
    str: flags.ArgumentParser,
  }
  if kind not in parsers:
    raise errors.ArgumentError(
      f"command_line.define: the type of {name!r} of {function.__name__} "
      f"cannot be determined from {hint!r} and the default {default!r}. Give a "
      f"type hint, such as Optional[int]."
    )
  return parsers[kind](), flags.ArgumentSerializer()

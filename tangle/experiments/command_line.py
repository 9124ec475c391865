"""Code that scripts share: their flags, output and exit codes.

An argument with a default becomes a flag of the same name; its help text is the
argument's entry in the docstring. So each setting is defined in one place.
Keyword-only arguments, those after a `*`, get no flag. A default of `None`
needs a type hint, such as `Optional[int]`.

A function can be given by its name. It is then read by `outlines`, so that
flags are checked, and `--help` is shown, before TensorFlow is imported:

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
"""

import collections.abc
import functools
import importlib
import inspect
import os
import re
import signal
import sys
import typing

from absl import app, flags

from tangle import errors, files
from tangle.experiments import flag_rules, outlines, quiet, summary

_VALUES = flags.FLAGS
_CHOICES = re.compile(r"\b(?:one|some) of `([\w.]+)`")
_LISTS = (list, tuple, collections.abc.Sequence)
_ARGUMENT = re.compile(r"^([a-z_][a-z0-9_]*): (.*)$")


def define(*functions, **defaults):
  """Defines a flag for each argument with a default.

  If several functions have an argument of the same name, they share one flag.

  Args:
    *functions: functions or classes, with Google-style docstrings, or their
      dotted names.
    **defaults: name → default of the flag, where it differs from that of the
      function; `None` for an argument that gets no flag.

  Raises:
    ArgumentError: if a type cannot be determined, or an argument has no help
      text.
  """
  flags.disclaim_key_flags()  # so that --help lists them as the script's
  define_in(_VALUES, functions, defaults)


def define_in(flag_values, functions, defaults):
  """Defines flags as `define` does, in an `absl.flags.FlagValues`."""
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
      text, choices = _find_choices(function, texts[name])
      parser, serializer = _parser(
        function, name, hints.get(name), parameter.default, choices
      )
      if isinstance(default, outlines.Unknown):
        default = None  # `take` leaves it to the function
      elif isinstance(default, tuple):
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
  values = {
    name: flag_values[name].value
    for name, parameter in settings(function).items()
    if name in flag_values
    and not (
      isinstance(parameter.default, outlines.Unknown)
      and flag_values[name].value is None
    )
  }
  values.update(known)
  return values


def find_unused(flag_values, chooser, functions):
  """Finds flags that were given and belong to a choice that was not made.

  Args:
    flag_values: `absl.flags.FLAGS`, parsed.
    chooser: the name of the flag that chooses among the functions.
    functions: value of that flag → function, or its dotted name.

  Returns:
    A list of problems, for the `check` of `run`.
  """
  chosen = flag_values[chooser].value
  owners = {}
  for value, function in functions.items():
    for name in settings(function):
      owners.setdefault(name, []).append(f"--{chooser}={value}")
  own = f"--{chooser}={chosen}"
  return [
    f"--{name}: has no effect with {own}, only with {' and '.join(values)}"
    for name, values in owners.items()
    if own not in values and name in flag_values and flag_values[name].present
  ]


def measure(experiment, flag_values, name):
  """Measures an experiment; writes its figures and a plot to `--out_dir`.

  Args:
    experiment: dotted name of a module with `measure` and `plot`.
    flag_values: `absl.flags.FLAGS`, parsed.
    name: of the experiment in `run.json`, and of the plot.

  Returns:
    What `measure` returned.
  """
  from tangle.training import progress, runs

  module = importlib.import_module(experiment)
  settings = take(f"{experiment}.measure", flag_values)
  out_dir = flag_values["out_dir"].value
  run = runs.repeatable(out_dir, {name: settings})
  with run as writer, progress.Bar(unit="training") as bar:
    figures = module.measure(
      progress=bar.count, write_metrics=writer.write, **settings
    )
    writer.write(**figures)
    module.plot(figures, os.path.join(out_dir, f"{name}.png"))
  return figures


def run(main, check=None, positional=()):
  """Runs a script, and prints its figures: a table, and one line of JSON.

  Both go to standard output. All wrong flags are reported together, before
  TensorFlow is imported; the exit code is then 2. Otherwise the script ends as
  `end` describes it.

  Args:
    main: a function of the positional arguments that returns a dict of figures,
      or `None` to print none; it is called after the flags are parsed.
    check: as `flag_rules.parse` calls it.
    positional: as `flag_rules.parse` takes it.
  """
  script = os.path.splitext(os.path.basename(sys.argv[0]))[0]

  def parse(argv):
    rest, problems = flag_rules.parse(flags.FLAGS, argv, check, positional)
    if problems:
      flag_rules.refuse(script, problems)
    return [argv[0], *rest]

  def tabulated(argv):
    summary.format_figures({"steps": 0})  # a lack of tabulate is found now
    figures = main(*argv[1:])
    text = summary.format_figures(figures or {})
    if text:
      print(f"\n{text}\n")
    return figures

  app.run(
    lambda argv: end(script, functools.partial(tabulated, argv)),
    flags_parser=parse,
  )


def end(script, main):
  """Calls the main function of a script, and prints its figures as JSON.

  The JSON is a line on standard output. An error of tangle's, a file error or a
  lack of memory ends the script with its message and exit code 1. A run that
  SIGINT or SIGTERM has ended, whose figures have the signal's name as `signal`,
  prints its figures and exits with code 130 or 143. Of TensorFlow's messages
  only errors are shown, unless the user has set TF_CPP_MIN_LOG_LEVEL. What the
  figures depend on, such as the processor, is printed on standard error.

  Args:
    script: the name that error messages begin with.
    main: a function without arguments that returns a dict of figures, or `None`
      to print no line.
  """
  with quiet.running() as is_quiet:
    _end(script, main, is_quiet)


def _end(script, main, is_quiet):
  # TensorFlow is imported here, and not where flags are only explained.
  with quiet.importing():
    from tangle.compat import tf1
    from tangle.experiments import machine
    from tangle.training import records

  tf1.logging.set_verbosity(tf1.logging.WARN)
  if is_quiet:
    tf1.get_logger().addFilter(quiet.is_worth_telling)
  print(machine.summarize(), file=sys.stderr)
  try:
    figures = main()
  except errors.TangleError as error:
    sys.exit(f"{script}: {error}")
  except OSError as error:
    if error.filename is not None:
      error = files.explain(error.filename, error, "opened")
    sys.exit(f"{script}: {error}")
  except (MemoryError, tf1.errors.ResourceExhaustedError) as error:
    reason = errors.summarize(error) or "free some, or use smaller sizes"
    sys.exit(f"{script}: out of memory: {reason}")
  except KeyboardInterrupt as error:
    name = error.args[0] if error.args else "SIGINT"
    print(f"{script}: ended by {name}.", file=sys.stderr)
    sys.exit(128 + signal.Signals[name])
  if figures is not None:
    print(records.to_json(figures), flush=True)
    if figures.get("signal"):
      sys.exit(128 + signal.Signals[figures["signal"]])


def settings(function):
  """Returns name → `inspect.Parameter` of arguments that can become flags."""
  found = inspect.signature(_load(function)).parameters
  return {
    name: parameter
    for name, parameter in found.items()
    if parameter.default is not parameter.empty
    and parameter.kind is not parameter.KEYWORD_ONLY
  }


def describe(function):
  """Returns argument → its description in the docstring, as one line."""
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
  return outlines.read(function) if isinstance(function, str) else function


def _inner(function):
  inner = function.__init__ if inspect.isclass(function) else function
  return inspect.unwrap(inner)


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
          f"{value!r} is none of {', '.join(map(str, self.choices))}."
          f"{errors.suggest(value, self.choices)}"
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
  known = default is not None and not isinstance(default, outlines.Unknown)
  kind = type(default) if known else hint
  if not known and type(None) in inner:  # Optional[...]
    kind = inner[0]
  kind = getattr(kind, "__origin__", None) or kind
  if kind is bool:
    return None, None
  if kind in _LISTS:
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

"""Code that scripts share: their flags, output and exit codes.

An argument with a default becomes a flag of the same name; its help text is the
argument's entry in the docstring. So each setting is defined in one place.
Keyword-only arguments, those after a `*`, get no flag. A default of `None`
needs a type hint, such as `Optional[int]`.

    command_line.define(experiment.train)

    def main():
      return experiment.train(**command_line.take(experiment.train, FLAGS))

    if __name__ == "__main__":
      command_line.run(main)
"""

import inspect
import os
import re
import signal
import sys
import typing

from absl import app, flags

from tangle import errors, files
from tangle.compat import tf1
from tangle.experiments import machine
from tangle.training import records

_VALUES = flags.FLAGS
_ARGUMENT = re.compile(r"^([a-z_][a-z0-9_]*): (.*)$")


def define(*functions, **defaults):
  """Defines a flag for each argument with a default.

  If several functions have an argument of the same name, they share one flag.

  Args:
    *functions: functions or classes, with Google-style docstrings.
    **defaults: name → default of the flag, where it differs from that of the
      function; `None` for an argument that gets no flag.

  Raises:
    ArgumentError: if a type cannot be determined, or an argument has no help
      text.
  """
  flags.disclaim_key_flags()  # so that --help lists them as the script's
  known = set()
  for function in functions:
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
      if isinstance(default, tuple):
        default = [str(value) for value in default]
      _definer(function, name, hints.get(name), parameter.default)(
        name, default, texts[name], flag_values=_VALUES
      )


def take(function, flag_values, **known):
  """Returns the keyword arguments of a function, with the values of the flags.

  Args:
    function: one of those given to `define`.
    flag_values: `absl.flags.FLAGS`, parsed.
    **known: name → value, used instead of the flag.

  Returns:
    A dict from name to value, without arguments that have no flag.
  """
  values = {
    name: flag_values[name].value
    for name in settings(function)
    if name in flag_values
  }
  values.update(known)
  return values


def run(main):
  """Runs a script, and prints its figures as one line of JSON.

  An error of tangle's, a file error or a lack of memory ends the script with
  its message and exit code 1. A run that SIGINT or SIGTERM has ended, whose
  figures have the signal's name as `signal`, prints its figures and exits with
  code 130 or 143. TensorFlow's messages below warnings are not shown. What the
  figures depend on, such as the processor, is printed on standard error.

  Args:
    main: a function without arguments that returns a dict of figures, or `None`
      to print no line; it is called after the flags are parsed.
  """

  def parsed(argv):
    if len(argv) > 1:
      raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    tf1.logging.set_verbosity(tf1.logging.WARN)
    print(machine.summarize(), file=sys.stderr)
    script = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    try:
      figures = main()
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
      print(records.to_json(figures), flush=True)
      if figures.get("signal"):
        sys.exit(128 + signal.Signals[figures["signal"]])

  app.run(parsed)


def _explain(error):
  """Returns the text of an OSError, with the remedy if it names a file."""
  if error.filename is None:
    return error
  return files.explain(error.filename, error, "opened")


def settings(function):
  """Returns the arguments of a function that can become flags.

  Args:
    function: a function.

  Returns:
    A dict from name to `inspect.Parameter`, in order.
  """
  found = inspect.signature(function).parameters
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


def _inner(function):
  return function.__init__ if inspect.isclass(function) else function


def _definer(function, name, hint, default):
  """Returns the absl function that defines a flag of this type."""
  inner = [kind for kind in getattr(hint, "__args__", ()) or () if kind]
  kind = type(default) if default is not None else hint
  if default is None and type(None) in inner:  # Optional[...]
    kind = inner[0]
  kind = getattr(kind, "__origin__", None) or kind
  definers = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    list: flags.DEFINE_list,
    tuple: flags.DEFINE_list,
    typing.List: flags.DEFINE_list,
  }
  if kind not in definers:
    raise errors.ArgumentError(
      f"command_line.define: the type of {name!r} of {function.__name__} "
      f"cannot be determined from {hint!r} and the default {default!r}. Give a "
      f"type hint, such as Optional[int]."
    )
  return definers[kind]

"""The check of names that a benchmark is given."""

from tangle import errors


def check(argument, name, known):
  """Raises unless a name is known.

  Args:
    argument: the argument's name, for the message.
    name: any value.
    known: an iterable of names.

  Raises:
    ArgumentError: if `name` is not in `known`.
  """
  if name not in known:
    raise errors.ArgumentError(
      f"{argument} must be one of {', '.join(known)}, got {name!r}."
      f"{errors.suggest(name, known) or ' Correct its name.'}"
    )

"""Signatures of tangle's functions, read from source without importing it.

A script needs names, defaults, type hints and docstrings to define its flags.
Importing the functions imports TensorFlow, which takes seconds.
"""

import ast
import os
import typing

from tangle import errors

_FOLDER = os.path.dirname(errors.__file__)


class Elsewhere:
  """A default value that its module computes or imports; it is unknown here."""


def read(name):
  """Returns a function that has another's signature and docstring, and no body.

  Type hints can be those of `typing` and builtin ones. A default is a literal,
  a constant of the module with a literal value, or an instance of `Elsewhere`.

  Args:
    name: of a function or a class of tangle, such as
      `"tangle.experiments.seq2seq.train"`; of a class, `__init__` is read.

  Returns:
    The function, which does nothing.

  Raises:
    ArgumentError: if there is no such function.
  """
  module, _, attribute = name.rpartition(".")
  path = os.path.join(_FOLDER, *module.split(".")[1:]) + ".py"
  found = None
  if module.startswith("tangle.") and os.path.isfile(path):
    with open(path, encoding="utf-8") as file:
      tree = ast.parse(file.read())
    found = _find(tree, attribute)
    if isinstance(found, ast.ClassDef):
      found = _find(found, "__init__")
  if not isinstance(found, ast.FunctionDef):
    raise errors.ArgumentError(
      f"signatures.read: tangle has no function {name!r}. Write it as "
      f"'tangle.experiments.seq2seq.train'."
    )
  constants = _constants(tree)
  every = [d for d in found.args.defaults + found.args.kw_defaults if d]
  names = [default.id for default in every if isinstance(default, ast.Name)]
  namespace = dict(dict.fromkeys(names, Elsewhere()), **vars(typing))
  namespace.update(constants)
  found.name, found.decorator_list, found.body = attribute, [], found.body[:1]
  tree.body = [found]
  exec(compile(tree, path, "exec"), namespace)
  return namespace[attribute]


def _find(tree, name):
  found = [node for node in tree.body if getattr(node, "name", None) == name]
  return found[0] if found else None


def _constants(tree):
  """Returns name → value of the literals that a module assigns."""
  found = {}
  for node in tree.body:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
      try:
        found[node.targets[0].id] = ast.literal_eval(node.value)
      except ValueError:
        continue
  return found

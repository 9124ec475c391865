"""Reads functions of tangle without importing their modules.

Importing a module of tangle also imports TensorFlow, which takes seconds. A
script that only explains its flags, or refuses them, needs no more of a
function than its arguments, their defaults and its docstring. These are read
from the source: constants of the module are evaluated, bodies of functions are
left out, and whatever other packages define is unknown.
"""

import ast
import contextlib
import pathlib
import typing

from tangle import errors

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class Unknown:
  """What only an import could tell: any call or attribute of it is unknown."""

  def __init__(self, *unused, **also_unused):
    """Makes one; all are alike."""

  def __call__(self, *unused, **also_unused):
    return Unknown()

  def __getattr__(self, name):
    if name.startswith("__"):
      raise AttributeError(name)
    return Unknown()

  def __mro_entries__(self, bases):
    return (Unknown,)


class Module:
  """A module as far as it is known without an import.

  Its attributes are the constants, classes and functions of the module. A
  function has its arguments, defaults and docstring, and returns `None`.
  """

  def __init__(self, name):
    """Reads nothing yet.

    Args:
      name: dotted name of a module of tangle.
    """
    self._name = name
    self._space = None

  def __getattr__(self, name):
    if name.startswith("__"):
      raise AttributeError(name)
    if self._space is None:
      self._space = {"__name__": self._name}
      self._read()
    return self._space.get(name, Unknown())

  def _read(self):
    path = _path(self._name)
    if not path.exists():
      return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
      if isinstance(node, (ast.Import, ast.ImportFrom)):
        self._import(node)
        continue
      if isinstance(node, ast.FunctionDef):
        node.decorator_list, node.body = [], node.body[:1] + [ast.Pass()]
        if ast.get_docstring(node) is None:
          node.body = [ast.Pass()]
        ast.fix_missing_locations(node)
      elif not isinstance(node, (ast.Assign, ast.AnnAssign, ast.ClassDef)):
        continue
      if isinstance(node, ast.ClassDef):  # its methods may have it as a hint
        self._space[node.name] = Unknown()
        for method in node.body:  # only `property` and the like are kept
          if isinstance(method, ast.FunctionDef):
            found = method.decorator_list
            found[:] = [d for d in found if not isinstance(d, ast.Call)]
      for target in getattr(node, "targets", ()):  # unless it is known below
        if isinstance(target, ast.Name):
          self._space[target.id] = Unknown()
      with contextlib.suppress(Exception):  # the rest is known nevertheless
        _run(node, str(path), self._space)

  def _import(self, node):
    """Binds the names of an import."""
    if isinstance(node, ast.ImportFrom) and node.module == "typing":
      self._space.update({a.name: getattr(typing, a.name) for a in node.names})
      return
    for alias in node.names:
      name, found = alias.asname or alias.name, Unknown()
      if isinstance(node, ast.ImportFrom) and _is_own(node.module):
        module = f"{node.module}.{alias.name}"
        if _path(module).exists():
          found = Module(module)
        elif alias.name.isupper():  # a constant
          found = getattr(Module(node.module), alias.name)
      self._space[name.partition(".")[0]] = found


def _is_own(module):
  return module.partition(".")[0] == "tangle"


def _path(module):
  path = _ROOT.joinpath(*module.split("."))
  return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _run(node, path, space):
  tree = ast.parse("")
  tree.body = [node]
  exec(compile(tree, path, "exec"), space)


def read(name):
  """Reads a function without importing its module.

  Args:
    name: its dotted name, such as `"tangle.benchmarks.growth.compare_sizes"`.

  Returns:
    A function of the same arguments, defaults, hints and docstring, which does
    nothing.

  Raises:
    ArgumentError: if there is no such function.
  """
  module, _, function = name.rpartition(".")
  found = getattr(Module(module), function)
  if isinstance(found, Unknown):
    raise errors.ArgumentError(f"outlines.read: there is no function {name!r}.")
  return found


def describe(name):
  """Returns the docstring of a module of this name, without importing it."""
  return ast.get_docstring(ast.parse(_path(name).read_text(encoding="utf-8")))

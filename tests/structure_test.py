"""Tests that the house stands: floors, imports, docstrings, test files."""

import ast
import contextlib
import importlib
import inspect
import pathlib
import random
import re
import string
import sys
import warnings

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import forks

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tangle"
MODULES = sorted(
  path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
)

# What the design calls the house: a module imports only from lower floors, or
# from its own folder.
FLOORS = {
  "errors": 0,
  "compat": 0,
  "files": 0,
  "hints": 0,
  "graphs": 1,
  "nets": 1,
  "meta_graphs": 2,
  "partial": 2,
  "gradients": 2,
  "mux": 2,
  "combine": 2,
  "pipeline": 3,
  "branches": 4,
  "seq2seq": 4,
  "training": 4,
  "experiments": 5,
  "benchmarks": 6,
}


def room(path):
  """Returns the name of the folder, or module, right below the package."""
  return path.relative_to(PACKAGE).parts[0].replace(".py", "")


def dotted(path):
  """Returns the name by which Python imports `path`."""
  return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def cases(paths):
  return [(dotted(path).replace(".", "_"), path) for path in paths]


def imports_of(path):
  """Yields (module, names) of each import of `path`."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name, [], node
    elif isinstance(node, ast.ImportFrom):
      yield node.module, [alias.name for alias in node.names], node


class StructureTest(parameterized.TestCase):
  @parameterized.named_parameters(*cases(MODULES))
  def test_imports_only_from_lower_floors(self, path):
    for module, names, _ in imports_of(path):
      if module != "tangle" and not module.startswith("tangle."):
        continue
      parts = module.split(".")[1:]
      for other in [parts[0]] if parts else names:
        self.assertIn(other, FLOORS, f"{path}: imports {other} from tangle")
        if other != room(path):
          self.assertLess(
            FLOORS[other],
            FLOORS[room(path)] + (FLOORS[room(path)] == 0),
            f"{dotted(path)} imports {other}",
          )

  @parameterized.named_parameters(*cases(MODULES))
  def test_only_compat_imports_tensorflow(self, path):
    found = [m for m, _, _ in imports_of(path) if m.startswith("tensorflow")]
    if room(path) != "compat":
      self.assertEmpty(found)

  @parameterized.named_parameters(*cases(MODULES))
  def test_has_a_test_file(self, path):
    relative = path.relative_to(PACKAGE).with_suffix("")
    mirror = ROOT / "tests" / relative.parent / f"{relative.name}_test.py"
    self.assertTrue(mirror.exists(), f"{mirror} is missing")

  @parameterized.named_parameters(*cases(MODULES))
  def test_is_of_readable_size(self, path):
    self.assertLessEqual(len(path.read_text().splitlines()), 400)
    for name, length in function_lengths(path.read_text()):
      self.assertLessEqual(length, 60, f"{path}: {name}")

  def test_the_size_of_a_function_is_measured(self):
    text = '''
@decorated(
  1
)
def outer():
  """One.

  More.
  """

  def inner():
    return (
      1
    )

  return """
text"""


def last():
  pass
'''
    found = dict(function_lengths(text))
    self.assertEqual(found, {"outer": 9, "inner": 3, "last": 1})

  @parameterized.named_parameters(*cases(MODULES))
  def test_public_names_have_full_docstrings(self, path):
    tree = ast.parse(path.read_text())
    self.assertTrue(ast.get_docstring(tree), f"{path} has no docstring")
    for owner, node in public_definitions(tree):
      where = f"{dotted(path)}.{owner}{node.name}"
      doc = ast.get_docstring(node)
      if not doc and owner:  # an override may be told of in its base class
        found = importlib.import_module(dotted(path))
        method = getattr(getattr(found, owner[:-1]), node.name)
        self.assertTrue(inspect.getdoc(method), f"{where} has no docstring")
        continue
      self.assertTrue(doc, f"{where} has no docstring")
      if isinstance(node, ast.ClassDef):
        continue
      arguments = [a.arg for a in node.args.args + node.args.kwonlyargs]
      arguments = [a for a in arguments if a not in ("self", "cls")]
      one_line = len(doc.splitlines()) == 1
      if arguments and not one_line:
        self.assertIn("Args:", doc, where)
        for argument in arguments:
          self.assertRegex(doc, rf"\b{argument}\b", where)
      gives = any(
        isinstance(child, ast.Return) and child.value is not None
        for child in own_nodes(node)
      )
      is_property = any(
        getattr(d, "id", "") == "property" for d in node.decorator_list
      )
      if gives and not one_line and not is_property:
        self.assertRegex(doc, "Returns|Yields", where)

  @parameterized.named_parameters(*cases(MODULES))
  def test_names_of_functions_in_errors_can_be_made(self, path):
    for node in ast.walk(ast.parse(path.read_text())):
      decorators = [ast.dump(d) for d in getattr(node, "decorator_list", ())]
      for decorator in getattr(node, "decorator_list", ()):
        if getattr(getattr(decorator, "func", None), "attr", "") != "named":
          continue
        arguments = [a.arg for a in node.args.args + node.args.kwonlyargs]
        template = ast.literal_eval(decorator.args[0])
        for _, field, _, _ in string.Formatter().parse(template):
          if field is not None:
            self.assertIn(field.split(".")[0], arguments, node.name)
        # The errors of the body of a `with` are not those of the function.
        self.assertNotIn("contextmanager", "".join(decorators), node.name)

  @parameterized.named_parameters(*cases(MODULES))
  def test_imports_no_scripts_and_no_tests(self, path):
    for module, _, _ in imports_of(path):
      self.assertNotIn(module.split(".")[0], ("scripts", "tests"))

  def test_importing_all_modules_makes_no_ops_and_switches_nothing(self):
    with imported_anew() as modules, tf1.Graph().as_default() as graph:
      before = switches()
      for path in MODULES:
        try:
          importlib.import_module(dotted(path))
        except ModuleNotFoundError as error:
          self.assertIn(error.name, ("jax", "torch"))  # in_jax, in_pytorch
      self.assertEqual([op.name for op in graph.get_operations()], [])
      self.assertEqual(switches(), before)
      self.assertIsNot(modules["tangle.compat"], sys.modules["tangle.compat"])
    self.assertIs(modules["tangle.compat"], sys.modules["tangle.compat"])

  def test_the_top_level_holds_little(self):
    known = {
      "setup.py",
      "README.md",
      "BUILD_NOTES.md",
      "CHANGELOG.md",
      "CITATION.cff",
      "Makefile",
      "ruff.toml",
      "tangle",
      "docs",
      "findings",
      "scripts",
      "tests",
      "LICENSE",
    }
    found = {
      path.name for path in ROOT.iterdir() if not path.name.startswith(".")
    }
    found -= {"out", "build", "tangle_graph.egg-info"}
    self.assertLessEqual(found, known)

  def test_type_checkers_see_the_names_that_there_are(self):
    homes = {}
    for module, names, _ in imports_of(PACKAGE / "__init__.py"):
      homes.update(dict.fromkeys(names, module))
    self.assertCountEqual(homes, tangle.__all__)
    for name, module in homes.items():
      found = getattr(importlib.import_module(module), name)
      self.assertIs(getattr(tangle, name), found, name)
    with self.assertRaisesRegex(AttributeError, "no attribute 'nothing'"):
      tangle.nothing  # noqa: B018

  def test_importing_the_package_imports_no_tensorflow(self):
    code = (
      "import sys, tangle; from tangle import errors, files;"
      "assert not {'tensorflow', 'numpy'} & set(sys.modules);"
      "tangle.SubModel, tangle.partial.stores;"
      "assert 'tensorflow' in sys.modules"
    )
    with forks.new_processes():
      done = forks.run_code(code)
    self.assertEqual(done.returncode, 0, done.stderr)

  def test_scripts_are_thin(self):
    for path in sorted((ROOT / "scripts").glob("*.py")):
      self.assertLess(len(path.read_text().splitlines()), 100, path.name)

  def test_the_public_face_is_what_the_docs_show(self):
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = set(re.findall(r"\btangle\.([A-Za-z]\w*)", text))
    for names in re.findall(r"from tangle import ([\w, ]+)", text):
      shown.update(names.split(", "))
    rooms = {room(path) for path in MODULES}
    self.assertEqual(shown - rooms - set(tangle.__all__), set())
    self.assertEqual(set(tangle.__all__) - shown, set())
    for name in tangle.__all__:
      self.assertTrue(inspect.getdoc(getattr(tangle, name)), name)


def function_lengths(text):
  """Yields name and length of each function in Python text.

  The length counts the lines below the first, but those of the docstring's
  text. The nodes of Python 3.7 do not know where they end.
  """
  lines = [line + "\n" for line in text.splitlines()]
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.FunctionDef):
      begin = node.lineno - 1  # on 3.7 that of the first decorator
      while not lines[begin].lstrip().startswith("def "):
        begin += 1
      length = len(inspect.getblock(lines[begin:])) - 1
      doc = ast.get_docstring(node) or ""
      yield node.name, length - len(doc.splitlines())


@contextlib.contextmanager
def imported_anew():
  """Forgets that tangle was imported; yields the modules that it then was.

  They take their places again at the end.
  """

  def own():
    names = [n for n in sys.modules if n.partition(".")[0] == "tangle"]
    return {name: sys.modules.pop(name) for name in names}

  found = own()
  try:
    yield found
  finally:
    own()
    sys.modules.update(found)


def switches():
  """Returns what is switched on in TensorFlow and Python for all."""
  return (
    tf1.executing_eagerly(),
    tf1.control_flow_v2_enabled(),
    tf1.resource_variables_enabled(),
    tf1.logging.get_verbosity(),
    list(warnings.filters),
    np.random.get_state()[1].tolist(),
    random.getstate(),
  )


def public_definitions(tree):
  """Yields (owner, node) of public functions, classes and methods."""
  for node in tree.body:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
      if node.name.startswith("_"):
        continue
      yield "", node
      if isinstance(node, ast.ClassDef):
        for child in node.body:
          named = isinstance(child, ast.FunctionDef)
          if named and not child.name.startswith("_"):
            yield node.name + ".", child


def own_nodes(function):
  """Yields the nodes of a function, without those of functions inside it."""
  stack = list(function.body)
  while stack:
    node = stack.pop()
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
      stack.extend(ast.iter_child_nodes(node))


if __name__ == "__main__":
  absltest.main()

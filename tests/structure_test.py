"""Tests that the house stands: floors, imports, docstrings, test files."""

import ast
import importlib
import inspect
import pathlib

from absl.testing import absltest, parameterized

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
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.FunctionDef):
        length = (
          node.end_lineno - node.lineno if hasattr(node, "end_lineno") else 0
        )
        doc = ast.get_docstring(node) or ""
        self.assertLessEqual(
          length - len(doc.splitlines()), 60, f"{path}: {node.name}"
        )

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

  def test_importing_tangle_makes_no_ops_and_imports_no_scripts(self):
    for path in MODULES:
      for module, _, _ in imports_of(path):
        self.assertNotIn(module.split(".")[0], ("scripts", "tests"))

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

  def test_scripts_are_thin(self):
    for path in sorted((ROOT / "scripts").glob("*.py")):
      self.assertLess(len(path.read_text().splitlines()), 100, path.name)

  def test_the_public_face_is_what_the_readme_shows(self):
    import tangle

    for name in tangle.__all__:
      self.assertTrue(inspect.getdoc(getattr(tangle, name)), name)


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

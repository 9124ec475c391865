"""Tests of the type hints of the public functions, by import."""

import importlib
import inspect
import pathlib
import re
import typing

from absl.testing import absltest, parameterized

import tangle
from tangle import hints

PAGES = pathlib.Path(__file__).resolve().parent.parent / "docs/reference/api"
OPERATORS = ("__init__", "__call__", "__iter__", "__getitem__", "__len__")


def shown(page):
  """Yields name and value of what a page of the API reference shows."""
  text = page.read_text(encoding="utf-8")
  found = re.findall(r"\.\. auto(\w+):: ([\w.]+)\n((?:   :.*\n)*)", text)
  for kind, name, options in found:
    if kind != "module":
      name = name if "." in name else f"tangle.{name}"
      home, _, own = name.rpartition(".")
      yield name, getattr(importlib.import_module(home), own)
    elif ":members:" in options:
      module = importlib.import_module(name)
      listed = re.search(r":members: (.+)", options)
      names = listed.group(1).split(", ") if listed else public(module)
      for own in names:
        yield f"{name}.{own}", getattr(module, own)


def public(module):
  """Lists the names that Sphinx documents of a module."""
  if hasattr(module, "__all__"):
    return module.__all__
  return [
    name
    for name, value in vars(module).items()
    if getattr(value, "__module__", None) == module.__name__
    and not name.startswith("_")
  ]


def functions(name, value):
  """Yields name and function of a public function or of a class's methods."""
  if inspect.isfunction(value):
    yield name, value
  elif inspect.isclass(value):
    for base in value.__mro__:
      for own, method in vars(base).items():
        if base.__module__.startswith("tangle.") and (
          own in OPERATORS or not own.startswith("_")
        ):
          for attribute in ("fget", "__func__"):  # property, class method
            method = getattr(method, attribute, method)
          if inspect.isfunction(method):
            yield f"{name}.{own}", inspect.unwrap(method)


def missing(function):
  """Lists the arguments, and `return`, that have no hint."""
  hinted = typing.get_type_hints(function)
  names = [*inspect.signature(function).parameters, "return"]
  first = names[:1] if names[0] in ("self", "cls") else []
  return [name for name in names if name not in hinted and [name] != first]


class HintsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (page.stem, page) for page in sorted(PAGES.glob("*.md"))
  )
  def test_arguments_and_results_have_hints_that_resolve(self, page):
    count = 0
    for name, value in shown(page):
      if inspect.isclass(value):
        typing.get_type_hints(value)  # those of fields
      for full, function in functions(name, value):
        if function.__module__.startswith("tangle."):
          self.assertEqual(missing(function), [], full)
          count += 1
    self.assertGreater(count, 1)

  def test_a_missing_hint_is_seen(self):
    def function(a: int, b, *rest: str, c: "hints.Path" = ""):
      return a, b, rest, c

    class Class:
      def method(self, a) -> None:
        pass

    self.assertEqual(missing(function), ["b", "return"])
    self.assertEqual(missing(Class.method), ["a"])

  def test_a_hint_that_does_not_resolve_is_seen(self):
    def function(a: "Nothing") -> None:  # noqa: F821
      del a

    with self.assertRaisesRegex(NameError, "Nothing"):
      missing(function)

  def test_methods_of_all_kinds_are_found(self):
    class Class:
      @property
      def read(self):
        pass

      @classmethod
      def make(cls):
        pass

      @staticmethod
      def do():
        pass

      def __len__(self):
        return 0

      def _own(self):
        pass

    Class.__module__ = "tangle.example"
    names = [name for name, _ in functions("c", Class)]
    self.assertEqual(names, ["c.read", "c.make", "c.do", "c.__len__"])

  def test_the_parts_of_the_package_are_on_the_pages(self):
    names = {name for page in PAGES.glob("*.md") for name, _ in shown(page)}
    classes = {
      name for name in tangle.__all__ if callable(getattr(tangle, name))
    }
    self.assertLessEqual({f"tangle.{name}" for name in classes}, names)

  def test_aliases_have_descriptions(self):
    text = pathlib.Path(hints.__file__).read_text(encoding="utf-8")
    for name in public_aliases():
      self.assertRegex(text, rf'(?ms)^{name} = .*?^"""[A-Z]')


def public_aliases():
  """Lists the names of the aliases."""
  modules = (type(typing), type(pathlib))
  return [
    name
    for name, value in vars(hints).items()
    if name[0].isupper()
    and not isinstance(value, modules)
    and name not in typing.__all__
  ]


if __name__ == "__main__":
  absltest.main()

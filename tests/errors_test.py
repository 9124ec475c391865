import inspect

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors

CLASSES = [
  value
  for _, value in inspect.getmembers(errors, inspect.isclass)
  if issubclass(value, errors.TangleError) and value is not errors.TangleError
]


class TreeTest(parameterized.TestCase):
  def test_there_are_some(self):
    self.assertGreater(len(CLASSES), 5)

  @parameterized.named_parameters((c.__name__, c) for c in CLASSES)
  def test_has_the_root_and_one_builtin_exception_above(self, error):
    self.assertTrue(issubclass(error, errors.TangleError))
    builtins = [b for b in error.__bases__ if b.__module__ == "builtins"]
    self.assertLen(builtins, 1)
    self.assertIsNot(builtins[0], Exception)
    with self.assertRaises(builtins[0]):
      raise error("message")

  @parameterized.named_parameters((c.__name__, c) for c in CLASSES)
  def test_has_a_docstring(self, error):
    self.assertTrue(error.__doc__.strip().endswith("."))

  def test_the_builtin_is_what_others_would_catch(self):
    self.assertTrue(issubclass(errors.ShapeError, ValueError))
    self.assertTrue(issubclass(errors.DtypeError, TypeError))
    self.assertTrue(issubclass(errors.CallError, RuntimeError))
    self.assertTrue(issubclass(errors.MissingPackageError, ImportError))

  def test_a_similar_name_is_suggested(self):
    known = ["encoder.h", "decoder.h", 3]
    text = errors.suggest("encodr.h", known)
    self.assertEqual(text, " Perhaps 'encoder.h' is meant.")
    self.assertEqual(errors.suggest("nothing like it", known), "")
    self.assertEqual(errors.suggest(None, []), "")

  def test_an_array_is_shown_by_dtype_and_shape(self):
    shown = {
      "an array of float32, shape (500, 3)": np.ones([500, 3], np.float32),
      "an array of strings, shape (2,)": np.array(["a", "b"]),
      "an array of object, shape ()": np.array(None),
      "'text'": "text",
      "[1, 2]": [1, 2],
    }
    for text, value in shown.items():
      self.assertEqual(errors.show(value), text)

  def test_a_long_value_is_shown_in_part(self):
    self.assertEqual(errors.show("a\n" * 50), ("'" + "a\\n" * 50)[:60] + "…")

  def test_an_error_is_summarized_in_one_line(self):
    texts = {
      "": "",
      "one": "one",
      "one\ntwo": "one",
      "No space\n\t [[{{node save/SaveV2}}]]": "No space",
      "Graph execution error:\n\nDetected at node x defined at:\n  File y\n"
      "No space\n\t [[{{node save/SaveV2}}]]\n\nOriginal stack": "No space",
    }
    for text, line in texts.items():
      self.assertEqual(errors.summarize(ValueError(text)), line)

  def test_all_lines_are_joined_without_colours(self):
    error = ValueError(
      "\x1b[1mWhen calling D.call().\x1b[0m\n\n  3 and 4 differ"
    )
    text = "When calling D.call(). 3 and 4 differ"
    self.assertEqual(errors.join_lines(error), text)


def _refuse(value):
  raise errors.ArgumentError(f"value must be positive, got {value}.")


class Box:
  """A class with named methods."""

  @errors.named("Box {name!r}")
  def __init__(self, name, value=1):
    self.name = name
    if value < 0:
      _refuse(value)

  @property
  @errors.named("Box {self.name!r}: first")
  def first(self):
    """A property that cannot be read."""
    _refuse(-1)

  @errors.named("Box {self.name!r}: read")
  def read(self, *values, **others):
    """Yields values up to the first that is negative."""
    for value in values:
      if value < 0:
        with errors.about(f"values, {others}"):
          _refuse(value)
      yield value

  @errors.named("Box {self.name!r}: again")
  def again(self):
    """Calls another named function."""
    Box("inner", -2)


class NamedTest(absltest.TestCase):
  def message(self, call, *args, **kwargs):
    with self.assertRaises(errors.ArgumentError) as caught:
      call(*args, **kwargs)
    return str(caught.exception)

  def test_the_name_has_the_arguments_given_by_place_name_or_default(self):
    text = "value must be positive, got -1."
    for call in (
      lambda: Box("a", -1),
      lambda: Box(value=-1, name="a"),
    ):
      self.assertIn(text, self.message(call))
      self.assertStartsWith(self.message(call), "Box 'a': value")

  def test_what_a_name_shows_is_short(self):
    box = Box(np.zeros([500, 3], np.float32))
    self.assertStartsWith(
      self.message(lambda: box.first),
      "Box an array of float32, shape (500, 3): first: ",
    )
    long = self.message(Box, "a" * 100, -1)
    self.assertStartsWith(long, f"Box '{'a' * 59}…: ")

  def test_the_innermost_name_is_kept_and_put_once(self):
    self.assertStartsWith(
      self.message(Box("outer").again), "Box 'inner': value"
    )

  def test_a_generator_stays_one_and_says_what_its_part_is_about(self):
    values = Box("a").read(1, 2, -3, k=4)
    self.assertTrue(inspect.isgeneratorfunction(Box.read))
    self.assertEqual([next(values), next(values)], [1, 2])
    self.assertStartsWith(
      self.message(next, values), "Box 'a': read, values, {'k': 4}: value"
    )

  def test_several_parts_are_told_from_outside_in(self):
    @errors.named("call")
    def call():
      with errors.about("sub-model 'a'"), errors.about("feed 'x'"):
        raise errors.ShapeError("wrong.")

    with self.assertRaises(errors.ShapeError) as caught:
      call()
    self.assertEqual(
      str(caught.exception), "call, sub-model 'a', feed 'x': wrong."
    )

  def test_other_errors_pass_unchanged(self):
    with self.assertRaisesRegex(TypeError, "^'<' not supported"):
      Box("a", "b")

  def test_an_error_that_is_named_passes_a_part_unchanged(self):
    def call():
      with errors.about("part"):
        Box("a", -1)

    self.assertStartsWith(self.message(call), "Box 'a': value")

  def test_a_missing_package_is_named_with_what_to_install(self):
    with self.assertRaises(errors.MissingPackageError) as caught:
      with errors.needing("nothing", "some[extra]"):
        import no_such_package  # noqa: F401
    self.assertEqual(
      str(caught.exception),
      "nothing is not installed. Install it with: pip install some[extra]",
    )
    self.assertIsInstance(caught.exception.__cause__, ImportError)

  def test_every_class_shows_its_name(self):
    for kind in CLASSES:
      error = kind("wrong.")
      error.begin_with("part")
      self.assertEqual(str(error), "part: wrong.")

  def test_number_of_the_system_error_is_kept(self):
    @errors.named("write")
    def write():
      error = errors.FileError("the disk is full.")
      error.errno = 28
      raise error

    with self.assertRaisesRegex(errors.FileError, "^write: the disk") as caught:
      write()
    self.assertEqual(caught.exception.errno, 28)


if __name__ == "__main__":
  absltest.main()

import inspect

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors

CLASSES = [
  value
  for _, value in inspect.getmembers(errors, inspect.isclass)
  if value.__module__ == errors.__name__ and value is not errors.TangleError
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


if __name__ == "__main__":
  absltest.main()

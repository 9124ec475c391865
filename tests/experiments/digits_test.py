"""Tests of digits."""

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.experiments import digits


class DigitsTest(parameterized.TestCase):
  @parameterized.parameters(*digits.FORMATS)
  def test_what_is_written_is_read(self, form):
    written = digits.write(np.arange(10), form)
    self.assertEqual(written.shape, (10, digits.DEPTHS[form]))
    np.testing.assert_array_equal(
      digits.read(written - 0.5, form), np.arange(10)
    )

  def test_bits_go_from_the_highest_to_the_lowest(self):
    found = digits.write([8, 3], "binary")
    np.testing.assert_array_equal(found, [[1, 0, 0, 0], [0, 0, 1, 1]])
    self.assertEqual(digits.read([[1, 1, 1, 1]], "binary"), [15])

  def test_results_wrap(self):
    self.assertEqual(digits.OPERATIONS["plus1"](9), 0)
    self.assertEqual(digits.OPERATIONS["times2"](7), 4)

  def test_there_are_eight_paths(self):
    self.assertLen(set(map(str, digits.PATHS)), 8)
    path = digits.parse_path("binary/plus1/decimal")
    self.assertEqual(path, ("binary", "plus1", "decimal"))
    self.assertEqual(digits.parse_path(path), path)
    with self.assertRaisesRegex(errors.ArgumentError, "binary/minus/decimal"):
      digits.parse_path("binary/minus/decimal")

  def test_lessons_hide_what_is_held_out(self):
    held_out = {
      "binary/plus1/decimal": None,
      digits.Path("decimal", "times2", "binary"): [3, 4],
    }
    lessons = digits.make_lessons(held_out)
    self.assertLen(lessons, 4)
    first = lessons["binary", "plus1"]
    np.testing.assert_array_equal(first.weights["decimal"], np.zeros(10))
    np.testing.assert_array_equal(first.weights["binary"], np.ones(10))
    np.testing.assert_array_equal(first.results, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    other = lessons["decimal", "times2"].weights["binary"]
    np.testing.assert_array_equal(np.flatnonzero(other == 0), [3, 4])

  def test_accuracy(self):
    path = digits.parse_path("binary/plus1/decimal")
    logits = digits.write([1, 2, 3, 4, 5, 6, 7, 8, 9, 9], "decimal")
    self.assertAlmostEqual(digits.accuracy(logits, path), 0.9)
    self.assertEqual(digits.accuracy(logits, path, [9]), 0.0)


if __name__ == "__main__":
  absltest.main()

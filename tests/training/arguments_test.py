"""Tests of arguments."""

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.training import arguments


class NumbersTest(parameterized.TestCase):
  @parameterized.parameters(0, -1, "a", None, float("nan"))
  def test_others_are_refused(self, value):
    with self.assertRaisesRegex(
      errors.ArgumentError, "report_every must be at least 1, got .* Give"
    ):
      arguments.check_numbers((1, value, 1, 1))

  def test_checkpoints_may_be_left_out(self):
    arguments.check_numbers((1, 1, 1, None))


class FunctionsTest(parameterized.TestCase):
  @parameterized.parameters("feeds", "validate", "progress", "report", "reopen")
  def test_a_number_is_refused(self, name):
    with self.assertRaisesRegex(
      errors.ArgumentError, f"{name} must be a function, got 3. Give a function"
    ):
      names = "feeds", "validate", "progress", "report", "reopen"
      arguments.check_functions([3 if n == name else None for n in names])

  def test_functions_and_none_are_taken(self):
    arguments.check_functions([None, None, None, print, None])


if __name__ == "__main__":
  absltest.main()

"""Tests of progress."""

import io
import sys
import types
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.training import progress


class Terminal(io.StringIO):
  def isatty(self):
    return True


class BarTest(absltest.TestCase):
  def test_shows_step_and_loss_on_a_terminal(self):
    file = Terminal()
    with progress.Bar(file=file) as bar:
      for step in (41, 42):
        bar(step, 50, types.SimpleNamespace(loss=0.5))
      bar.write("a line")
    text = file.getvalue()
    self.assertIn("42/50", text)
    self.assertIn("loss 0.5000", text)
    self.assertIn("a line", text)

  def test_a_run_that_goes_on_does_not_count_earlier_steps_as_its_own(self):
    with progress.Bar(file=Terminal()) as bar:
      bar(41, 50, types.SimpleNamespace(loss=0.5))
      self.assertEqual(bar._bar.initial, 40)
      self.assertEqual(bar._bar.n, 41)

  def test_elsewhere_only_lines_are_written(self):
    file = io.StringIO()
    with progress.Bar(file=file) as bar:
      bar(1, 2, types.SimpleNamespace(loss=0.5))
      bar.write("a line")
    self.assertEqual(file.getvalue(), "a line\n")

  def test_names_the_package_that_is_missing(self):
    with mock.patch.dict(sys.modules, tqdm=None):
      with self.assertRaisesRegex(errors.MissingPackageError, "pip install"):
        progress.Bar()


if __name__ == "__main__":
  absltest.main()

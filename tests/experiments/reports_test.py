"""Tests of reports."""

import contextlib
import io
import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle.experiments import plots, reports

ROWS = {
  "joint": {"step_s": 0.5, "r": 1.0, "r_quartiles": [1.0, 1.0]},
  "other": {"reason": "gone"},
}


class ReportTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.output = io.StringIO()
    self.enter(contextlib.redirect_stdout(self.output))

  def enter(self, context):
    found = context.__enter__()
    self.addCleanup(context.__exit__, None, None, None)
    return found

  def test_rows_are_printed_and_written(self):
    with reports.Report(self.folder) as report:
      report.show(ROWS, ["step_s"], "strategy", model="mlp")
      report.note(size="small")
    text = self.output.getvalue()
    self.assertIn("model mlp\n", text)
    self.assertIn("cannot run: gone", text)
    self.assertIn("load of the last minute", text)
    with open(os.path.join(self.folder, "metrics.jsonl")) as file:
      first, _, last = map(json.loads, file)
    self.assertEqual(first, dict(ROWS["joint"], model="mlp", strategy="joint"))
    self.assertEqual(last, {"size": "small"})

  def test_ratios_are_drawn_if_there_are_any(self):
    report = reports.Report(self.folder)
    path = report.draw_ratios("plot", ROWS, "r", "ratio")
    self.assertEqual(path, os.path.join(self.folder, "plot.png"))
    self.assertTrue(os.path.exists(path))
    with mock.patch.object(plots, "draw_ratios") as draw:
      self.assertIsNone(report.draw_ratios("none", ROWS, "s", "ratio"))
    draw.assert_not_called()

  def test_text_is_printed_and_saved(self):
    report = reports.Report(self.folder)
    report.say("hello")
    report.save("a.md", "é\n")
    self.assertEqual(self.output.getvalue(), "hello\n")
    with open(os.path.join(self.folder, "a.md"), encoding="utf-8") as file:
      self.assertEqual(file.read(), "é\n")

  def test_the_bar_shows_processes_that_have_ended(self):
    with mock.patch.object(reports.progress, "Bar") as bar:
      with reports.Report(self.folder) as report:
        report.count(1, 2)
        report.count(2, 2)
    bar.assert_called_once_with(unit="process")
    counts = bar.return_value.count.call_args_list
    self.assertEqual(counts, [mock.call(1, 2), mock.call(2, 2)])
    bar.return_value.close.assert_called_once_with()

  def test_a_quiet_report_does_nothing(self):
    for name in ("note", "show", "say", "save", "draw", "draw_ratios", "count"):
      self.assertIsNone(getattr(reports.QUIET, name)(1, a=2))
    self.assertEqual(self.output.getvalue(), "")


if __name__ == "__main__":
  absltest.main()

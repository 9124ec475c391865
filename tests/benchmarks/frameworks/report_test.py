"""Tests of report."""

import contextlib
import io
import os
import tempfile

from absl.testing import absltest

from tangle.benchmarks.frameworks import report
from tangle.experiments import reports

ROWS = {
  "tangle_split": {
    "step_s": 0.0125,
    "to_pytorch": 1.25,
    "to_pytorch_quartiles": [1.125, 1.5],
    "rss_bytes": 123000000,
    "same_losses": True,
    "versions": {"tensorflow": "2.0"},
  },
  "odd_split": {"step_s": 1.0, "same_losses": False},
  "jax_split": {"reason": "jax <not> here"},
}


class CompareTest(absltest.TestCase):
  def test_all_tasks_are_in_one_report(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    out_dir = folder.name
    with contextlib.redirect_stdout(io.StringIO()):
      rows = report.compare_frameworks(
        ["mlp", "gru"],
        "tiny",
        ["roofline_numpy", "tangle_tf1_split"],
        rounds=2,
        budget_s=0.1,
        report=reports.Report(out_dir),
      )
    self.assertEqual(list(rows), ["mlp", "gru", "machine"])
    self.assertIn("TF_ENABLE_ONEDNN_OPTS", rows.pop("machine"))
    for task in rows:
      self.assertGreater(rows[task]["roofline"]["step_s"], 0)
      self.assertIn("--python1", rows[task]["tangle_tf1_split"]["reason"])
    with open(os.path.join(out_dir, "frameworks.md"), encoding="utf-8") as file:
      text = file.read()
    for part in ("## mlp", "## gru", "**size**: tiny"):
      self.assertIn(part, text)
    with open(os.path.join(out_dir, "metrics.jsonl")) as file:
      self.assertLen(file.readlines(), 1 + 2 * 2)


class WriteTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    images = {"lstm": ["folder/lstm_to_roofline.png", None]}
    results = {"lstm": ROWS, "mlp": ROWS}
    self.text = report.write(results, {"processors": 2}, images)

  def test_every_row_of_every_task_is_there(self):
    for text in ("tangle_split", "odd_split", "jax_split", "123 MB", "12.5 ms"):
      self.assertGreaterEqual(self.text.count(text), 2, text)
    self.assertIn("1.25 [1.12, 1.50]", self.text)
    self.assertIn("cannot run: jax <not> here", self.text)
    self.assertIn("- **processors**: 2\n", self.text)
    self.assertIn("tensorflow 2.0", self.text)

  def test_a_loss_that_differs_stands_out(self):
    self.assertEqual(self.text.count("**no**"), 2)

  def test_plots_are_beside_it(self):
    self.assertEqual(
      self.text.count("![lstm: ratios](lstm_to_roofline.png)"), 1
    )
    self.assertEqual(self.text.count("!["), 1)


if __name__ == "__main__":
  absltest.main()

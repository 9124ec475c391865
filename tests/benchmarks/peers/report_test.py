"""Tests of report."""

import os
import sys
import tempfile

from absl.testing import absltest

from tangle.benchmarks.peers import harness, report, roster


class CompareTest(absltest.TestCase):
  def test_all_tasks_are_on_one_page(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    out_dir = folder.name
    settings = roster.Settings({"python2": sys.executable}, None, threads=1)
    rows = report.compare(
      ["mlp", "gru"],
      "tiny",
      ["limit_numpy", "pytorch_split"],
      settings,
      harness.Settings(rounds=2, turn_s=0.001),
      out_dir,
      mood="quiet",
    )
    self.assertEqual(list(rows), ["mlp", "gru", "machine"])
    self.assertIn("TF_ENABLE_ONEDNN_OPTS", rows.pop("machine"))
    for task in rows:
      self.assertGreater(rows[task]["limit"]["step_s"], 0)
      self.assertIn("torch_python", rows[task]["pytorch_split"]["reason"])
    with open(os.path.join(out_dir, "peers.html")) as file:
      text = file.read()
    for part in ("mlp", "gru", "quiet", "tiny"):
      self.assertIn(part, text)
    with open(os.path.join(out_dir, "metrics.jsonl")) as file:
      self.assertLen(file.readlines(), 1 + 2 * 2)


if __name__ == "__main__":
  absltest.main()

"""Tests that the README's code runs, and that it tells of every script."""

import os
import pathlib
import re
import tempfile

from absl.testing import absltest

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


class ReadmeTest(absltest.TestCase):
  def test_every_code_block_runs(self):
    self.assertGreaterEqual(len(BLOCKS), 2)
    with tempfile.TemporaryDirectory() as folder:
      self.addCleanup(os.chdir, os.getcwd())
      os.chdir(folder)  # some write files
      for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), {})
      os.chdir(ROOT)

  def test_every_script_is_in_the_table(self):
    for script in (ROOT / "scripts").glob("*.py"):
      self.assertTrue(f"scripts/{script.name}" in README, script.name)


if __name__ == "__main__":
  absltest.main()

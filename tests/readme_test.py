"""Tests that the code of README and docs runs, and that scripts are listed."""

import os
import pathlib
import re
import tempfile

from absl.testing import absltest, parameterized

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


def blocks_of(page):
  """Returns the Python code of a page, block by block."""
  text = (ROOT / page).read_text(encoding="utf-8")
  return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


class ReadmeTest(parameterized.TestCase):
  @parameterized.parameters(*PAGES)
  def test_every_code_block_runs(self, page):
    with tempfile.TemporaryDirectory() as folder:
      self.addCleanup(os.chdir, os.getcwd())
      os.chdir(folder)  # some write files
      for block in blocks_of(page):
        exec(compile(block, page, "exec"), {})
      os.chdir(ROOT)

  def test_there_are_code_blocks(self):
    self.assertGreaterEqual(len(blocks_of("README.md")), 2)
    self.assertLen(blocks_of("docs/clusters.md"), 2)

  def test_every_script_is_in_the_table(self):
    for script in (ROOT / "scripts").glob("*.py"):
      self.assertTrue(f"scripts/{script.name}" in README, script.name)


if __name__ == "__main__":
  absltest.main()

"""Tests of README and docs: code runs, names resolve, links lead somewhere.

Each code block runs by itself; those of a page with `<!-- one program -->`
share their names. A block that begins with `# TensorFlow 1.15` runs there only.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import types
import unittest.mock

from absl.testing import absltest, parameterized

import tangle
from tangle import compat
from tangle.combine import merging
from tangle.partial import sub_model

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = ["README.md"] + sorted(
  path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")
)
BY_NAME = [(re.sub(r"\W+", "_", page), page) for page in PAGES]
ONE_PROGRAM, OLD_ONLY = "<!-- one program -->", "# TensorFlow 1.15"
NAME = re.compile(r"\btangle(?:\.[A-Za-z_]\w*)+")
LINK = re.compile(r"\]\(([^)\s]+)\)")


CHOICES = [
  ("combining", merging.MERGES),
  ("gradients", tangle.gradients.METHODS),
  ("stores", sub_model.STORES),
]


def read(page):
  """Returns the text of a page."""
  return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page):
  """Returns the Python code of a page, block by block."""
  return re.findall(r"```python\n(.*?)```", read(page), re.DOTALL)


def run_blocks(page):
  """Runs the code of a page, and returns how many blocks ran."""
  names, count = {}, 0
  for number, block in enumerate(blocks_of(page)):
    if block.startswith(OLD_ONLY) and not compat.IS_TF1:
      continue
    if ONE_PROGRAM not in read(page):
      names = {}
    exec(compile(block, f"{page}, block {number}", "exec"), names)
    count += 1
  return count


def slug(heading):
  """Returns the anchor of a heading, as GitHub and MyST make it."""
  return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors_of(text):
  """Returns the anchors of a page."""
  return {slug(h) for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


class ReadmeTest(parameterized.TestCase):
  @parameterized.named_parameters(*BY_NAME)
  def test_every_code_block_runs(self, page):
    with tempfile.TemporaryDirectory() as folder:
      self.addCleanup(os.chdir, os.getcwd())
      os.chdir(folder)  # some write files
      with unittest.mock.patch("builtins.print"):
        count = run_blocks(page)
      os.chdir(ROOT)
    old = sum(b.startswith(OLD_ONLY) for b in blocks_of(page))
    self.assertGreaterEqual(count, len(blocks_of(page)) - old)

  def test_there_are_code_blocks(self):
    for page, count in {
      "README.md": 1,
      "docs/tutorial.md": 4,
      "docs/migration.md": 4,
      "docs/training_loops.md": 3,
      "docs/clusters.md": 2,
    }.items():
      self.assertGreaterEqual(len(blocks_of(page)), count, page)

  def test_every_name_resolves_after_the_import_alone(self):
    names = {(page, n) for page in PAGES for n in NAME.findall(read(page))}
    self.assertGreater(len(names), 50)
    program = (
      "import sys, tangle\n"
      "for line in sys.stdin:\n"
      "  value = tangle\n"
      "  for part in line.split('.')[1:]:\n"
      "    value = getattr(value, part.strip(), None)\n"
      "  if value is None: print(line.strip())\n"
    )
    done = subprocess.run(
      [sys.executable, "-W", "ignore", "-c", program],
      input="\n".join(sorted({name for _, name in names})),
      cwd=str(ROOT),
      env=dict(os.environ, PYTHONPATH=str(ROOT)),
      stdout=subprocess.PIPE,
      text=True,
      check=True,
    )
    missing = set(done.stdout.split())
    self.assertEqual([], sorted(n for n in names if n[1] in missing))

  @parameterized.named_parameters(*BY_NAME)
  def test_every_link_leads_somewhere(self, page):
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    for link in LINK.findall(text):
      if link.startswith(("http:", "https:")):
        continue
      target, _, anchor = link.partition("#")
      path = (ROOT / page).parent / target if target else ROOT / page
      self.assertTrue(path.exists(), f"{page}: {link}")
      if anchor:
        self.assertIn(anchor, anchors_of(path.read_text("utf-8")), link)

  def test_every_script_is_in_the_table(self):
    table = read("docs/scripts.md")
    for script in (ROOT / "scripts").glob("*.py"):
      self.assertIn(f"`scripts/{script.name}", table)

  @parameterized.named_parameters((page, page, c) for page, c in CHOICES)
  def test_a_page_names_every_choice(self, page, choices):
    found = set(re.findall(r"`\"?(\w+)\"?`", read(f"docs/concepts/{page}.md")))
    self.assertEqual([name for name in choices if name not in found], [])

  def test_all_that_is_public_is_in_the_reference(self):
    core = read("docs/reference/api/core.md")
    for name in tangle.__all__:
      if isinstance(getattr(tangle, name), types.ModuleType) and name != "tf1":
        page = read(f"docs/reference/api/{name}.md")
        self.assertIn(f"automodule:: tangle.{name}\n", page)
      else:
        self.assertRegex(core, rf"(:: |`tangle\.){name}\b")

  def test_readme_has_two_screens(self):
    self.assertLessEqual(len(read("README.md").splitlines()), 130)

  def test_the_picture_is_what_its_script_draws(self):
    names = {}
    source = (DOCS / "draw_pipeline.py").read_text(encoding="utf-8")
    exec(compile(source, "docs/draw_pipeline.py", "exec"), names)
    picture = (DOCS / "pipeline.svg").read_text(encoding="utf-8")
    self.assertEqual(names["draw"](), picture)


if __name__ == "__main__":
  absltest.main()

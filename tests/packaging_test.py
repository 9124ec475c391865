"""Tests of what an installation gives."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from absl.testing import absltest

ROOT = pathlib.Path(__file__).parents[1]


class PackagingTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = pathlib.Path(folder.name)
    clone = self.folder / "tangle"  # as `git clone` names it
    clone.mkdir()
    for name in ("setup.py", "README.md"):
      shutil.copy(ROOT / name, clone)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tangle", clone / "tangle", ignore=ignore)

  def pip(self, *arguments):
    command = [sys.executable, "-m", "pip", *arguments, "./tangle"]
    own = ["--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
      command + own + ["--disable-pip-version-check"],
      cwd=self.folder,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    self.assertEqual(done.returncode, 0, done.stdout)

  def test_a_script_beside_the_clone_finds_the_package(self):
    if sys.version_info < (3, 8):  # it would install into this environment
      self.skipTest("Its pip knows no editable wheels.")
    # Else pip would remove the installation of this environment.
    options = ["--ignore-installed", "--prefix", "installed"]
    self.pip("install", *options, "--editable")
    (sites,) = (self.folder / "installed").glob("lib/python*/site-packages")
    program = (
      "import importlib.util, site, sys; site.addsitedir(sys.argv[1]); "
      "print(importlib.util.find_spec('tangle').origin)"
    )
    # -E and -S leave out this checkout; -I would leave out the folder, too.
    found = subprocess.run(
      [sys.executable, "-E", "-S", "-c", program, str(sites)],
      cwd=self.folder,
      stdout=subprocess.PIPE,
      text=True,
    )
    expected = self.folder / "tangle" / "tangle" / "__init__.py"
    self.assertEqual(
      pathlib.Path(found.stdout.strip()).resolve(), expected.resolve()
    )

  def test_the_wheel_has_the_library_and_no_more(self):
    self.pip("wheel", "--wheel-dir", "wheels")
    (path,) = (self.folder / "wheels").glob("*.whl")
    with zipfile.ZipFile(str(path)) as archive:
      names = [pathlib.PurePosixPath(name) for name in archive.namelist()]
    found = {name for name in names if name.parts[0] == "tangle"}
    own = ("experiments", "benchmarks")
    expected = {
      pathlib.PurePosixPath(path.relative_to(ROOT).as_posix())
      for path in (ROOT / "tangle").rglob("*.py")
      if path.relative_to(ROOT / "tangle").parts[0] not in own
    }
    expected.add(pathlib.PurePosixPath("tangle/py.typed"))
    self.assertEqual(found, expected)

  def test_the_library_needs_nothing_that_the_wheel_lacks(self):
    for path in (ROOT / "tangle").rglob("*.py"):
      if path.relative_to(ROOT / "tangle").parts[0] in (
        "experiments",
        "benchmarks",
      ):
        continue
      text = path.read_text(encoding="utf-8")
      self.assertNotRegex(text, r"tangle(\.| import )(experiments|benchmarks)")


if __name__ == "__main__":
  absltest.main()

"""Tests of quiet."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from absl.testing import absltest, parameterized

from tangle.experiments import quiet
from tests import forks

_PROGRAM = """
import os, sys
from tangle.experiments import quiet
with quiet.running() as is_quiet:
  os.write(2, b"I0000 00:00:1795970432.444417 1 port.cc:153] oneDNN is on\\n")
  os.write(2, b"E0000 00:00:1795970432.444417 10681 x.cc:1] disk is full\\n")
  print("python", file=sys.stderr)
  {more}
os.write(2, b"I0000 00:00:1795970432.444417 10681 after\\n")
print(is_quiet, os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""


class QuietTest(parameterized.TestCase):
  def run_program(self, more="pass", **environment):
    inherited = dict(os.environ, PYTHONPATH=str(forks.ROOT))
    inherited.pop(quiet.LEVEL, None)
    with forks.new_processes():
      return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(more=more)],
        env=dict(inherited, **environment, **{forks.ADDRESS: ""}),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
      )

  def test_notes_are_dropped_and_errors_kept(self):
    done = self.run_program()
    self.assertEqual(done.stdout, "True 2\n")
    self.assertNotIn("port.cc", done.stderr)
    self.assertIn("disk is full", done.stderr)
    self.assertIn("python\n", done.stderr)
    self.assertIn("after\n", done.stderr)

  def test_nothing_is_changed_if_the_user_has_set_the_level(self):
    done = self.run_program(TF_CPP_MIN_LOG_LEVEL="0")
    self.assertEqual(done.stdout, "False 0\n")
    self.assertIn("port.cc", done.stderr)

  @absltest.skipUnless(shutil.which("make"), "needs make")
  def test_demo_leaves_the_level_unset(self):
    # A shell that prints the level stands in for the one that runs recipes.
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
      file.write(f'#!/bin/sh\necho "level=${{{quiet.LEVEL}-unset}}"\n')
    shell = file.name
    self.addCleanup(os.remove, shell)
    os.chmod(shell, 0o700)
    inherited = dict(os.environ)
    for name in (quiet.LEVEL, "MAKEFLAGS", "MAKELEVEL"):
      inherited.pop(name, None)

    def make(target):
      command = ["make", "-o", ".venv/ready", target, f"SHELL={shell}"]
      return subprocess.run(
        command, cwd=forks.ROOT, env=inherited, stdout=subprocess.PIPE
      ).stdout.decode()

    self.assertEqual(make("demo").splitlines()[-1], "level=unset")
    self.assertEqual(make("test").splitlines()[-1], "level=2")

  def test_no_line_is_lost_in_a_crash(self):
    done = self.run_program("os.kill(os.getpid(), 9)")
    self.assertEqual(done.returncode, -signal.SIGKILL)
    self.assertIn("disk is full", done.stderr)

  @parameterized.parameters(
    ("WARNING: All log messages before absl::InitializeLog() is called", True),
    ("2026-11-29 16:40:39.664099: I tensorflow/core/cpu.cc:142] Your", True),
    ("2026-11-29 16:40:39.664099: W tensorflow/core/cpu.cc:142] Your", True),
    ("2026-11-29 16:40:39.664099: E tensorflow/core/cpu.cc:142] Bad", False),
    ("E0000 x.cc:52] failed call to cuInit: UNKNOWN ERROR (303)", True),
    ("E0000 x.cc:52] failed call to cuInit: DRIVER_MISMATCH (803)", False),
    ("E0000 u.cc:1] oneDNN supports DT_INT32 only on platforms with A", True),
    ("F0000 00:00:1795970432.444417 1 x.cc:1] Check failed", False),
    ("step 4: validation_wer 1", False),
  )
  def test_notes_are_recognized(self, line, expected):
    self.assertEqual(quiet.is_note(line), expected)

  def test_deprecated_functions_are_not_for_users(self):
    for path, expected in (("tf/deprecation.py", False), ("tf/x.py", True)):
      record = logging.LogRecord("tensorflow", 30, path, 1, "x", (), None)
      self.assertEqual(quiet.is_worth_telling(record), expected)


if __name__ == "__main__":
  absltest.main()

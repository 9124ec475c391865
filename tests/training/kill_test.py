"""Tests that a training survives SIGKILL; see `kill` for more of it by hand."""

import json
import os
import pathlib
import subprocess
import sys

from absl.testing import absltest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class KillTest(absltest.TestCase):
  def test_ends_with_the_same_bits_whenever_it_was_killed(self):
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
      [sys.executable, "-W", "ignore", "-m", "tests.training.kill"]
      + ["--kills=3", "--steps=36", "--slow_s=0.01"],
      capture_output=True,
      env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths))),
      timeout=300,
    )
    self.assertEqual(done.returncode, 0, (done.stdout, done.stderr[-2000:]))
    figures = json.loads(done.stdout.decode().strip().splitlines()[-1])
    self.assertEqual(figures["kills"], 3)
    self.assertEqual(figures["kinds"], {"start": 1, "step": 1, "write": 1})
    self.assertEqual(figures["differences"], [])


if __name__ == "__main__":
  absltest.main()

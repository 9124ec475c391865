"""Tests of programs in forks: that they are as in new processes."""

import pathlib
import tempfile

from absl.testing import absltest

from tests import forks

_PRINT = """
import sys
loaded = set(sys.modules)
import __main__
print(__name__, __main__.loaded is loaded, "tangle" in loaded, *sys.argv)
print("wrong", file=sys.stderr)
sys.exit(3)
"""


class ForksTest(absltest.TestCase):
  def test_has_output_exit_code_and_arguments(self):
    for _ in range(2):
      done = forks.run_code(_PRINT, "a", 1)
      self.assertEqual(done, (3, "__main__ True False -c a 1\n", "wrong\n"))
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / "script.py"
      path.write_text(_PRINT)
      done = forks.run_script(path, "a")
    self.assertEqual(done, (3, f"__main__ True False {path} a\n", "wrong\n"))

  def test_an_error_is_told(self):
    done = forks.run_code("raise ValueError('of mine')")
    self.assertEqual(done.returncode, 1)
    self.assertIn("ValueError: of mine", done.stderr)

  def test_a_signal_is_told_and_ends_nothing_else(self):
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    self.assertEqual(forks.run_code(kill), (-9, "", ""))
    self.assertEqual(forks.run_code("print(1)"), (0, "1\n", ""))

  def test_sessions_run(self):
    code = (
      "from tangle.compat import tf1\n"
      "with tf1.Graph().as_default(), tf1.Session() as sess:\n"
      "  print(sess.run(tf1.reduce_sum(tf1.ones([100, 100]))))\n"
    )
    self.assertEqual(forks.run_code(code).stdout, "10000.0\n")


if __name__ == "__main__":
  absltest.main()

"""Tests of programs in forks: that they are as in new processes."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest

from tests import forks

_PRINT = """
import sys
loaded = set(sys.modules)
import __main__
is_fork = "tensorflow" in loaded
print(__name__, __main__.loaded is loaded, is_fork, *sys.argv)
print("wrong", file=sys.stderr)
sys.exit(3)
"""


def setUpModule():
  forks.start()


class ForksTest(absltest.TestCase):
  def test_has_output_exit_code_and_arguments(self):
    for _ in range(2):
      done = forks.run_code(_PRINT, "a", 1)
      self.assertEqual(done, (3, "__main__ True True -c a 1\n", "wrong\n"))
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / "script.py"
      path.write_text(_PRINT)
      done = forks.run_script(path, "a")
    self.assertEqual(done, (3, f"__main__ True True {path} a\n", "wrong\n"))

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


class PopenTest(absltest.TestCase):
  def start(self, code, *arguments, **settings):
    pipe = subprocess.PIPE
    process = subprocess.Popen(
      [sys.executable, "-c", code, *arguments],
      stdin=pipe,
      stdout=pipe,
      universal_newlines=True,
      **settings,
    )
    self.addCleanup(process.stdin.close)
    self.addCleanup(process.stdout.close)
    return process

  def test_a_process_is_a_fork_that_reads_writes_and_ends(self):
    process = self.start(
      "import os, sys\n"
      "print('tensorflow' in sys.modules, os.getpid(), flush=True)\n"
      "sys.exit(len(input()))\n"
    )
    line = process.stdout.readline()
    self.assertEqual(line, f"True {process.pid}\n")
    self.assertIsNone(process.poll())
    process.stdin.write("abcd\n")
    process.stdin.flush()
    self.assertEqual(process.wait(60), 4)
    self.assertEqual(process.poll(), 4)

  def test_a_process_is_killed_and_gone(self):
    process = self.start("input()")
    with self.assertRaises(subprocess.TimeoutExpired):
      process.wait(0.1)
    process.kill()
    self.assertEqual(process.wait(), -signal.SIGKILL)
    with self.assertRaises(ProcessLookupError):
      os.kill(process.pid, 0)

  def test_a_process_that_has_ended_is_killed_without_an_error(self):
    process = self.start("print(1)")
    self.assertEqual(process.stdout.read(), "1\n")
    with self.assertRaises(ProcessLookupError):
      for _ in range(1000):
        os.kill(process.pid, 0)
        time.sleep(0.01)
    process.kill()
    self.assertEqual(process.wait(), 0)

  def test_a_process_has_its_environment_and_folder(self):
    with tempfile.TemporaryDirectory() as folder:
      environment = dict(os.environ, GIVEN="1", PYTHONPATH=folder)
      environment.pop("HOME", None)
      (pathlib.Path(folder) / "given_module.py").write_text(
        "import os, sys\n"
        "print(__name__, os.environ['GIVEN'], 'HOME' in os.environ)\n"
        "print(os.path.samefile('.', sys.argv[1]))\n"
      )
      done = subprocess.run(
        [sys.executable, "-m", "given_module", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
      )
    self.assertEqual(done.stdout, b"__main__ 1 False\nTrue\n")

  def test_what_is_read_when_a_process_starts_needs_a_new_one(self):
    code = "import sys; print('tensorflow' in sys.modules)"
    changed = dict(os.environ, MALLOC_ARENA_MAX="1")
    process = self.start(code, env=changed)
    self.assertEqual(process.communicate()[0], "False\n")
    with forks.new_processes():
      process = self.start(code)
      self.assertEqual(forks.run_code(code).stdout, "False\n")
    self.assertEqual(process.communicate()[0], "False\n")
    process = self.start(code)
    self.assertEqual(process.communicate()[0], "True\n")

  def test_processes_of_a_fork_are_forks(self):
    done = forks.run_code(
      "import subprocess, sys\n"
      "code = 'import sys; print(\"tensorflow\" in sys.modules)'\n"
      "print(subprocess.check_output([sys.executable, '-c', code]))\n"
    )
    self.assertEqual(done.stdout, "b'True\\n'\n", done.stderr)


if __name__ == "__main__":
  absltest.main()

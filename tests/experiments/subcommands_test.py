"""Tests of subcommands."""

import contextlib
import io
import json
from unittest import mock

from absl.testing import absltest

from tangle.experiments import subcommands
from tests import forks

FUNCTIONS = {
  "overlap": "tangle.benchmarks.overlap.compare_run_orders",
  "mux": "tangle.benchmarks.mux.compare_multiplexers",
}


class RunTest(absltest.TestCase):
  def end(self, *arguments, call=None):
    """Runs a script; returns its exit code and its outputs, joined."""
    out = io.StringIO()
    with mock.patch("sys.argv", ["folder/many.py", *arguments]):
      with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
          subcommands.run("Measures.", FUNCTIONS, call)
        except SystemExit as error:
          return error.code, out.getvalue()
    return 0, out.getvalue()

  def test_help_lists_the_names(self):
    for arguments in ((), ("--help",)):
      code, out = self.end(*arguments)
      self.assertEqual(code, 0)
      self.assertIn("Measures.\n\nusage: many.py NAME [flags]\n", out)
      self.assertRegex(out, r"\n  mux +Compares multiplexers.*\n")

  def test_help_of_a_name_lists_its_flags(self):
    code, out = self.end("mux", "--help")
    self.assertEqual(code, 0)
    self.assertIn("usage: many.py mux [flags]", out)
    self.assertRegex(out, r"--\[no\]memory\n +whether to measure memory")
    self.assertRegex(out, r"--units\n +widths of the hidden.*Default: 16, 512")
    self.assertRegex(out, "--candidates\n +some of where, where_run_empty")
    self.assertRegex(out, "--out_dir\n.*out/mux")
    self.assertIn("to_where", out)

  def test_help_and_mistakes_do_not_import_tensorflow(self):
    code = (
      "import sys; from tangle.experiments import subcommands\n"
      "name = 'tangle.benchmarks.mux.compare_multiplexers'\n"
      "try: subcommands.run('', {'mux': name}, 0)\n"
      "finally: assert 'tensorflow' not in sys.modules"
    )
    with forks.new_processes():
      done = forks.run_code(code, "mux", "--help")
      self.assertEqual(done.returncode, 0, done.stderr)
      done = forks.run_code(code, "mux", "--rounds=x")
    self.assertEqual(done.returncode, 2, done.stderr)
    self.assertNotIn("Traceback", done.stderr)

  def test_an_unknown_name_lists_those_there_are(self):
    code, out = self.end("overlab")
    self.assertEqual(code, 2)
    self.assertEqual(
      out,
      "many.py: there is no 'overlab'. Did you mean 'overlap'? The names are: "
      "overlap, mux.\n",
    )

  def test_all_mistakes_are_reported(self):
    wrong = ("--rounds=x", "--branches=2,b", "--candidates=lasy", "--unit=3")
    code, out = self.end("mux", *wrong, "extra")
    self.assertEqual(code, 2)
    self.assertLen(out.splitlines(), 6)
    for part in ("--rounds=x", "'b' is not an integer", "'lasy' is none of"):
      self.assertIn(part, out)
    self.assertIn("--unit=3: there is no such flag; did you mean --units?", out)
    self.assertIn("extra: expected flags only", out)
    self.assertIn("many.py mux: wrong arguments. --help lists", out)

  def test_a_function_is_called_with_its_flags(self):
    def call(name, function, settings, out_dir):
      return {"given": [name, function.__name__, out_dir, settings["encoders"]]}

    code, out = self.end("overlap", "--encoders=3", call=call)
    self.assertEqual(code, 0)
    given = ["overlap", "compare_run_orders", "out/overlap", 3]
    figures = json.loads(out.splitlines()[-1])
    self.assertEqual(figures, {"given": given})


if __name__ == "__main__":
  absltest.main()

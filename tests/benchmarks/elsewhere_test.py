"""Tests of elsewhere."""

import contextlib
import io
import os
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import elsewhere


class ElsewhereTest(absltest.TestCase):
  def test_a_module_runs_with_json_for_arguments_and_answer(self):
    with mock.patch.object(elsewhere.subprocess, "run") as run:
      run.return_value = mock.Mock(returncode=0, stdout='a log\n{"a": [1]}\n')
      found = elsewhere.run("x", "a.module", "name", 3, {"b": None})
    self.assertEqual(found, {"a": [1]})
    command = run.call_args[0][0]
    self.assertEqual(
      command[1:], ["-m", "a.module", '"name"', "3", '{"b": null}']
    )
    self.assertIn(os.getcwd(), run.call_args[1]["env"]["PYTHONPATH"])

  def test_every_name_has_a_process(self):
    report = mock.Mock()
    with mock.patch.object(elsewhere, "run", lambda *given: given) as run:
      found = elsewhere.run_each("x", "m", "ab", 3, report=report)
      self.assertEqual(found, {n: run("x", "m", n, 3) for n in "ab"})
    self.assertEqual(
      report.count.call_args_list, [mock.call(1, 2)] + [mock.call(2, 2)]
    )

  def test_the_answer_is_printed(self):
    output = io.StringIO()
    with mock.patch("sys.argv", ["m", '"a"', "[1, 2]"]):
      with contextlib.redirect_stdout(output):
        elsewhere.answer(lambda name, sizes: {name: sizes})
    self.assertEqual(output.getvalue(), '{"a": [1, 2]}\n')

  def test_a_process_that_fails_is_told_of(self):
    with mock.patch.object(elsewhere.sys, "executable", "false"):
      with self.assertRaisesRegex(
        errors.TrainingError, "x: .*'name' ended with 1.*killed, rest"
      ):
        elsewhere.run("x", "a.module", "name", remedy="rest")


if __name__ == "__main__":
  absltest.main()

"""Tests of calls in processes of their own."""

import os
import tempfile
from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import processes


def echo(name, *arguments):
  print("a log")
  return {name: [arguments, os.getpid()]}


class ProcessesTest(absltest.TestCase):
  def test_a_function_is_called_with_json_for_arguments_and_answer(self):
    found = processes.call(echo, "name", (3, None), {"b": 1.5})
    arguments, process_id = found["name"]
    self.assertEqual(arguments, [[3, None], {"b": 1.5}])
    self.assertNotEqual(process_id, os.getpid())

  def test_tangle_may_be_of_another_checkout(self):
    with tempfile.TemporaryDirectory() as folder:
      with mock.patch.object(processes.subprocess, "run") as run:
        run.return_value = mock.Mock(returncode=0, stdout='log\n{"a": [1]}\n')
        self.assertEqual(processes.call(echo, root=folder), {"a": [1]})
    given = run.call_args[1]
    paths = given["env"]["PYTHONPATH"].split(os.pathsep)
    self.assertEqual((paths[0], given["cwd"]), (folder, folder))

  def test_every_name_has_a_process(self):
    report = mock.Mock()
    with mock.patch.object(processes, "call", lambda *given: given) as call:
      found = processes.call_each(echo, "ab", 3, report=report)
      self.assertEqual(found, {n: call(echo, n, 3) for n in "ab"})
    self.assertEqual(
      report.count.call_args_list, [mock.call(1, 2), mock.call(2, 2)]
    )

  def test_a_process_that_fails_is_named(self):
    with mock.patch.object(processes.sys, "executable", "false"):
      with self.assertRaisesRegex(
        errors.TrainingError, "test.echo: .*'name' ended with 1.*killed, rest"
      ):
        processes.call(echo, "name", remedy="rest")


if __name__ == "__main__":
  absltest.main()

"""Tests of the process of a candidate, without the process and with it."""

import io
import json
import sys

from absl.testing import absltest

from tangle.benchmarks.frameworks import candidates, networks, turns, worker
from tests import forks

TINY = networks.SIZES["mlp"]["tiny"]


class WorkerTest(absltest.TestCase):
  def serve(self, requests, **others):
    spec = {
      "build": "roofline.build",
      "task": "mlp",
      "sizes": list(TINY),
      "optimizer": ["sgd", 0.1, 1.0],
      "threads": 1,
      "seed": 0,
      "data": "",
      "options": {"library": "numpy", "shapes": [[2, 2, 2]]},
    }
    spec.update(others)
    answers = io.StringIO()
    lines = io.StringIO("".join(f"{request}\n" for request in requests))
    worker.serve(spec, lines, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]

  def test_it_answers_when_built_and_to_each_request(self):
    ready, first, second = self.serve(['{"steps": 2}', '{"steps": 1}'])
    self.assertGreaterEqual(ready["build_s"], ready["import_s"])
    self.assertContainsSubset({"python", "numpy"}, set(ready["versions"]))
    self.assertLen(first["seconds"], 2)
    self.assertLen(second["values"], 1)
    self.assertGreater(min(first["values"]), 0)
    self.assertGreaterEqual(second["rss_bytes"], first["rss_bytes"])

  def test_what_cannot_be_built_is_told_once(self):
    (answer,) = self.serve(['{"steps": 2}'], task="x")
    self.assertIn("ArgumentError: frameworks.kinds.find", answer["reason"])

  def test_a_package_that_is_not_there_is_named(self):
    (answer,) = self.serve([], build="nowhere.build")
    self.assertIn("nowhere is not installed here", answer["reason"])

  def test_a_step_that_fails_is_told_and_the_next_is_asked(self):
    found = self.serve(['{"step": 1}', '{"steps": 1}'])
    self.assertIn("KeyError", found[1]["reason"])
    self.assertLen(found[2]["seconds"], 1)

  def test_a_function_beside_the_step_is_called_by_name(self):
    class Job:
      def double(self, number):
        return {"number": 2 * number}

    found = worker.take_call(Job(), "double", {"number": 3})
    self.assertEqual(found["number"], 6)
    self.assertGreaterEqual(found["wall_s"], 0)
    self.assertGreaterEqual(found["cpu_s"], 0)
    (_, answer) = self.serve(['{"call": "nothing", "arguments": {}}'])
    self.assertIn("AttributeError", answer["reason"])

  def test_a_message_is_one_line(self):
    error = ValueError("a\nb")
    self.assertEqual(worker.describe(error), "ValueError: a")


class ProcessTest(absltest.TestCase):
  def test_one_without_tensorflow_starts_where_there_is_none(self):
    self.assertTrue((worker.ROOT / "tangle" / "compat.py").exists())
    settings = candidates.SharedSettings({"python2": sys.executable}, TINY)
    candidate = candidates.make_candidate("roofline_numpy", "mlp", settings)
    # Any import of TensorFlow fails.
    code = (
      "import runpy, sys; sys.modules['tensorflow'] = None;"
      "print('not an answer', file=sys.stderr);"
      f"sys.argv[:] = {candidate.command[-2:]!r};"
      "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    candidate = candidate._replace(command=[sys.executable, "-c", code])
    with forks.new_processes():  # which have not imported TensorFlow
      process = turns.Process(candidate)
    self.addCleanup(process.close)
    ready = process.answer(120)
    self.assertIn("numpy", ready["versions"])
    self.assertGreater(process.ask({"steps": 1}, 120)["values"][0], 0)

  def test_what_is_missing_is_told_as_an_answer(self):
    settings = candidates.SharedSettings({"python2": sys.executable}, TINY)
    candidate = candidates.make_candidate("roofline_numpy", "mlp", settings)
    spec = dict(json.loads(candidate.command[-1]), build="nowhere.build")
    command = candidate.command[:-1] + [json.dumps(spec)]
    found = turns.measure({"a": candidate._replace(command=command)})
    self.assertIn("is not installed here", found["a"]["reason"])


if __name__ == "__main__":
  absltest.main()

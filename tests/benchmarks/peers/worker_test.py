"""Tests of the process of a contender, without the process."""

import io
import json

from absl.testing import absltest

from tangle.benchmarks.peers import tasks, worker


class WorkerTest(absltest.TestCase):
  def serve(self, requests, **others):
    spec = {
      "module": "limit",
      "task": "mlp",
      "sizes": list(tasks.SIZES["tiny"]),
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
    self.assertIn("ArgumentError: peers.kinds.find", answer["reason"])

  def test_a_package_that_is_not_there_is_named(self):
    (answer,) = self.serve([], module="nowhere")
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

  def test_peak_memory_is_more_than_nothing_and_less_than_a_terabyte(self):
    with open("/proc/self/status", encoding="utf-8") as file:
      self.assertIn("VmHWM", file.read())
    self.assertBetween(worker.peak_memory(), 1e6, 1e12)

  def test_a_message_is_one_line(self):
    error = ValueError("a\nb")
    self.assertEqual(worker.describe(error), "ValueError: a")


if __name__ == "__main__":
  absltest.main()

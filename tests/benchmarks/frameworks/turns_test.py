"""Tests of turns and jobs, on fake candidates."""

import json
import os
import sys
import tempfile

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.frameworks import turns

STEPPER = """
import json, sys
name, log, ready, fail_at = sys.argv[1:]
print(ready, flush=True)
taken = 0
for line in sys.stdin:
  count = json.loads(line)["steps"]
  taken += 1
  with open(log, "a") as file:
    file.write(name + str(count))
  if taken == int(fail_at):
    sys.exit("out of order")
  answer = {"seconds": [8.0] + [2.0] * (count - 1), "values": [3.0] * count}
  print(json.dumps(dict(answer, rss_bytes=taken)), flush=True)
"""
WORKER = """
import json, sys
name, log, seconds = sys.argv[1:]
print(json.dumps({"build_s": 2, "import_s": 1, "versions": {}}), flush=True)
for line in sys.stdin:
  request = json.loads(line)
  call = request.get("call", "steps")
  with open(log, "a") as file:
    file.write(name + call + " ")
  count = request.get("steps", 0)
  answer = {"seconds": [1.0] * count, "values": [7.0] * count, "cpu_s": 0.5}
  if call != "steps":
    answer = {
      "wall_s": float(seconds), "cpu_s": 0.5, "first_step_s": 3.0,
      "losses": [2.0], "saved": name != "a", "seconds": 4.0,
    }
  if call == "decode" and name == "a" and request["arguments"]["beam_size"] > 1:
    answer = {"seconds": None}
  if call == "losses" and name == "c":
    answer = {"reason": "out of memory"}
  print(json.dumps(dict(answer, rss_bytes=1)), flush=True)
"""

READY = json.dumps({"build_s": 0.5, "versions": {}})


class TurnsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.log = os.path.join(folder.name, "log")

  def fake(self, name, ready=READY, fail_at=0, single=False):
    command = [sys.executable, "-S", "-c", STEPPER, name, self.log, ready]
    return turns.Candidate(command + [str(fail_at)], {}, single)

  def settings(self, **others):
    return turns.TurnSettings(rounds=3, turn_s=4.0, **others)

  def taken(self):
    with open(self.log) as file:
      return file.read()

  def test_candidates_step_in_turn_after_their_first_steps(self):
    fakes = {"a": self.fake("a"), "b": self.fake("b", single=True)}
    found = turns.measure(fakes, self.settings())
    # Three first steps, a turn of warm-up, three that count; 4 s hold 2 steps,
    # after one that does not count.
    self.assertEqual(self.taken(), "a3b3" + "a3b1" * 4)
    self.assertEqual(found["a"]["seconds"], [2.0] * 3)
    self.assertEqual(found["b"]["seconds"], [8.0] * 3)
    for name in fakes:
      self.assertEqual(found[name]["losses"], [3.0] * 3)
      self.assertEqual(found[name]["first_step_s"], 8.0)
      self.assertEqual(found[name]["build_s"], 0.5)
      self.assertEqual(found[name]["rss_bytes"], 5)

  def test_repeats_start_anew_and_add_their_turns(self):
    fakes = {"a": self.fake("a"), "b": self.fake("b", fail_at=6)}
    found = turns.measure(fakes, self.settings(repeats=2))
    self.assertEqual(self.taken(), ("a3b3" + "a3b3" * 4) * 2)
    self.assertEqual(found["a"]["seconds"], [2.0] * 6)
    self.assertEqual(found["a"]["values"], [3.0] * 6)
    self.assertEqual(found["a"]["rss_bytes"], 5)
    self.assertLen(found["b"]["seconds"], 6)

  def test_one_that_fails_in_a_repeat_has_failed(self):
    fakes = {"a": self.fake("a", fail_at=2), "b": self.fake("b")}
    found = turns.measure(fakes, self.settings(repeats=2))
    self.assertIn("out of order", found["a"]["reason"])
    self.assertLen(found["b"]["seconds"], 6)

  def test_one_that_fails_tells_why_and_the_others_go_on(self):
    fakes = {
      "gone": turns.Candidate(["/nowhere/python"], {}),
      "lacking": self.fake("l", json.dumps({"reason": "no torch"})),
      "garbled": self.fake("g", "hello"),
      "late": self.fake("x", fail_at=3),
      "good": self.fake("a"),
    }
    found = turns.measure(fakes, self.settings())
    self.assertIn("cannot be started", found["gone"]["reason"])
    self.assertEqual(found["lacking"], {"reason": "no torch"})
    self.assertIn("no JSON: b'hello", found["garbled"]["reason"])
    self.assertRegex(found["late"]["reason"], r"out of order \(exit code 1\)")
    self.assertLen(found["good"]["seconds"], 3)

  def test_one_that_does_not_answer_is_let_go(self):
    wait = [sys.executable, "-S", "-c", "input()"]
    fakes = {"a": turns.Candidate(wait, {})}
    found = turns.measure(fakes, self.settings(start_s=0.1))
    self.assertEqual(found, {"a": {"reason": "no answer in 0.1 s"}})

  def test_no_round_begins_after_the_budget_but_the_least(self):
    settings = self.settings(budget_s=0.0, least_rounds=2)
    found = turns.measure({"a": self.fake("a")}, settings)
    self.assertLen(found["a"]["seconds"], 2)

  def test_an_environment_is_added_to_that_of_this_process(self):
    code = (
      "import json, os; print(json.dumps({k: os.environ.get(k, '')"
      " for k in ('PATH', 'OURS')}), flush=True); input()"
    )
    command = [sys.executable, "-S", "-c", code]
    process = turns.Process(turns.Candidate(command, {"OURS": "1"}))
    self.addCleanup(process.close)
    found = process.answer(60)
    self.assertEqual(found, {"PATH": os.environ["PATH"], "OURS": "1"})

  def test_asking_one_that_has_ended_says_so(self):
    command = [sys.executable, "-S", "-c", "raise SystemExit('done')"]
    process = turns.Process(turns.Candidate(command, {}))
    self.addCleanup(process.close)
    with self.assertRaisesRegex(errors.TrainingError, "ended: done"):
      process.answer(60)
    with self.assertRaises(errors.TrainingError):
      process.ask({"steps": 1}, 0.1)


class JobsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.log = os.path.join(folder.name, "log")

  def measure(self, repeats=1):
    candidates = {
      name: turns.Candidate(
        [sys.executable, "-S", "-c", WORKER, name, self.log, "5"],
        {},
        name == "roofline",
      )
      for name in ("a", "b", "c", "roofline")
    }
    settings = turns.TurnSettings(rounds=2, turn_s=0.1, repeats=repeats)
    return turns.measure(candidates, settings, is_job=True)

  def test_epochs_come_first_and_steps_last(self):
    found = self.measure()
    with open(self.log) as file:
      taken = file.read().split()
    begin = ["aepoch", "bepoch", "cepoch", "alosses", "blosses", "closses"]
    begin += ["asave", "bsave"] + ["adecode", "bdecode"] * 2
    self.assertEqual(taken[: len(begin)], begin)
    rest = set(taken[len(begin) :])
    self.assertEqual(rest, {"asteps", "bsteps", "rooflinesteps"})
    for name in "ab":
      self.assertEqual(found[name]["epoch"]["seconds"], 5.0)
      self.assertEqual(found[name]["losses"], [2.0])
      self.assertEqual(found[name]["first_step_s"], 3.0)
      self.assertEqual(found[name]["cpu_s"], [0.5] * 2)
    self.assertNotIn("beam", found["a"])
    self.assertEqual(found["b"]["beam"]["seconds"], 4.0)
    self.assertEqual(found["c"], {"reason": "out of memory"})
    self.assertNotIn("epoch", found["roofline"])

  def test_repeats_keep_the_fastest_epoch_and_all_steps(self):
    found = self.measure(repeats=2)
    self.assertLen(found["b"]["seconds"], 4)
    self.assertEqual(found["b"]["epoch"]["wall_s"], 5.0)
    self.assertEqual(found["c"], {"reason": "out of memory"})


if __name__ == "__main__":
  absltest.main()

"""Tests of how the jobs are measured, on fake contenders."""

import os
import sys
import tempfile

from absl.testing import absltest

from tangle.benchmarks.peers import harness, jobs_measure

FAKE = """
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


class JobsMeasureTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.log = os.path.join(folder.name, "log")

  def measure(self, repeats=1):
    contenders = {
      name: harness.Contender(
        [sys.executable, "-S", "-c", FAKE, name, self.log, "5"],
        {},
        name == "limit",
      )
      for name in ("a", "b", "c", "limit")
    }
    settings = harness.Settings(rounds=2, turn_s=0.1, repeats=repeats)
    return jobs_measure.measure(contenders, settings)

  def test_epochs_come_first_and_steps_last(self):
    found = self.measure()
    with open(self.log) as file:
      taken = file.read().split()
    begin = ["aepoch", "bepoch", "cepoch", "alosses", "blosses", "closses"]
    begin += ["asave", "bsave"] + ["adecode", "bdecode"] * 2
    self.assertEqual(taken[: len(begin)], begin)
    rest = set(taken[len(begin) :])
    self.assertEqual(rest, {"asteps", "bsteps", "limitsteps"})
    for name in "ab":
      self.assertEqual(found[name]["epoch"]["seconds"], 5.0)
      self.assertEqual(found[name]["losses"], [2.0])
      self.assertEqual(found[name]["first_step_s"], 3.0)
      self.assertEqual(found[name]["cpu_s"], [0.5] * 2)
    self.assertNotIn("beam", found["a"])
    self.assertEqual(found["b"]["beam"]["seconds"], 4.0)
    self.assertEqual(found["c"], {"reason": "out of memory"})
    self.assertNotIn("epoch", found["limit"])

  def test_repeats_keep_the_fastest_epoch_and_all_steps(self):
    found = self.measure(repeats=2)
    self.assertLen(found["b"]["seconds"], 4)
    self.assertEqual(found["b"]["epoch"]["wall_s"], 5.0)
    self.assertEqual(found["c"], {"reason": "out of memory"})


if __name__ == "__main__":
  absltest.main()

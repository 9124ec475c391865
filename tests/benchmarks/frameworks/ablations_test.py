"""Tests of the ablations."""

import json

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.frameworks import (
  ablations,
  candidates,
  in_tangle,
  networks,
)

TINY = networks.SIZES["mlp"]["tiny"]


class AblationsTest(absltest.TestCase):
  def test_all_train_the_same(self):
    names = ["default", "session_run", "cells", "keep_memory"]
    rows = ablations.compare_changes(
      ["lstm"], "tiny", names, threads=1, rounds=2, budget_s=1.0
    )["lstm"]
    self.assertEqual(list(rows), names)
    for name in names:
      self.assertTrue(rows[name]["same_losses"], name)
      self.assertGreater(rows[name]["to_default"], 0)
    self.assertEqual(rows["default"]["to_default"], 1.0)

  def test_other_losses_are_told(self):
    found = {
      name: {
        "seconds": [1.0, 2.0],
        "losses": [loss, 0.5, 0.25],
        "first_step_s": 1.0,
        "rss_bytes": 1,
      }
      for name, loss in (("default", 1.0), ("cells", 1.001), ("xla", 1.00001))
    }
    rows = ablations.make_rows(dict(found, block={"reason": "no"}))
    same = {name: row.get("same_losses") for name, row in rows.items()}
    expected = {"default": True, "cells": False, "xla": True, "block": None}
    self.assertEqual(same, expected)
    self.assertEqual(rows["block"], {"reason": "no"})

  def test_each_changes_what_it_says(self):
    specs = {}
    settings = candidates.SharedSettings({"python2": "python"}, TINY)
    for name in ablations.NAMES:
      made = ablations.make_candidate(name, "tangle_split", "lstm", settings)
      spec = json.loads(made.command[-1])
      specs[name] = json.dumps([spec["options"], made.environment])
      self.assertIn(spec["options"].get("runs", "prepared"), in_tangle.RUNS)
    self.assertLen(set(specs.values()), len(ablations.NAMES))

  def test_what_cannot_be_compared_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'default' must be"):
      ablations.compare_changes(["mlp"], "tiny", ["cells"])
    with self.assertRaisesRegex(
      errors.ArgumentError, " session_run,? .*got 'x'"
    ):
      ablations.compare_changes(["mlp"], "tiny", ["default", "x"])


if __name__ == "__main__":
  absltest.main()

"""Tests of the variants."""

import json
import sys

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import harness, ours, roster, tasks, variants

TINY = tasks.SIZES["tiny"]


class VariantsTest(absltest.TestCase):
  def test_all_train_the_same(self):
    settings = roster.Settings({"python2": sys.executable}, TINY, threads=1)
    timing = harness.Settings(rounds=2, turn_s=0.001)
    names = ["default", "session_run", "cells", "keep_memory"]
    rows = variants.measure("lstm", names, settings, timing=timing)
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
    rows = variants.make_rows(dict(found, block={"reason": "no"}))
    same = {name: row.get("same_losses") for name, row in rows.items()}
    expected = {"default": True, "cells": False, "xla": True, "block": None}
    self.assertEqual(same, expected)
    self.assertEqual(rows["block"], {"reason": "no"})

  def test_each_changes_what_it_says(self):
    specs = {}
    for name, variant in variants.VARIANTS.items():
      settings = roster.Settings(
        {"python2": "python"},
        TINY,
        options={"ours": variant.options},
        environment=variant.environment,
      )
      made = roster.make_contender("tangle_split", "lstm", settings)
      spec = json.loads(made.command[-1])
      specs[name] = json.dumps([spec["options"], made.environment])
      self.assertIn(spec["options"].get("runs", "prepared"), ours.RUNS)
    self.assertLen(set(specs.values()), len(variants.VARIANTS))

  def test_the_default_must_be_there(self):
    settings = roster.Settings({"python2": sys.executable}, TINY)
    with self.assertRaisesRegex(errors.ArgumentError, "'default' must be"):
      variants.measure("mlp", ["cells"], settings)

  def test_an_unknown_variant_names_those_there_are(self):
    settings = roster.Settings({"python2": sys.executable}, TINY)
    with self.assertRaisesRegex(errors.ArgumentError, "'session_run'.*'x'"):
      variants.measure("mlp", ["default", "x"], settings)


if __name__ == "__main__":
  absltest.main()

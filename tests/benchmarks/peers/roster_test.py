"""Tests of the roster."""

import json
import os
import sys

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.peers import (
  g2p,
  harness,
  jobs,
  launch,
  roster,
  tasks,
)

TINY = tasks.SIZES["tiny"]


class RosterTest(absltest.TestCase):
  def test_split_and_joint_of_tangle_have_the_same_losses(self):
    settings = roster.Settings({"python2": sys.executable}, TINY, threads=1)
    names = ["tangle_split", "tangle_joint", "tangle_tf1_split", "limit_numpy"]
    timing = harness.Settings(rounds=2, turn_s=0.001)
    rows = roster.compare("mlp", names, settings, timing)
    self.assertEqual(list(rows), names[:3] + ["limit"])
    for name in names[:2]:
      self.assertTrue(rows[name]["same_losses"])
      self.assertEqual(rows[name]["rounds"], 2)
      self.assertGreater(rows[name]["to_limit"], 1)
    self.assertIn("--python1", rows["tangle_tf1_split"]["reason"])
    self.assertEqual(rows["limit"]["flops"], tasks.make("mlp", TINY).flops)

  def test_g2p_is_trained_on_the_same_words(self):
    settings = roster.Settings(
      {"python2": sys.executable}, g2p.SIZES["tiny"], threads=1
    )
    names = ["tangle_split", "tangle_joint", "contrib_joint", "pytorch_split"]
    timing = harness.Settings(rounds=2, turn_s=0.001)
    rows = roster.compare("g2p", names, settings, timing)
    self.assertEqual(list(rows), names)
    for name in names[:2]:
      self.assertTrue(rows[name]["same_losses"])
      words = 6 / rows[name]["step_s"]
      self.assertAlmostEqual(rows[name]["words_per_s"], words)
    self.assertIn("--python1", rows["contrib_joint"]["reason"])
    self.assertIn("no model for g2p", rows["pytorch_split"]["reason"])

  def test_a_job_is_done_by_split_and_joint_alike(self):
    sizes = jobs.SIZES["g2p_demo"]["tiny"]
    settings = roster.Settings({"python2": sys.executable}, sizes, threads=1)
    names = ["tangle_split", "tangle_joint", "pytorch_split", "jax_joint"]
    timing = harness.Settings(rounds=2, turn_s=0.001)
    rows = roster.compare("g2p_demo", names, settings, timing)
    self.assertEqual(list(rows), names)
    for name in names[:2]:
      self.assertTrue(rows[name]["same_losses"])
      self.assertGreater(rows[name]["examples_per_s"], 0)
      self.assertEqual(rows[name]["same_symbols"], 1.0)
    self.assertIn("no model for g2p_demo", rows["pytorch_split"]["reason"])
    self.assertIn("--torch_python", rows["jax_joint"]["reason"])

  def test_a_job_has_the_optimizer_of_its_script(self):
    settings = roster.Settings({"python2": "a"}, jobs.SIZES["multi30k"]["tiny"])
    found = roster.make_contender("tangle_split", "multi30k", settings)
    spec = json.loads(found.command[-1])
    self.assertEqual(spec["optimizer"], ["adam", 0.01, jobs.CLIP_NORM])

  def test_contrib_has_no_other_task(self):
    settings = roster.Settings({"python1": sys.executable}, TINY)
    rows = roster.compare("mlp", ["contrib_joint"], settings)
    self.assertIn("no model for mlp", rows["contrib_joint"]["reason"])

  def test_tensorflow_1_is_told_that_it_is(self):
    settings = roster.Settings({"python1": "a", "python2": "b"}, TINY)
    for name, value in (("tangle_tf1_split", "0"), ("tangle_split", None)):
      found = roster.make_contender(name, "mlp", settings)
      self.assertEqual(found.environment.get("TF2_BEHAVIOR"), value)

  def test_the_names_are_those_of_the_entries(self):
    self.assertEqual(roster.NAMES, tuple(roster.ENTRIES))

  def test_an_unknown_contender_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "jax_split.*'x'"):
      roster.compare("mlp", ["x"], roster.Settings({}, TINY))

  def test_all_get_the_same_task_and_threads(self):
    pythons = {"python2": "a", "python1": "b", "torch_python": "c"}
    settings = roster.Settings(
      pythons,
      TINY,
      threads=3,
      options={"ours": {"implementation": "cells"}},
      environment={"OMP_WAIT_POLICY": "passive"},
    )
    shared = set()
    for name, entry in roster.ENTRIES.items():
      if "networks" not in entry.modules:
        continue
      found = roster.make_contender(name, "gru", settings)
      self.assertEqual(found.command[0], pythons[entry.python])
      self.assertEqual(found.environment["OMP_NUM_THREADS"], "3")
      self.assertEqual(found.environment["OMP_WAIT_POLICY"], "passive")
      spec = json.loads(found.command[-1])
      file = os.path.join(
        str(launch.ROOT), "tangle/benchmarks/peers", spec["module"] + ".py"
      )
      self.assertTrue(os.path.exists(file), file)
      keys = ("task", "sizes", "optimizer", "threads", "seed")
      shared.add(json.dumps([spec[key] for key in keys]))
      cells = spec["options"].get("implementation") == "cells"
      self.assertEqual(cells, entry.modules["networks"] == "ours")
    self.assertLen(shared, 1)


if __name__ == "__main__":
  absltest.main()

"""Tests of the candidates."""

import json
import os
import sys

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks.frameworks import (
  candidates,
  g2p,
  jobs,
  networks,
  turns,
  worker,
)

TINY = networks.SIZES["mlp"]["tiny"]


class CandidatesTest(absltest.TestCase):
  def test_split_and_joint_of_tangle_have_the_same_losses(self):
    settings = candidates.SharedSettings(
      {"python2": sys.executable}, TINY, threads=1
    )
    names = ["tangle_split", "tangle_joint", "tangle_tf1_split"]
    timing = turns.TurnSettings(rounds=2, turn_s=0.001)
    every = [*names, "roofline_numpy"]
    rows = candidates.measure_task("mlp", every, settings, timing)
    self.assertEqual(list(rows), [*names, "roofline"])
    for name in names[:2]:
      self.assertTrue(rows[name]["same_losses"])
      self.assertEqual(rows[name]["rounds"], 2)
      self.assertGreater(rows[name]["to_roofline"], 1)
    self.assertIn("--python1", rows["tangle_tf1_split"]["reason"])
    self.assertEqual(
      rows["roofline"]["flops"], networks.make("mlp", TINY).flops
    )

  def test_g2p_is_trained_on_the_same_words(self):
    settings = candidates.SharedSettings(
      {"python2": sys.executable}, g2p.SIZES["g2p"]["tiny"], threads=1
    )
    names = ["tangle_split", "tangle_joint", "contrib_joint", "pytorch_split"]
    timing = turns.TurnSettings(rounds=2, turn_s=0.001)
    rows = candidates.measure_task("g2p", names, settings, timing)
    self.assertEqual(list(rows), names)
    for name in names[:2]:
      self.assertTrue(rows[name]["same_losses"])
      words = 6 / rows[name]["step_s"]
      self.assertAlmostEqual(rows[name]["words_per_s"], words)
    self.assertIn("--python1", rows["contrib_joint"]["reason"])
    self.assertIn("no model for g2p", rows["pytorch_split"]["reason"])

  def test_a_job_is_done_by_split_and_joint_alike(self):
    sizes = jobs.SIZES["g2p_demo"]["tiny"]
    settings = candidates.SharedSettings(
      {"python2": sys.executable}, sizes, threads=1
    )
    names = ["tangle_split", "tangle_joint", "pytorch_split", "jax_joint"]
    timing = turns.TurnSettings(rounds=2, turn_s=0.001)
    rows = candidates.measure_task("g2p_demo", names, settings, timing)
    self.assertEqual(list(rows), names)
    for name in names[:2]:
      self.assertTrue(rows[name]["same_losses"])
      self.assertGreater(rows[name]["examples_per_s"], 0)
      self.assertEqual(rows[name]["same_symbols"], 1.0)
    self.assertIn("no model for g2p_demo", rows["pytorch_split"]["reason"])
    self.assertIn("--torch_python", rows["jax_joint"]["reason"])

  def test_a_job_has_the_optimizer_of_its_script(self):
    settings = candidates.SharedSettings(
      {"python2": "a"}, jobs.SIZES["multi30k"]["tiny"]
    )
    found = candidates.make_candidate("tangle_split", "multi30k", settings)
    spec = json.loads(found.command[-1])
    self.assertEqual(spec["optimizer"], ["adam", 0.01, jobs.CLIP_NORM])

  def test_contrib_has_no_other_task(self):
    settings = candidates.SharedSettings({"python1": sys.executable}, TINY)
    rows = candidates.measure_task("mlp", ["contrib_joint"], settings)
    self.assertIn("no model for mlp", rows["contrib_joint"]["reason"])

  def test_tensorflow_1_is_told_that_it_is(self):
    settings = candidates.SharedSettings({"python1": "a", "python2": "b"}, TINY)
    for name, value in (("tangle_tf1_split", "0"), ("tangle_split", None)):
      found = candidates.make_candidate(name, "mlp", settings)
      self.assertEqual(found.environment.get("TF2_BEHAVIOR"), value)

  def test_the_names_are_those_of_the_entries(self):
    self.assertEqual(candidates.NAMES, tuple(candidates.ENTRIES))

  def test_an_unknown_candidate_names_those_there_are(self):
    with self.assertRaisesRegex(errors.ArgumentError, "jax_split.*'x'"):
      candidates.measure_task("mlp", ["x"], candidates.SharedSettings({}, TINY))

  def test_all_get_the_same_task_and_threads(self):
    pythons = {"python2": "a", "python1": "b", "torch_python": "c"}
    settings = candidates.SharedSettings(
      pythons,
      TINY,
      threads=3,
      options={candidates.TANGLE_NETWORKS: {"implementation": "cells"}},
      environment={"OMP_WAIT_POLICY": "passive"},
    )
    shared = set()
    for name, entry in candidates.ENTRIES.items():
      if "networks" not in entry.builds:
        continue
      found = candidates.make_candidate(name, "gru", settings)
      self.assertEqual(found.command[0], pythons[entry.python])
      self.assertEqual(found.environment["OMP_NUM_THREADS"], "3")
      self.assertEqual(found.environment["OMP_WAIT_POLICY"], "passive")
      spec = json.loads(found.command[-1])
      keys = ("task", "sizes", "optimizer", "threads", "seed")
      shared.add(json.dumps([spec[key] for key in keys]))
      cells = spec["options"].get("implementation") == "cells"
      self.assertEqual(cells, spec["build"] == "in_tangle.build_networks")
    self.assertLen(shared, 1)

  def test_every_function_of_a_candidate_exists(self):
    folder = os.path.dirname(worker.__file__)
    for entry in candidates.ENTRIES.values():
      for build in entry.builds.values():
        module, function = build.split(".")
        with open(os.path.join(folder, f"{module}.py")) as file:
          self.assertIn(f"def {function}(", file.read())


if __name__ == "__main__":
  absltest.main()

"""Tests of mux."""

import os
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import mux

SIZES = {"batch_size": 8, "width": 2}


class MuxTest(parameterized.TestCase):
  def test_every_candidate_has_its_figures(self):
    rows = mux.compare_multiplexers([2], [4], rounds=2, memory=False, **SIZES)[
      "4"
    ]["2"]
    self.assertEqual(tuple(rows), mux.NAMES)
    weights = 2 * 2 * 4 + 4 * 4
    for name, row in rows.items():
      self.assertGreater(row["step_s"], 0)
      self.assertGreater(row["op_s"], 0)
      seen = 16 if name.startswith("where") else 8
      self.assertAlmostEqual(row["gflop"], 6e-9 * weights * seen)
      self.assertEqual(row["untaken_runs"], 0 if name == "switch" else None)
    self.assertEqual(rows["where"]["to_where"], 1.0)

  def test_all_take_the_same_step(self):
    found = {}
    for name in mux.NAMES:
      if name == mux.SWITCH:
        continue  # it takes one branch only
      candidate = mux.BranchesTraining(name, 2, mux.BranchSizes(8, 2, 4))
      self.addCleanup(candidate.session.close)
      rng = np.random.RandomState(0)
      values = [rng.randn(*v.shape.as_list()) for v in candidate.variables]
      for variable, value in zip(candidate.variables, values):
        initial = variable.initializer.inputs[1]
        candidate.session.run(variable.initializer, {initial: value})
      candidate.step()
      after = candidate.session.run(candidate.variables)
      found[name] = [new - old for new, old in zip(after, values)]
    for name, changes in found.items():
      # A mean over half of the rows weighs each of them twice.
      scale = 0.5 if name == mux.SEPARATE else 1.0
      for one, other in zip(changes, found["where"]):
        self.assertGreater(np.max(np.abs(other)), 0)
        self.assertLess(np.max(np.abs(scale * one - other)), 1e-6, name)

  def test_where_is_always_there(self):
    rows = mux.compare_multiplexers(
      [2], [4], ["route"], rounds=1, memory=False, **SIZES
    )
    rows = rows["4"]["2"]
    self.assertEqual(list(rows), ["where", "route"])

  def test_an_unknown_candidate(self):
    with self.assertRaisesRegex(errors.ArgumentError, "got 'magic'"):
      mux.compare_multiplexers([2], [4], ["magic"], **SIZES)

  def test_memory_grows_with_the_batch(self):
    call = mux.processes.call
    with mock.patch.object(mux.processes, "call", side_effect=call) as spy:
      small, large = (
        mux.peak_bytes("where", 2, mux.BranchSizes(batch, 64, 64))
        for batch in (8, 100000)
      )
    self.assertEqual(spy.call_count, 2)  # each in a process of its own
    # The two hidden layers of two branches alone are this large.
    self.assertGreater(large - small, 4 * 100000 * 64 * 4)

  def test_the_plot_is_a_png(self):
    results = {
      "4": {str(k): {"where": {"step_s": 0.1 * k}} for k in (2, 4)},
      "8": {"2": {"where": {"step_s": 0.3}}},
    }
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "mux.png")
      mux.plot(results, path)
      with open(path, "rb") as file:
        self.assertEqual(file.read(4), b"\x89PNG")


if __name__ == "__main__":
  absltest.main()

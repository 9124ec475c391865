"""Tests of tangled."""

from unittest import mock

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import tangled


class TangledTest(absltest.TestCase):
  def test_an_unknown_candidate_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "candidate must be one"):
      tangled.CalculatorTraining("nonsense", 10, 4, 4)

  def test_candidates_are_compared(self):
    # The test of the script measures memory in processes.
    with mock.patch.object(tangled.processes, "call", return_value=7) as call:
      rows = tangled.compare_trainings(
        batch_size=12, units=4, hidden=8, rounds=2
      )
    measured = [found[0][1:] for found in call.call_args_list]
    self.assertEqual(measured, [(name, 12, 4, 8) for name in rows])
    self.assertCountEqual(rows, tangled.NAMES)
    for row in rows.values():
      self.assertGreater(row["example_s"], 0.0)
      self.assertEqual(row["rss_bytes"], 7)
      self.assertContainsSubset(tangled.COLUMNS, row)
    self.assertEqual(rows["one_graph"]["to_one_graph"], 1.0)
    self.assertGreater(rows["joint"]["ops"], 0)

  def test_every_candidate_learns(self):
    for name in tangled.NAMES:
      candidate = tangled.CalculatorTraining(name, 10, 8, 16)
      losses = [candidate.step() for _ in range(30)]
      candidate.session.close()
      self.assertLess(losses[-1], losses[0] - 0.05, name)


if __name__ == "__main__":
  absltest.main()

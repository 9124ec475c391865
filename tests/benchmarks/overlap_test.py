"""Tests of overlap."""

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import overlap


class OverlapTest(absltest.TestCase):
  def test_all_train_the_same(self):
    rows = overlap.compare_run_orders(3, 2, 4, 3, rounds=2)
    self.assertEqual(list(rows), list(overlap.NAMES))
    for row in rows.values():
      self.assertTrue(row["same_losses"])
      self.assertGreater(row["step_s"], 0)
    self.assertEqual(rows["joint"]["to_joint"], 1.0)
    self.assertEqual(rows["in_turn"]["to_in_turn"], 1.0)

  def test_an_unknown_candidate_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "'jiont'.*'joint'"):
      overlap.EncodersTraining("jiont", 2, 4, 3, 2)

  def test_losses_change_from_step_to_step(self):
    candidate = overlap.EncodersTraining("at_once", 2, 2, 4, 3)
    losses = [candidate.step() for _ in range(3)]
    candidate.session.close()
    self.assertEqual(losses, sorted(set(losses), reverse=True))


if __name__ == "__main__":
  absltest.main()

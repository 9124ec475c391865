"""Tests of conflicts."""

from absl.testing import absltest

from tangle import errors
from tangle.benchmarks import conflicts


class ConflictsTest(absltest.TestCase):
  def test_measures_each_candidate_against_the_weighted_one(self):
    rows = conflicts.compare_methods(
      ("mgda", "mgda_shared", "turns"),
      rounds=2,
      batch_size=2,
      width=4,
      layers=3,
      heads=2,
    )
    self.assertEqual(list(rows), ["weighted", "mgda", "mgda_shared", "turns"])
    self.assertEqual(rows["weighted"]["to_weighted"], 1.0)
    for row in rows.values():
      self.assertGreater(row["step_s"], 0)
      self.assertEqual(
        set(row) - {"to_weighted_quartiles"}, set(conflicts.COLUMNS)
      )

  def test_on_the_boundary_the_trunk_costs_no_more_ops_for_more_heads(self):
    ops = {}
    for name in ("mgda", "mgda_shared"):
      for layers in (2, 5):
        found = conflicts.HeadsTraining(name, 2, 4, layers, 3)
        ops[name, layers] = found.ops
        found.session.close()
    extra = {m: ops[m, 5] - ops[m, 2] for m in ("mgda", "mgda_shared")}
    self.assertGreater(extra["mgda_shared"], extra["mgda"])

  def test_refuses_an_unknown_candidate(self):
    with self.assertRaisesRegex(errors.ArgumentError, "best"):
      conflicts.compare_methods(("best",))


if __name__ == "__main__":
  absltest.main()

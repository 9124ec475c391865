"""Tests of figures."""

import numpy as np
from absl.testing import absltest

from tangle.benchmarks.peers import figures


def measured(seconds, losses=(2.0, 1.0), values=(0.0,)):
  return {
    "seconds": list(seconds),
    "losses": list(losses),
    "values": list(values),
    "first_step_s": 9.0,
    "build_s": 1.0,
    "rss_bytes": 100,
    "versions": {},
  }


class FiguresTest(absltest.TestCase):
  def test_ratios_are_of_pairs_and_of_the_same_mode(self):
    found = {
      "tangle_split": measured([2.0, 20.0, 100.0]),
      "tangle_joint": measured([1.0, 10.0, 100.0]),
      "pytorch_split": measured([4.0, 40.0, 50.0]),
      "jax_split": {"reason": "no jax"},
    }
    rows = figures.make_rows(found, 10)
    row = rows["tangle_split"]
    self.assertEqual((row["step_s"], row["rounds"]), (20.0, 3))
    self.assertEqual(row["to_own_joint"], 2.0)
    self.assertEqual(row["to_own_joint_quartiles"], [1.5, 2.0])
    self.assertEqual(row["to_pytorch"], 0.5)
    self.assertEqual(rows["tangle_joint"]["to_own_joint"], 1.0)
    self.assertNotIn("to_pytorch", rows["tangle_joint"])
    self.assertNotIn("to_own_joint", rows["pytorch_split"])
    self.assertEqual(rows["jax_split"], {"reason": "no jax"})
    self.assertNotIn("limit", rows)

  def test_the_limit_is_the_best_rate_of_all(self):
    found = {
      "tangle_split": measured([2.0, 4.0, 6.0]),
      "limit_numpy": measured([1.0], losses=[50.0], values=[40.0, 30.0]),
      "limit_torch": measured([1.0], losses=[10.0], values=[20.0, 100.0]),
    }
    rows = figures.make_rows(found, flops=200)
    self.assertEqual(rows["limit"]["best"], "limit_torch")
    self.assertEqual(rows["limit"]["step_s"], 2.0)
    self.assertEqual(rows["limit"]["rates"]["limit_numpy"], 50.0)
    self.assertEqual(rows["tangle_split"]["to_limit"], 2.0)
    self.assertEqual(list(rows), ["tangle_split", "limit"])

  def test_a_limit_that_cannot_be_measured_says_so(self):
    rows = figures.make_rows({"limit_torch": {"reason": "no torch"}}, 1)
    self.assertEqual(rows, {"limit": {"reason": "no torch"}})

  def test_losses_are_held_against_the_median(self):
    found = {name: measured([1.0]) for name in ("a_split", "b_split")}
    found["c_split"] = measured([1.0], losses=[2.0, 1.001])
    rows = figures.make_rows(found, 1)
    self.assertTrue(rows["a_split"]["same_losses"])
    self.assertFalse(rows["c_split"]["same_losses"])
    np.testing.assert_allclose(rows["c_split"]["loss_difference"], 1e-3)

  def test_a_loss_that_is_no_number_is_not_the_same(self):
    found = {name: measured([1.0]) for name in ("a_split", "b_split")}
    found["c_split"] = measured([1.0], losses=[2.0, float("nan")])
    rows = figures.make_rows(found, 1)
    self.assertFalse(rows["c_split"]["same_losses"])
    self.assertTrue(rows["a_split"]["same_losses"])

  def test_words_are_held_against_contrib(self):
    found = {
      "tangle_split": measured([1.0, 10.0, 100.0]),
      "contrib_joint": measured([2.0, 15.0, 400.0]),
    }
    rows = figures.make_rows(found, 1, words=30)
    row = rows["tangle_split"]
    self.assertEqual((row["words_per_s"], row["to_contrib"]), (3.0, 2.0))
    self.assertEqual(row["to_contrib_quartiles"], [1.75, 3.0])
    self.assertEqual(rows["contrib_joint"]["words_per_s"], 2.0)
    self.assertIn("to_contrib", figures.RATIOS)

  def test_a_table_has_the_columns_that_a_row_has(self):
    rows = figures.make_rows({"jax_split": {"reason": "no jax"}}, 1)
    self.assertEqual(figures.columns_of(rows), ())
    self.assertEqual(figures.columns_of({}), ())
    rows = figures.make_rows({"pytorch_split": measured([1.0])}, 1)
    self.assertEqual(
      figures.columns_of(rows),
      ("step_s", "to_pytorch", "first_step_s", "rss_bytes", "same_losses"),
    )

  def test_the_summary_has_median_and_worst_of_the_tasks(self):
    tasks = {
      "a": {"x_split": {"to_own_joint": 1.0}, "y_split": {"reason": "no"}},
      "b": {"x_split": {"to_own_joint": 1.5, "to_pytorch": 0.5}},
      "c": {"x_split": {"to_own_joint": 1.1}},
    }
    self.assertEqual(
      figures.summarize(tasks),
      {
        "x_split": {
          "to_own_joint": {"median": 1.1, "worst": 1.5},
          "to_pytorch": {"median": 0.5, "worst": 0.5},
        }
      },
    )


if __name__ == "__main__":
  absltest.main()

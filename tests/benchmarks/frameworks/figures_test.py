"""Tests of figures."""

import numpy as np
from absl.testing import absltest

from tangle.benchmarks.frameworks import figures


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
    self.assertNotIn("roofline", rows)

  def test_the_roofline_is_the_best_rate_of_all(self):
    found = {
      "tangle_split": measured([2.0, 4.0, 6.0]),
      "roofline_numpy": measured([1.0], losses=[50.0], values=[40.0, 30.0]),
      "roofline_torch": measured([1.0], losses=[10.0], values=[20.0, 100.0]),
    }
    rows = figures.make_rows(found, flops=200)
    self.assertEqual(rows["roofline"]["best"], "roofline_torch")
    self.assertEqual(rows["roofline"]["step_s"], 2.0)
    self.assertEqual(rows["roofline"]["rates"]["roofline_numpy"], 50.0)
    self.assertEqual(rows["tangle_split"]["to_roofline"], 2.0)
    self.assertEqual(list(rows), ["tangle_split", "roofline"])

  def test_a_roofline_that_cannot_be_measured_says_so(self):
    rows = figures.make_rows({"roofline_torch": {"reason": "no torch"}}, 1)
    self.assertEqual(rows, {"roofline": {"reason": "no torch"}})

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


def did_job(step_s, epoch_s, losses=(2.0, 1.0), sums=(1, 2, 3, 4)):
  search = {"seconds": 2.0, "checksums": list(sums), "lengths": 6.5}
  return dict(
    measured([step_s, step_s], losses),
    build_s=3.0,
    import_s=2.0,
    cpu_s=[step_s, step_s / 2],
    greedy=search,
    beam=dict(search, seconds=4.0),
    epoch={
      "wall_s": epoch_s,
      "cpu_s": 8.0,
      "examples": 100,
      "steps": 10,
      "positions": int(100 * epoch_s),
      "loss": 0.5,
    },
  )


class JobsTest(absltest.TestCase):
  def test_epochs_and_steps_are_held_against_pytorch(self):
    found = {
      "tangle_split": did_job(0.3, 19.0),
      "pytorch_joint": did_job(0.2, 9.0, sums=(1, 2, 3, 5)),
      "contrib_joint": did_job(0.6, 39.0, [float("nan")] * 2),
      "jax_joint": {"reason": "no jax"},
    }
    rows = figures.make_rows(found, 10, is_job=True)
    row = rows["tangle_split"]
    self.assertAlmostEqual(row["to_pytorch"], 1.5)
    self.assertEqual((row["step_cpu_s"], row["epoch_cpu_s"]), (0.15, 8.0))
    self.assertEqual((row["epoch_s"], row["examples_per_s"]), (20.0, 5.0))
    self.assertEqual(row["epoch_to_pytorch"], 2.0)
    self.assertAlmostEqual(row["padding"], 19 / 9 - 1)
    self.assertEqual((row["greedy_per_s"], row["beam_per_s"]), (2.0, 1.0))
    self.assertTrue(row["same_losses"])
    self.assertEqual(row["same_symbols"], 1.0)
    self.assertEqual(rows["pytorch_joint"]["same_symbols"], 0.75)
    self.assertEqual(rows["jax_joint"], {"reason": "no jax"})

  def test_another_network_has_no_losses_to_compare(self):
    found = {
      "tangle_split": did_job(0.3, 19.0),
      "contrib_joint": did_job(0.6, 39.0, [float("nan")] * 2),
    }
    rows = figures.make_rows(found, 10, is_job=True)
    self.assertTrue(rows["tangle_split"]["same_losses"])
    for key in ("same_losses", "losses", "loss_difference", "same_symbols"):
      self.assertNotIn(key, rows["contrib_joint"])
    self.assertNotIn("epoch_to_pytorch", rows["tangle_split"])


if __name__ == "__main__":
  absltest.main()

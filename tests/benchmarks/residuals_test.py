"""Tests of residuals."""

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import residuals
from tests import case

SIZES = {"batch_size": 4, "units": 8, "steps": 3, "target_steps": 2}


class CompareTest(case.GraphTestCase):
  @parameterized.parameters("mlp", "convolution")
  def test_less_is_kept_and_the_gradients_are_the_same(self, model):
    rows = residuals.compare_policies(
      model, ["min_cut", "min_cut_products"], rounds=1, **SIZES
    )
    self.assertEqual(list(rows), ["frontier", "min_cut", "min_cut_products"])
    frontier, least, products = rows.values()
    self.assertLessEqual(least["bytes"], frontier["bytes"])
    self.assertLess(products["bytes"], least["bytes"])
    self.assertEqual(frontier["recomputed"], 0)
    self.assertEqual(frontier["max_difference"], 0.0)
    for row in rows.values():
      self.assertLess(row["max_difference"], 1e-5)
      self.assertBetween(row["measured_bytes"] / row["bytes"], 0.95, 1.05)
      self.assertEqual(
        row["to_frontier_bytes"], row["bytes"] / frontier["bytes"]
      )
      self.assertGreater(row["step_s"], 0)

  def test_of_an_lstm_five_of_eight_bytes_are_the_least(self):
    sizes = dict(SIZES, steps=40)
    rows = residuals.compare_policies(
      "lstm", ["min_cut", "budget_50_products"], rounds=1, **sizes
    )
    # Four gates and the input of each step. The frontier: three functions of
    # gates, two tanh, c, and input and h in one; no first c, which is constant.
    self.assertEqual(rows["min_cut"]["bytes"], 5 * 40 * 4 * 8 * 4)
    self.assertEqual(rows["frontier"]["bytes"], (8 * 40 - 1) * 4 * 8 * 4)
    self.assertLessEqual(rows["budget_50_products"]["to_frontier_bytes"], 0.5)

  def test_a_budget_that_cannot_be_met_is_told(self):
    rows = residuals.compare_policies("mlp", ["budget_75"], rounds=1, **SIZES)
    self.assertIn("at least", rows["budget_75"]["reason"])

  def test_an_unknown_candidate_is_refused(self):
    with self.assertRaises(errors.ArgumentError) as caught:
      residuals.compare_policies("mlp", ["everything"])
    self.assert_message(caught.exception, "everything", "min_cut")


class TimeCutTest(case.GraphTestCase):
  def test_times_a_graph_of_that_many_ops(self):
    found = residuals.time_cut(1000)
    self.assertBetween(found["ops"], 1000, 1200)
    self.assertGreater(found["recomputed"], 100)
    self.assertLess(found["cut_s"], 60)

  def test_a_number_of_ops_must_be_positive(self):
    with self.assertRaises(errors.ArgumentError):
      residuals.time_cut(0)


if __name__ == "__main__":
  absltest.main()

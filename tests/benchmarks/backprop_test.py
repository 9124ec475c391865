"""Tests of backprop."""

from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import backprop, strategies
from tangle.experiments import reports

SIZES = {"batch_size": 3, "units": 8, "steps": 4, "target_steps": 2}


class BackpropTest(parameterized.TestCase):
  def test_only_double_forward_runs_the_forward_ops_again(self):
    rows = backprop.compare_strategies("lstm", rounds=2, **SIZES)
    self.assertEqual(list(rows), list(strategies.DEFAULTS))
    for name, row in rows.items():
      self.assertLess(row["max_difference"], 1e-5, name)
      self.assertGreater(row["to_joint"], 0)
      if name == strategies.DOUBLE:
        self.assertGreater(row["forward_runs"], 1.5)
      elif name != strategies.SESSION:
        self.assertEqual(row["forward_runs"], 1.0, name)
    self.assertEqual(rows["joint"]["to_joint"], 1.0)
    self.assertGreater(
      rows["published"]["residual_bytes"], rows["host"]["residual_bytes"]
    )
    self.assertEqual(rows["host"]["residuals"], rows["device"]["residuals"])

  def test_joint_and_double_forward_are_always_there(self):
    rows = backprop.compare_strategies("mlp", ["device"], rounds=1, **SIZES)
    self.assertEqual(list(rows), ["joint", "double_forward", "device"])

  def test_a_loop_on_reference_variables(self):
    names = ["auto", "pipeline_unchanged", "device"]
    rows = backprop.compare_strategies(
      "reference_rnn", names, rounds=1, **SIZES
    )
    for name in names[:2]:
      self.assertIsNone(rows[name]["forward_runs"])  # those of a partial run
      self.assertLess(rows[name]["max_difference"], 1e-5)
    self.assertEqual(rows["joint"]["forward_runs"], 1.0)
    self.assertGreater(rows["double_forward"]["forward_runs"], 1.5)
    self.assertIn("loop", rows["device"]["reason"])

  def test_a_strategy_that_cannot_run_says_why(self):
    refusal = errors.CutError("SubModel: no way. Use another store.")
    with mock.patch.object(
      strategies.Strategy, "_build_sub_model", side_effect=refusal
    ):
      rows = backprop.compare_strategies("mlp", ["device"], rounds=1, **SIZES)
    self.assertEqual(rows["device"], {"reason": str(refusal)})

  def test_the_rows_are_reported(self):
    report = mock.create_autospec(reports.Report, instance=True)
    rows = backprop.compare_strategies(
      "mlp", [], rounds=1, report=report, **SIZES
    )
    report.show.assert_called_once_with(
      rows, backprop.COLUMNS, "strategy", model="mlp"
    )
    self.assertEqual(
      report.draw_ratios.call_args[0][:2], ("backprop_mlp", rows)
    )


if __name__ == "__main__":
  absltest.main()

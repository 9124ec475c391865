"""Tests of loops."""

from unittest import mock

from absl.testing import absltest, parameterized

from tangle import errors
from tangle.benchmarks import loops, models, strategies
from tangle.experiments import reports

SIZES = models.ModelSizes(batch=2, units=4, steps=3)


class MeasureTest(parameterized.TestCase):
  @parameterized.parameters(*loops.NAMES)
  def test_every_strategy_trains_the_same(self, name):
    joint = loops.watch_strategy(strategies.JOINT, 12, 3, SIZES)
    found = loops.watch_strategy(name, 12, 3, SIZES)
    self.assertAlmostEqual(found["loss"], joint["loss"], places=5)
    self.assertLen(found["rss_bytes"], 10)
    self.assertEqual(found["last_mib"], found["rss_bytes"][-1] / 2**20)

  def test_bytes_a_step_are_the_slope(self):
    seen = iter(range(10**9, 10**9 + 30000, 3000))  # 3,000 bytes each 100 steps
    with mock.patch.object(loops.memory, "meter", lambda: seen.__next__):
      with mock.patch.object(loops.strategies_lib, "Strategy"):
        with mock.patch.object(loops.strategies_lib, "initial_values"):
          with mock.patch.object(loops.tf1, "Session"):
            loops.strategies_lib.Strategy().step.return_value = 0.5
            found = loops.watch_strategy("joint", 1000, 100, SIZES)
    self.assertAlmostEqual(found["bytes_a_step"], 30.0, places=5)
    self.assertAlmostEqual(found["growth"], 2.7e-5)


class CompareTest(parameterized.TestCase):
  def test_each_strategy_has_a_process(self):
    report = mock.create_autospec(reports.Report, instance=True)
    with mock.patch.object(loops.processes, "call") as run:
      run.side_effect = lambda _, name, *rest: {"name": name}
      rows = loops.compare_strategies(
        ["auto", "joint"], "small", 19, report=report
      )
    self.assertEqual(
      rows, {"auto": {"name": "auto"}, "joint": {"name": "joint"}}
    )
    counts = [mock.call(1, 2), mock.call(2, 2)]
    self.assertEqual(report.count.call_args_list, counts)
    self.assertEqual(run.call_args[0][2:], (19, 10))

  @parameterized.parameters(
    (["joined"], 9, 3, "joined"),
    (["joint"], 9, 9, "more than warm_up=9"),
    (["joint"], 9, 0, "warm_up"),
  )
  def test_what_cannot_be_is_refused(self, names, steps, warm_up, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      loops.compare_strategies(names, "full", steps, warm_up)

  def test_an_unknown_size_is_refused(self):
    with self.assertRaisesRegex(errors.ArgumentError, "the size must be one"):
      loops.compare_strategies(size="huge")


if __name__ == "__main__":
  absltest.main()

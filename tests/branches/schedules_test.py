"""Tests of schedules."""

import json

import numpy as np
from absl.testing import absltest, parameterized

from tangle import branches, errors
from tangle.branches import schedules


def batch(name, number, count=1):
  return branches.Batch(
    {name: np.zeros(count)},
    {name: np.arange(count)},
    np.full([count], number),
  )


def order(found):
  return [(next(iter(b.inputs)), int(b.targets[0])) for b in found]


STREAM = [batch(name, i) for i, name in enumerate("aaabacb")]


class SchedulesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("round_robin", lambda: schedules.RoundRobin("abc"), None),
    ("round_robin_ahead", lambda: schedules.RoundRobin("abc"), 2),
    ("remaining", lambda: schedules.Proportional(), None),
    ("weights", lambda: schedules.Proportional({"a": 1, "b": 5, "c": 9}), 3),
    ("by_loss", lambda: schedules.ByLoss(), 1),
  )
  def test_each_batch_comes_once_and_a_type_in_its_order(self, make, ahead):
    schedule = make()
    found = []
    for one in schedules.arrange(STREAM, schedule, ahead):
      found.append(one)
      schedule.report({next(iter(one.inputs)): 1.0})
    got = order(found)
    self.assertCountEqual(got, order(STREAM))
    for name in "abc":
      numbers = [n for kind, n in got if kind == name]
      self.assertEqual(numbers, sorted(numbers))

  def test_one_ahead_keeps_the_order_of_the_stream(self):
    found = schedules.arrange(STREAM, schedules.RoundRobin("abc"), 1)
    self.assertEqual(order(found), order(STREAM))

  def test_round_robin_leaves_out_what_has_ended(self):
    found = schedules.arrange(STREAM, schedules.RoundRobin("abc"))
    self.assertEqual("".join(name for name, _ in order(found)), "abcabaa")

  def test_proportional_draws_by_weight(self):
    schedule = schedules.Proportional({"a": 1, "b": 3})
    drawn = [schedule.choose({"a": 7, "b": 1}) for _ in range(2000)]
    self.assertAlmostEqual(drawn.count("b") / 2000, 0.75, delta=0.04)

  def test_proportional_draws_by_what_remains(self):
    schedule = schedules.Proportional()
    drawn = [schedule.choose({"a": 70, "b": 30}) for _ in range(2000)]
    self.assertAlmostEqual(drawn.count("a") / 2000, 0.7, delta=0.04)

  def test_by_loss_draws_the_type_that_is_worse(self):
    schedule = schedules.ByLoss(decay=0.5, floor=0.5)
    waiting = {"a": 1, "b": 1}
    self.assertEqual(schedule.choose(waiting), "a")
    schedule.report({"a": 1.0})
    self.assertEqual(schedule.choose(waiting), "b")  # has no loss yet
    schedule.report({"b": 8.0})
    schedule.report({"b": 4.0, "a": 2.0})  # means 6 and 1.5
    drawn = [schedule.choose(waiting) for _ in range(2000)]
    self.assertAlmostEqual(drawn.count("b") / 2000, 6.5 / 8.5, delta=0.04)

  @parameterized.named_parameters(
    ("round_robin", lambda: schedules.RoundRobin("abc")),
    ("proportional", lambda: schedules.Proportional(seed=3)),
    ("by_loss", lambda: schedules.ByLoss(seed=3)),
  )
  def test_goes_on_from_a_state(self, make):
    waiting = {"a": 3, "b": 2, "c": 1}

    def run(schedule, count):
      found = []
      for _ in range(count):
        found.append(schedule.choose(waiting))
        schedule.report({found[-1]: 0.1 + ord(found[-1]) - 97})
      return found

    whole = run(make(), 40)
    first, second = make(), make()
    begun = run(first, 15)
    second.restore(json.loads(json.dumps(first.state())))
    self.assertEqual(begun + run(second, 25), whole)

  @parameterized.named_parameters(
    ("no_types", lambda: schedules.RoundRobin([]), "types is empty"),
    ("no_weights", lambda: schedules.Proportional({}), "weights is empty"),
    ("zero", lambda: schedules.Proportional({"a": 0}), "weight of 'a'"),
    ("negative", lambda: schedules.Proportional({"a": -1}), "got -1"),
    ("nan", lambda: schedules.Proportional({"a": np.nan}), "finite"),
    ("infinite", lambda: schedules.Proportional({"a": np.inf}), "finite"),
    ("decay", lambda: schedules.ByLoss(decay=1.0), "decay"),
    ("floor", lambda: schedules.ByLoss(floor=0.0), "floor"),
    ("loss", lambda: schedules.ByLoss().report({"a": np.nan}), "loss of 'a'"),
    ("negative_loss", lambda: schedules.ByLoss().report({"a": -1.0}), "-1"),
    (
      "type_without_weight",
      lambda: schedules.Proportional({"a": 1}).choose({"b": 1}),
      "'b' wait",
    ),
    (
      "type_without_turn",
      lambda: schedules.RoundRobin(["a"]).choose({"b": 1}),
      "'b' wait",
    ),
    ("no_turn", lambda: schedules.RoundRobin(["a"]).choose({}), "is empty"),
    ("no_draw", lambda: schedules.Proportional().choose({}), "is empty"),
    ("no_weight", lambda: schedules.Proportional({"a": 1}).choose({}), "empty"),
    ("no_loss", lambda: schedules.ByLoss().choose({}), "ByLoss: .* is empty"),
    (
      "ahead",
      lambda: list(schedules.arrange([], schedules.ByLoss(), 0)),
      "ahead",
    ),
    (
      "mixed",
      lambda: list(
        schedules.arrange(
          [branches.Batch({"a": [1], "b": [2]}, {}, [])], schedules.ByLoss()
        )
      ),
      "one type",
    ),
  )
  def test_bad_settings_are_refused(self, make, part):
    with self.assertRaisesRegex(errors.ArgumentError, part):
      make()


if __name__ == "__main__":
  absltest.main()

"""Batches are divided, and sub-models put in order, as the papers say."""

import collections

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.pipeline import schedules
from tests import case

Plan = collections.namedtuple("Plan", "active")
Active = collections.namedtuple("Active", "node sources feeds")
Node = collections.namedtuple("Node", "name")
Source = collections.namedtuple("Source", "sub_model")


def plan_of(wiring, feeds=()):
  """Returns a stand-in for a plan; `wiring` is name → names that it reads."""
  active = [
    Active(Node(name), {read: Source(read) for read in reads}, feeds)
    for name, reads in wiring.items()
  ]
  return Plan(active)


class DivideTest(case.GraphTestCase):
  def plan(self, *shapes):
    feeds = [tf1.placeholder(tf1.float32, shape) for shape in shapes]
    return plan_of({"a": []}, feeds)

  def test_parts_are_as_equal_as_may_be_and_scalars_go_to_all(self):
    plan = self.plan([None, 2], [], [None])
    given = [np.arange(14).reshape(7, 2), np.float32(3.0), np.arange(7)]
    parts, rows = schedules.divide(plan, {"a": given}, 3)
    self.assertEqual(rows, [2, 2, 3])
    for k in (0, 2):
      joined = np.concatenate([part["a"][k] for part in parts])
      np.testing.assert_array_equal(joined, given[k])
    self.assertEqual([part["a"][1] for part in parts], [3.0] * 3)

  @parameterized.parameters(
    ([[None], [None]], [4, 5], 2, "4 rows and .* has 5"),
    ([[4]], [4], 2, "exactly 4 rows. Leave the first"),
    ([[None]], [3], 4, "3 rows cannot be divided into 4"),
    ([[]], [None], 2, "no rows cannot"),
  )
  def test_what_cannot_be_divided_is_refused(self, shapes, sizes, count, text):
    given = {"a": [np.ones([] if n is None else [n]) for n in sizes]}
    with self.assertRaisesRegex(errors.ArgumentError, text):
      schedules.divide(self.plan(*shapes), given, count)


class OrderTest(parameterized.TestCase):
  def test_one_forward_one_backward(self):
    order = schedules.order_of(4, 2)
    text = " ".join("FB"[backward] + str(m) for backward, m in order)
    self.assertEqual(text, "F0 F1 B0 F2 B1 F3 B2 B3")

  def test_gpipe_goes_all_the_way_first(self):
    order = schedules.order_of(3, 3)
    text = " ".join("FB"[backward] + str(m) for backward, m in order)
    self.assertEqual(text, "F0 F1 F2 B0 B1 B2")

  @parameterized.parameters(1, 2, 3, 7)
  def test_no_more_parts_are_open_than_are_ahead(self, ahead):
    open_parts, most = 0, 0
    for backward, _ in schedules.order_of(6, ahead):
      open_parts += -1 if backward else 1
      most = max(most, open_parts)
    self.assertEqual(open_parts, 0)
    self.assertEqual(most, min(ahead, 6))

  def test_depth_is_the_longest_way_to_the_end(self):
    plan = plan_of({"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a"]})
    found = schedules.depths(plan, {"a": 0, "b": 0, "c": 0})
    self.assertEqual(found, {"a": 2, "b": 1, "c": 0, "d": 0})


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (0, "1f1b", "positive int"),
    (True, "1f1b", "positive int"),
    (2.0, "1f1b", "positive int"),
    (2, "2f2b", "one of"),
  )
  def test_settings_are_checked(self, count, schedule, text):
    with self.assertRaisesRegex(errors.ArgumentError, text):
      schedules.check(count, schedule)
    schedules.check(3, "gpipe")


if __name__ == "__main__":
  absltest.main()

"""Tests of stopping."""

import json
import math

from absl.testing import absltest

from tangle import errors
from tangle.training import stopping


class PatienceTest(absltest.TestCase):
  def test_the_first_is_the_best(self):
    patience = stopping.Patience(2)
    self.assertIsNone(patience.best)
    self.assertTrue(patience.add(10, math.inf))
    self.assertEqual((patience.best, patience.best_step), (math.inf, 10))

  def test_stops_after_so_many_in_a_row(self):
    patience = stopping.Patience(2)
    found = []
    for step, score in enumerate([3.0, 4.0, 2.0, 2.0, 5.0]):
      better = patience.add(step, score)
      found.append((better, patience.exhausted))
    self.assertEqual(
      found,
      [
        (True, False),
        (False, False),
        (True, False),
        (False, False),
        (False, True),
      ],
    )
    self.assertEqual((patience.best, patience.best_step), (2.0, 2))

  def test_what_is_not_a_number_is_never_better(self):
    patience = stopping.Patience(1)
    self.assertFalse(patience.add(1, math.nan))
    self.assertTrue(patience.exhausted)
    self.assertTrue(patience.add(2, 1.0))

  def test_never_stops_without_patience(self):
    patience = stopping.Patience()
    for step in range(100):
      patience.add(step, step)
    self.assertFalse(patience.exhausted)
    self.assertEqual(patience.waited, 99)

  def test_goes_on_from_a_state(self):
    patience = stopping.Patience(2)
    patience.add(1, 1.0)
    patience.add(2, 2.0)
    other = stopping.Patience(2)
    other.restore(json.loads(json.dumps(patience.state())))
    self.assertFalse(other.exhausted)
    self.assertFalse(other.add(3, 1.0))
    self.assertTrue(other.exhausted)
    self.assertEqual((other.best, other.best_step), (1.0, 1))

  def test_refuses_less_than_one(self):
    with self.assertRaisesRegex(errors.ArgumentError, "at least 1, got 0"):
      stopping.Patience(0)


if __name__ == "__main__":
  absltest.main()

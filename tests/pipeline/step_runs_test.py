"""Tests of the runs of a step."""

import numpy as np
from absl.testing import absltest

from tangle.compat import tf1
from tangle.partial import prepared
from tangle.pipeline import step_runs
from tests import case


class RunsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.key = tf1.placeholder(tf1.int64, [])
    self.x = tf1.placeholder(tf1.float64, [])
    self.is_real = tf1.placeholder(tf1.bool, [])

  def step(self):
    keys = {"mine": np.array(7, np.int64)}
    return step_runs.Step(self.session(), keys, True, {})

  def test_a_prepared_run_feeds_arrays_and_keys(self):
    run = step_runs.PreparedRun(
      prepared.Runs(),
      {"both": [self.x * 2, self.key + 1]},
      [(self.key, "mine")],
      [self.x],
    )
    self.assertEqual(run(self.step(), [3.0]), {"both": [6.0, 8]})

  def test_a_run_in_parts_ends_once_and_knows_whether_it_is_real(self):
    seen = []

    def note(is_real, x):
      seen.append((bool(is_real), float(x)))
      return x

    run = step_runs.RunInParts(
      {"loss": [self.x * 2], "metrics": {}},
      [(self.key, "mine")],
      [self.x],
      self.is_real,
    )
    run.prepare([tf1.py_func(note, [self.is_real, self.x], tf1.float64)])
    step = self.step()
    found = run.begin(step, [3.0])
    self.assertEqual(found, {"loss": [6.0], "metrics": {}})
    run.finish(step, ())
    run.give_up(step)  # it has ended already
    run.begin(step, [4.0])
    run.give_up(step)
    self.assertEqual(seen, [(True, 3.0), (False, 4.0)])
    self.assertEmpty(step.begun)


if __name__ == "__main__":
  absltest.main()

"""Tests of timing."""

import numpy as np
from absl.testing import absltest

from tangle.benchmarks import timing
from tangle.compat import tf1


class TimingTest(absltest.TestCase):
  def test_candidates_step_in_turn(self):
    order = []
    steps = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = timing.run_in_turn(steps, rounds=3, warm_up=1)
    self.assertEqual("".join(order), "abc" * 4)
    self.assertEqual(
      {k: v.shape for k, v in seconds.items()}, dict.fromkeys("abc", (3,))
    )
    self.assertTrue(all((v >= 0).all() for v in seconds.values()))

  def test_the_ratio_is_the_median_of_pairs_not_of_sums(self):
    base, row = np.array([1.0, 10.0, 100.0]), {}
    timing.add_ratio(row, "to_base", np.array([2.0, 20.0, 100.0]), base)
    self.assertEqual(row, {"to_base": 2.0, "to_base_quartiles": [1.5, 2.0]})

  def test_rows_have_ratios_to_what_was_timed(self):
    seconds = {"a": np.array([1.0, 3.0]), "b": np.array([2.0, 6.0])}
    rows = timing.make_rows(seconds, first="a", gone="c")
    self.assertEqual(rows["b"]["step_s"], 4.0)
    self.assertEqual(rows["b"]["to_first"], 2.0)
    self.assertEqual(rows["b"]["to_first_quartiles"], [2.0, 2.0])
    self.assertEqual(
      set(rows["a"]), {"step_s", "to_first", "to_first_quartiles"}
    )

  def test_threads_are_those_of_the_session(self):
    config = timing.session_config(3)
    self.assertEqual(config.intra_op_parallelism_threads, 3)
    self.assertEqual(config.inter_op_parallelism_threads, 3)

  def test_all_variables_of_a_session_have_values(self):
    with tf1.Graph().as_default() as graph:
      drawn = tf1.get_variable("drawn", [2], use_resource=True)
      other = tf1.get_variable(
        "other", initializer=3.0, trainable=False, use_resource=True
      )
    with timing.open_session(
      graph, 1, draw=lambda shapes: {"drawn": np.ones(shapes["drawn"])}
    ) as sess:
      self.assertEqual(sess.run(drawn).tolist(), [1.0, 1.0])
      self.assertEqual(sess.run(other), 3.0)
    with timing.open_session(graph) as sess:
      self.assertNotEqual(sess.run(drawn).tolist(), [1.0, 1.0])


if __name__ == "__main__":
  absltest.main()

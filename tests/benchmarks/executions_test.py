"""Tests of executions."""

import numpy as np
from absl.testing import absltest

from tangle.benchmarks import executions
from tangle.compat import tf1
from tests import case


class ExecutionsTest(case.GraphTestCase):
  def test_counts_each_run_of_each_op(self):
    x_ph = tf1.placeholder(tf1.float32, [2], name="x_ph")
    once = tf1.exp(x_ph, name="once")
    twice = tf1.tanh(x_ph, name="twice")
    never = tf1.sin(x_ph, name="never")
    with executions.Tracer(self.graph) as tracer:
      feed_dict = {x_ph: np.zeros(2)}
      tracer.run([once, twice], feed_dict)
      values = tracer.run(twice, feed_dict)
    np.testing.assert_array_equal(values, [0, 0])
    self.assertEqual(tracer.counts["once"], 1)
    self.assertEqual(tracer.counts["twice"], 2)
    self.assertEqual(tracer.counts[never.op.name], 0)
    self.assertGreater(tracer.seconds, 0)

  def test_a_session_of_the_caller_is_traced(self):
    y = tf1.exp(tf1.ones([2]), name="y")
    session = self.session()
    executions.Tracer(self.graph, session=session).run(y)
    session.run(y)  # is still open

  def test_constants_handles_and_feeds_do_no_work(self):
    variable = self.variable("v", np.ones(2))
    x_ph = tf1.placeholder(tf1.float64, [2])
    y = tf1.add(x_ph * tf1.constant([1.0, 2.0], tf1.float64), variable)
    ops = executions.working_ops(self.graph.get_operations())
    self.assertIn(y.op, ops)
    self.assertNotIn(x_ph.op, ops)
    self.assertNotIn(variable.op, ops)


if __name__ == "__main__":
  absltest.main()

"""Sub-models with TensorFlow 1 style loops in monitored sessions."""

from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests import case
from tests.partial import checks


class _Hook(tf1.train.SessionRunHook):
  """Counts runs, and makes the next one fail as a lost worker would."""

  def __init__(self):
    self.runs, self.fails = 0, False

  def before_run(self, run_context):
    self.runs += 1
    if self.fails:
      self.fails = False
      raise tf1.errors.AbortedError(None, None, "the worker is lost")


class MonitoredTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=False)
    self.x = tf1.placeholder(tf1.float64, [3, 4])
    self.w = self.variable("w", 0.5 * self.normal(4, 4))
    _, self.y = tf1.while_loop(
      lambda n, h: n < 3,
      lambda n, h: (n + 1, tf1.tanh(tf1.matmul(h, self.w))),
      [0, self.x],
    )
    self.feed_dict = {self.x: self.normal(3, 4)}
    self.upstream = self.normal(3, 4)
    self.joint = tf1.gradients(
      self.y, [self.x, self.w], tf1.constant(self.upstream)
    )

  def sub_model(self):
    """Returns a sub-model that is trained by rate 1, and its train op."""
    sub_model = tangle.SubModel([self.x], [self.y], store="session")
    train_op = tf1.train.GradientDescentOptimizer(1.0).apply_gradients(
      list(zip(sub_model.gradients.variables, sub_model.variables)),
      tf1.train.get_or_create_global_step(),
    )
    return sub_model, train_op

  @parameterized.named_parameters(
    ("training", tf1.train.MonitoredTrainingSession),
    ("recoverable", tf1.train.MonitoredSession),
    ("singular", tf1.train.SingularMonitoredSession),
  )
  def test_gradients_and_updates_are_those_of_the_joint_graph(self, open_it):
    sub_model, train_op = self.sub_model()
    with open_it() as sess:
      desired = sess.run(self.joint, self.feed_dict)
      call = sub_model.forward(sess, self.feed_dict)
      found = call.backward([self.upstream])
      self.assert_close(found.inputs[0], desired[0])
      self.assert_close(found.variables[0], desired[1])
      before = sess.run(self.w)
      call = sub_model.forward(sess, self.feed_dict)
      call.run(train_op, [self.upstream])
      self.assert_close(sess.run(self.w), before - desired[1])
      self.assertEqual(sess.run(tf1.train.get_global_step()), 1)

  def test_hooks_see_one_run_for_each_step(self):
    sub_model, train_op = self.sub_model()
    hook = _Hook()
    last = tf1.train.StopAtStepHook(last_step=3)
    with tf1.train.MonitoredTrainingSession(hooks=[hook, last]) as sess:
      steps = 0
      while not sess.should_stop():
        call = sub_model.forward(sess, self.feed_dict)
        call.run(train_op, [self.upstream])
        steps += 1
    self.assertEqual(steps, 3)
    self.assertEqual(hook.runs, 3)

  def test_calls_are_discarded_and_several_may_be_open(self):
    sub_model, _ = self.sub_model()
    with tf1.train.MonitoredTrainingSession() as sess:
      desired = sess.run(self.joint, self.feed_dict)
      calls = [sub_model.forward(sess, self.feed_dict) for _ in range(3)]
      calls[1].discard()
      for call in (calls[2], calls[0]):
        found = call.backward([self.upstream])
        self.assert_close(found.variables[0], desired[1])

  @parameterized.parameters(*checks.STORES)
  def test_a_call_of_a_session_that_was_replaced_says_so(self, store):
    y = self.y if store == "session" else tf1.sin(self.x * self.w[:3])
    sub_model = tangle.SubModel([self.x], [y], store=store)
    sub_model.prepare([True])
    hook = _Hook()
    with tf1.train.MonitoredTrainingSession(hooks=[hook]) as sess:
      lost = [sub_model.forward(sess, self.feed_dict) for _ in range(4)]
      hook.fails = True
      sess.run(self.w)
      with self.assertRaisesRegex(errors.CallError, "forward again"):
        lost[0].backward([self.upstream])
      lost[1].discard()
      del lost[2]
      call = sub_model.forward(sess, self.feed_dict)
      hook.fails = True
      with self.assertRaisesRegex(errors.CallError, "forward again"):
        call.backward([self.upstream])
      call = sub_model.forward(sess, self.feed_dict)
      found = call.backward([self.upstream])
      if store == "session":
        desired = sess.run(self.joint, self.feed_dict)
        self.assert_close(found.inputs[0], desired[0])

  def test_a_session_without_partial_runs_is_refused(self):
    sub_model, _ = self.sub_model()

    class Other:
      graph = self.graph
      run = None

    with self.assertRaisesRegex(errors.CallError, "no partial_run"):
      sub_model.forward(Other(), self.feed_dict)


if __name__ == "__main__":
  absltest.main()

"""Tests of schedules."""

import json
import math

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.training import schedules
from tests import case


class SchedulesTest(parameterized.TestCase):
  def test_constant(self):
    schedule = schedules.Constant(0.3)
    schedule.report(5.0)
    self.assertEqual([schedule.rate(0), schedule.rate(10**9)], [0.3, 0.3])
    schedule.restore(schedule.state())

  def test_cosine(self):
    schedule = schedules.Cosine(2.0, steps=100, final=1.0)
    for step, rate in ((0, 2.0), (50, 1.5), (100, 1.0), (1000, 1.0)):
      self.assertAlmostEqual(schedule.rate(step), rate, places=12)
    quarter = 1 + (1 + math.cos(math.pi / 4)) / 2
    self.assertAlmostEqual(schedule.rate(25), quarter, places=12)

  def test_cosine_is_that_of_tensorflow(self):
    schedule = schedules.Cosine(3e-3, 40, 1e-5)
    with tf1.Graph().as_default(), tf1.Session() as sess:
      step_ph = tf1.placeholder(tf1.int32, [])
      rate = tf1.train.cosine_decay(3e-3, step_ph, 40, 1e-5 / 3e-3)
      for step in range(50):
        found = sess.run(rate, {step_ph: step})
        self.assertAlmostEqual(schedule.rate(step), found, delta=1e-9)

  def test_warm_up(self):
    schedule = schedules.WarmUp(schedules.Constant(0.5), steps=4)
    self.assertEqual(
      [schedule.rate(step) for step in range(6)],
      [0.125, 0.25, 0.375, 0.5, 0.5, 0.5],
    )

  def test_plateau_falls_when_worse_than_each_of_the_last_three(self):
    schedule = schedules.Plateau(0.5, 0.5)
    rates = []
    #       three to compare with, worse, as bad as the worst, worse, better
    for loss in (3.0, 2.0, 1.0, 3.5, 3.5, 3.6, 1.0):
      schedule.report(loss)
      rates.append(schedule.rate(0))
    self.assertEqual(rates, [0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125])

  def test_plateau_is_that_of_the_tutorial_bit_by_bit(self):
    losses = np.random.RandomState(0).uniform(0, 1, 300)
    schedule = schedules.Plateau()
    with tf1.Graph().as_default(), tf1.Session() as sess:
      # As in seq2seq_model.py and translate.py.
      learning_rate = tf1.Variable(0.5, trainable=False)
      decay_op = learning_rate.assign(learning_rate * 0.99)
      sess.run(learning_rate.initializer)
      previous_losses = []
      for loss in losses:
        if len(previous_losses) > 2 and loss > max(previous_losses[-3:]):
          sess.run(decay_op)
        previous_losses.append(loss)
        schedule.report(loss)
        self.assertEqual(schedule.rate(0), sess.run(learning_rate))
    self.assertLess(schedule.rate(0), 0.3)

  @parameterized.named_parameters(
    ("constant", lambda: schedules.Constant(0.1)),
    ("cosine", lambda: schedules.Cosine(0.1, 30)),
    ("plateau", lambda: schedules.Plateau(0.1, 0.9, 2)),
    ("warm_up", lambda: schedules.WarmUp(schedules.Plateau(), 30)),
  )
  def test_goes_on_bit_by_bit_from_a_state_in_json(self, make):
    losses = np.random.RandomState(1).uniform(0, 1, 40)
    for stop in (0, 1, 2, 17):
      whole, stopped = make(), make()
      for loss in losses[:stop]:
        whole.report(loss)
        stopped.report(loss)
      state = json.loads(json.dumps(stopped.state()))
      other = make()
      other.restore(state)
      self.assertEqual(other.state(), stopped.state())
      for step, loss in enumerate(losses[stop:]):
        whole.report(loss)
        other.report(loss)
        self.assertEqual(whole.rate(step), other.rate(step))

  def test_a_state_does_not_change_later(self):
    schedule = schedules.Plateau()
    state = schedule.state()
    schedule.report(1.0)
    self.assertEqual(state, {"rate": 0.5, "losses": []})

  @parameterized.named_parameters(
    ("initial", lambda: schedules.Constant(-1), "Constant: initial .* -1"),
    ("nan", lambda: schedules.Constant(math.nan), "initial must be"),
    ("infinity", lambda: schedules.Constant(math.inf), "initial must be"),
    ("steps", lambda: schedules.Cosine(1, 0), "Cosine: steps .* least 1, got"),
    ("final", lambda: schedules.Cosine(1, 1, -1), "Cosine: final"),
    ("factor", lambda: schedules.Plateau(1, 1.1), "factor .* at most 1, got"),
    ("window", lambda: schedules.Plateau(window=0), "Plateau: window"),
    ("warm_up", lambda: schedules.WarmUp(None, 0), "WarmUp: steps"),
  )
  def test_refuses(self, make, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      make()


class CountingSession:
  """A session that counts its runs."""

  def __init__(self, sess):
    self._sess = sess
    self.runs = 0

  def run(self, *args):
    self.runs += 1
    return self._sess.run(*args)


class LearningRateTest(case.GraphTestCase):
  def test_assigns_only_what_has_changed(self):
    rate = schedules.LearningRate(schedules.Plateau(0.1, 0.5, 1))
    sess = CountingSession(self.session())
    first = float(np.float32(0.1))
    self.assertEqual(rate.update(sess, 0), first)
    self.assertEqual(sess.runs, 1)  # it has to look once
    for step in range(5):
      rate.update(sess, step)
    self.assertEqual(sess.runs, 1)
    rate.schedule.report(1.0)
    rate.schedule.report(2.0)
    self.assertEqual(rate.update(sess, 6), first / 2)
    self.assertEqual(sess.runs, 2)
    self.assertEqual(sess.run(rate.variable), np.float32(0.05))

  def test_follows_the_steps(self):
    rate = schedules.LearningRate(schedules.WarmUp(schedules.Constant(1.0), 4))
    sess = self.session()
    for step in (0, 1, 3):
      rate.update(sess, step)
      self.assertEqual(sess.run(rate.variable), (step + 1) / 4)

  def test_looks_again_after_the_session_has_changed(self):
    rate = schedules.LearningRate(schedules.Constant(0.5))
    sess = self.session()
    rate.update(sess, 0)
    rate.variable.load(9.0, sess)
    rate.forget()
    rate.update(sess, 1)
    self.assertEqual(sess.run(rate.variable), 0.5)

  def test_is_not_trainable_but_saved(self):
    rate = schedules.LearningRate(schedules.Constant(0.5), name="speed")
    self.assertEqual(rate.variable.op.name, "speed")
    self.assertEmpty(tf1.trainable_variables())
    self.assertEqual(tf1.global_variables(), [rate.variable])

  @parameterized.parameters(True, False)
  def test_takes_a_variable_of_any_kind(self, use_resource):
    variable = self.variable("Variable", 0.3, False, use_resource)
    before = self.graph.get_operations()
    rate = schedules.LearningRate(schedules.Constant(0.25), variable)
    for op in self.graph.get_operations()[len(before) :]:
      self.assertStartsWith(op.name, "learning_rate_assign/")
    sess = self.session()
    rate.update(sess, 0)
    self.assertEqual(sess.run(variable), 0.25)

  def test_refuses_a_variable_that_is_no_scalar(self):
    variable = self.variable("w", [1.0, 2.0])
    with self.assertRaisesRegex(errors.ShapeError, "'w:0' must be a scalar"):
      schedules.LearningRate(schedules.Constant(0.5), variable)

  def test_goes_on_from_a_state(self):
    rate = schedules.LearningRate(schedules.WarmUp(schedules.Plateau(), 2))
    for loss in (1.0, 1.0, 1.0, 2.0):
      rate.schedule.report(loss)
    state = json.loads(json.dumps(rate.state()))
    inner = schedules.WarmUp(schedules.Plateau(), 2)
    other = schedules.LearningRate(inner, name="other")
    other.restore(state)
    self.assertEqual(inner.rate(5), rate.schedule.rate(5))
    self.assertLess(inner.rate(5), 0.5)

  def test_refuses_the_state_of_another_kind_of_schedule(self):
    state = schedules.LearningRate(schedules.Plateau()).state()
    other = schedules.WarmUp(schedules.Constant(1), 2)
    with self.assertRaisesRegex(
      errors.TrainingError, "schedule Plateau, this one has WarmUp of Constant"
    ):
      schedules.LearningRate(other, name="other").restore(state)


if __name__ == "__main__":
  absltest.main()

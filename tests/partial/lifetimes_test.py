"""Calls open at once, and nothing of a call stays behind, however it ends."""

import gc
import threading

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests import case
from tests.partial import checks

STAGED = ("device", "device_none", "session", "recompute")
"""Strategies that keep something in the runtime."""


class LifetimeTestCase(case.GraphTestCase):
  def build(self, strategy, cpus=1):
    """Makes a sub-model whose runs fail on NaN, and a session.

    The forward run fails after a residual is there, the backward run after it
    was read. With two CPUs one residual is on each.
    """
    self.x = tf1.placeholder(tf1.float64, [None, 4])
    self.w = self.variable("w", self.normal(4, 4))
    with tf1.device("/cpu:0"):
      h = tf1.tanh(tf1.matmul(self.x, self.w))
    with tf1.device(f"/cpu:{cpus - 1}"):
      y = tf1.debugging.check_numerics(tf1.sin(h) * h, "not a number")
      z = _checked_square(h)
    self.sub_model = tangle.SubModel(
      [self.x], [y, z], **checks.STRATEGIES[strategy]
    )
    self.areas = checks.StagingAreas(self.graph)
    self.sess = self.session(cpus=cpus)
    self.w_np = self.sess.run(self.w)

  def forward(self, x, **options):
    return self.sub_model.forward(self.sess, {self.x: x}, **options)

  def recover(self, strategy):
    """Opens another session, if a run that failed has spoilt this one."""
    if strategy == "session":
      # Measured on 1.15 and 2.21: a partial run that fails cancels its session.
      with self.assertRaises(tf1.errors.CancelledError):
        self.sess.run(self.w)
      self.sess = self.session(cpus=2)
      checks.set_variable(self.sess, self.w, self.w_np)

  def gradient(self, x, upstream):
    """Returns the gradient with respect to the input, by formula."""
    h = np.tanh(x @ self.w_np)
    slope = upstream[0] * (np.cos(h) * h + np.sin(h)) + upstream[1] * 2 * h
    return (slope * (1 - h * h)) @ self.w_np.T

  def draw(self):
    """Returns an input, and upstream gradients."""
    return self.normal(3, 4), [self.normal(3, 4), self.normal(3, 4)]

  def assert_works(self):
    """Fails unless another step is right, and leaves nothing behind."""
    x, upstream = self.draw()
    found = self.forward(x).backward(upstream)
    self.assert_close(found.inputs[0], self.gradient(x, upstream))
    self.assert_nothing_kept()

  def assert_nothing_kept(self):
    self.assertEqual(self.areas.count(self.sess), 0)


class OpenCallsTest(LifetimeTestCase):
  @parameterized.parameters(*checks.STRATEGIES)
  def test_open_calls_end_in_any_order(self, strategy):
    self.build(strategy)
    drawn = [self.draw() for _ in range(6)]
    calls = [self.forward(drawn[0][0])]
    kept_by_one = self.areas.count(self.sess)
    calls += [self.forward(x) for x, _ in drawn[1:]]
    self.assertEqual(self.areas.count(self.sess), 6 * kept_by_one)
    for k in (3, 0, 5, 1, 4):
      x, upstream = drawn[k]
      if k == 5:
        calls[k].discard()
      else:
        found = calls[k].backward(upstream)
        self.assert_close(found.inputs[0], self.gradient(x, upstream))
    self.assertEqual(self.areas.count(self.sess), kept_by_one)
    calls[2].discard()
    self.assert_works()

  @parameterized.parameters(*checks.STRATEGIES)
  def test_calls_of_several_threads(self, strategy):
    self.build(strategy)
    drawn = [[self.draw() for _ in range(12)] for _ in range(4)]
    errors_found = []

    def work(mine):
      try:
        for k in range(0, len(mine), 3):
          batch = mine[k : k + 3]
          calls = [self.forward(x) for x, _ in batch]
          calls[1].discard()
          for n in (2, 0):
            x, upstream = batch[n]
            found = calls[n].backward(upstream).inputs[0]
            self.assert_close(found, self.gradient(x, upstream), 1e-11)
      except BaseException as error:
        errors_found.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in drawn]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join(60)
      self.assertFalse(thread.is_alive())
    self.assertEqual(errors_found, [])
    self.assert_works()

  @parameterized.parameters(*checks.STORES)
  def test_one_call_ends_once_when_threads_race_for_it(self, store):
    self.build(store)
    x, upstream = self.draw()
    call = self.forward(x)
    ends = []

    def end():
      try:
        ends.append(call.backward(upstream))
      except errors.CallError as error:
        ends.append(error)

    threads = [threading.Thread(target=end) for _ in range(4)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join(60)
    refused = [e for e in ends if isinstance(e, errors.CallError)]
    self.assertLen(ends, 4)
    self.assertLen(refused, 3)
    self.assert_works()

  @parameterized.parameters(*checks.STORES)
  def test_sessions_do_not_meet(self, store):
    self.build(store)
    other = self.session()
    checks.set_variable(other, self.w, self.w_np)
    x, upstream = self.draw()
    here = self.forward(x)
    there = self.sub_model.forward(other, {self.x: 2 * x})
    found = there.backward(upstream).inputs[0]
    self.assert_close(found, self.gradient(2 * x, upstream))
    found = here.backward(upstream).inputs[0]
    self.assert_close(found, self.gradient(x, upstream))

  @parameterized.parameters(*checks.STORES)
  def test_sub_models_of_one_name_do_not_meet(self, store):
    x = tf1.placeholder(tf1.float64, [None])
    subs = [
      tangle.SubModel([x], [f(x)], store=store, name="same")
      for f in (tf1.square, tf1.exp)
    ]
    sess = self.session()
    calls = [sub.forward(sess, {x: np.ones(2)}) for sub in subs]
    found = [call.backward([np.ones(2)]).inputs[0] for call in calls]
    self.assert_close(found[0], np.array([2.0, 2.0]))
    self.assert_close(found[1], np.exp(np.ones(2)))


class EndsTest(LifetimeTestCase):
  @parameterized.product(strategy=STAGED, cpus=[1, 2])
  def test_backward_leaves_nothing(self, strategy, cpus):
    self.build(strategy, cpus)
    for _ in range(3):
      self.assert_works()

  @parameterized.product(strategy=STAGED, cpus=[1, 2])
  def test_discard_leaves_nothing(self, strategy, cpus):
    self.build(strategy, cpus)
    for _ in range(3):
      self.forward(self.normal(3, 4)).discard()
      self.assert_nothing_kept()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_the_end_of_a_block_discards(self, strategy):
    self.build(strategy)
    with self.forward(self.normal(3, 4)):
      pass
    self.assert_nothing_kept()
    x, upstream = self.draw()
    with self.forward(x) as call:
      found = call.backward(upstream)
    self.assert_close(found.inputs[0], self.gradient(x, upstream))
    with self.forward(x) as call:
      call.discard()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_an_error_elsewhere_leaves_nothing(self, strategy):
    self.build(strategy)
    for _ in range(3):
      with self.assertRaisesRegex(ZeroDivisionError, "elsewhere"):
        with self.forward(self.normal(3, 4)):
          raise ZeroDivisionError("elsewhere")
      self.assert_nothing_kept()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_lost_calls_are_dropped_by_the_next_forward_run(self, strategy):
    self.build(strategy)
    for used in ([True, True], [True, False], [False, True]):
      call = self.forward(self.normal(3, 4), used=used)
      del call
    gc.collect()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_a_lost_call_of_another_session_waits_for_it(self, strategy):
    self.build(strategy)
    other = self.session()
    self.sub_model.forward(other, {self.x: self.normal(3, 4)})
    gc.collect()
    self.assert_works()
    self.sub_model.forward(other, {self.x: self.normal(3, 4)}).discard()
    self.assertEqual(self.areas.count(other), 0)

  @parameterized.parameters(*STAGED)
  def test_a_lost_call_of_a_closed_session_does_no_harm(self, strategy):
    self.build(strategy)
    other = self.session()
    call = self.sub_model.forward(other, {self.x: self.normal(3, 4)})
    other.close()
    call.discard()
    call = self.sub_model.forward(self.session(), {self.x: self.normal(3, 4)})
    del call, other
    gc.collect()
    self.assert_works()

  @parameterized.product(strategy=STAGED, cpus=[1, 2])
  def test_a_forward_run_that_fails_leaves_nothing(self, strategy, cpus):
    self.build(strategy, cpus)
    for _ in range(3):
      # A partial run that fails may report that it was cancelled.
      with self.assertRaises(tf1.errors.OpError) as caught:
        self.forward(np.full([3, 4], np.nan))
      if strategy != "session":
        self.assert_message(caught.exception, "not a number")
      self.recover(strategy)
      self.assert_nothing_kept()
    self.assert_works()

  @parameterized.product(strategy=STAGED, cpus=[1, 2])
  def test_a_backward_run_that_fails_leaves_nothing(self, strategy, cpus):
    self.build(strategy, cpus)
    for _ in range(3):
      call = self.forward(self.normal(3, 4))
      with self.assertRaises(tf1.errors.OpError):
        call.backward([np.ones([3, 4]), np.full([3, 4], np.nan)])
      self.recover(strategy)
      self.assert_nothing_kept()
      with self.assertRaises(errors.CallError):
        call.discard()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_a_run_with_a_fetch_that_fails_leaves_nothing(self, strategy):
    self.build(strategy)
    unfed = tf1.placeholder(tf1.float64, [])
    no_number = tf1.check_numerics(tf1.constant(np.nan), "no number")
    for fetch in (unfed, no_number):
      x, upstream = self.draw()
      call = self.forward(x)
      with self.assertRaises((tf1.errors.OpError, ValueError)):
        call.run(fetch, upstream)
      self.assert_nothing_kept()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_a_fetch_that_is_refused_leaves_the_call_open(self, strategy):
    self.build(strategy)
    x, upstream = self.draw()
    call = self.forward(x)
    with self.assertRaises(ValueError):
      call.run("no_such_op", upstream)
    self.assertTrue(call.is_open)
    call.backward(upstream)
    self.assert_nothing_kept()
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_an_unfed_placeholder_leaves_nothing(self, strategy):
    self.build(strategy)
    with self.assertRaises(
      (tf1.errors.OpError, errors.ArgumentError)
    ) as caught:
      self.sub_model.forward(self.sess)
    self.assert_message(caught.exception, self.x.op.name)
    self.assert_works()

  @parameterized.parameters(*STAGED)
  def test_an_array_of_a_wrong_shape_leaves_nothing(self, strategy):
    self.build(strategy)
    with self.assertRaises(ValueError):
      self.forward(self.normal(3, 5))
    self.assert_works()


def _checked_square(h):
  """Returns `h * h`, whose backward run fails where the gradient is NaN."""

  @tf1.custom_gradient
  def square(h):
    def gradient(upstream):
      return tf1.debugging.check_numerics(2 * h * upstream, "bad gradient")

    return h * h, gradient

  return square(h)


if __name__ == "__main__":
  absltest.main()

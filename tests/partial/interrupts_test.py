"""A key press at any line leaves nothing in the runtime after the next call."""

import contextlib
import itertools
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.partial import monitored
from tests import case, interrupts
from tests.partial import checks

STRIDE = 5
"""Of the lines that are tried; from where is drawn."""


class InterruptsTest(case.GraphTestCase):
  def build(self, store):
    """Makes a sub-model of `sin(x w)`."""
    self.x = tf1.placeholder(tf1.float64, [2, 3])
    self.w = self.variable("w", self.normal(3))
    y = tf1.sin(self.x * self.w)
    self.sub_model = tangle.SubModel([self.x], [y], store=store)
    self.fails = tf1.check_numerics(np.nan, "a run fails")
    self.areas = checks.StagingAreas(self.graph)
    self.sess = self.session()
    self.w_np = self.sess.run(self.w)
    self.begun, self.ended = [], []
    setup, finish = self.sess.partial_run_setup, self.sess.partial_run

    def begin(*args):
      self.begun.append(setup(*args))
      return self.begun[-1]

    def run(handle, fetches, feed_dict):
      found = finish(handle, fetches, feed_dict)
      if [tensor.op.name.split("/")[-1] for tensor in fetches] == ["done"]:
        self.ended.append(handle)
      return found

    for name, function in (("_setup", begin), ("", run)):
      patch = mock.patch.object(self.sess, f"partial_run{name}", function)
      self.enter_context(patch)

  def forward(self, x=None):
    x = self.normal(2, 3) if x is None else x
    return self.sub_model.forward(self.sess, {self.x: x})

  def assert_next_call_is_right_and_leaves_nothing(self, where):
    x, upstream = self.normal(2, 3), self.normal(2, 3)
    found = self.forward(x).backward([upstream])
    expected = upstream * np.cos(x * self.w_np) * self.w_np
    self.assert_close(found.inputs[0], expected)
    self.assertEqual(self.areas.count(self.sess), 0, where)
    self.assertCountEqual(self.begun, self.ended, where)

  def step(self, how):
    """Makes a call, and ends it in one of several ways."""
    call = self.forward()
    if how == "lost":
      del call
      self.forward().backward([self.normal(2, 3)])
    elif how == "block":
      with call:
        pass
    elif how == "discarded":
      call.discard()
      self.kept = call  # somebody holds on to it
    elif how == "failing":
      with contextlib.suppress(tf1.errors.InvalidArgumentError):
        call.run(self.fails, [self.normal(2, 3)])
    else:
      call.backward([self.normal(2, 3)])
      self.kept = call

  @parameterized.product(
    store=checks.STORES,
    how=["used", "discarded", "block", "lost", "failing"],
  )
  def test_nothing_stays(self, store, how):
    self.build(store)
    self.kept = None
    self.assert_next_call_is_right_and_leaves_nothing("before")
    for number in itertools.count(self.rng.randint(1, STRIDE + 1), STRIDE):
      if not interrupts.at_line(number, lambda: self.step(how)):
        break
      self.assert_next_call_is_right_and_leaves_nothing(number)
    self.assertGreater(number, 50)

  @parameterized.named_parameters((store, store) for store in checks.STORES)
  def test_nothing_stays_of_a_forward_run_that_fails_after_it_kept(self, store):
    self.build(store)
    held = []

    def fail():
      with mock.patch.object(monitored, "bind", side_effect=ValueError):
        try:
          self.forward()
        except BaseException as error:
          held.append(error)  # as the console does, with all frames
          if not isinstance(error, ValueError):
            raise

    fail()
    self.assert_next_call_is_right_and_leaves_nothing("before")
    for number in itertools.count(1):
      if not interrupts.at_line(number, fail):
        break
      if number % STRIDE == 0 or held[-1].__context__ is not None:
        self.assert_next_call_is_right_and_leaves_nothing(number)
    self.assertGreater(number, 50)


if __name__ == "__main__":
  absltest.main()

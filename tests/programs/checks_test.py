"""The check of programs finds what is planted."""

import io
import json
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.partial import calls
from tests.programs import checks, common, listing, run


def counting():
  """Returns a program that counts its passes, and draws in each of them."""
  x, feed_dict = common.features("x", 4)
  count = common.state("count", np.float64(0.0))
  h = tf1.tanh(tf1.matmul(x, common.weight("w", 4, 3)))
  with tf1.control_dependencies([count.assign_add(1.0)]):
    h = h * tf1.random_uniform([3], dtype=tf1.float64, seed=5)
  loss = tf1.reduce_sum(tf1.square(h))
  return common.program([x], loss, feed_dict, boundary=[h])


def refusing(*args, **options):
  """Refuses to be made."""
  raise errors.CutError("not this one")


class Again:
  """A sub-model that runs its forward pass twice."""

  def __init__(self, *args, **options):
    self._sub_model = tangle.SubModel(*args, **options)
    self.variables = self._sub_model.variables

  def forward(self, sess, feed_dict, used):
    sess.run(self._sub_model.outputs, feed_dict)
    return self._sub_model.forward(sess, feed_dict, used)


class ChecksTest(parameterized.TestCase):
  def check(self, sub_model=tangle.SubModel, make=counting):
    truth = checks.run_joint(make, use_resource=True)
    return checks.outcome(make, "split", True, "device", truth, sub_model)

  def test_what_is_right_is_right(self):
    self.assertEqual(self.check(), (checks.RIGHT, ""))

  def test_a_wrong_gradient_is_found(self):
    original = calls.Call.backward

    def backward(self, upstream):
      found = original(self, upstream)
      return found._replace(inputs=[1.001 * g for g in found.inputs])

    with mock.patch.object(calls.Call, "backward", backward):
      outcome, text = self.check()
    self.assertEqual(outcome, checks.WRONG)
    self.assertIn("gradient of pass 1", text)

  def test_a_lost_gradient_is_found(self):
    original = calls.Call.backward

    def backward(self, upstream):
      found = original(self, upstream)
      return found._replace(variables=[None for _ in found.variables])

    with mock.patch.object(calls.Call, "backward", backward):
      outcome, text = self.check()
    self.assertEqual(outcome, checks.WRONG)
    self.assertIn("program/w:0", text)

  def test_a_pass_that_runs_twice_is_found(self):
    outcome, text = self.check(Again)
    self.assertEqual(outcome, checks.WRONG)
    # The draws of the second run are other ones.
    self.assertIn("loss of pass 1", text)

  def test_a_variable_that_is_assigned_twice_is_found(self):
    result = checks.Result([[0.0]] * 2, [{}] * 2, {"count": np.float64(2.0)})
    other = result._replace(after={"count": np.float64(4.0)})
    with self.assertRaisesRegex(checks.Wrong, "left in count"):
      checks.compare(other, result)

  def test_refusals_and_failures_are_told_apart(self):
    self.assertEqual(self.check(refusing)[0], checks.REFUSED)
    with mock.patch.object(calls.Call, "backward", side_effect=KeyError("x")):
      self.assertEqual(self.check(), (checks.FAILS, "KeyError: 'x'"))

  def test_what_is_not_finite_is_wrong(self):
    result = checks.Result([[0.0]] * 2, [{"x": np.ones(2)}] * 2, {})
    other = result._replace(gradients=[{"x": np.array([1.0, np.nan])}] * 2)
    with self.assertRaisesRegex(checks.Wrong, "gradient of pass 1 x"):
      checks.compare(other, result)

  def test_joint_gradients_that_are_no_slopes_are_found(self):
    def make():
      x, feed_dict = common.features("x", 4)
      h = tf1.matmul(x, common.weight("w", 4, 3))
      loss = tf1.reduce_sum(h * tf1.stop_gradient(h))
      return common.program([x], loss, feed_dict)

    with self.assertRaisesRegex(checks.Wrong, "slope"):
      checks.check_slopes(make)

  def test_a_program_that_tensorflow_does_not_build_is_told(self):
    def make():
      raise TypeError("such ops do not exist")

    with self.assertRaisesRegex(checks.Unbuilt, "do not exist"):
      checks.run_joint(make, use_resource=True)


class RunTest(absltest.TestCase):
  def test_prints_tables_and_counts(self):
    out = io.StringIO()
    flags = ["--programs=beam_decoder", "--stores=device,host"]
    self.assertEqual(run.main(flags + ["--verbose"], out), 0)
    lines = out.getvalue().splitlines()
    self.assertRegex(lines[0], r"^\| program +\| +device, resource v1 \|")
    self.assertRegex(lines[2], r"^\| beam_decoder, whole +\| +– \| +– \|")
    said = ": beam_decoder, whole, resource v1, host: refused"
    self.assertTrue(any(said in line for line in lines), lines)
    counts = json.loads(lines[-1])["counts"]
    (found,) = counts.values()
    self.assertEqual(sum(found["host"].values()), 8)

  def test_a_bad_cell_ends_with_1(self):
    bad = mock.patch.object(checks, "outcome", lambda *_: ("wrong", "by 2"))
    with bad, mock.patch.dict(listing.ALL, {"counting": counting}):
      out = io.StringIO()
      self.assertEqual(run.main(["--programs=counting"], out), 1)


if __name__ == "__main__":
  absltest.main()

"""Programs that tangle was once wrong about, made small."""

from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat
from tangle.compat import tf1
from tangle.partial import ends
from tests import case
from tests.fuzz import checks, programs


class KeptTest(case.GraphTestCase):
  @parameterized.parameters("frontier", "all", "none", "min_cut")
  def test_a_constant_that_waits_for_an_update_runs_it_once(self, residuals):
    x = tf1.placeholder(tf1.float64, [None, 2])
    counter = self.variable("counter", np.float64(0.0), trainable=False)
    with tf1.control_dependencies([counter.assign_add(tf1.reduce_sum(x))]):
      y = tf1.square(0.5 * x)
    sub_model = tangle.SubModel([x], [y], residuals=residuals)
    sess = self.session()
    call = sub_model.forward(sess, {x: np.ones([1, 2])})
    found = call.backward([np.ones([1, 2])])
    self.assert_close(found.inputs[0], np.full([1, 2], 0.5))
    self.assertEqual(sess.run(counter), 2.0)

  @parameterized.parameters("min_cut", (tangle.Budget(fraction=0.7),))
  def test_assumed_shapes_that_do_not_fit_are_left_out(self, residuals):
    x = tf1.placeholder(tf1.float64, [None, 2, 4])
    z = tf1.placeholder(tf1.float64, None)
    y = tf1.square(tf1.sin(x + z) * tf1.tanh(x))
    sub_model = tangle.SubModel([x, z], [y], residuals=residuals)
    feed_dict = {x: self.normal(3, 2, 4), z: self.normal(3, 2, 4)}
    sess = self.session()
    found = sub_model.forward(sess, feed_dict).backward([np.ones([3, 2, 4])])
    desired = sess.run(tf1.gradients(y, [x, z]), feed_dict)
    self.assert_close(found.inputs[0], desired[0])
    self.assert_close(found.inputs[1], desired[1])

  def test_sizes_are_guessed_around_a_call_of_a_function(self):
    @compat.defun(tf1.float64)
    def function(h):
      return tf1.tanh(h) * h

    x = tf1.placeholder(tf1.float64, [None])
    y = tf1.square(function(tf1.sin(x)))
    sub_model = tangle.SubModel([x], [y], residuals="min_cut")
    feed_dict = {x: self.normal(3)}
    sess = self.session()
    found = sub_model.forward(sess, feed_dict).backward([np.ones(3)])
    desired = sess.run(tf1.gradients(y, x), feed_dict)
    self.assert_close(found.inputs[0], desired[0])

  @parameterized.parameters("session", "recompute")
  def test_differences_do_not_go_below_what_a_function_gives(self, store):
    source = """\
w1 = weight('w1', 'float64', [2, 2], True)
v2 = pieces.called(w1)
inputs = [v2]
outputs = [v2]
used = [True]
"""
    program = programs.Program(source, store=store, numeric=True)
    self.assertEqual(checks.check(program), checks.RIGHT)

  @parameterized.parameters("device", "session")
  def test_no_gradient_passes_an_input_that_a_function_gives(self, store):
    source = """\
x1 = feed('float64', [3], [None])
v2 = pieces.called(x1)
v3 = x1 * v2
inputs = [x1, v2]
outputs = [v3]
used = [True]
"""
    program = programs.Program(source, store=store, numeric=True)
    self.assertEqual(checks.check(program), checks.RIGHT)
    with mock.patch.object(ends, "is_passed", return_value=False):
      with self.assertRaisesRegex(checks.Wrong, "gradient of input 0"):
        checks.check(program)

  def test_what_waits_inside_a_loop_has_no_shape_to_keep(self):
    source = """\
x1 = feed('float64', [4, 4], [4, 4])
x3 = feed('float64', [3, 2, 4], [None, 2, 4])
v10, v11 = pieces.recurrence(x3, x1)
inputs = [x3]
outputs = [v10]
used = [True]
"""
    program = programs.Program(
      source, "session", flow_v2=False, marks=("flow",)
    )
    self.assertEqual(checks.check(program), checks.RIGHT)

  def test_a_predicate_is_asked_of_what_a_gradient_adds_to_a_copy(self):
    source = """\
x1 = feed('float64', [3, 4], None)
v2 = pieces.chosen(x1, state('m2', 'float64', [4], False, False))
inputs = [x1]
outputs = [v2]
used = [True]
"""
    program = programs.Program(source, "auto", "predicate", marks=("flow",))
    self.assertEqual(checks.check(program), checks.RIGHT)

  def test_another_loss_adds_nothing_to_a_copied_loop_that_has_run(self):
    source = """\
x1 = feed('float64', [2, 4], None)
x2 = feed('int32', [], [])
w3 = weight('w3', 'float64', [2, 2], False)
v4 = pieces.scan_rows(pieces.case(w3, x2))
inputs = [x1]
outputs = [x1, v4]
used = [False, True]
"""
    program = programs.Program(source, marks=("flow",), prepared=False)
    self.assertEqual(checks.check(program), checks.RIGHT)

  def test_a_copied_loop_that_an_input_ends_has_its_own_end(self):
    source = """\
w1 = weight('w1', 'float64', [5, 4], True)
m2 = state('m2', 'float64', [4, 2], False, False)
v2, v3 = pieces.counted_product(w1, m2)
v4 = pieces.loop_random(v3, 12)
inputs = [v4]
outputs = [v4, v3]
used = [False, True]
"""
    program = programs.Program(
      source, "auto", flow_v2=False, marks=("flow", "random", "assigned")
    )
    self.assertEqual(checks.check(program), checks.RIGHT)

  def test_given_sizes_that_contradict_one_another_are_refused(self):
    x = tf1.placeholder(tf1.float64, [None])
    z = tf1.placeholder(tf1.float64, [None])
    y = tf1.sin(x + z) * tf1.tanh(x + z)
    with self.assertRaisesRegex(tangle.errors.ArgumentError, "contradict"):
      tangle.SubModel([x, z], [y], residuals="min_cut", sizes={x: [3], z: [4]})


if __name__ == "__main__":
  absltest.main()

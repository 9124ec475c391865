import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tests import case
from tests.partial import checks, pieces, zoo


class VariablesTest(case.GraphTestCase):
  def test_defaults_to_those_between_inputs_and_outputs(self):
    x, h, y, below, w = pieces.layers(self)
    self.assertEqual(tangle.SubModel([x], [y]).variables, [below, w])
    self.assertEqual(tangle.SubModel([h], [y]).variables, [w])
    self.assertEqual(tangle.SubModel([x], [h]).variables, [below])

  def test_those_given_alone_get_a_gradient_trainable_or_not(self):
    x = tf1.placeholder(tf1.float64, [2])
    w = self.variable("w", np.array([3.0, 4.0]))
    fixed = self.variable("fixed", np.array([5.0, 6.0]), trainable=False)
    y = x * w * fixed
    self.assertEqual(tangle.SubModel([x], [y]).variables, [w])
    sub_model = tangle.SubModel([x], [y], variables=[fixed])
    call = sub_model.forward(self.session(), {x: np.ones(2)})
    found = call.backward([np.ones(2)]).variables
    self.assertLen(found, 1)
    np.testing.assert_array_equal(found[0], [3.0, 4.0])
    self.assertEqual(tangle.SubModel([x], [y], variables=[]).variables, [])

  def test_the_parts_of_a_partitioned_variable(self):
    x = tf1.placeholder(tf1.float64, [None, 4])
    w = tf1.get_variable(
      "w",
      [4, 4],
      tf1.float64,
      partitioner=tf1.fixed_size_partitioner(2),
      use_resource=True,
    )
    sub_model = tangle.SubModel([x], [tf1.matmul(x, tf1.convert_to_tensor(w))])
    self.assertEqual(sub_model.variables, list(w))
    call = sub_model.forward(self.session(), {x: np.ones([1, 4])})
    found = call.backward([np.arange(4.0)[None]]).variables
    for gradient in found:
      np.testing.assert_array_equal(gradient, [np.arange(4.0)] * 2)


class ControlFlowV1Test(case.GraphTestCase):
  @parameterized.named_parameters(
    ("loop", pieces.while_loop, (3, 4)),
    ("branch", pieces.branch, (3, 4)),
    ("array", pieces.array, (3, 4)),
  )
  def test_a_partial_run_carries_it(self, build, shape):
    x, y = build(self)
    model = zoo.Model([x], [y], {x: self.normal(*shape)}, (True,))
    joint = checks.Joint(model)
    sub_model = tangle.SubModel([x], [y], store="session")
    sess = self.session()
    for sign in (1, -1):
      feed_dict = {x: sign * model.feed_dict[x]}
      call = sub_model.forward(sess, feed_dict)
      upstream = checks.upstream_like(self, call.outputs, model.used)
      desired = joint.run(sess, feed_dict, upstream)
      for variable in sub_model.variables:
        checks.set_variable(sess, variable, np.zeros([4, 4]))
      checks.assert_same(self, call.backward(upstream), desired)
      sess.run([v.initializer for v in sub_model.variables])

  @parameterized.parameters(*checks.STRATEGIES)
  def test_a_loop_off_the_gradients_path_is_carried_by_all(self, strategy):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [None])
    steps = tf1.placeholder(tf1.int32, [])
    _, factor = tf1.while_loop(
      lambda n, k: n < steps, lambda n, k: (n + 1, 2 * k), [0, np.float64(1)]
    )
    branch = tf1.cond(steps > 2, lambda: factor + 1, lambda: factor)
    sub_model = tangle.SubModel(
      [x], [x * factor * branch], **checks.STRATEGIES[strategy]
    )
    sess = self.session()
    for n, slope in ((1, 4.0), (3, 72.0)):
      call = sub_model.forward(sess, {x: np.ones(2), steps: n})
      found = call.backward([np.ones(2)])
      np.testing.assert_array_equal(found.inputs[0], [slope, slope])


class ControlFlowV2Test(case.GraphTestCase):
  @parameterized.parameters("device", "device_none", "session", "recompute")
  def test_the_inputs_that_a_gradient_adds_to_a_loop_stay(self, strategy):
    self.use_control_flow(v2=True)
    x = tf1.placeholder(tf1.float64, [None, None])
    y = tf1.map_fn(lambda row: tf1.sin(row) * row, x)
    sub_model = tangle.SubModel([x], [y, x], **checks.STRATEGIES[strategy])
    sub_model.prepare([True, False])
    value, upstream = self.normal(3, 2), self.normal(3, 2)
    with sub_model.forward(
      self.session(), {x: value}, used=[True, False]
    ) as call:
      (found,) = call.backward([upstream, None]).inputs
    slope = np.cos(value) * value + np.sin(value)
    self.assert_close(found, upstream * slope)


class AutoTest(case.GraphTestCase):
  def test_picks_the_runtime_where_it_can(self):
    x, _, y, _, _ = pieces.layers(self)
    sub_model = tangle.SubModel([x], [y], store="auto")
    self.assertEqual(sub_model.store, "device")

  @parameterized.named_parameters(
    ("loop", pieces.while_loop, (3, 4)),
    ("branch", pieces.branch, (3, 4)),
    ("array", pieces.array, (3, 4)),
  )
  def test_picks_a_partial_run_for_tensorflow_1_control_flow(
    self, build, shape
  ):
    x, y = build(self)
    sub_model = tangle.SubModel([x], [y], store="auto")
    self.assertEqual(sub_model.store, "session")
    ph = tf1.placeholder(y.dtype, y.shape)
    (joint,) = tf1.gradients(y, [x], ph)
    sess = self.session()
    value = self.normal(*shape)
    with sub_model.forward(sess, {x: value}) as call:
      upstream = self.normal(*call.outputs[0].shape)
      found = call.backward([upstream])
    desired = sess.run(joint, {x: value, ph: upstream})
    np.testing.assert_allclose(found.inputs[0], desired, rtol=1e-12)

  def test_picks_a_partial_run_for_reference_variables_in_a_conditional(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [])
    w = self.variable("w", np.float64(2), use_resource=False)
    y = tf1.cond(x > 0, lambda: w * x, lambda: x)
    sub_model = tangle.SubModel([x], [y], store="auto")
    self.assertEqual(sub_model.store, "session")
    change = w.assign(7.0).op
    sess = self.session()
    for value, slopes in ((3.0, (2.0, 3.0)), (-3.0, (1.0, 0.0))):
      sess.run(w.initializer)
      call = sub_model.forward(sess, {x: value})
      sess.run(change)
      found = call.backward([1.0])
      self.assertEqual((found.inputs[0], found.variables[0]), slopes)

  def test_says_why_none_works(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [])
    w = self.variable("w", np.float64(2), use_resource=False)

    def body(n, y):
      with tf1.control_dependencies([tf1.assign_add(w, 1.0)]):
        return n + 1, tf1.identity(y) * w

    y = tf1.while_loop(lambda n, _: n < 3, body, [0, x], name="loop")[1]
    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([x], [y], store="auto")
    self.assert_message(
      caught.exception, "none that works", "conditional", "'w'"
    )

  def test_a_planned_policy_has_no_partial_run(self):
    x, y = pieces.while_loop(self)
    with self.assertRaisesRegex(errors.CutError, "loop.*Leave out"):
      tangle.SubModel([x], [y], store="auto", residuals="min_cut")


if __name__ == "__main__":
  absltest.main()

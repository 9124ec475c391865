"""Sub-models where users have them: any session, thread, graph and scope."""

import threading

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tangle.graphs import walk
from tests import case, forks
from tests.partial import checks, pieces, zoo


class SurroundingsTest(case.GraphTestCase):
  @parameterized.parameters(*checks.STRATEGIES)
  def test_every_op_lands_under_its_name(self, strategy):
    model = zoo.several_outputs(self)
    before = self.count_ops()
    sub_model = checks.sub_model(model, strategy, name="mine")
    sub_model.prepare(model.used)
    sub_model.forward(self.session(), model.feed_dict)
    for op in self.graph.get_operations()[before:]:
      self.assertStartsWith(op.name, ("mine/", "init"))

  def assertStartsWith(self, text, prefixes):
    self.assertTrue(text.startswith(prefixes), text)

  @parameterized.parameters(*checks.STORES)
  def test_control_dependencies_around_the_construction_do_not_count(
    self, store
  ):
    x = tf1.placeholder(tf1.float64, [None])
    unfed = tf1.placeholder(tf1.float64, [], name="unfed")
    y = tf1.square(x)
    with tf1.control_dependencies([tf1.identity(unfed)]):
      sub_model = tangle.SubModel([x], [y], store=store)
      sub_model.prepare([True])
    call = sub_model.forward(self.session(), {x: np.ones(2)})
    found = call.backward([np.ones(2)])
    np.testing.assert_array_equal(found.inputs[0], [2.0, 2.0])

  @parameterized.parameters(*checks.STORES)
  def test_ops_that_the_forward_run_waits_for_do_not_run_again(self, store):
    x = tf1.placeholder(tf1.float64, [None])
    count = self.variable("count", np.float64(0))
    with tf1.control_dependencies([count.assign_add(1.0)]):
      h = tf1.square(x)
      y = tf1.square(h)
    sub_model = tangle.SubModel([x], [y], store=store)
    sess = self.session()
    for n in range(1, 4):
      found = sub_model.forward(sess, {x: np.ones(2)}).backward([np.ones(2)])
      np.testing.assert_array_equal(found.inputs[0], [4.0, 4.0])
      self.assertEqual(sess.run(count), n)

  @parameterized.parameters(*checks.STORES)
  def test_what_a_gradient_waits_for_runs_backward(self, store):
    x = tf1.placeholder(tf1.float64, [None])
    count = self.variable("count", np.float64(0), trainable=False)

    @tf1.custom_gradient
    def guarded(x):
      def gradient(upstream):
        checks_of_mine = [
          tf1.debugging.Assert(tf1.reduce_all(upstream > 0), ["bad sign"]),
          count.assign_add(1.0),
        ]
        with tf1.control_dependencies(checks_of_mine):
          return tf1.identity(upstream)

      return tf1.identity(x), gradient

    sub_model = tangle.SubModel([x], [tf1.square(guarded(x))], store=store)
    sess = self.session()
    feed_dict = {x: np.ones(2)}
    sub_model.forward(sess, feed_dict).backward([np.ones(2)])
    self.assertEqual(sess.run(count), 1)
    if store != "session":  # where a failed run ends the session for good
      with self.assertRaisesRegex(tf1.errors.OpError, "bad sign"):
        sub_model.forward(sess, feed_dict).backward([-np.ones(2)])

  @parameterized.parameters(*checks.STORES)
  def test_another_thread_and_no_default_graph(self, store):
    model = zoo.chained_outputs(self)
    joint = checks.Joint(model)
    sess = self.session()
    upstream = [self.normal(3, 4), None]
    found = []

    def work():
      sub_model = checks.sub_model(model, store)
      call = sub_model.forward(sess, model.feed_dict, used=[True, False])
      found.append((call.backward(upstream), sub_model.residuals.bytes))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    self.assertLen(found, 1)
    desired = joint.run(sess, model.feed_dict, [upstream[0], np.zeros([3, 4])])
    checks.assert_same(self, found[0][0], desired)

  @parameterized.parameters(*checks.STORES)
  def test_after_the_first_step_the_graph_does_not_grow(self, store):
    model = zoo.several_outputs(self)
    sub_model = checks.sub_model(model, store)
    sess = self.session()
    sizes = []
    for _ in range(3):
      call = sub_model.forward(sess, model.feed_dict, used=model.used)
      call.backward(checks.upstream_like(self, call.outputs, model.used))
      sub_model.forward(sess, model.feed_dict).discard()
      sizes.append(self.count_ops())
    self.assertEqual(sizes[0], sizes[2])

  @parameterized.parameters(*checks.STRATEGIES)
  def test_a_finalized_graph(self, strategy):
    model = zoo.several_outputs(self)
    joint = checks.Joint(model)
    sub_model = checks.sub_model(model, strategy)
    sub_model.prepare(model.used)
    sess = self.session()
    self.graph.finalize()
    call = sub_model.forward(sess, model.feed_dict, used=model.used)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    desired = joint.run(sess, model.feed_dict, upstream)
    checks.assert_same(self, call.backward(upstream), desired)

  @parameterized.parameters("device", "host", "recompute")
  def test_a_monitored_session(self, store):
    model = zoo.mlp(self)
    tf1.train.get_or_create_global_step()
    sub_model = checks.sub_model(model, store)
    train_op = tf1.train.GradientDescentOptimizer(1.0).apply_gradients(
      zip(sub_model.gradients.variables, sub_model.variables)
    )
    with tf1.train.MonitoredTrainingSession() as sess:
      before = sess.run(sub_model.variables)
      call = sub_model.forward(sess, model.feed_dict)
      upstream = checks.upstream_like(self, call.outputs, model.used)
      found = call.backward(upstream)
      sub_model.forward(sess, model.feed_dict).run(train_op, upstream)
      sub_model.forward(sess, model.feed_dict).discard()
      for old, new, gradient in zip(
        before, sess.run(sub_model.variables), found.variables
      ):
        self.assert_close(new, old - gradient)

  @parameterized.parameters(*checks.STORES)
  def test_a_session_on_a_server(self, store):
    model = zoo.mlp(self)
    joint = checks.Joint(model)
    sub_model = checks.sub_model(model, store)
    server = tf1.train.Server.create_local_server()
    with tf1.Session(server.target, graph=self.graph) as sess:
      sess.run(tf1.global_variables_initializer())
      call = sub_model.forward(sess, model.feed_dict)
      upstream = checks.upstream_like(self, call.outputs, model.used)
      desired = joint.run(sess, model.feed_dict, upstream)
      for variable in sub_model.variables:
        checks.set_variable(sess, variable, 0.0 * sess.run(variable))
      checks.assert_same(self, call.backward(upstream), desired)

  def test_a_graph_that_nobody_here_built(self):
    with tf1.Graph().as_default() as source:
      x = tf1.placeholder(tf1.float64, [None, 4], name="x")
      w = self.variable("w", self.normal(4, 2))
      tf1.tanh(tf1.matmul(x, w), name="y")
      meta = tf1.train.export_meta_graph(graph=source)
    tf1.train.import_meta_graph(meta)
    x, y = (self.graph.get_tensor_by_name(name) for name in ("x:0", "y:0"))
    model = zoo.Model([x], [y], {x: self.normal(3, 4)}, (True,))
    joint = checks.Joint(model)
    sub_model = tangle.SubModel([x], [y])
    self.assertLen(sub_model.variables, 1)
    sess = self.session()
    call = sub_model.forward(sess, model.feed_dict)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    desired = joint.run(sess, model.feed_dict, upstream)
    checks.assert_same(self, call.backward(upstream), desired)

  def test_the_same_graph_gives_the_same_ops(self):
    found = []
    for _ in range(2):
      with tf1.Graph().as_default() as graph:
        self.rng.seed(0)
        model = zoo.several_outputs(self)
        sub_models = [
          checks.sub_model(model, strategy, name=strategy)
          for strategy in checks.STRATEGIES
        ]
        residuals = [[r.name for r in s.residuals] for s in sub_models]
        nodes = [
          (op.name, op.type, [t.name for t in op.inputs], op.device)
          for op in graph.get_operations()
        ]
        found.append((residuals, nodes))
    self.assertEqual(found[0], found[1])

  def test_a_sub_model_next_to_another_and_around_both(self):
    x, h, y, _, _ = pieces.layers(self)
    model = zoo.Model([x], [y], {x: self.normal(3, 4)}, (True,))
    whole = tangle.SubModel([x], [y])
    lower, upper = tangle.SubModel([x], [h]), tangle.SubModel([h], [y])
    sess = self.session()
    first = lower.forward(sess, model.feed_dict)
    second = upper.forward(sess, {h: first.outputs[0]})
    upstream = [self.normal(3, 2)]
    above = second.backward(upstream)
    below = first.backward(above.inputs)
    desired = whole.forward(sess, model.feed_dict).backward(upstream)
    self.assert_close(below.inputs[0], desired.inputs[0])
    for actual, wanted in zip(
      below.variables + above.variables, desired.variables
    ):
      self.assert_close(actual, wanted)

  def test_the_forward_ops_stay_as_they_were(self):
    model = zoo.attention(self)

    def nodes():
      return [
        (op.name, op.type, list(op.inputs), list(op.control_inputs), op.device)
        for op in ops
      ]

    ops = walk.ancestors(model.outputs)
    before = nodes()
    for strategy in checks.STRATEGIES:
      checks.sub_model(model, strategy)
    self.assertEqual(nodes(), before)


_OTHER_BEHAVIOUR = """
from tangle.compat import IS_TF1, tf1
tf1.enable_v2_behavior() if IS_TF1 else tf1.disable_v2_behavior()
from absl.testing import absltest
from tests.partial import equality_test

class Test(equality_test.EqualityTestCase):
  def test_all(self):
    for name in ("tied_embedding", "dropout"):
      with self.subTest(name), tf1.Graph().as_default() as self.graph:
        self.check(getattr(equality_test.zoo, name))

absltest.main()
"""


class BehaviourTest(absltest.TestCase):
  def test_works_with_the_behaviour_of_the_other_version(self):
    done = forks.run_code(_OTHER_BEHAVIOUR)
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertIn("Ran 1 test", done.stderr)


if __name__ == "__main__":
  absltest.main()

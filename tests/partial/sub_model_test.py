import os
import subprocess
import sys
import threading

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.graphs import walk
from tests import case
from tests.partial import checks, zoo

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def _bad(build, error, *parts):
  return build, error, parts


def _layers(test):
  x = tf1.placeholder(tf1.float64, [None, 4], name="x")
  below = test.variable("below", test.normal(4, 4))
  h = tf1.tanh(tf1.matmul(x, below), name="h")
  w = test.variable("w", test.normal(4, 2))
  return x, h, tf1.matmul(h, w, name="y"), below, w


def _elsewhere(make):
  with tf1.Graph().as_default():
    return make()


def _other_tensor():
  return _elsewhere(lambda: tf1.placeholder(tf1.float64, [4], name="stranger"))


def _other_variable():
  return _elsewhere(
    lambda: tf1.get_variable("stranger", [2], tf1.float64, use_resource=True)
  )


def _while(test, dtype=tf1.float64):
  """Returns the input and the result of a loop in the style of TF 1."""
  test.use_control_flow(v2=False)
  x = tf1.placeholder(dtype, [None, None])
  w = test.variable("w", 0.5 * test.normal(4, 4))
  keep = tf1.TensorShape([None, None])
  _, y = tf1.while_loop(
    lambda n, h: n < 3,
    lambda n, h: (n + 1, tf1.tanh(tf1.matmul(h, w) * h)),
    [0, x],
    shape_invariants=[tf1.TensorShape([]), keep],
    name="loop",
  )
  return x, y


def _cond(test):
  test.use_control_flow(v2=False)
  x = tf1.placeholder(tf1.float64, [None, 4])
  positive = tf1.reduce_sum(x) > 0
  y = tf1.cond(positive, lambda: tf1.tanh(x) * x, lambda: 2 * x, name="branch")
  return x, y


def _array(test):
  test.use_control_flow(v2=False)
  x = tf1.placeholder(tf1.float64, [3, 4])
  array = tf1.TensorArray(tf1.float64, 3, name="array").unstack(x, name="fill")
  return x, tf1.square(array.read(1)) + array.read(2)


class ConstructionErrorsTest(case.GraphTestCase):
  def unknown_store(test):
    x, _, y, _, _ = _layers(test)
    return {"inputs": [x], "outputs": [y], "store": "cloud"}

  def unknown_residuals(test):
    x, _, y, _, _ = _layers(test)
    return {"inputs": [x], "outputs": [y], "residuals": "some"}

  def no_inputs(test):
    return {"inputs": [], "outputs": [_layers(test)[2]]}

  def no_outputs(test):
    return {"inputs": [_layers(test)[0]], "outputs": []}

  def bare_tensor(test):
    x, _, y, _, _ = _layers(test)
    return {"inputs": x, "outputs": [y]}

  def variable_as_input(test):
    _, _, y, _, w = _layers(test)
    return {"inputs": [w], "outputs": [y]}

  def array_as_output(test):
    x = _layers(test)[0]
    return {"inputs": [x], "outputs": [np.zeros(2)]}

  def other_input(test):
    return {"inputs": [_other_tensor()], "outputs": [_layers(test)[2]]}

  def other_output(test):
    x, _, y, _, _ = _layers(test)
    return {"inputs": [x], "outputs": [y, _other_tensor()]}

  def other_variable(test):
    x, _, y, _, _ = _layers(test)
    return {"inputs": [x], "outputs": [y], "variables": [_other_variable()]}

  def disconnected(test):
    x, _, y, _, _ = _layers(test)
    lonely = tf1.exp(tf1.placeholder(tf1.float64, [2]), name="lonely")
    return {"inputs": [x], "outputs": [y, lonely]}

  def backwards(test):
    x, h, y, _, _ = _layers(test)
    return {"inputs": [y], "outputs": [h]}

  def variable_below_inputs(test):
    _, h, y, below, w = _layers(test)
    return {"inputs": [h], "outputs": [y], "variables": [w, below]}

  def partitioned_variable(test):
    x = tf1.placeholder(tf1.float64, [None, 4])
    w = tf1.get_variable(
      "w",
      [4, 4],
      tf1.float64,
      partitioner=tf1.fixed_size_partitioner(2),
      use_resource=True,
    )
    y = tf1.matmul(x, tf1.convert_to_tensor(w))
    return {"inputs": [x], "outputs": [y], "variables": [w]}

  def only_integers(test):
    x = tf1.placeholder(tf1.float64, [None, 4])
    best = tf1.argmax(x, 1, name="best")
    return {"inputs": [x], "outputs": [best]}

  def random_again(test):
    model = zoo.dropout(test)
    return {
      "inputs": model.inputs,
      "outputs": model.outputs,
      "store": "recompute",
    }

  def call_again(test):
    x = tf1.placeholder(tf1.float64, [None])
    scale = tf1.py_func(lambda v: v, [x], tf1.float64)
    return {"inputs": [x], "outputs": [x * scale], "store": "recompute"}

  def loop_on_device(test):
    x, y = _while(test)
    return {"inputs": [x], "outputs": [y]}

  def loop_on_host(test):
    x, y = _while(test)
    return {"inputs": [x], "outputs": [y], "store": "host"}

  def loop_again(test):
    x, y = _while(test)
    return {"inputs": [x], "outputs": [y], "store": "recompute"}

  def branch_on_device(test):
    x, y = _cond(test)
    return {"inputs": [x], "outputs": [y]}

  def array_on_device(test):
    x, y = _array(test)
    return {"inputs": [x], "outputs": [y]}

  def reference_in_a_session(test):
    x = tf1.placeholder(tf1.float64, [2])
    w = test.variable("weight", np.ones(2), use_resource=False)
    return {"inputs": [x], "outputs": [x * w], "store": "session"}

  def untrained_reference_in_a_session(test):
    x = tf1.placeholder(tf1.float64, [2])
    w = test.variable("mean", np.ones(2), trainable=False, use_resource=False)
    return {"inputs": [x], "outputs": [x * w], "store": "session"}

  @parameterized.named_parameters(
    (build.__name__, build, error, parts)
    for build, error, parts in [
      _bad(unknown_store, errors.ArgumentError, "'cloud'", "device", "host"),
      _bad(unknown_residuals, errors.ArgumentError, "'some'", "frontier"),
      _bad(no_inputs, errors.ArgumentError, "inputs", "at least one"),
      _bad(no_outputs, errors.ArgumentError, "outputs", "at least one"),
      _bad(bare_tensor, errors.ArgumentError, "inputs", "x:0", "list"),
      _bad(variable_as_input, errors.ArgumentError, "inputs", "w:0"),
      _bad(array_as_output, errors.ArgumentError, "outputs", "Convert"),
      _bad(other_input, errors.GraphError, "'stranger:0'", "another graph"),
      _bad(other_output, errors.GraphError, "'stranger:0'", "one graph"),
      _bad(other_variable, errors.GraphError, "'stranger:0'", "one graph"),
      _bad(disconnected, errors.DisconnectedError, "'lonely:0'", "x:0"),
      _bad(backwards, errors.DisconnectedError, "'h:0'", "'y:0'"),
      _bad(
        variable_below_inputs,
        errors.DisconnectedError,
        "'below:0'",
        "move the inputs",
      ),
      _bad(partitioned_variable, errors.ArgumentError, "its parts"),
      _bad(only_integers, errors.ArgumentError, "'best:0'", "floating"),
      _bad(
        random_again,
        errors.CutError,
        "random_uniform",
        "RandomUniform",
        'store="device"',
        'residuals="none"',
      ),
      _bad(call_again, errors.CutError, "(PyFunc)", "device"),
      _bad(loop_on_device, errors.CutError, "'loop/", 'store="session"'),
      _bad(loop_on_host, errors.CutError, "'loop/", "'host'", "session"),
      _bad(loop_again, errors.CutError, "'loop/", "enable_control_flow_v2"),
      _bad(branch_on_device, errors.CutError, "'branch/", "session"),
      _bad(array_on_device, errors.CutError, "TensorArray", "session"),
      _bad(reference_in_a_session, errors.CutError, "'weight:0'", "resource"),
      _bad(
        untrained_reference_in_a_session,
        errors.CutError,
        "'mean:0'",
        "use_resource=True",
      ),
    ]
  )
  def test_refuses_and_leaves_the_graph_as_it_was(self, build, error, parts):
    arguments = build(self)
    before = self.count_ops()
    with self.assertRaises(error) as caught:
      tangle.SubModel(name="mine", **arguments)
    self.assert_message(caught.exception, "SubModel 'mine'", *parts)
    self.assertEqual(self.count_ops(), before)

  @parameterized.parameters("device", "host", "recompute")
  def test_refuses_a_reference_variable_that_cannot_be_copied(self, store):
    x = tf1.placeholder(tf1.float64, [2])
    mask = self.variable(
      "mask", np.array([True, False]), trainable=False, use_resource=False
    )
    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([x], [tf1.where(mask, x, 2 * x)], store=store)
    self.assert_message(caught.exception, "'mask", "bool", "use_resource=True")

  def test_refuses_a_reference_that_only_the_gradient_reads(self):
    x = tf1.placeholder(tf1.float64, [2])
    scale = self.variable("scale", np.ones(2), use_resource=False)

    @tf1.custom_gradient
    def scaled(x):
      return tf1.identity(x), lambda upstream: upstream * tf1.identity(scale)

    with self.assertRaises(errors.CutError) as caught:
      tangle.SubModel([x], [scaled(x)], store="session")
    self.assert_message(caught.exception, "'scale", 'store="device"')

  def test_refuses_to_fetch_a_variant(self):
    model = zoo.loop(self)
    with self.assertRaises(errors.CutError) as caught:
      checks.sub_model(model, "host")
    self.assert_message(caught.exception, "variant", 'store="device"')


class ForwardErrorsTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    x, h, y, _, _ = _layers(self)
    self.x = x
    self.sub_model = tangle.SubModel([x], [y], name="mine")
    self.sess = self.session()

  def refuse(self, error, sess, feed_dict, *parts, **options):
    before = self.count_ops()
    with self.assertRaises(error) as caught:
      self.sub_model.forward(sess, feed_dict, **options)
    self.assert_message(caught.exception, "SubModel 'mine'", *parts)
    self.assertEqual(self.count_ops(), before)

  def test_a_session_on_another_graph(self):
    with tf1.Graph().as_default(), tf1.Session() as sess:
      self.refuse(errors.GraphError, sess, {}, "another graph", "Session(")

  def test_a_feed_of_another_graph(self):
    feed_dict = {_other_tensor(): np.zeros(4)}
    self.refuse(errors.GraphError, self.sess, feed_dict, "'stranger:0'")

  def test_a_feed_that_may_not_be(self):
    self.graph.prevent_feeding(self.x)
    feed_dict = {self.x: np.zeros([1, 4])}
    self.refuse(errors.GraphError, self.sess, feed_dict, "'x:0'", "identity")

  def test_a_feed_of_a_wrong_shape(self):
    feed_dict = {self.x: np.zeros([1, 5])}
    self.refuse(
      errors.ShapeError, self.sess, feed_dict, "'x:0'", "4)", "(1, 5)"
    )

  def test_a_wrong_number_of_uses(self):
    feed_dict = {self.x: np.zeros([1, 4])}
    for used in ([True, True], [False]):
      self.refuse(
        errors.ArgumentError, self.sess, feed_dict, "1 outputs", used=used
      )

  def test_the_use_of_an_integer(self):
    sub_model = tangle.SubModel(
      [self.x], [self.x * 2, tf1.argmax(self.x, 1, name="best")]
    )
    with self.assertRaises(errors.DtypeError) as caught:
      sub_model.prepare([True, True])
    self.assert_message(caught.exception, "'best:0'", "int64", "False")

  def test_partial_runs_need_a_session_that_has_them(self):
    sub_model = tangle.SubModel([self.x], [self.x * 2], store="session")
    with tf1.train.MonitoredSession() as sess:
      with self.assertRaises(errors.CallError) as caught:
        sub_model.forward(sess, {self.x: np.zeros([1, 4])})
    self.assert_message(caught.exception, "MonitoredSession", "device")


class VariablesTest(case.GraphTestCase):
  def test_defaults_to_those_between_inputs_and_outputs(self):
    x, h, y, below, w = _layers(self)
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
    ("loop", _while, (3, 4)),
    ("branch", _cond, (3, 4)),
    ("array", _array, (3, 4)),
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
        model = zoo.attention(self)
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
    x, h, y, _, _ = _layers(self)
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
    run = subprocess.run(
      [sys.executable, "-c", _OTHER_BEHAVIOUR],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    self.assertEqual(run.returncode, 0, run.stdout)
    self.assertIn("Ran 1 test", run.stdout)


if __name__ == "__main__":
  absltest.main()

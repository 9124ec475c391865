"""Tests of own_forward: where a copy of the forward ops runs, it is right.

The reference is a twin of each program on resource variables, joined in one
graph: it reads each value at the moment that the program says.
"""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import compat, errors
from tangle.benchmarks import executions
from tangle.compat import tf1
from tangle.experiments import constructs
from tangle.graphs import walk
from tangle.partial import own_forward, split
from tests import case
from tests.partial import checks


def plus_one(m):
  return m.assign_add(tf1.ones_like(m))


def identity(x, m, w, read):
  """Reads by ops of their own, before and after an assignment."""
  h = tf1.matmul(x, w)
  y = tf1.identity(read() * h)
  with tf1.control_dependencies([y]):
    change = plus_one(m)
  with tf1.control_dependencies([change]):
    z = tf1.identity(read()) * h
  return [y * y, z * z]


def direct(x, m, w, read):
  """Reads by what computes, before, between and after assignments."""
  h, ends = tf1.matmul(x, w), []
  for _ in range(3):
    with tf1.control_dependencies(ends[-1:]):
      change = [plus_one(m)] if ends else []
    with tf1.control_dependencies(change):
      ends.append(tf1.multiply(read(), h) * h)
  return ends


def state(x, m, w, read):
  """A state that is used, and then overwritten by what came of it."""
  before = read()
  h = tf1.tanh(tf1.matmul(x + before * before, w))
  with tf1.control_dependencies([m.assign(h)]):
    return [tf1.identity(h) * read()]


def single(x, m, w, read):
  """A state that is read once, and then overwritten."""
  before = read()
  h = tf1.tanh(tf1.matmul(x * before, w))
  with tf1.control_dependencies([m.assign(h)]):
    return [tf1.identity(h)]


def branches(x, m, w, read):
  """Conditionals before and after an assignment."""
  h, ends = tf1.matmul(x, w), []
  for _ in range(2):
    with tf1.control_dependencies(ends[-1:]):
      change = [plus_one(m)] if ends else []
    with tf1.control_dependencies(change):
      # A resource variable is read here, a reference within the branches.
      given = read()
      y = tf1.cond(
        x[0, 0] > 0, lambda m=given: m * h, lambda m=given: tf1.sin(m) * h
      )
      ends.append(tf1.multiply(y, y))
  return ends


def loop(x, m, w, read):
  """A loop from a state, which becomes that in which it ends."""
  _, y = tf1.while_loop(
    lambda n, _: n < 3,
    lambda n, y: (n + 1, tf1.tanh(tf1.matmul(y, w) + x) * y),
    [0, read()],
  )
  with tf1.control_dependencies([m.assign(y)]):
    return [tf1.identity(y)]


def recurrence(x, m, w, read):
  """`tf.nn.dynamic_rnn` from a state, which becomes that in which it ends."""
  outputs, y = tf1.nn.dynamic_rnn(
    constructs.Cell(w), tf1.stack([x, 2 * x, -x], 1), initial_state=read()
  )
  with tf1.control_dependencies([m.assign(y)]):
    return [tf1.reduce_sum(outputs, 1), tf1.identity(y)]


LOOPS = (loop, recurrence)


class AssignedTest(case.GraphTestCase):
  """The forward pass assigns a reference variable that it reads."""

  def make(self, build, use_resource):
    """Returns outputs, and the variables of state and weight."""
    kind = "resource" if use_resource else "reference"
    make = lambda name, value, **options: self.variable(  # noqa: E731
      f"{name}_{kind}", value, use_resource=use_resource, **options
    )
    m = make("m", self.m_np, trainable=False)
    w = make("w", self.w_np)
    read = m.read_value if use_resource else (lambda: m)
    return build(self.x, m, w, read), m, w

  def check(self, build, stores):
    """Fails unless sub-models give what the twin gives, step by step."""
    self.x = tf1.placeholder(tf1.float64, [2, 4], name="x")
    self.m_np, self.w_np = self.normal(2, 4), self.normal(4, 4)
    outputs, m, w = self.make(build, use_resource=False)
    twins, twin_m, twin_w = self.make(build, use_resource=True)
    upstream = [tf1.placeholder(y.dtype, y.shape) for y in twins]
    with compat.control_flow_of(walk.ancestors(twins)):
      joint = tf1.gradients(twins, [self.x, twin_w], upstream)
    subs = [
      tangle.SubModel([self.x], outputs, store=store, name=store)
      for store in stores
    ]
    sess = self.session()
    for sub in subs:
      for begins_anew in (True, False, True):
        with self.subTest(sub.name, begins_anew=begins_anew):
          if begins_anew:
            sess.run([m.initializer, twin_m.initializer])
          x = self.normal(2, 4)
          grads = [self.normal(2, 4) for _ in twins]
          feed_dict = {self.x: x, **dict(zip(upstream, grads))}
          *desired, _ = sess.run([twins, joint, tf1.no_op()], feed_dict)
          call = sub.forward(sess, {self.x: x})
          after = sess.run([m, twin_m])
          self.assert_close(*after)  # each assignment was made once
          for variable in (m, w):
            checks.set_variable(sess, variable, 0.0 * sess.run(variable) + 9)
          found = call.backward(grads)
          checks.set_variable(sess, m, after[1])
          checks.set_variable(sess, w, self.w_np)
          for actual, wanted in zip(call.outputs, desired[0]):
            self.assert_close(actual, wanted)
          self.assert_close(found.inputs[0], desired[1][0])
          self.assert_close(found.variables[0], desired[1][1])

  @parameterized.parameters(identity, direct, state, single)
  def test_each_read_is_kept_as_of_its_moment(self, build):
    self.check(build, checks.STORES)

  @parameterized.product(build=[branches, *LOOPS], v2=[False, True])
  def test_control_flow_begins_from_the_value_of_its_moment(self, build, v2):
    self.use_control_flow(v2)
    stores = ["auto"] if build is branches else ["session"]
    if v2:
      stores += ["device", "recompute"]
    self.check(build, stores)

  @parameterized.parameters(False, True)
  def test_an_assignment_within_a_loop_is_refused_if_needed(self, needed):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [])
    count = self.variable(
      "count", np.float64(0), trainable=False, use_resource=False
    )

    def body(n, y):
      change = tf1.assign_add(count, 1.0, name="increase")
      with tf1.control_dependencies([change]):
        factor = tf1.identity(count) if needed else tf1.sin(y)
        return n + 1, y * factor

    y = tf1.while_loop(lambda n, _: n < 3, body, [0, x], name="loop")[1]
    if needed:
      for store in ("session", "auto"):
        with self.assertRaises(errors.CutError) as caught:
          tangle.SubModel([x], [y], store=store)
        self.assert_message(
          caught.exception, "'count'", "'loop/increase' (AssignAdd)"
        )
      return
    (joint,) = tf1.gradients(y, x)
    sub_model = tangle.SubModel([x], [y])
    sess = self.session()
    found = sub_model.forward(sess, {x: 1.2}).backward([1.0])
    self.assertEqual(sess.run(count), 3)
    self.assert_close(found.inputs[0], sess.run(joint, {x: 1.2}))


class ChangedWeightsTest(case.GraphTestCase):
  """Weights that change after the forward run do not change the gradient."""

  def setUp(self):
    super().setUp()
    self.use_control_flow(v2=False)
    self.x = tf1.placeholder(tf1.float64, [3, 4], name="x")
    self.w = self.variable(
      "w", 0.5 * self.normal(4, 4), trainable=True, use_resource=False
    )

  def check(self, y, store="auto", signs=(1,)):
    """Fails unless a step gives the joint gradient of the weight before."""
    sub_model = tangle.SubModel([self.x], [y], store=store)
    upstream = tf1.placeholder(tf1.float64, y.shape)
    joint = tf1.gradients(y, [self.x, self.w], upstream)
    joint = [tf1.zeros([]) if g is None else g for g in joint]
    sess = self.session()
    value = sess.run(self.w)
    for sign in signs:
      feed_dict = {self.x: sign * np.abs(self.normal(3, 4))}
      call = sub_model.forward(sess, feed_dict)
      grad = self.normal(*call.outputs[0].shape)
      desired = sess.run(joint, {upstream: grad, **feed_dict})
      checks.set_variable(sess, self.w, 0.0 * value + 3)
      found = call.backward([grad])
      checks.set_variable(sess, self.w, value)
      self.assert_close(found.inputs[0], desired[0])
      if sub_model.variables:
        self.assert_close(found.variables[0], desired[1])
    return sub_model

  @parameterized.parameters(
    "while_loop", "dynamic_rnn", "cond in while_loop", "while_loop in cond"
  )
  def test_in_control_flow_of_tensorflow_1(self, name):
    y = constructs.ALL[name].build(self.x, self.w)
    sub_model = self.check(y, signs=(1, -1))
    self.assertEqual(sub_model.store, "session")

  @parameterized.parameters("device", "session")
  def test_in_control_flow_of_tensorflow_2(self, store):
    self.use_control_flow(v2=True)
    name = "cond" if compat.IS_TF1 else "cond in while_loop"
    self.check(constructs.ALL[name].build(self.x, self.w), store, (1, -1))

  def test_in_both_branches(self):
    y = tf1.cond(
      self.x[0, 0] > 0,
      lambda: tf1.matmul(self.x, self.w) * self.x,
      lambda: tf1.matmul(self.x * self.x, self.w),
    )
    self.check(y, signs=(1, -1))

  @parameterized.parameters(*checks.STORES)
  def test_where_the_gradient_alone_reads_them(self, store):
    @tf1.custom_gradient
    def scaled(x):
      return tf1.identity(x), lambda upstream: tf1.matmul(upstream, self.w)

    sub_model = self.check(scaled(self.x), store)
    self.assertEmpty(sub_model.variables)

  @parameterized.parameters(*checks.STORES)
  def test_bools(self, store):
    mask = self.variable(
      "mask", np.arange(12).reshape(3, 4) > 5, False, use_resource=False
    )
    y = tf1.where(mask, tf1.matmul(self.x, self.w), 2 * self.x)
    sub_model = tangle.SubModel([self.x], [y], store=store)
    sess = self.session()
    call = sub_model.forward(sess, {self.x: self.normal(3, 4)})
    before = sess.run(mask)
    checks.set_variable(sess, mask, ~before)
    found = call.backward([np.ones([3, 4])])
    value = sess.run(self.w)
    chosen = before.astype(np.float64)
    self.assert_close(
      found.inputs[0], np.matmul(chosen, value.T) + 2.0 * (1 - chosen)
    )


class CopiesTest(case.GraphTestCase):
  """How many values of variables are copied in the runtime."""

  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [3, 4], name="x")

  def reference(self, name, *shape):
    return self.variable(name, 0.5 * self.normal(*shape), use_resource=False)

  def copies(self, inputs, outputs, **options):
    """Returns the types of ops that a sub-model copies, in order."""
    tangle.SubModel(inputs, outputs, **options)
    found = [o for o in self.graph.get_operations() if o.type == "DeepCopy"]
    read = [aliased(op.inputs[0]) for op in found]
    self.assertLen(set(read), len(read))
    return sorted(read)

  @parameterized.parameters("device", "host", "session", "recompute")
  def test_one_for_each_variable_that_the_gradient_reads(self, store):
    w, v, b = (self.reference(name, 4, 4) for name in "wvb")
    h = tf1.tanh(tf1.matmul(self.x, w) + b[0])
    y = tf1.matmul(h, v) + tf1.matmul(self.x * h, w)
    found = self.copies([self.x], [y], store=store)
    # To compute the layer again takes its bias, too.
    again = ["b"] if store == "recompute" else []
    self.assertEqual(found, again + ["v", "w"])

  @parameterized.parameters("device", "host", "session")
  def test_none_of_a_table_of_which_rows_are_taken(self, store):
    ids = tf1.placeholder(tf1.int32, [3])
    table, b = self.reference("table", 9, 4), self.reference("b", 4)
    y = tf1.tanh(tf1.gather(table, ids) + b) * self.x
    self.assertEqual(self.copies([self.x], [y], store=store), [])

  def test_one_for_each_variable_of_a_loop(self):
    self.use_control_flow(v2=False)
    w, v = self.reference("w", 4, 4), self.reference("v", 4, 4)
    y = constructs.ALL["dynamic_rnn"].build(self.x, w)
    y = tf1.matmul(tf1.matmul(y, v), w)
    self.assertEqual(self.copies([self.x], [y]), ["v", "w"])

  @parameterized.parameters("device", "session")
  def test_none_where_no_variable_changes(self, store):
    w = self.reference("w", 4, 4)
    y = tf1.tanh(tf1.matmul(self.x, w))
    if store == "session":
      self.use_control_flow(v2=False)
      y = constructs.ALL["while_loop"].build(y, w)
    (joint,) = tf1.gradients(tf1.reduce_sum(y), w)
    sub_model = tangle.SubModel(
      [self.x], [y], store=store, weights_unchanged=True
    )
    types = {op.type for op in self.graph.get_operations()}
    self.assertNotIn("DeepCopy", types)
    sess = self.session()
    feed_dict = {self.x: self.normal(3, 4)}
    found = sub_model.forward(sess, feed_dict).backward([np.ones([3, 4])])
    self.assert_close(found.variables[0], sess.run(joint, feed_dict))


def aliased(tensor):
  """Returns the name of the reference variable that `tensor` is read from."""
  while tensor.op.inputs:
    tensor = tensor.op.inputs[0]
  return tensor.op.name


class InputsTest(case.GraphTestCase):
  """Inputs at which a gradient, or what is fed, would not stop."""

  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 4], name="x")
    self.w = self.variable("w", self.normal(2, 2))

  def split(self, **options):
    """Cuts at one half of a split tensor, whose other half is needed too."""
    a, b = tf1.split(self.x, 2, 1, name="halves")
    h = tf1.tanh(tf1.matmul(a + b, self.w), name="h")
    y = tf1.multiply(tf1.sin(h, name="sine"), a, name="y")
    return a, h, tangle.SubModel([self.x, a], [y], **options)

  @parameterized.parameters(
    ("residuals", "frontier"), ("recompute", "min_cut"), ("keep", "min_cut")
  )
  def test_predicates_are_asked_of_the_original_tensors(self, which, policy):
    seen = []

    def predicate(tensor):
      seen.append(tensor.name)
      return tensor.op.name == "h"

    options = {"residuals": policy, "store": "device"}
    options[which] = predicate
    sub_model = self.split(**options)[-1]
    self.assertContainsSubset({"h:0"}, set(seen))
    inside = [name for name in seen if name.startswith("sub_model/forward/")]
    self.assertEmpty(inside)
    if which != "recompute":
      kept = [record.name for record in sub_model.residuals]
      self.assertIn("sub_model/forward/h:0", kept)

  @parameterized.parameters(False, True)
  def test_sizes_are_told_of_the_original_tensors(self, by_name):
    a, b = tf1.split(self.x, 2, 1)
    sizes = {self.x: [5, 4], a: [5, 2]}
    if by_name:
      sizes = {tensor.name: shape for tensor, shape in sizes.items()}
    y = tf1.exp(tf1.matmul(a * b, self.w)) * a
    sub_model = tangle.SubModel(
      [self.x, a], [y], residuals="min_cut", sizes=sizes
    )
    feed_dict = {self.x: self.normal(5, 4), a: self.normal(5, 2)}
    sub_model.forward(self.session(), feed_dict).discard()
    found = sub_model.residuals
    self.assertEqual(found.predicted_bytes, found.bytes)

  @parameterized.parameters(*checks.STORES)
  def test_what_is_fed_inside_reaches_the_copy(self, store):
    a, h, sub_model = self.split(store=store)
    feed_dict = {
      self.x: self.normal(3, 4),
      a: self.normal(3, 2),
      h: self.normal(3, 2),
    }
    if store == "recompute":
      with self.assertRaisesRegex(errors.GraphError, "h:0'.*computes it again"):
        sub_model.forward(self.session(), feed_dict)
      return
    sess = self.session()
    call = sub_model.forward(sess, feed_dict)
    a_np, h_np = feed_dict[a], feed_dict[h]
    self.assert_close(call.outputs[0], np.sin(h_np) * a_np)
    found = call.backward([np.ones([3, 2])])
    # A gradient goes on through what is fed, as in the joint graph.
    inner = (np.cos(h_np) * a_np * (1 - h_np**2)) @ sess.run(self.w).T
    self.assert_close(found.inputs[1], np.sin(h_np) + inner)

  def test_a_default_that_is_fed_reaches_the_copy(self):
    rate = tf1.placeholder_with_default(np.float64(2), [], name="rate")
    a, b = tf1.split(self.x, 2, 1)
    sub_model = tangle.SubModel([self.x, a], [rate * a * b])
    sess = self.session()
    feed_dict = {self.x: np.ones([1, 4]), a: np.ones([1, 2])}
    for more, expected in (({}, 2.0), ({rate: 5.0}, 5.0)):
      call = sub_model.forward(sess, {**feed_dict, **more})
      found = call.backward([np.ones([1, 2])])
      np.testing.assert_array_equal(call.outputs[0], [[expected] * 2])
      np.testing.assert_array_equal(found.inputs[1], [[expected] * 2])

  @parameterized.parameters("device", "host")
  def test_nothing_of_the_original_runs(self, store):
    a, _, sub_model = self.split(store=store)
    sub_model.prepare([True])
    tracer = executions.Tracer(self.graph)
    self.addCleanup(tracer.session.close)
    tracer.session.run(tf1.global_variables_initializer())
    feed_dict = {self.x: self.normal(3, 4), a: self.normal(3, 2)}
    call = sub_model.forward(tracer, feed_dict)
    self.assertEqual(tracer.counts["sub_model/forward/h"], 1)
    call.backward([np.ones([3, 2])])
    self.assertEqual(tracer.counts["sub_model/forward/h"], 1)
    for name in ("h", "sine", "y"):
      self.assertEqual(tracer.counts[name], 0)

  @parameterized.parameters("session", "device", "recompute")
  def test_what_lies_above_an_input_too_is_assigned_once(self, store):
    m = self.variable("m", np.ones(2), use_resource=False)
    with tf1.control_dependencies([tf1.assign_add(m, [1.0, 2.0])]):
      h = tf1.multiply(m.read_value(), tf1.sin(self.x[:, :2]))
    a = tf1.tanh(h)
    y = tf1.square(h) * a
    sub_model = tangle.SubModel([a], [y, a], store=store)
    sess = self.session()
    x = self.normal(3, 4)
    for times in (1, 2, 3):
      h_np = np.sin(x[:, :2]) * (1 + times * np.array([1.0, 2.0]))
      call = sub_model.forward(sess, {self.x: x})
      np.testing.assert_allclose(call.outputs[0], h_np**2 * np.tanh(h_np))
      np.testing.assert_allclose(call.outputs[1], np.tanh(h_np))
      found = call.backward([np.ones([3, 2]), np.zeros([3, 2])])
      self.assert_close(found.inputs[0], h_np**2)

  def test_static_shapes_and_names_of_outputs_are_the_originals(self):
    a, _, sub_model = self.split()
    self.assertEqual([t.name for t in sub_model.inputs], ["x:0", a.name])
    self.assertEqual([t.name for t in sub_model.outputs], ["y:0"])
    self.assertEqual(sub_model.upstream[0].shape.as_list(), [None, 2])

  @parameterized.parameters(False, True)
  def test_the_output_of_a_recurrent_layer_is_fed(self, v2):
    self.use_control_flow(v2)
    x = tf1.placeholder(tf1.float64, [None, 5, 4])
    below, above = (self.variable(n, 0.5 * self.normal(4, 4)) for n in "uv")

    def layer(x, w, scope):
      return tf1.nn.dynamic_rnn(
        constructs.Cell(w), x, dtype=tf1.float64, scope=scope
      )[0]

    h = layer(x, below, "below")
    y = layer(h, above, "above")
    with compat.control_flow_of(walk.ancestors([y])):
      joint = tf1.gradients(y, [x, below, above])
      given = tf1.placeholder(tf1.float64, [None, 5, 4])
      alone = tf1.gradients(layer(given, above, "alone"), [given, above])
    lower = tangle.SubModel([x], [h], name="lower")
    upper = tangle.SubModel([h], [y], name="upper")
    sess = self.session()
    value = self.normal(3, 5, 4)
    first = lower.forward(sess, {x: value})
    second = upper.forward(sess, {h: first.outputs[0]})
    found = second.backward([np.ones([3, 5, 4])])
    rest = first.backward(found.inputs)
    desired = sess.run(joint, {x: value})
    self.assert_close(rest.inputs[0], desired[0])
    self.assert_close(rest.variables[0], desired[1])
    self.assert_close(found.variables[0], desired[2])
    # What is fed is taken, whatever the layer below would give.
    value = self.normal(3, 5, 4)
    found = upper.forward(sess, {h: value}).backward([np.ones([3, 5, 4])])
    desired = sess.run(alone, {given: value})
    self.assert_close(found.inputs[0], desired[0])
    self.assert_close(found.variables[0], desired[1])

  def test_what_tensorflow_2_would_go_around_is_fed(self):
    h = tf1.transpose(tf1.transpose(self.x))
    y = tf1.exp(tf1.transpose(h))
    sub_model = tangle.SubModel([h], [y])
    sess = self.session()
    value = self.normal(3, 4)
    call = sub_model.forward(sess, {h: value})
    self.assert_close(call.outputs[0], np.exp(value.T))
    found = call.backward([np.ones([4, 3])])
    self.assert_close(found.inputs[0], np.exp(value))


def remembering(h):
  """Gives `tanh h`, with a gradient that reads what nothing else does."""

  @tf1.custom_gradient
  def function(h):
    aside = tf1.sin(h)
    y = tf1.tanh(h)
    return y, lambda upstream: upstream * aside * y

  return function(h)


class OwnGradientsTest(case.GraphTestCase):
  """Gradient functions in Python, which remember the original tensors."""

  def build(self, function):
    """Makes a piece whose first input is fed, so that a copy runs."""
    self.x = tf1.placeholder(tf1.float64, [None, 4])
    self.a, b = tf1.split(self.x, 2, 1)
    w = self.variable("w", np.full(2, 0.7), use_resource=self.resource)
    return function(self.a * w + b) * self.a

  @parameterized.product(
    store=["device", "session", "recompute"], resource=[False, True]
  )
  def test_they_read_the_copy(self, store, resource):
    self.resource = resource
    y = self.build(remembering)
    sub_model = tangle.SubModel([self.x, self.a], [y], store=store)
    x, a = self.normal(3, 4), self.normal(3, 2)
    call = sub_model.forward(self.session(), {self.x: x, self.a: a})
    found = call.backward([np.ones([3, 2])])
    h = 0.7 * a + x[:, 2:]
    slope = np.sin(h) * np.tanh(h)
    self.assert_close(found.inputs[1], np.tanh(h) + 0.7 * slope * a)
    self.assert_close(found.inputs[0][:, 2:], slope * a)
    self.assert_close(found.variables[0], np.sum(slope * a * a, 0))

  @parameterized.product(v2=[False, True], resource=[False, True])
  def test_they_are_refused_in_control_flow_that_is_copied(self, v2, resource):
    self.resource = resource

    def function(h):
      return tf1.cond(
        tf1.reduce_sum(h) > 0.0, lambda: remembering(h), lambda: tf1.sin(h)
      )

    with compat.control_flow(v2):
      y = self.build(function)
    remedy = "cut_points" if resource else "weights_unchanged=True"
    with self.assertRaisesRegex(errors.CutError, f"custom_gradient.*{remedy}"):
      tangle.SubModel([self.x, self.a], [y], store="session")

  @parameterized.product(v2=[False, True], resource=[False, True])
  def test_those_that_remember_nothing_are_copied_with_control_flow(
    self, v2, resource
  ):
    self.resource = resource

    @tf1.custom_gradient
    def halving(h):
      return tf1.tanh(h), lambda upstream: 0.5 * upstream

    with compat.control_flow(v2):
      y = self.build(
        lambda h: tf1.while_loop(
          lambda k, h: k < 2, lambda k, h: (k + 1, halving(h)), [0, h]
        )[1]
      )
    sub_model = tangle.SubModel([self.x, self.a], [y], store="session")
    x, a = self.normal(3, 4), self.normal(3, 2)
    call = sub_model.forward(self.session(), {self.x: x, self.a: a})
    h = np.tanh(np.tanh(0.7 * a + x[:, 2:]))
    self.assert_close(call.outputs[0], h * a)
    found = call.backward([np.ones([3, 2])])
    self.assert_close(found.inputs[0][:, 2:], 0.25 * a)
    self.assert_close(found.inputs[1], h + 0.25 * 0.7 * a)
    self.assert_close(found.variables[0], np.sum(0.25 * a * a, 0))

  def test_a_gradient_that_hands_a_tensor_on_hands_its_copy_on(self):
    self.resource = True

    @tf1.custom_gradient
    def function(h):
      y = tf1.exp(h)
      return y, lambda upstream: y

    y = self.build(function)
    sub_model = tangle.SubModel([self.x, self.a], [y])
    x, a = self.normal(3, 4), self.normal(3, 2)
    call = sub_model.forward(self.session(), {self.x: x, self.a: a})
    found = call.backward([np.ones([3, 2])])
    self.assert_close(found.inputs[0][:, 2:], np.exp(0.7 * a + x[:, 2:]))


class SettleTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None, 4], name="x")

  def split(self, inputs, outputs, **options):
    return split.Split(inputs, outputs, **options)

  def test_a_piece_that_needs_no_copy_is_left_alone(self):
    w = self.variable("w", self.normal(4, 4), use_resource=False)
    piece = self.split([self.x], [tf1.tanh(tf1.matmul(self.x, w))])
    before = self.count_ops()
    found = own_forward.settle(piece)
    self.assertEqual(found, (piece, None))
    self.assertEqual(self.count_ops(), before)
    self.assertIsNot(own_forward.settle(piece, in_one_run=True)[0], piece)
    promised = self.split([self.x], piece.outputs, weights_unchanged=True)
    self.assertIs(own_forward.settle(promised, in_one_run=True)[0], promised)

  def test_a_copy_knows_what_else_is_fetched(self):
    a, b = tf1.split(self.x, 2, 1)
    count = self.variable("count", np.float64(0), trainable=False)
    update = count.assign_add(tf1.reduce_sum(a)).op
    piece = self.split([self.x, a], [tf1.sin(a) * b])
    own, copy = own_forward.settle(piece, [update])
    self.assertEqual(
      [t.name for t in own.outputs], [copy.find(t).name for t in piece.outputs]
    )
    self.assertIn(update, copy.ops)
    self.assertIn(copy.find(update), copy.copies)
    self.assertEqual(own.wanted, piece.wanted)
    for tensor in own.inputs[1:]:
      self.assertEqual(tensor.op.type, "PlaceholderWithDefault")
    self.assertIs(own.inputs[0], self.x)

  def test_says_what_was_overwritten(self):
    self.use_control_flow(v2=False)
    m = self.variable("m", np.float64(1), trainable=False, use_resource=False)
    n = tf1.while_loop(
      lambda n: n < 3,
      lambda n: tf1.tuple([n + 1, tf1.assign_add(m, 1.0)])[0],
      [0],
    )
    with tf1.control_dependencies([tf1.identity(n)]):
      y = self.x * tf1.identity(m, name="late")
    piece = self.split([self.x], [y])
    own, copy = own_forward.settle(piece)
    backward = own.differentiate([tf1.ones_like(y)])
    with self.assertRaises(errors.CutError) as caught:
      own_forward.check_cut(own, backward.cut)
    self.assert_message(
      caught.exception, "'m'", "AssignAdd", "use_resource=True"
    )
    with self.assertRaises(errors.CutError) as caught:
      own_forward.differentiate_in_one_run(own, copy, [tf1.ones_like(y)])
    self.assert_message(caught.exception, "'m'", "AssignAdd")


if __name__ == "__main__":
  absltest.main()

"""The gradient belongs to what the forward run saw, whatever changes after."""

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import case
from tests.partial import checks, zoo

CARRYING = ("device", "host", "recompute")
"""Stores that copy the value of a reference variable."""


class SnapshotsTest(case.GraphTestCase):
  def build(self, use_resource):
    """Returns a model of three weights, and their joint gradient."""
    ids = tf1.placeholder(tf1.int32, [None])
    shapes = {"table": (5, 4), "w": (4, 3), "b": (3,)}
    self.weights = [
      self.variable(name, self.normal(*shape), use_resource=use_resource)
      for name, shape in shapes.items()
    ]
    table, w, b = self.weights
    rows = tf1.gather(table, ids)
    y = tf1.tanh(tf1.matmul(rows * rows, w) + b) * b
    z = tf1.matmul(y, tf1.transpose(w))
    self.model = zoo.Model([ids], [y, z], {ids: [1, 3, 3]}, (True, True))
    self.joint = checks.Joint(self.model)

  def update_op(self, kind):
    """Returns an op that changes all weights in the way `kind` names."""
    table, w, b = self.weights
    if kind == "assign":
      return [v.assign(0.5 * v + 0.1) for v in self.weights]
    if kind == "assign_add":
      return [v.assign_add(0.1 * v * v + 0.1) for v in self.weights]
    optimizer = {
      "adam": tf1.train.AdamOptimizer,
      "scatter": tf1.train.GradientDescentOptimizer,
    }[kind](0.1)
    sparse = tf1.IndexedSlices(tf1.ones([2, 4], tf1.float64), [1, 3])
    gradient = sparse if kind == "scatter" else tf1.ones_like(table)
    pairs = [(gradient, table)] + [(tf1.ones_like(v), v) for v in (w, b)]
    return optimizer.apply_gradients(pairs)

  def assert_unchanged_by(self, change, sub_model, sess):
    """Fails unless `change` changes the joint gradient and not the split."""
    for variable in self.weights:
      sess.run(variable.initializer)
    # A first step, since some optimizers behave otherwise in their first.
    change()
    call = sub_model.forward(sess, self.model.feed_dict)
    upstream = checks.upstream_like(self, call.outputs, self.model.used)
    before = self.joint.run(sess, self.model.feed_dict, upstream)
    change()
    after = self.joint.run(sess, self.model.feed_dict, upstream)
    checks.assert_same(self, call.backward(upstream), before)
    for old, new in zip(before.variables, after.variables):
      self.assertGreater(
        np.max(np.abs(case.dense(old) - case.dense(new))), 1e-3
      )

  @parameterized.product(
    kind=["assign", "assign_add", "adam", "scatter"],
    use_resource=[True, False],
  )
  def test_updates_between_forward_and_backward(self, kind, use_resource):
    self.build(use_resource)
    names = list(CARRYING) + (["session"] if use_resource else [])
    subs = {name: checks.sub_model(self.model, name) for name in names}
    update_op = self.update_op(kind)
    sess = self.session()
    for name, sub_model in subs.items():
      with self.subTest(name):
        self.assert_unchanged_by(lambda: sess.run(update_op), sub_model, sess)

  @parameterized.parameters(*CARRYING)
  def test_reference_variables_under_ops_that_share_memory(self, strategy):
    w = self.variable("w", self.normal(1, 4), use_resource=False)
    x = tf1.placeholder(tf1.float64, [])
    views = [
      tf1.transpose(w, [1, 0]),
      tf1.tile(w, [1, 1]),
      tf1.reduce_sum(w, axis=0),
      tf1.stack([w]),
      w * 1.0,
    ]
    sub_model = tangle.SubModel(
      [x], [x * view for view in views], **checks.STRATEGIES[strategy]
    )
    sess = self.session()
    value = sess.run(w)
    call = sub_model.forward(sess, {x: 1.0})
    sess.run(w.assign(np.zeros([1, 4])))
    found = call.backward([np.ones_like(y) for y in call.outputs])
    self.assert_close(found.inputs[0], 5 * np.sum(value))

  @parameterized.product(
    strategy=list(checks.STORES), build=[zoo.mlp, zoo.straight_through]
  )
  def test_fed_arrays_may_change(self, strategy, build):
    model = build(self)
    sub_model = checks.sub_model(model, strategy)
    sess = self.session()
    # An aligned array is read in place by the runtime.
    feed_dict = {t: _aligned(v) for t, v in model.feed_dict.items()}
    call = sub_model.forward(sess, feed_dict)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    right = call.backward(upstream)
    call = sub_model.forward(sess, feed_dict)
    for value in feed_dict.values():
      value[...] = -7.0
    checks.assert_same(self, call.backward(upstream), right)

  @parameterized.product(
    strategy=list(checks.STORES),
    build=[zoo.chained_outputs, zoo.straight_through],
  )
  def test_fetched_outputs_may_change(self, strategy, build):
    model = build(self)
    sub_model = checks.sub_model(model, strategy)
    sess = self.session()
    feed_dict = {t: _aligned(v) for t, v in model.feed_dict.items()}
    call = sub_model.forward(sess, feed_dict)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    right = call.backward(upstream)
    call = sub_model.forward(sess, feed_dict)
    for value in call.outputs:
      value[...] = -7.0
    checks.assert_same(self, call.backward(upstream), right)
    for tensor, value in model.feed_dict.items():
      np.testing.assert_array_equal(feed_dict[tensor], value)

  @parameterized.parameters(*checks.STORES)
  def test_arrays_of_a_fed_sparse_tensor_may_change(self, store):
    matrix = tf1.sparse_placeholder(tf1.float64, [3, 4])
    w = self.variable("w", self.normal(4, 2))
    y = tf1.sparse_tensor_dense_matmul(matrix, w)
    sub_model = tangle.SubModel([matrix.values], [y], store=store)
    sess = self.session()
    values = _aligned(self.normal(2))
    fed = tf1.SparseTensorValue([[0, 1], [2, 3]], values, [3, 4])
    desired = np.zeros([4, 2])
    desired[[1, 3]] = values[:, None]
    call = sub_model.forward(sess, {matrix: fed})
    values[...] = 0.0
    found = call.backward([np.ones([3, 2])])
    self.assert_close(found.variables[0], desired)


class FedInsideTest(case.GraphTestCase):
  """Values that are fed in the middle of a graph hold in both runs."""

  @parameterized.parameters(*checks.STRATEGIES)
  def test_a_fed_inner_input_is_the_input(self, strategy):
    x = tf1.placeholder(tf1.float64, [None])
    h = 2.0 * tf1.tanh(x)
    sub_model = tangle.SubModel(
      [h], [tf1.square(h)], **checks.STRATEGIES[strategy]
    )
    sess = self.session()
    for more in ({}, {x: np.zeros(2)}):
      call = sub_model.forward(sess, {h: np.array([3.0, 4.0]), **more})
      found = call.backward([np.ones(2)])
      np.testing.assert_array_equal(found.inputs[0], [6.0, 8.0])

  @parameterized.parameters(*checks.STRATEGIES)
  def test_a_fed_constant_is_fed_to_both_runs(self, strategy):
    x = tf1.placeholder(tf1.float64, [None])
    keep = tf1.constant(np.float64(2.0))
    sub_model = tangle.SubModel([x], [x * keep], **checks.STRATEGIES[strategy])
    sess = self.session()
    call = sub_model.forward(sess, {x: np.ones(2), keep: 5.0})
    other = sub_model.forward(sess, {x: np.ones(2)})
    np.testing.assert_array_equal(call.backward([np.ones(2)]).inputs[0], [5, 5])
    found = other.backward([np.ones(2)])
    np.testing.assert_array_equal(found.inputs[0], [2, 2])

  @parameterized.parameters(*checks.STRATEGIES)
  def test_a_default_that_is_fed_holds(self, strategy):
    x = tf1.placeholder(tf1.float64, [None])
    keep = tf1.placeholder_with_default(np.float64(2.0), [])
    sub_model = tangle.SubModel([x], [x * keep], **checks.STRATEGIES[strategy])
    call = sub_model.forward(self.session(), {x: np.ones(2), keep: 5.0})
    found = call.backward([np.ones(2)])
    np.testing.assert_array_equal(found.inputs[0], [5, 5])

  @parameterized.parameters("device_none", "host_none", "recompute")
  def test_what_is_computed_again_may_not_be_fed(self, strategy):
    x = tf1.placeholder(tf1.float64, [None])
    h = tf1.tanh(x, name="hidden")
    sub_model = tangle.SubModel(
      [x], [tf1.square(h)], **checks.STRATEGIES[strategy]
    )
    sess = self.session()
    with self.assertRaises(tangle.errors.GraphError) as caught:
      sub_model.forward(sess, {x: np.ones(2), h: np.ones(2)})
    self.assert_message(caught.exception, "'hidden:0'", "inputs", "residuals")

  @parameterized.parameters("device", "host", "session")
  def test_what_is_kept_may_be_fed(self, strategy):
    x = tf1.placeholder(tf1.float64, [None])
    h = tf1.exp(x)
    sub_model = tangle.SubModel([x], [tf1.square(h)], store=strategy)
    call = sub_model.forward(
      self.session(), {x: np.zeros(2), h: np.array([3.0, 4.0])}
    )
    # d h^2 / d x = 2 h dh/dx, where dh/dx = h, for all that exp knows.
    found = call.backward([np.ones(2)])
    np.testing.assert_array_equal(found.inputs[0], [18.0, 32.0])


def _aligned(value):
  """Returns a copy of the array `value` that begins at a multiple of 64."""
  value = np.asarray(value)
  memory = np.empty(value.nbytes + 64, np.uint8)
  start = -memory.ctypes.data % 64
  found = memory[start : start + value.nbytes].view(value.dtype)
  found = found.reshape(value.shape)
  found[...] = value
  return found


if __name__ == "__main__":
  absltest.main()

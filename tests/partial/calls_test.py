import gc
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle import errors
from tangle.compat import tf1
from tangle.partial import calls
from tests import case
from tests.partial import checks, zoo

BAD_UPSTREAM = (
  ("too_few", lambda u: u[:2], errors.ArgumentError, ["3 outputs", "hidden"]),
  ("too_many", lambda u: [*u, None], errors.ArgumentError, ["got 4"]),
  ("all_none", lambda u: [None] * 3, errors.ArgumentError, ["Discard"]),
  ("no_list", lambda u: u[0], errors.ArgumentError, ["ndarray", "list"]),
  ("nothing", lambda u: None, errors.ArgumentError, ["NoneType", "list"]),
  (
    "shape",
    lambda u: [u[0][:2], u[1], None],
    errors.ShapeError,
    ["'hidden:0'", "(3, 2)", "(2, 2)"],
  ),
  (
    "scalar",
    lambda u: [u[0], 1.0, None],
    errors.ShapeError,
    ["'squared:0'", "(3, 2)", "()"],
  ),
  (
    "transposed",
    lambda u: [u[0].T, u[1], None],
    errors.ShapeError,
    ["'hidden:0'", "(2, 3)"],
  ),
  (
    "dtype",
    lambda u: [u[0], u[1].astype(np.float32), None],
    errors.DtypeError,
    ["'squared:0'", "float64", "float32", "astype"],
  ),
  (
    "integers",
    lambda u: [u[0].astype(np.int64), u[1], None],
    errors.DtypeError,
    ["'hidden:0'", "float64", "int64"],
  ),
  (
    "ragged",
    lambda u: [[[1.0], [1.0, 2.0]], u[1], None],
    errors.DtypeError,
    ["'hidden:0'", "float64"],
  ),
  (
    "text",
    lambda u: ["one", u[1], None],
    errors.DtypeError,
    ["'hidden:0'", "float64", "one"],
  ),
  (
    "to_an_integer",
    lambda u: [u[0], u[1], np.zeros(3, np.int64)],
    errors.DtypeError,
    ["'best:0'", "int64", "None"],
  ),
)
"""What is wrong, how, and what the error says."""


class CallTestCase(case.GraphTestCase):
  def build(self, store="device"):
    """Makes a sub-model of three outputs, one of them an integer."""
    self.x = tf1.placeholder(tf1.float64, [None, 4])
    w = self.variable("w", self.normal(4, 2))
    y = tf1.tanh(tf1.matmul(self.x, w), name="hidden")
    self.sub_model = tangle.SubModel(
      [self.x],
      [y, tf1.square(y, name="squared"), tf1.argmax(y, 1, name="best")],
      store=store,
      name="mine",
    )
    self.sess = self.session()
    self.x_np, self.upstream = (
      self.normal(3, 4),
      [
        self.normal(3, 2),
        self.normal(3, 2),
        None,
      ],
    )
    self.right = self.forward().backward(self.upstream)

  def forward(self, **options):
    return self.sub_model.forward(self.sess, {self.x: self.x_np}, **options)


class OutputsTest(CallTestCase):
  @parameterized.parameters(*checks.STORES)
  def test_outputs_are_arrays_in_order(self, store):
    self.build(store)
    outputs = self.forward().outputs
    desired = self.sess.run(self.sub_model.outputs, {self.x: self.x_np})
    self.assertLen(outputs, 3)
    for actual, wanted in zip(outputs, desired):
      np.testing.assert_allclose(actual, wanted, 1e-14)


class BackwardTest(CallTestCase):
  @parameterized.parameters(*checks.STORES)
  def test_bad_upstream_gradients_are_refused(self, store):
    self.build(store)
    call = self.forward()
    before = self.count_ops()
    for what, change, error, parts in BAD_UPSTREAM:
      for end in (call.backward, lambda u: call.run([], u)):
        with self.subTest(what):
          with self.assertRaises(error) as caught:
            end(change(self.upstream))
          self.assert_message(caught.exception, "'mine'", *parts)
    self.assertEqual(self.count_ops(), before)
    # The call is as usable as before.
    checks.assert_same(self, call.backward(self.upstream), self.right)

  @parameterized.parameters(*checks.STORES)
  def test_lists_are_upstream_gradients_too(self, store):
    self.build(store)
    upstream = [u if u is None else u.tolist() for u in self.upstream]
    found = self.forward().backward(tuple(upstream))
    checks.assert_same(self, found, self.right)

  @parameterized.parameters(*checks.STORES)
  def test_numbers_are_upstream_gradients_of_scalars(self, store):
    x = tf1.placeholder(tf1.float32, [])
    sub_model = tangle.SubModel([x], [x * x, tf1.exp(x)], store=store)
    sess = self.session()
    call = sub_model.forward(sess, {x: 3.0})
    found = call.backward([0.5, np.float32(0)])
    self.assertEqual(found.inputs, [np.float32(3.0)])

  @parameterized.parameters(*checks.STORES)
  def test_a_call_is_used_once(self, store):
    self.build(store)
    for first in ("backward", "run", "discard"):
      call = self.forward()
      ends = {
        "backward": lambda c=call: c.backward(self.upstream),
        "run": lambda c=call: c.run([], self.upstream),
        "discard": call.discard,
      }
      ends[first]()
      for second, end in ends.items():
        with self.subTest(f"{first}, then {second}"):
          with self.assertRaises(errors.CallError) as caught:
            end()
          how = "discarded" if first == "discard" else "used"
          self.assert_message(caught.exception, "'mine'", how, "forward")

  @parameterized.parameters(*checks.STORES)
  def test_another_session_is_refused(self, store):
    self.build(store)
    call, other = self.forward(), self.session()
    for end in (call.backward, lambda u, sess: call.run([], u, sess)):
      with self.assertRaises(errors.CallError) as caught:
        end(self.upstream, sess=other)
      self.assert_message(caught.exception, "'mine'", "another session")
    found = call.backward(self.upstream, sess=self.sess)
    checks.assert_same(self, found, self.right)

  def test_gradients_are_none_where_there_is_none(self):
    ids = tf1.placeholder(tf1.int32, [None])
    used = self.variable("used", self.normal(4, 2))
    stopped = self.variable("stopped", self.normal(4, 2))
    y = tf1.gather(used, ids) + tf1.gather(tf1.stop_gradient(stopped), ids)
    sub_model = tangle.SubModel([ids], [y])
    self.assertEqual(sub_model.variables, [used, stopped])
    call = sub_model.forward(self.session(), {ids: [1, 1]})
    found = call.backward([np.ones([2, 2])])
    self.assertEqual(found._fields, ("inputs", "variables"))
    self.assertEqual(found.inputs, [None])
    self.assertIsNone(found.variables[1])

  @parameterized.parameters(*checks.STORES)
  def test_sparse_gradients_stay_sparse(self, store):
    model = zoo.embedding(self)
    sub_model = checks.sub_model(model, store)
    sess = self.session()
    call = sub_model.forward(sess, model.feed_dict)
    upstream = [self.normal(3, 4, 4)]
    found = call.backward(upstream).variables[0]
    self.assertTrue(case.is_sparse(found))
    np.testing.assert_array_equal(
      found.indices, list(model.feed_dict.values())[0].ravel()
    )
    self.assertEqual(found.values.shape, (12, 4))
    np.testing.assert_array_equal(found.dense_shape, [7, 4])

  def test_nothing_runs_for_an_output_that_is_an_input(self):
    x = tf1.placeholder(tf1.float64, [None])
    for store in checks.STORES:
      sub_model = tangle.SubModel([x], [x], store=store)
      self.assertEmpty(sub_model.residuals)
      sess = self.session()
      sub_model.forward(sess, {x: np.ones(2)}).discard()
      found = sub_model.forward(sess, {x: np.ones(2)}).backward([np.ones(2)])
      np.testing.assert_array_equal(found.inputs[0], [1.0, 1.0])


class PartialUseTest(CallTestCase):
  @parameterized.parameters("device", "host", "recompute")
  def test_a_finalized_graph_refuses_a_pass_that_is_not_there(self, store):
    self.build(store)
    self.sub_model.prepare([True, False, False])
    self.graph.finalize()
    call = self.forward()
    with self.assertRaises(errors.GraphError) as caught:
      call.backward([None, self.upstream[1], None])
    self.assert_message(
      caught.exception, "'mine'", "prepare([False, True, False])"
    )
    call.backward([self.upstream[0], None, None])
    self.assert_still_right()

  def assert_still_right(self):
    found = self.forward().backward(self.upstream)
    checks.assert_same(self, found, self.right)

  def test_a_partial_run_must_know_before_what_is_used(self):
    self.build("session")
    call = self.forward()
    with self.assertRaises(errors.CallError) as caught:
      call.backward([self.upstream[0], None, None])
    self.assert_message(caught.exception, "used=[True, False, False]")
    call.discard()
    call = self.forward(used=[True, False, False])
    with self.assertRaises(errors.CallError):
      call.backward(self.upstream)
    call.backward([self.upstream[0], None, None])
    self.assert_still_right()


class RunTest(CallTestCase):
  @parameterized.parameters(*checks.STRATEGIES)
  def test_applies_what_fetching_and_applying_by_hand_does(self, strategy):
    model = zoo.tied_embedding(self)
    sub_model = checks.sub_model(model, strategy)
    variables = sub_model.variables
    optimizer = tf1.train.GradientDescentOptimizer(0.5)
    clipped, norm = tf1.clip_by_global_norm(sub_model.gradients.variables, 0.1)
    train_op = optimizer.apply_gradients(zip(clipped, variables))
    sess = self.session()
    call = sub_model.forward(sess, model.feed_dict)
    upstream = checks.upstream_like(self, call.outputs, model.used)
    found = call.backward(upstream)
    by_hand = [case.dense(g) for g in found.variables]
    # As TensorFlow does, over the values of a sparse gradient as they come.
    parts = [getattr(g, "values", g) for g in found.variables]
    size = np.sqrt(sum(np.sum(np.square(part)) for part in parts))
    before = sess.run(variables)

    call = sub_model.forward(sess, model.feed_dict)
    result = call.run({"train": train_op, "norm": norm}, upstream)
    self.assertIsNone(result["train"])
    self.assert_close(result["norm"], size)
    for old, new, gradient in zip(before, sess.run(variables), by_hand):
      self.assert_close(new, old - 0.5 * gradient * 0.1 / size, 1e-11)

  @parameterized.parameters(*checks.STORES)
  def test_several_steps_of_adam_equal_those_of_the_joint_graph(self, store):
    model = zoo.mlp(self)
    sub_model = checks.sub_model(model, store)
    target = self.normal(3, 2)
    loss = tf1.reduce_sum(tf1.square(model.outputs[0] - target))
    adam = tf1.train.AdamOptimizer(0.1)
    joint_op = adam.minimize(loss)
    split_op = adam.apply_gradients(
      zip(sub_model.gradients.variables, sub_model.variables)
    )
    init_op = tf1.global_variables_initializer()
    sess = self.session()
    for _ in range(5):
      sess.run(joint_op, model.feed_dict)
    desired = sess.run(sub_model.variables)
    sess.run(init_op)
    for _ in range(5):
      with sub_model.forward(sess, model.feed_dict) as call:
        call.run(split_op, [2 * (call.outputs[0] - target)])
    for actual, wanted in zip(sess.run(sub_model.variables), desired):
      self.assert_close(actual, wanted, 1e-10)

  @parameterized.parameters(*checks.STORES)
  def test_what_is_built_on_a_partial_pass(self, store):
    self.build(store)
    used = [True, False, False]
    gradient = self.sub_model.prepare(used).inputs[0]
    doubled = 2 * gradient
    call = self.forward(used=used)
    upstream = [self.upstream[0], None, None]
    found = call.run(doubled, upstream)
    call = self.forward(used=used)
    self.assert_close(found, 2 * call.backward(upstream).inputs[0])

  @parameterized.parameters("device", "host", "recompute")
  def test_reference_variables_are_updated_from_their_old_values(self, store):
    x = tf1.placeholder(tf1.float64, [None])
    w = self.variable("w", np.array([2.0, 3.0]), use_resource=False)
    sub_model = tangle.SubModel([x], [x * w * w], store=store)
    train_op = tf1.train.GradientDescentOptimizer(1.0).apply_gradients(
      zip(sub_model.gradients.variables, sub_model.variables)
    )
    sess = self.session()
    call = sub_model.forward(sess, {x: np.ones(2)})
    gradient, _ = call.run(
      [sub_model.gradients.inputs[0], train_op], [np.ones(2)]
    )
    np.testing.assert_array_equal(gradient, [4.0, 9.0])
    np.testing.assert_array_equal(sess.run(w), [-2.0, -3.0])


class ResidualSetTest(absltest.TestCase):
  class Store:
    def __init__(self):
      self.discarded = []

    def discard(self, sess, ticket):
      self.discarded.append((sess, ticket))

  class Session:
    pass

  class Call:
    def __init__(self, residual_set, sess, ticket):
      self.is_open = True
      self.kept = residual_set.keep(self, sess)
      self.kept.note(ticket)

  def test_drops_lost_calls_of_the_session_at_hand_alone(self):
    store = self.Store()
    residual_set = calls.ResidualSet([], store)
    here, there, gone = self.Session(), self.Session(), self.Session()
    for n, sess in enumerate([here, there, gone, here]):
      self.Call(residual_set, sess, n)
    del gone, sess
    gc.collect()
    residual_set.drain(here)
    self.assertEqual(store.discarded, [(here, 0), (here, 3)])
    residual_set.drain(there)
    self.assertEqual(store.discarded[2:], [(there, 1)])
    self.assertEmpty(residual_set.lost)
    self.assertEmpty(residual_set.open)

  def test_drops_a_call_that_is_held_once_it_has_ended(self):
    store, sess = self.Store(), self.Session()
    residual_set = calls.ResidualSet([], store)
    call = self.Call(residual_set, sess, 7)
    for is_open, discarded in ((True, []), (False, [(sess, 7)])):
      call.is_open = is_open
      residual_set.lost.append(call.kept)
      residual_set.drain(sess)
      self.assertEqual(store.discarded, discarded)
      self.assertEmpty(residual_set.lost)
    self.assertEmpty(residual_set.open)

  def test_a_discard_that_is_interrupted_is_made_by_the_next_one(self):
    store, sess = self.Store(), self.Session()
    residual_set = calls.ResidualSet([], store)
    self.Call(residual_set, sess, 7)
    with mock.patch.object(store, "discard", side_effect=KeyboardInterrupt):
      with self.assertRaises(KeyboardInterrupt):
        residual_set.drain(sess)
    residual_set.drain(sess)
    self.assertEqual(store.discarded, [(sess, 7)])
    self.assertEmpty(residual_set.lost)


class MistakesTest(case.GraphTestCase):
  """What a call refuses leaves it open."""

  def setUp(self):
    super().setUp()
    x = tf1.placeholder(tf1.float64, [2], name="x")
    self.y = tf1.square(x, name="y")
    self.sub_model = tangle.SubModel([x], [self.y], store="device", name="s")
    self.sess = self.session()
    self.call = self.sub_model.forward(self.sess, {x: [1.0, 2.0]})

  def test_arguments_that_are_swapped_or_no_arrays(self):
    ones = np.ones(2)
    for function, arguments, part in (
      (self.call.backward, (self.y,), "Put it into a list"),
      (self.call.backward, ({self.y.name: ones},), "got dict"),
      (self.call.backward, ("y",), "got str"),
      (self.call.backward, ([self.y],), "Give an array with the shape"),
      (self.call.run, ([ones], self.y), "Put it into a list"),
      (self.call.run, (self.sess, [ones]), "got a session. Call run(fetches"),
      (self.call.run, (None, [ones]), "run: fetches must be ops or tensors"),
    ):
      with self.assertRaises(
        (errors.ArgumentError, errors.DtypeError)
      ) as caught:
        function(*arguments)
      self.assert_message(caught.exception, "SubModel 's': ", part)
      self.assertNotIn("\n", str(caught.exception))
      self.assertTrue(self.call.is_open)
    found = self.call.backward([ones]).inputs[0]
    np.testing.assert_array_equal(found, [2.0, 4.0])

  def test_repr_tells_the_state(self):
    name = "<Call of SubModel 's'"
    self.assertEqual(repr(self.call), f"{name}: open, store='device'>")
    text = repr(self.sub_model)
    self.assertIn("inputs ['x:0'], outputs ['y:0'], 0 variables", text)
    self.assertIn("store='device', 1 residuals (16 bytes), 1 open calls", text)
    self.call.discard()
    self.assertEqual(repr(self.call), f"{name}: discarded, store='device'>")
    self.assertIn("0 open calls", repr(self.sub_model))


if __name__ == "__main__":
  absltest.main()

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.partial import stores
from tests import case
from tests.partial import checks


def pool(x, ratio):
  return tf1.raw_ops.FractionalMaxPool(value=x, pooling_ratio=ratio)


class KeepingTest(case.GraphTestCase):
  """What the stores that keep tensors between two runs have in common."""

  STORES = (stores.DeviceStore, stores.HostStore)

  def build(self, make):
    self.x = tf1.placeholder(tf1.float64, [None])
    self.count = self.variable("count", np.float64(0))
    h = tf1.square(self.x) + self.count.assign_add(1.0)
    self.kept = [h, tf1.cast(h, tf1.int32), tf1.as_string(h)]
    self.outputs = [tf1.exp(self.x), h]
    self.store = make(self.kept, self.outputs)
    self.back = [self.store.restored[t.name] for t in self.kept]
    self.areas = checks.StagingAreas(self.graph)
    self.sess = self.session()

  def forward(self, value):
    return self.store.forward(self.sess, {self.x: value}, [tf1.shape(self.x)])

  @parameterized.parameters(*STORES)
  def test_hands_outputs_extras_and_kept_tensors_on(self, make):
    self.build(make)
    outputs, extra, ticket = self.forward([1.0, 2.0])
    self.assert_close(outputs[0], np.exp([1.0, 2.0]))
    np.testing.assert_array_equal(extra[0], [2])
    other = self.forward([3.0])[2]
    found = self.store.backward(self.sess, ticket, self.back, {})
    np.testing.assert_array_equal(found[0], [2.0, 5.0])
    np.testing.assert_array_equal(found[1], [2, 5])
    self.assertEqual(found[2].tolist(), [b"2.000000", b"5.000000"])
    found = self.store.backward(self.sess, other, self.back, {})
    np.testing.assert_array_equal(found[0], [11.0])
    self.assertEqual(self.sess.run(self.count), 2.0)
    self.assertEqual(self.areas.count(self.sess), 0)

  @parameterized.parameters(*STORES)
  def test_feeds_what_else_the_backward_run_needs(self, make):
    self.build(make)
    upstream = tf1.placeholder(tf1.float64, [])
    ticket = self.forward([1.0])[2]
    found = self.store.backward(
      self.sess, ticket, self.back[0] * upstream, {upstream: 3.0}
    )
    np.testing.assert_array_equal(found, [6.0])

  @parameterized.parameters(*STORES)
  def test_a_restored_tensor_has_the_dtype(self, make):
    self.build(make)
    for tensor, restored in zip(self.kept, self.back):
      self.assertEqual(restored.dtype, tensor.dtype)

  def test_a_tensor_restored_in_the_runtime_has_the_static_shape(self):
    self.build(stores.DeviceStore)
    for tensor, restored in zip(self.kept, self.back):
      self.assertEqual(restored.shape.as_list(), tensor.shape.as_list())

  @parameterized.parameters(*STORES)
  def test_a_backward_run_may_read_nothing_of_it(self, make):
    self.build(make)
    ticket = self.forward([1.0])[2]
    self.assertEqual(self.store.backward(self.sess, ticket, [], {}), [])
    self.assertEqual(self.areas.count(self.sess), 0)

  @parameterized.parameters(*STORES)
  def test_a_discard_frees_it(self, make):
    self.build(make)
    self.store.discard(self.sess, self.forward([1.0])[2])
    self.assertEqual(self.areas.count(self.sess), 0)

  @parameterized.parameters(*STORES)
  def test_a_closed_session_has_nothing_to_free(self, make):
    self.build(make)
    ticket = self.forward([1.0])[2]
    self.sess.close()
    self.store.discard(self.sess, ticket)

  @parameterized.parameters(*STORES)
  def test_nothing_to_keep(self, make):
    x = tf1.placeholder(tf1.float64, [])
    before = [op for op in self.graph.get_operations() if op.type == "MapStage"]
    store = make([], [x])
    self.assertEqual(store.restored, {})
    self.assertEmpty(before)
    sess = self.session()
    outputs, extra, ticket = store.forward(sess, {x: 2.0})
    self.assertEqual((outputs, extra), ([2.0], []))
    self.assertEqual(store.backward(sess, ticket, 2 * x, {x: 4.0}), 8.0)
    store.discard(sess, store.forward(sess, {x: 2.0})[2])

  @parameterized.parameters(*STORES)
  def test_refuses_what_cannot_be_copied(self, make):
    words = self.variable(
      "words", np.array(["a"]), trainable=False, use_resource=False
    )
    with self.assertRaises(errors.CutError) as caught:
      make([tf1.identity(words)], [])
    self.assert_message(caught.exception, "string")

  @parameterized.product(make=STORES, stable=[False, True])
  def test_copies_of_references_are_left_out_on_demand(self, make, stable):
    w = self.variable("w", np.ones(2), use_resource=False)
    double = tf1.placeholder(tf1.float64, []) * w
    make([tf1.identity(w), double], [], stable)
    copies = [o for o in self.graph.get_operations() if o.type == "DeepCopy"]
    self.assertLen(copies, 0 if stable else 1)

  def test_the_ticket_of_a_failed_run_is_known_and_can_be_discarded(self):
    self.build(stores.DeviceStore)
    bad = tf1.debugging.check_numerics(tf1.log(self.x), "bad")
    tickets = []
    with self.assertRaises(tf1.errors.OpError):
      self.store.forward(self.sess, {self.x: [-1.0]}, [bad], tickets.append)
    self.assertLen(tickets, 1)
    tickets.append(self.forward([1.0])[2])
    with self.assertRaises(tf1.errors.OpError):
      self.store.backward(self.sess, tickets[1], bad, {self.x: [-1.0]})
    for ticket in tickets + tickets:  # to discard it twice does no harm
      self.store.discard(self.sess, ticket)
    self.assertEqual(self.areas.count(self.sess), 0)

  def test_the_host_refuses_variants(self):
    items = tf1.raw_ops.TensorListReserve(
      element_shape=[2], num_elements=2, element_dtype=tf1.float64
    )
    with self.assertRaises(errors.CutError) as caught:
      stores.HostStore([items], [])
    self.assert_message(caught.exception, items.name, 'store="device"')

  def test_the_host_keeps_arrays_of_its_own(self):
    x = tf1.placeholder(tf1.float64, [2])
    h = tf1.square(x)
    store = stores.HostStore([h], [h])
    sess = self.session()
    outputs, _, ticket = store.forward(sess, {x: [1.0, 2.0]})
    outputs[0][...] = 0.0
    found = store.backward(sess, ticket, store.restored[h.name], {})
    np.testing.assert_array_equal(found, [1.0, 4.0])


class HostStoreTest(case.GraphTestCase):
  @parameterized.named_parameters(
    ("pooling", (1, 8, 9, 2), lambda x: pool(x, [1.0, 1.4, 1.6, 1.0])),
    ("svd", (2, 3), lambda x: tf1.raw_ops.Svd(input=x, compute_uv=False)),
  )
  def test_takes_values_whose_static_shapes_are_wrong(self, shape, build):
    # The pooling sequences have an element more, absent vectors no axis.
    x = tf1.placeholder(tf1.float64, shape)
    kept = list(build(x))[1:]
    store = stores.HostStore(kept, [x])
    back = [store.restored[tensor.name] for tensor in kept]
    with self.session() as sess:
      values = sess.run(kept, {x: self.normal(*shape)})
      found = sess.run(back, dict(zip(back, values)))
    for tensor, value, other in zip(kept, values, found):
      self.assertFalse(tensor.shape.is_compatible_with(value.shape))
      np.testing.assert_array_equal(other, value)


class SessionStoreTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.x = tf1.placeholder(tf1.float64, [None], name="x")
    self.upstream = tf1.placeholder(tf1.float64, [None])
    h = tf1.square(self.x)
    self.store = stores.SessionStore(
      [h], [self.upstream * h, self.upstream], [(0, self.upstream)]
    )
    self.areas = checks.StagingAreas(self.graph)
    self.sess = self.session()

  def test_the_backward_run_finishes_the_partial_run(self):
    tickets = []
    for k in (1.0, 2.0):
      outputs, more, ticket = self.store.forward(
        self.sess, {self.x: [k]}, [2 * self.x]
      )
      np.testing.assert_array_equal(outputs, [[k * k]])
      np.testing.assert_array_equal(more, [[2 * k]])
      tickets.append(ticket)
    for k, ticket in zip((2.0, 1.0), tickets[::-1]):
      found = self.store.backward(
        self.sess, ticket, self.store.gradients, {self.upstream: [3.0]}
      )
      np.testing.assert_array_equal(found, [[3 * k * k], [3.0]])
    self.assertEqual(self.areas.count(self.sess), 0)

  def test_a_discard_finishes_it_too(self):
    _, _, ticket = self.store.forward(self.sess, {self.x: [1.0]})
    self.store.discard(self.sess, ticket)
    self.assertEqual(self.areas.count(self.sess), 0)
    run, handle, key, _ = ticket
    with self.assertRaises((tf1.errors.OpError, ValueError)):
      run.finish(self.sess, handle, [np.zeros(1), key])

  def test_no_gradients_are_a_gradient_too(self):
    store = stores.SessionStore([2 * self.x], [], [(0, self.upstream)])
    _, _, ticket = store.forward(self.sess, {self.x: [1.0]})
    found = store.backward(self.sess, ticket, [], {self.upstream: [1.0]})
    self.assertEqual(found, [])
    store.discard(self.sess, store.forward(self.sess, {self.x: [1.0]})[2])

  def test_a_placeholder_must_be_fed_unless_its_readers_are(self):
    # A partial run that fails would cancel the session for good.
    h = tf1.square(self.x)
    y = tf1.exp(h)
    store = stores.SessionStore([y], [self.upstream * y], [(0, self.upstream)])
    with self.assertRaises(errors.ArgumentError) as caught:
      store.forward(self.sess, {})
    self.assert_message(caught.exception, "'x:0'", "Feed it")
    outputs, _, ticket = store.forward(self.sess, {h: np.zeros(1)})
    np.testing.assert_array_equal(outputs, [[1.0]])
    store.discard(self.sess, ticket)

  def test_a_closed_session_has_nothing_to_free(self):
    _, _, ticket = self.store.forward(self.sess, {self.x: [1.0]})
    self.sess.close()
    self.store.discard(self.sess, ticket)

  def test_the_ticket_of_a_failed_run_after_it_can_be_discarded(self):
    tickets = []
    _, _, ticket = self.store.forward(
      self.sess, {self.x: [1.0]}, note=tickets.append
    )
    with self.assertRaises((tf1.errors.OpError, ValueError)):
      self.store.backward(
        self.sess, ticket, "no_such_op", {self.upstream: [1.0]}
      )
    for _ in range(2):  # to discard it twice does no harm
      self.store.discard(self.sess, *tickets)
    self.assertEqual(self.areas.count(self.sess), 0)
    outputs, _, ticket = self.store.forward(self.sess, {self.x: [1.0]})
    self.store.discard(self.sess, ticket)

  def test_needs_partial_runs(self):
    class Other:
      graph = self.graph

    with self.assertRaises(errors.CallError) as caught:
      self.store.forward(Other(), {self.x: [1.0]})
    self.assert_message(caught.exception, "Other", "partial_run", "v1.Session")

  def test_copies_are_made_in_the_forward_part(self):
    w = self.variable("w", np.ones(1), use_resource=False)
    copy = tf1.raw_ops.DeepCopy(x=w.op.outputs[0])
    store = stores.SessionStore(
      [2 * self.x], [self.upstream * copy], [(0, self.upstream)], [copy]
    )
    sess = self.session()
    change = w.assign([5.0]).op
    for _ in range(5):
      sess.run(w.initializer)
      _, _, ticket = store.forward(sess, {self.x: [1.0]})
      sess.run(change)
      found = store.backward(
        sess, ticket, store.gradients, {self.upstream: [3.0]}
      )
      np.testing.assert_array_equal(found, [[3.0]])


if __name__ == "__main__":
  absltest.main()

import os
import threading

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.compat import tf1
from tangle.partial import staging
from tests import case
from tests.partial import checks

DTYPES = (
  tf1.float16,
  tf1.bfloat16,
  tf1.float32,
  tf1.float64,
  tf1.int8,
  tf1.uint8,
  tf1.int32,
  tf1.int64,
  tf1.bool,
  tf1.complex64,
  tf1.complex128,
  tf1.string,
)


class KeysTest(absltest.TestCase):
  def test_no_two_are_the_same(self):
    found = []

    def draw():
      found.extend([staging.new_key() for _ in range(1000)])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertLen(set(found), 4000)
    self.assertLess(max(found), 2**63)
    self.assertGreaterEqual(min(found), 0)

  def test_forked_processes_have_others(self):
    first = staging.new_key()
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
      os.write(write_end, b"%d" % staging.new_key())
      os._exit(0)
    os.waitpid(child, 0)
    found = int(os.read(read_end, 100))
    self.assertNotIn(found, [first, staging.new_key()])


class StagingAreaTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.key = tf1.placeholder(tf1.int64, [])

  @parameterized.parameters(*DTYPES)
  def test_carries_every_dtype(self, dtype):
    if dtype == tf1.string:
      value = np.array([b"a", b"bc"], object)
    else:
      value = np.array([0, 1]).astype(dtype.as_numpy_dtype)
    area = staging.StagingArea([dtype, tf1.int64], "area")
    put = area.put([value, np.int64(5)], self.key)
    found = area.read([[2], []], self.key)
    drop = area.drop(self.key)
    sess = self.session()
    sess.run(put, {self.key: 7})
    actual, five = sess.run(found, {self.key: 7})
    np.testing.assert_array_equal(actual, value)
    self.assertEqual((actual.dtype, five), (value.dtype, 5))
    sess.run(put, {self.key: 7})
    sess.run(drop, {self.key: 7})
    self.assertEqual(checks.StagingAreas(self.graph).count(sess), 0)

  def test_carries_variants(self):
    items = tf1.raw_ops.TensorListFromTensor(
      tensor=np.array([1.0, 2.0]), element_shape=tf1.constant([], tf1.int32)
    )
    area = staging.StagingArea([tf1.variant], "area")
    put = area.put([items], self.key)
    found = area.read([[]], self.key)[0]
    stacked = tf1.raw_ops.TensorListStack(
      input_handle=found,
      element_shape=tf1.constant([], tf1.int32),
      element_dtype=tf1.float64,
    )
    drop = area.drop(self.key)
    sess = self.session()
    sess.run(put, {self.key: 1})
    np.testing.assert_array_equal(sess.run(stacked, {self.key: 1}), [1.0, 2.0])
    sess.run(put, {self.key: 2})
    for key in (2, 3):
      sess.run(drop, {self.key: key})
    self.assertEqual(checks.StagingAreas(self.graph).count(sess), 0)

  def test_a_second_put_under_a_key_changes_nothing(self):
    value = tf1.placeholder(tf1.float64, None)
    area = staging.StagingArea([tf1.float64], "area")
    put = area.put([value], self.key)
    found = area.read([None], self.key)
    areas = checks.StagingAreas(self.graph)
    sess = self.session()
    sess.run(put, {self.key: 1, value: 3.0})
    sess.run(put, {self.key: 1, value: 4.0})
    self.assertEqual(areas.count(sess), 1)
    self.assertEqual(sess.run(found, {self.key: 1}), [3.0])

  def test_a_peek_leaves_it_there(self):
    area = staging.StagingArea([tf1.float64], "area")
    put = area.put([np.float64(3.0)], self.key)
    peeked = area.read([[]], self.key, peek=True)
    taken = area.read([[]], self.key)
    areas = checks.StagingAreas(self.graph)
    sess = self.session()
    sess.run(put, {self.key: 1})
    for _ in range(2):
      self.assertEqual(sess.run(peeked, {self.key: 1}), [3.0])
    self.assertEqual(sess.run(taken, {self.key: 1}), [3.0])
    self.assertEqual(areas.count(sess), 0)

  def test_a_drop_makes_one_empty_tensor_of_each_dtype(self):
    counts = []
    for dtypes in ([tf1.float32, tf1.int32], [tf1.float32, tf1.int32] * 50):
      area = staging.StagingArea(dtypes, f"area_of_{len(dtypes)}")
      before = self.count_ops()
      area.drop(self.key)
      counts.append(self.count_ops() - before)
    self.assertEqual(counts[0], counts[1])

  def test_a_drop_of_what_is_not_there_does_not_wait(self):
    area = staging.StagingArea([tf1.float64, tf1.string], "area")
    drop = area.drop(self.key)
    sess = self.session()
    options = tf1.RunOptions(timeout_in_ms=20000)
    for key in (1, 1, 2):
      sess.run(drop, {self.key: key}, options=options)
    self.assertEqual(checks.StagingAreas(self.graph).count(sess), 0)

  def test_a_put_waits_for_what_it_is_told_to(self):
    failing = tf1.debugging.check_numerics(np.float64(np.nan), "no number")
    area = staging.StagingArea([tf1.float64], "area")
    put = area.put([np.float64(3.0)], self.key, after=[failing.op])
    areas = checks.StagingAreas(self.graph)
    sess = self.session()
    with self.assertRaisesRegex(tf1.errors.OpError, "no number"):
      sess.run(put, {self.key: 1})
    self.assertEqual(areas.count(sess), 0)

  def test_strings_wait_on_the_host_beside_the_device(self):
    device = "/job:worker/task:1/device:GPU:3"
    put = staging.StagingArea([tf1.string], "s", device).put(["a"], self.key)
    spec = tf1.DeviceSpec.from_string(put.device)
    self.assertEqual((spec.job, spec.task), ("worker", 1))
    self.assertEqual((spec.device_type, spec.device_index), ("CPU", 0))
    put = staging.StagingArea([tf1.int32], "t", device).put([1], self.key)
    self.assertEqual(put.device, device)


class StagingTest(case.GraphTestCase):
  def setUp(self):
    super().setUp()
    self.key = tf1.placeholder(tf1.int64, [])

  def test_restores_tensors_in_order_with_their_shapes(self):
    a = tf1.placeholder(tf1.float64, [None, 2])
    b = tf1.placeholder(tf1.string, [3])
    c = tf1.placeholder(tf1.int32, None)
    staged = staging.Staging([a, b, c], self.key)
    for tensor, restored in zip((a, b, c), staged.restored):
      self.assertEqual(restored.dtype, tensor.dtype)
      self.assertEqual(str(restored.shape), str(tensor.shape))
    sess = self.session()
    values = [np.ones([4, 2]), np.array([b"x"] * 3, object), np.int32(4)]
    sess.run(staged.put, {self.key: 1, a: values[0], b: values[1], c: 4})
    found, _ = sess.run([staged.restored, staged.take], {self.key: 1})
    for actual, desired in zip(found, values):
      np.testing.assert_array_equal(actual, desired)
    self.assertEqual(checks.StagingAreas(self.graph).count(sess), 0)

  def test_nothing_needs_no_ops(self):
    before = self.count_ops()
    staged = staging.Staging([], self.key)
    self.assertEqual(self.count_ops(), before)
    self.assertEqual(staged.restored, [])
    self.assertEqual((staged.put, staged.take, staged.drop), (None,) * 3)

  def test_tensors_wait_on_their_devices_and_all_or_none_are_put(self):
    tensors = []
    for n in range(2):
      with tf1.device(f"/cpu:{n}"):
        tensors.append(tf1.identity(np.float64(n)))
    bad = tf1.placeholder(tf1.float64, [])
    with tf1.device("/cpu:1"):
      tensors.append(tf1.debugging.check_numerics(bad, "no number"))
    staged = staging.Staging(tensors, self.key)
    devices = {
      op.device for op in self.graph.get_operations() if op.type == "MapStage"
    }
    self.assertLen(devices, 2)
    areas = checks.StagingAreas(self.graph)
    sess = self.session(cpus=2)
    for _ in range(5):
      with self.assertRaises(tf1.errors.OpError):
        sess.run(staged.put, {self.key: 1, bad: np.nan})
      self.assertEqual(areas.count(sess), 0)
    sess.run(staged.put, {self.key: 1, bad: 2.0})
    self.assertEqual(areas.count(sess), 2)
    found, _ = sess.run([staged.restored, staged.take], {self.key: 1})
    self.assertEqual(found, [0.0, 1.0, 2.0])
    sess.run(staged.put, {self.key: 1, bad: 2.0})
    sess.run(staged.drop, {self.key: 1})
    self.assertEqual(areas.count(sess), 0)

  def test_two_stagings_of_one_name_do_not_meet(self):
    staged = [staging.Staging([tf1.constant(n)], self.key) for n in range(2)]
    sess = self.session()
    sess.run([s.put for s in staged], {self.key: 1})
    found = sess.run([s.restored[0] for s in staged], {self.key: 1})
    self.assertEqual(found, [0, 1])

  def test_another_graph_of_the_same_names_does_not_meet_it(self):
    # On a standing server, what a staging area holds outlives session and
    # graph.
    server = tf1.train.Server.create_local_server(start=True)
    config = tf1.ConfigProto(operation_timeout_in_ms=20000)
    for dtype, count in ((tf1.float32, 1), (tf1.int32, 2), (tf1.float32, 1)):
      with tf1.Graph().as_default() as graph:
        values = [tf1.constant(k, dtype) for k in range(count)]
        key = tf1.constant(7, tf1.int64)
        kept = staging.Staging(values, key, name="same")
        with tf1.Session(server.target, graph, config) as sess:
          sess.run(kept.put)
          self.assertLen(sess.run(kept.restored), count)
          sess.run(kept.put)  # and leaves it behind

  def test_ops_land_in_the_scope(self):
    x = tf1.placeholder(tf1.float64, [])
    before = self.count_ops()
    staging.Staging([x], self.key, after=[x], name="mine")
    for op in self.graph.get_operations()[before:]:
      self.assertTrue(op.name.startswith("mine/"), op.name)


class OwnershipTest(case.GraphTestCase):
  def test_copies_what_shares_memory_with_a_reference_alone(self):
    w = self.variable("w", np.ones(2), use_resource=False)
    x = tf1.placeholder(tf1.float64, [2])
    tensors = [x, tf1.identity(w), x * w]
    owned = staging.own_values(tensors)
    self.assertIs(owned[0], tensors[0])
    self.assertEqual(owned[1].op.type, "DeepCopy")
    self.assertIs(owned[2], tensors[2])

  def test_names_what_cannot_be_copied(self):
    words = self.variable(
      "words", np.array(["a"]), trainable=False, use_resource=False
    )
    read = tf1.identity(words, name="read_words")
    for refuse in (
      lambda: staging.check_copyable(read),
      lambda: staging.own_values([read]),
    ):
      before = self.count_ops()
      with self.assertRaises(errors.CutError) as caught:
        refuse()
      self.assert_message(
        caught.exception,
        "'read_words:0'",
        "string",
        "weights_unchanged=True",
      )
      self.assertEqual(self.count_ops(), before)
    text = tf1.constant("a")
    self.assertIs(staging.own_values([text])[0], text)

  @parameterized.parameters(*[d for d in DTYPES if d != tf1.string])
  def test_a_copy_does_not_change_with_the_variable(self, dtype):
    value = np.array([0, 1]).astype(dtype.as_numpy_dtype)
    w = self.variable("w", value, trainable=False, use_resource=False)
    read = tf1.identity(w)
    staging.check_copyable(read)
    owned = staging.own_values([read])
    with tf1.control_dependencies(owned):
      change = w.assign(value[::-1])
    with tf1.control_dependencies([change]):
      found = tf1.identity(owned[0])
    np.testing.assert_array_equal(self.session().run(found), value)


if __name__ == "__main__":
  absltest.main()

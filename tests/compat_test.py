import os
import subprocess
import sys
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tangle import compat
from tangle.compat import tf1
from tangle.graphs import cloning
from tests import case, forks

ROOT = os.path.dirname(os.path.dirname(__file__))

_SETTINGS = """
import logging, os, sys
import tensorflow as tf
tf1 = tf.compat.v1

def settings():
  return [
    tf.executing_eagerly(),
    tf1.control_flow_v2_enabled(),
    tf1.resource_variables_enabled(),
    tf1.logging.get_verbosity(),
    logging.getLogger().level,
    sorted(os.environ.items()),
    tf1.get_default_graph() is tf1.get_default_graph(),
    len(tf1.get_default_graph().get_operations()),
  ]

before = settings()
import tangle
from tangle.partial import sub_model
assert settings() == before, (settings(), before)
print("same")
"""


class VersionTest(absltest.TestCase):
  def test_tells_the_version(self):
    major, minor = tf.__version__.split(".")[:2]
    self.assertEqual(compat.VERSION, (int(major), int(minor)))
    self.assertEqual(compat.IS_TF1, major == "1")
    # The module itself is another one after tf_keras has been imported.
    self.assertIs(tf1.Session, tf.compat.v1.Session)

  def test_an_import_changes_no_setting(self):
    with forks.new_processes():
      run = subprocess.run(
        [sys.executable, "-c", _SETTINGS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
      )
    self.assertEqual(run.returncode, 0, run.stdout)
    self.assertTrue(run.stdout.endswith("same\n"), run.stdout)


class UpdateInputTest(case.GraphTestCase):
  def test_an_op_reads_another_tensor(self):
    one, two = tf1.constant(1.0), tf1.constant(2.0)
    total = one + one
    compat.update_input(total.op, 1, two)
    self.assertEqual([t.name for t in total.op.inputs], [one.name, two.name])
    with self.session() as sess:
      self.assertEqual(sess.run(total), 3.0)


class HandleDataTest(case.GraphTestCase):
  def test_a_copy_of_a_handle_knows_its_variable(self):
    w = self.variable("w", np.ones([2, 3]))
    handle_ph = tf1.placeholder(tf1.resource, [])
    compat.share_handle_data(w.op.outputs[0], handle_ph)
    read = tf1.raw_ops.ReadVariableOp(resource=handle_ph, dtype=tf1.float64)
    self.assertEqual(read.shape.as_list(), [2, 3])

  def test_other_tensors_have_none(self):
    x = tf1.placeholder(tf1.float64, [2])
    y = tf1.placeholder(tf1.float64, [2])
    compat.share_handle_data(x, y)
    self.assertEqual(y.shape.as_list(), [2])


class ControlFlowTest(case.GraphTestCase):
  def inside(self):
    return [
      op for op in self.graph.get_operations() if compat.in_v1_control_flow(op)
    ]

  def test_a_loop_of_version_1(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [])
    _, y = tf1.while_loop(
      lambda n, v: n < 3, lambda n, v: (n + 1, tf1.sin(v)), [0, x]
    )
    z = tf1.exp(y)
    types = {op.type for op in self.inside()}
    self.assertContainsSubset(
      {"Enter", "Merge", "Switch", "Sin", "NextIteration", "LoopCond"}, types
    )
    # What leaves the loop has one value.
    self.assertEqual(y.op.type, "Exit")
    self.assertNotIn("Exit", types)
    self.assertNotIn(z.op, self.inside())
    self.assertNotIn(x.op, self.inside())

  def test_a_loop_within_a_loop(self):
    self.use_control_flow(v2=False)

    def body(n, v):
      _, inner = tf1.while_loop(
        lambda m, w: m < 2, lambda m, w: (m + 1, 2 * w), [0, v]
      )
      return n + 1, inner

    _, y = tf1.while_loop(lambda n, v: n < 3, body, [0, np.float64(1)])
    exits = [op for op in self.graph.get_operations() if op.type == "Exit"]
    found = [compat.in_v1_control_flow(op) for op in exits]
    self.assertCountEqual(found, [True, True, False, False])
    self.assertFalse(compat.in_v1_control_flow(y.op))
    self.assertEqual(self.session().run(y), 64.0)

  def test_a_conditional_of_version_1(self):
    self.use_control_flow(v2=False)
    x = tf1.placeholder(tf1.float64, [])
    y = tf1.cond(x > 0, lambda: tf1.sin(x), lambda: tf1.cos(x))
    types = {op.type for op in self.inside()}
    self.assertContainsSubset({"Sin", "Cos"}, types)
    self.assertEqual(y.op.type, "Merge")
    self.assertNotIn(y.op, self.inside())

  def test_the_context_of_xla_is_neither(self):
    self.use_control_flow(v2=False)

    def network(x):
      one = tf1.sin(x)
      return tf1.while_loop(lambda v: v < 3, lambda v: tf1.exp(v), [one])

    x = tf1.placeholder(tf1.float64, [])
    (y,) = tf1.xla.experimental.compile(network, [x])
    types = {op.type for op in self.inside()}
    self.assertContainsSubset({"Exp", "Enter"}, types)
    self.assertEmpty(types & {"Sin", "Exit"})
    self.assertNotIn(y.op, self.inside())

  def test_neither_of_version_2(self):
    self.use_control_flow(v2=True)
    x = tf1.placeholder(tf1.float64, [])
    tf1.cond(x > 0, lambda: tf1.sin(x), lambda: tf1.cos(x))
    tf1.while_loop(lambda v: v < 3, lambda v: 2 * v, [x])
    self.assertEmpty(self.inside())


class TensorsTest(case.GraphTestCase):
  def test_references(self):
    w = self.variable("w", np.ones(2), use_resource=False)
    v = self.variable("v", np.ones(2))
    self.assertTrue(compat.is_ref(w.op.outputs[0]))
    self.assertFalse(compat.is_ref(tf1.identity(w)))
    self.assertFalse(compat.is_ref(v.op.outputs[0]))
    self.assertFalse(compat.is_resource_variable(w))
    self.assertTrue(compat.is_resource_variable(v))
    for variable in (v, w):
      self.assertIsInstance(variable, compat.Variable)

  @parameterized.parameters(
    (tf1.float16, True),
    (tf1.bfloat16, True),
    (tf1.float32, True),
    (tf1.float64, True),
    (tf1.complex64, True),
    (tf1.complex128, True),
    (tf1.int32, False),
    (tf1.bool, False),
    (tf1.string, False),
    (tf1.resource, False),
    (tf1.variant, False),
  )
  def test_what_can_have_a_gradient(self, dtype, expected):
    self.assertEqual(compat.is_differentiable(dtype), expected)

  def test_a_reference_can_have_a_gradient(self):
    w = self.variable("w", np.ones(2), use_resource=False)
    self.assertTrue(compat.is_differentiable(w.op.outputs[0].dtype))

  def test_sparse_gradients(self):
    values = tf1.constant([1.0])
    sparse = tf1.IndexedSlices(values, tf1.constant([0]))
    self.assertTrue(compat.is_indexed_slices(sparse))
    for other in (values, None, 1.0, tf1.SparseTensor([[0]], [1.0], [2])):
      self.assertFalse(compat.is_indexed_slices(other))


class CallsTest(case.GraphTestCase):
  @parameterized.parameters(False, True)
  def test_calls_of_functions(self, as_defun):
    x = tf1.placeholder(tf1.float64, [])
    make = compat.defun(tf1.float64) if as_defun else tf.function

    @make
    def squash(h):
      return tf1.tanh(h) * h

    squash(x)
    found = [op for op in self.graph.get_operations() if compat.is_call(op)]
    self.assertLen(found, 1)
    self.assertEqual(found[0].inputs[0].name, x.name)
    self.assertFalse(compat.is_call(x.op))


class DatasetTest(case.GraphTestCase):
  def read(self, dataset):
    iterator = tf1.data.make_initializable_iterator(dataset)
    element = iterator.get_next()
    sess = self.session()
    sess.run(iterator.initializer)
    found = []
    with self.assertRaises(tf1.errors.OutOfRangeError):
      while True:
        found.append(sess.run(element))
    return found

  def test_group_by_window_keeps_short_windows(self):
    dataset = compat.group_by_window(
      tf1.data.Dataset.range(9),
      lambda x: x % 3,
      lambda key, window: window.batch(4),
      lambda key: 2 + key // 2,  # 2, 2 and 3
    )
    found = sorted(batch.tolist() for batch in self.read(dataset))
    self.assertEqual(found, [[0, 3], [1, 4], [2, 5, 8], [6], [7]])

  def test_a_dataset_is_made_of_a_generator_of_nests(self):
    dataset = compat.dataset_from_generator(
      lambda: ({"x": [i, i], "name": str(i)} for i in range(2)),
      {"x": tf1.int32, "name": tf1.string},
      {"x": tf1.TensorShape([2]), "name": tf1.TensorShape([])},
    )
    first, second = self.read(dataset)
    self.assertEqual(second["x"].tolist(), [1, 1])
    self.assertEqual((first["name"], second["name"]), (b"0", b"1"))


class ControlFlowStyleTest(case.GraphTestCase):
  @parameterized.product(before=[False, True], inside=[False, True])
  def test_a_style_holds_inside_alone(self, before, inside):
    self.use_control_flow(v2=before)
    with self.assertRaises(KeyError), compat.control_flow(v2=inside):
      self.assertEqual(tf1.control_flow_v2_enabled(), inside)
      raise KeyError
    self.assertEqual(tf1.control_flow_v2_enabled(), before)

  @parameterized.parameters(False, True)
  def test_the_style_of_tensor_arrays_is_found(self, v2):
    self.use_control_flow(v2=v2)
    x = tf1.placeholder(tf1.float64, [None, 3])
    tf1.TensorArray(tf1.float64, 2).unstack(x).stack()
    ops = self.graph.get_operations()
    self.use_control_flow(v2=True)
    with compat.control_flow_of(ops):
      self.assertEqual(tf1.control_flow_v2_enabled(), v2)
    with compat.control_flow_of([]):
      self.assertTrue(tf1.control_flow_v2_enabled())


class SessionTest(case.GraphTestCase):
  def test_a_plain_session_is_open_local_and_unwrapped(self):
    sess = self.session()
    self.assertTrue(compat.is_plain(sess))
    with mock.patch.object(sess, "run"):
      self.assertFalse(compat.is_plain(sess))

    class Other(tf1.Session):
      def run(self, *args, **kwargs):
        return super().run(*args, **kwargs)

    with Other() as other:
      self.assertFalse(compat.is_plain(other))
    with tf1.train.MonitoredSession() as monitored:
      self.assertFalse(compat.is_plain(monitored))
    sess.close()
    self.assertFalse(compat.is_plain(sess))

  def test_a_callable_takes_and_gives_in_order(self):
    x = tf1.placeholder(tf1.float32, [None])
    y = tf1.placeholder(tf1.float32, [])
    count = self.variable("count", 0.0)
    add_op = count.assign_add(1.0).op
    sess = self.session()
    call = compat.make_callable(sess, [y, x], [x - y, 2 * y], [add_op])
    found = call(np.float32(2), np.ones(2, np.float32))
    np.testing.assert_array_equal(found[0], [-1, -1])
    self.assertEqual(found[1], 4)
    self.assertEqual(sess.run(count), 1.0)

  def test_a_session_of_a_cluster_is_not_plain(self):
    server = tf1.train.Server.create_local_server(start=True)
    with tf1.Session(server.target) as sess:
      self.assertFalse(compat.is_plain(sess))


class KeepFunctionGraphsTest(case.GraphTestCase):
  @parameterized.parameters("while", "cond", "case", "nested")
  def test_a_second_gradient_of_an_imported_op_adds_no_outputs(self, kind):
    def loop(h):
      return tf1.while_loop(
        lambda n, h: n < 2,
        lambda n, h: (n + 1, inner(h)),
        [0, h],
        shape_invariants=[tf1.TensorShape([]), tf1.TensorShape(None)],
      )[1]

    def pick(h):
      branches = [lambda: tf1.tanh(h), lambda: h * tf1.sin(h)]
      if kind == "case":
        return tf1.switch_case(tf1.size(h) % 2, branches)
      return tf1.cond(tf1.reduce_sum(h) > 0.0, *branches)

    inner = pick if kind == "nested" else lambda h: tf1.tanh(h * h + 0.5 * h)
    with tf1.Graph().as_default() as graph, compat.control_flow(True):
      x = tf1.placeholder(tf1.float64, None, name="x")
      y = loop(x) if kind in ("while", "nested") else pick(x)
      tf1.identity(y, name="y")
    tf1.import_graph_def(graph.as_graph_def(), name="")
    x, y = [self.graph.get_tensor_by_name(name) for name in ("x:0", "y:0")]
    flow = [
      op for op in self.graph.get_operations() if op.type in cloning.FLOW_V2
    ]
    compat.keep_function_graphs(flow)
    counts = []
    for _ in range(2):
      (gradient,) = tf1.gradients(y, x)
      counts.append([len(op.outputs) for op in flow])
    self.assertEqual(counts[0], counts[1])
    value = self.normal(3)
    with tf1.Session() as sess:
      found = sess.run(gradient, {x: value})
      ends = [sess.run(y, {x: value + sign * 1e-6}) for sign in (-1, 1)]
    np.testing.assert_allclose(found, (ends[1] - ends[0]) / 2e-6, 1e-6)


if __name__ == "__main__":
  absltest.main()

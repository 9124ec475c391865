"""The base of every test: a fresh graph and a numpy generator."""

import contextlib
from unittest import mock

import numpy as np
from absl.testing import parameterized

from tangle import compat
from tangle.compat import tf1


@contextlib.contextmanager
def plain_sessions():
  """Turns off what rewrites a graph before its first run, in new sessions.

  For large models that run a few times: it takes longer than their runs.
  """
  start = tf1.Session.__init__

  def init(self, target="", graph=None, config=None):
    plain = tf1.ConfigProto()
    plain.CopyFrom(config or plain)
    plain.graph_options.rewrite_options.disable_meta_optimizer = True
    start(self, target, graph, plain)

  with mock.patch.object(tf1.Session, "__init__", init):
    yield


class GraphTestCase(parameterized.TestCase):
  """Gives each test an own graph, seeds and, when asked, session."""

  def setUp(self):
    super().setUp()
    self.rng = np.random.RandomState(20160814)
    self.graph = tf1.Graph()
    stack = contextlib.ExitStack()
    self.addCleanup(stack.close)
    stack.enter_context(self.graph.as_default())
    tf1.set_random_seed(20160814)

  def session(self, initialize=True, optimize=True, cpus=1):
    """Opens a session that is closed when the test ends.

    Args:
      initialize: whether to run the variables' initializers.
      optimize: False turns the graph optimizer off, for counting executions.
      cpus: how many CPU devices it has.

    Returns:
      A `tf.Session` on the test's graph.
    """
    config = tf1.ConfigProto(device_count={"CPU": cpus})
    if not optimize:
      config.graph_options.optimizer_options.opt_level = -1
      rewrites = config.graph_options.rewrite_options
      rewrites.disable_meta_optimizer = True
    sess = tf1.Session(graph=self.graph, config=config)
    self.addCleanup(sess.close)
    if initialize:
      sess.run(tf1.global_variables_initializer())
    return sess

  def normal(self, *shape, dtype=np.float64):
    """Returns an array of `shape` drawn from N(0, 1)."""
    return self.rng.standard_normal(shape).astype(dtype)

  def variable(self, name, value, trainable=True, use_resource=True):
    """Returns a variable, by default a resource, that starts as `value`."""
    return tf1.get_variable(
      name, initializer=value, trainable=trainable, use_resource=use_resource
    )

  def use_control_flow(self, v2):
    """Builds loops and conditionals in one style until the test ends.

    Args:
      v2: whether in that of TensorFlow 2.
    """
    style = compat.control_flow(v2)
    style.__enter__()
    self.addCleanup(style.__exit__, None, None, None)

  def count_ops(self):
    """Returns the number of ops in the test's graph."""
    return len(self.graph.get_operations())

  def assert_close(self, actual, desired, rtol=1e-12):
    """Fails unless `actual` is within `rtol` of the size of `desired`.

    The error is relative to the largest entry, so that entries which cancel
    to almost zero do not count as relative errors of their own.
    """
    actual, desired = dense(actual), dense(desired)
    self.assertEqual(np.shape(actual), np.shape(desired))
    self.assertEqual(actual.dtype, desired.dtype)
    # NaN compares false: a test for "error <= bound" would let it through.
    self.assertTrue(np.all(np.isfinite(actual)), actual)
    wide = np.complex128 if actual.dtype.kind == "c" else np.float64
    actual, desired = actual.astype(wide), desired.astype(wide)
    scale = max(float(np.max(np.abs(desired), initial=0.0)), 1e-300)
    error = float(np.max(np.abs(actual - desired), initial=0.0))
    self.assertLessEqual(error, rtol * scale)

  def assert_message(self, error, *parts):
    """Fails unless the text of the exception `error` has all `parts`."""
    for part in parts:
      self.assertIn(part, str(error))


def is_sparse(value):
  """Whether the array `value` is an `IndexedSlicesValue`."""
  # Neither TensorFlow has a public name for that class.
  return hasattr(value, "dense_shape")


def dense(value):
  """Returns `value` as an array, summing up an `IndexedSlicesValue`."""
  if is_sparse(value):
    array = np.zeros(tuple(value.dense_shape), value.values.dtype)
    np.add.at(array, value.indices, value.values)
    return array
  return np.asarray(value)

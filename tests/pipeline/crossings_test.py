"""What crosses between tasks, and that divided batches train as whole ones."""

import collections
import functools
import threading

import numpy as np
from absl.testing import absltest, parameterized

import tangle
from tangle.compat import tf1
from tests import case
from tests.pipeline import placement_test

LOCK = threading.Lock()
SMALL = 16  # bytes: keys, shares, norms, powers of beta
ROWS = 6
EMBEDDING = (7, 4)


class TracedSession(tf1.Session):
  """Keeps the partition graphs of its runs while `found` is a list."""

  found = None

  def run(self, fetches, feed_dict=None, options=None, run_metadata=None):
    """Makes a run as `Session.run` does."""
    if self.found is None:
      return super().run(fetches, feed_dict, options, run_metadata)
    options = tf1.RunOptions(output_partition_graphs=True)
    run_metadata = tf1.RunMetadata()
    values = super().run(fetches, feed_dict, options, run_metadata)
    with LOCK:
      self.found.append(run_metadata.partition_graphs)
    return values


def crossings(graphs):
  """Lists what partition graphs send from task to task.

  Returns:
    A list of (name of the tensor, task that sends, task that gets).
  """
  found = []
  for node in (node for graph in graphs for node in graph.node):
    if node.op not in ("_Send", "_HostSend"):
      continue
    ends = [node.attr[end].s.decode() for end in ("send_device", "recv_device")]
    tasks = [int(end.split("/task:")[1].split("/")[0]) for end in ends]
    if tasks[0] != tasks[1]:
      found.append((node.input[0].lstrip("^"), *tasks))
  return found


def is_control(name, graphs):
  """Whether what is sent under `name` stands for a control dependency."""
  nodes = [n for g in graphs for n in g.node if n.name == name.split(":")[0]]
  return any(n.op == "Const" and n.input for n in nodes)


class CrossingsTest(case.GraphTestCase):
  def trace(self, micro_batches):
    """Returns what each run of a step sends, and the names of slots."""
    pipeline = tangle.Pipeline()
    placement_test.add_parts(pipeline, placement_test.TASKS)
    trainer = pipeline.minimize(
      tf1.train.AdamOptimizer(0.05),
      clip_norm=0.5,
      micro_batches=micro_batches,
    )
    batch = placement_test.batch_of(np.random.RandomState(0), ROWS)
    with TracedSession(placement_test.target()) as sess:
      sess.run(tf1.global_variables_initializer())
      trainer.step(sess, batch)
      sess.found = []
      trainer.step(sess, batch)
      return sess.found

  @parameterized.parameters(1, 2)
  def test_boundaries_and_gradients_cross_once_and_nothing_else(self, count):
    boundaries, gradients = collections.Counter(), collections.Counter()
    for graphs in self.trace(count):
      for name, *tasks in crossings(graphs):
        if is_control(name, graphs):
          continue
        if name.startswith("_recv_"):  # fed by the client, over its own task
          self.assertEqual(tasks[0], 0, name)
          continue
        op_name = name.split(":")[0]
        scope = op_name.rsplit("/", 1)[0]
        if scope in ("pipeline/middle", "pipeline/decoder") and (
          op_name.split("/")[-1].startswith("restore")
        ):
          boundaries[tuple(tasks)] += 1
        elif "_grad/" in op_name:
          gradients[tuple(tasks)] += 1
        elif op_name == "pipeline/decoder/MatMul_1/ReadVariableOp":
          self.assertEqual(tasks, [0, 2])  # the tied embedding, to its reader
        elif op_name.startswith("pipeline/training/update/restore"):
          self.assertEqual(tasks, [2, 0])  # the tied embedding's gradient
        else:
          self.assert_scalar(op_name)
    once = {(0, 1): count, (1, 2): count, (0, 2): count}
    self.assertEqual(boundaries, once)
    self.assertEqual(gradients, {(b, a): n for (a, b), n in once.items()})

  def assert_scalar(self, op_name):
    """Fails unless an op has one scalar, such as a norm or power of beta."""
    graph = tf1.get_default_graph()
    try:
      op = graph.get_operation_by_name(op_name)
    except KeyError:  # that the graph optimizer has made
      self.assertIn("/clip_by_global_norm/", op_name)
      return
    if op.outputs and op.outputs[0].dtype != tf1.resource:
      self.assertEqual(op.outputs[0].shape.num_elements(), 1, op_name)


def train(dtype, devices, address, steps=20, **options):
  """Returns losses and variables after some steps."""
  # On tasks, variables of one name are one variable for all sessions.
  with tf1.Graph().as_default(), tf1.variable_scope(dtype):
    pipeline = tangle.Pipeline()
    placement_test.add_parts(pipeline, devices, dtype)
    trainer = pipeline.minimize(
      tf1.train.AdamOptimizer(0.05), clip_norm=0.5, **options
    )
    rng = np.random.RandomState(4)
    with tf1.Session(address) as sess:
      sess.run(tf1.global_variables_initializer())
      losses = []
      for _ in range(steps):
        batch = placement_test.batch_of(rng, 11)
        losses.append(trainer.step(sess, batch).loss)
      return losses, sess.run(tf1.trainable_variables())


@functools.lru_cache(maxsize=None)
def train_whole(dtype):
  """Returns what `train` does for whole batches, in one process."""
  return train(dtype, [None] * 3, "")


class EqualityTest(case.GraphTestCase):
  @parameterized.parameters(
    (2, "float64", "1f1b"),
    (3, "float64", "gpipe"),
    (2, "float32", "gpipe"),
    (3, "float32", "1f1b"),
  )
  def test_parts_on_tasks_train_as_the_whole_batch(
    self, tasks, dtype, schedule
  ):
    devices = [placement_test.TASKS[k % tasks] for k in range(3)]
    desired = train_whole(dtype)
    tolerance = {"float64": 1e-11, "float32": 1e-6}[dtype]
    for count in (2, 4, 8):
      losses, values = train(
        dtype,
        devices,
        placement_test.target(),
        micro_batches=count,
        schedule=schedule,
      )
      np.testing.assert_allclose(losses, desired[0], rtol=0, atol=tolerance)
      for a, b in zip(values, desired[1]):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    self.assertLess(desired[0][-1], desired[0][0])


if __name__ == "__main__":
  absltest.main()
